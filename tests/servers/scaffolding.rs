//! That the servers, the hosts and the projects are what the other tests take them for. Uses the
//! usual clients, and nothing of runward.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    panic::catch_unwind,
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{Project, output, ssh, variable};

/// Status line, headers and body of a GET.
fn get(path: &str) -> String {
    let url = variable("RUNWARD_TEST_HTTP_URL");
    let address = url.strip_prefix("http://").expect("an http URL");
    let mut stream = TcpStream::connect(address).expect("nginx listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("nginx reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("nginx answers");
    answer
}

/// The number of captures that the seed leaves stuck.
const STUCK: &str = "SELECT count(*) FROM payments \
    WHERE status = 'authorised' AND created_at < now() - interval '15 minutes'";

#[test]
fn postgres_answers_to_the_right_password_only() {
    let mut psql = Command::new("psql");
    psql.args(["-XAtq", "-d", &variable("RUNWARD_TEST_POSTGRES_URL"), "-c", STUCK]);
    psql.env("PGPASSWORD", variable("RUNWARD_TEST_POSTGRES_PASSWORD"));
    assert_eq!(output(&mut psql).as_deref(), Ok("37"));
    let refused = output(psql.env("PGPASSWORD", "wrong")).expect_err("a wrong password");
    assert!(refused.contains("password authentication failed"), "{refused}");
}

#[test]
fn mariadb_answers_to_the_right_password_only() {
    let url = variable("RUNWARD_TEST_MYSQL_URL");
    let (host, port) = url
        .strip_prefix("mysql://runward@")
        .and_then(|rest| rest.strip_suffix("/settings"))
        .and_then(|address| address.split_once(':'))
        .expect("mysql://runward@HOST:PORT/settings");
    let statement = "SELECT value, updated_by IS NULL FROM settings \
        WHERE service = 'capture' AND name = 'max_retries'";
    let mut mariadb = Command::new("mariadb");
    mariadb
        .args(["--no-defaults", "-h", host, "-P", port, "-u", "runward", "-NBe", statement])
        .arg("settings")
        .env("MYSQL_PWD", variable("RUNWARD_TEST_MYSQL_PASSWORD"));
    assert_eq!(output(&mut mariadb).as_deref(), Ok("3\t1"));
    let refused = output(mariadb.env("MYSQL_PWD", "wrong")).expect_err("a wrong password");
    assert!(refused.contains("Access denied"), "{refused}");
}

#[test]
fn sshd_is_two_hosts() {
    let key = variable("RUNWARD_TEST_SSH_KEY");
    for host in ["127.0.0.1", "127.0.0.2"] {
        let seen = ssh(Path::new(&key), host, "echo $SSH_CONNECTION").expect("sshd answers");
        assert_eq!(seen.split(' ').nth(2), Some(host));
        let setting = ssh(Path::new(&key), host, "capture-ctl get max_retries");
        assert_eq!(setting.as_deref(), Ok("max_retries=3"));
    }
}

#[test]
fn nginx_answers() {
    let healthy = get("/healthz");
    assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
    assert!(healthy.contains("application/json"), "{healthy}");
    assert!(healthy.ends_with("{\"ready\": true}\n"), "{healthy}");
    assert!(get("/status/503").starts_with("HTTP/1.1 503"));
    assert!(get("/status/429").contains("Retry-After: 1"));
    assert!(get("/static/about.json").contains("ETag: "));
}

#[test]
fn projects_do_not_see_each_other() {
    let (one, other) = (Project::new(), Project::new());
    one.ledger("UPDATE payments SET status = 'captured' WHERE id <= 37");
    one.config("UPDATE settings SET value = '9' WHERE name = 'max_retries'");
    one.host("127.0.0.1").ssh("capture-ctl set max_retries 7").expect("a new setting");
    one.gateway(false);
    assert_eq!((one.ledger(STUCK), other.ledger(STUCK)), ("0".into(), "37".into()));
    let limit = "SELECT value FROM settings WHERE service = 'capture' AND name = 'max_retries'";
    assert_eq!((one.config(limit), other.config(limit)), ("9".into(), "3".into()));
    let settings = [
        one.host("127.0.0.1").setting("max_retries"),
        one.host("127.0.0.2").setting("max_retries"),
        other.host("127.0.0.1").setting("max_retries"),
    ];
    assert_eq!(settings, ["7", "3", "3"]);
    assert_eq!(one.host("127.0.0.1").changes(), ["set max_retries 7"]);
    assert!(other.host("127.0.0.1").changes().is_empty());
    for (project, ready) in [(&one, false), (&other, true)] {
        let file = project.read("runward.yaml");
        let path = file.split("/worlds/").nth(1).and_then(|rest| rest.split('"').next());
        let health = get(&format!("/worlds/{}/healthz", path.expect("the gateway's address")));
        assert!(health.contains("application/json"), "{health}");
        assert!(health.ends_with(&format!("{{\"ready\": {ready}}}\n")), "{health}");
    }
}

#[test]
fn a_project_is_filled_in() {
    let project = Project::new();
    let file = project.read("runward.yaml");
    let left: Vec<&str> = file
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split('"'))
        .filter(|part| part.starts_with('@') && part.ends_with('@'))
        .collect();
    assert_eq!(left, Vec::<&str>::new());
    assert!(!file.contains(&variable("RUNWARD_TEST_POSTGRES_PASSWORD")), "a password in clear");
    for person in ["ana", "bruno", "carla"] {
        let mut keygen = Command::new("ssh-keygen");
        let public = output(keygen.arg("-yf").arg(project.key(person))).expect("a private key");
        let key: Vec<&str> = public.split(' ').take(2).collect();
        assert!(file.contains(&key.join(" ")), "{person}'s key is not in runward.yaml");
    }
    for runbook in ["payments/raise-capture-retries", "ops/restart-service"] {
        assert!(project.read(&format!("runbooks/{runbook}.yaml")).starts_with("version: 1\n"));
    }
}

#[test]
fn a_host_fails_on_demand() {
    let project = Project::new();
    let host = project.host("127.0.0.2");
    host.fail("fail-set");
    host.ssh("capture-ctl set max_retries 8").expect_err("told to fail");
    assert_eq!(host.setting("max_retries"), "3");
    host.heal("fail-set");
    host.fail("fail-set-partial");
    host.ssh("capture-ctl set max_retries 8").expect_err("told to fail");
    assert_eq!(host.setting("max_retries"), "8");
    host.ssh("capture-ctl set max_retries '; true'").expect_err("not a number");
    assert_eq!(host.setting("timeout_ms"), "2500");
}

#[test]
fn the_service_of_a_host_is_a_process() {
    let project = Project::new();
    let (host, other) = (project.host("127.0.0.1"), project.host("127.0.0.2"));
    assert!(!host.is_running());
    host.ssh("capture-ctl start").expect("it starts");
    host.ssh("capture-ctl start").expect("starting it again is nothing");
    assert!(host.is_running() && !other.is_running());
    host.ssh("capture-ctl restart").expect("it restarts");
    assert!(host.is_running());
    host.fail("fail-stop");
    host.ssh("capture-ctl stop").expect_err("told to fail");
    assert!(host.is_running());
    host.heal("fail-stop");
    host.ssh("capture-ctl stop").expect("it stops");
    assert!(!host.is_running());
}

#[test]
fn a_program_is_run_in_a_clean_environment() {
    let project = Project::new();
    let shown = project.program("env", []).by("bruno").env("MORE", "1").without("GATEWAY_TOKEN");
    let shown = shown.run().expect_code(0).stdout;
    let names: BTreeSet<&str> = shown.lines().filter_map(|line| line.split('=').next()).collect();
    let expected = [
        "CONFIG_PASSWORD",
        "HOME",
        "LC_ALL",
        "LEDGER_PASSWORD",
        "LOGNAME",
        "MORE",
        "PATH",
        "TESTS_RUN_MARK",
        "TZ",
        "USER",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert!(shown.contains(&format!("HOME={}\n", project.home("bruno").display())), "{shown}");
    let read = project.program("cat", []).input("yes\n").run();
    assert_eq!(read.expect_code(0).stdout, "yes\n");
    assert_eq!(project.program("cat", []).run().expect_code(0).stdout, "");
}

#[test]
fn a_program_is_watched_while_it_runs() {
    let project = Project::new();
    let script = "sleep 1000 >/dev/null 2>&1 & \
        trap 'kill $!; echo told >&2; exit 3' TERM; echo one; echo two; wait";
    let mut run = project.program("sh", ["-c", script]).spawn();
    assert_eq!(run.wait_for("o"), "one");
    assert_eq!(run.wait_for("o"), "two");
    run.signal(Signal::TERM);
    assert_eq!(run.wait_for("o"), "told");
    let out = run.finish().expect_code(3);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("one\ntwo\n", "told\n"));
    let run = project.program("sleep", ["1000"]).spawn();
    assert_eq!(run.kill().code(), None);
    let ended = catch_unwind(|| project.program("echo", ["a"]).spawn().wait_for("b"));
    let panic = ended.expect_err("a line that never came");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("did not say \"b\":\na"), "{message}");
}
