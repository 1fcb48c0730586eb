//! The flagship, the whole way: checked, approved, changed, recorded, and put back when it fails.
//! Ledger on PostgreSQL, settings on MariaDB, two hosts behind sshd, the gateway on nginx.

use serde_json::Value as Json;

use crate::support::{Output, Project, Running};

const FLAGSHIP: &str = "payments/raise-capture-retries";
const SETTING: &str = concat!(
    "SELECT value, coalesce(updated_by, 'NULL') FROM settings ",
    "WHERE service='capture' AND name='max_retries'"
);

fn key(project: &Project, person: &str) -> String {
    project.key(person).display().to_string()
}

fn start(project: &Project, limit: &str) -> Running {
    let input = format!("limit={limit}");
    project.command(["run", FLAGSHIP, "-e", "production", "-i", &input]).spawn()
}

fn approve(project: &Project, person: &str) -> Output {
    let key = key(project, person);
    project.runward(["approve", "last", "--key", &key, "--yes"])
}

/// Approves what is asked, gate by gate, as each of these steps comes to wait.
fn approve_each(project: &Project, run: &mut Running, steps: &[&str]) {
    for step in steps {
        run.wait_for(&format!("Waiting for approval of {step}"));
        approve(project, "bruno").expect_code(0);
    }
}

fn show(project: &Project) -> Json {
    project.runward(["show", "last", "--json"]).expect_code(0).json()
}

fn step<'a>(run: &'a Json, id: &str) -> &'a Json {
    let steps = run["steps"].as_array().expect("steps");
    steps.iter().find(|s| s["id"] == id).unwrap_or_else(|| panic!("no step {id} in {run:#}"))
}

/// The state of everything that the flagship changes.
fn world(project: &Project) -> Vec<String> {
    let hosts = ["127.0.0.1", "127.0.0.2"].map(|h| project.host(h).setting("max_retries"));
    [vec![project.config(SETTING)], hosts.to_vec()].concat()
}

#[test]
fn it_waits_is_approved_by_somebody_else_and_is_on_record() {
    let project = Project::new();
    let mut run = start(&project, "5");
    run.wait_for("Waiting for approval of limit");
    let before = world(&project);

    approve(&project, "ana").expect_code(5).expect_text("ana@example.com");
    assert_eq!(world(&project), before, "nothing may have changed by a refused approval");

    approve(&project, "bruno").expect_code(0);
    approve_each(&project, &mut run, &["workers[0]", "workers[1]"]);
    run.finish().expect_code(0);
    for host in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(project.host(host).setting("max_retries"), "5");
        assert_eq!(project.host(host).changes(), ["set max_retries 5"]);
    }
    assert!(project.config(SETTING).starts_with("5\trunward "));

    let run = show(&project);
    assert_eq!(run["status"], "succeeded");
    let limit = step(&run, "limit");
    assert_eq!(limit["before"]["rows"][0]["value"], "3");
    assert_eq!(limit["after"]["rows"][0]["value"], "5");
    let paths: Vec<_> = limit["diff"].as_array().unwrap().iter().map(|d| &d["path"]).collect();
    assert!(paths.iter().any(|p| p.as_str().unwrap().ends_with(".value")), "{paths:?}");
    assert_eq!(limit["approvals"][0]["by"], "bruno@example.com");
    assert_eq!(limit["approvals"][0]["decision"], "approve");
    assert!(limit["approvals"][0]["key"].as_str().unwrap().starts_with("SHA256:"));
    assert_eq!(limit["refusals"].as_array().unwrap().len(), 1, "the operator's own is on record");
    assert!(run["journal"]["events"].as_u64().unwrap() > 10);

    let mut report = project.runward(["report", "last"]).expect_code(0);
    for words in
        ["Raise the capture retry limit", "bruno@example.com", "ana@example.com", "production"]
    {
        report = report.expect_text(words);
    }
    project.runward(["audit", "verify"]).expect_code(0);
}

#[test]
fn when_the_second_host_fails_everything_is_put_back_and_proved() {
    let project = Project::new();
    let before = world(&project);
    project.host("127.0.0.2").fail("fail-set");
    let mut run = start(&project, "5");
    approve_each(&project, &mut run, &["limit", "workers[0]", "workers[1]"]);
    run.finish().expect_code(1);
    assert_eq!(world(&project), before);
    // The fault fired: the second host was asked once, the first was changed and put back.
    assert_eq!(project.host("127.0.0.2").changes(), ["set max_retries 5"]);
    assert_eq!(project.host("127.0.0.1").changes(), ["set max_retries 5", "set max_retries 3"]);

    let run = show(&project);
    assert_eq!(run["status"], "rolled_back");
    assert_eq!(run["failed_step"], "workers[1]");
    for id in ["limit", "workers[0]"] {
        assert_eq!(step(&run, id)["status"], "rolled_back", "{id}");
        assert_eq!(step(&run, id)["rollback"]["status"], "proved", "{id}");
        assert_eq!(step(&run, id)["rollback"]["residual"], Json::Array(Vec::new()), "{id}");
    }
    project.runward(["report", "last"]).expect_text("put back").expect_text("workers[1]");
}

#[test]
fn a_half_done_change_is_put_back_too() {
    let project = Project::new();
    let before = world(&project);
    project.host("127.0.0.2").fail("fail-set-partial");
    let mut run = start(&project, "5");
    approve_each(&project, &mut run, &["limit", "workers[0]", "workers[1]"]);
    // The undo works: only `set` to the new value fails half-way, so heal it when it has failed.
    run.wait_for("putting back");
    let ended = run.finish();
    let run = show(&project);
    if run["status"] == "rolled_back" {
        ended.expect_code(1);
        assert_eq!(world(&project), before);
    } else {
        // The host's tool fails in undoing too: a person must look, and it is said.
        ended.expect_code(3);
        assert_eq!(step(&run, "workers[1]")["status"], "rollback_failed");
    }
    assert!(!project.host("127.0.0.2").changes().is_empty());
}

#[test]
fn killed_while_it_waits_it_goes_on_when_resumed() {
    let project = Project::new();
    let mut run = start(&project, "5");
    run.wait_for("Waiting for approval of limit");
    run.kill();
    let before = world(&project);
    approve(&project, "bruno").expect_code(0);
    assert_eq!(world(&project), before, "an approval alone changes nothing");
    let mut resumed = project.command(["resume", "last"]).spawn();
    approve_each(&project, &mut resumed, &["workers[0]", "workers[1]"]);
    resumed.finish().expect_code(0);
    for host in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(project.host(host).changes(), ["set max_retries 5"], "once, and no more");
    }
    assert_eq!(show(&project)["status"], "succeeded");
}

#[test]
fn no_wait_pauses_and_resume_goes_on() {
    let project = Project::new();
    let args = ["run", FLAGSHIP, "-e", "production", "-i", "limit=5", "--no-wait"];
    project.runward(args).expect_code(4);
    approve(&project, "carla").expect_code(0);
    project.runward(["resume", "last", "--no-wait"]).expect_code(4);
    let run = show(&project);
    assert_eq!(run["status"], "waiting");
    assert_eq!(step(&run, "limit")["approvals"][0]["by"], "carla@example.com");
    project.runward(["reject", "last", "--reason", "not tonight"]).expect_code(0);
    project.runward(["resume", "last", "--no-wait"]).expect_code(5);
    let run = show(&project);
    assert_eq!(run["status"], "refused");
    assert!(project.config(SETTING).starts_with("3\t"), "what had been changed is put back");
}

#[test]
fn a_state_that_changed_after_the_request_voids_the_approval() {
    let project = Project::new();
    let mut run = start(&project, "5");
    run.wait_for("Waiting for approval of limit");
    project.config("UPDATE settings SET value='4' WHERE service='capture' AND name='max_retries'");
    approve(&project, "bruno").expect_code(0);
    run.wait_for("the approval is void, since the state before has changed");
    run.wait_for("Waiting for approval of limit");
    assert!(project.config(SETTING).starts_with("4\t"), "nothing was applied");
    let shown = show(&project);
    assert_eq!(shown["status"], "waiting");
    assert_eq!(step(&shown, "limit")["before"]["rows"][0]["value"], "4");
    // Agreed to again, now from the state that is there.
    approve(&project, "bruno").expect_code(0);
    approve_each(&project, &mut run, &["workers[0]", "workers[1]"]);
    run.finish().expect_code(0);
    assert!(project.config(SETTING).starts_with("5\t"));
}

#[test]
fn a_plan_reads_and_previews_and_changes_nothing() {
    let project = Project::new();
    let before = world(&project);
    let plan = ["plan", FLAGSHIP, "-e", "production", "-i", "limit=5"];
    project.runward(plan).expect_code(0).expect_text("UPDATE").expect_text("leads");
    assert_eq!(world(&project), before);
    assert!(project.host("127.0.0.1").changes().is_empty());
    project.runward(["runs"]).expect_code(0);
}

#[test]
fn a_finished_run_is_undone_later_and_only_over_what_it_left() {
    let project = Project::new();
    let before = world(&project);
    project.runward(["run", FLAGSHIP, "-e", "local", "-i", "limit=5"]).expect_code(0);
    assert_ne!(world(&project), before);
    project.runward(["rollback", "last"]).expect_code(1);
    assert_eq!(world(&project), before);
    assert_eq!(show(&project)["status"], "rolled_back");

    project.runward(["run", FLAGSHIP, "-e", "local", "-i", "limit=6"]).expect_code(0);
    project.config("UPDATE settings SET value='8' WHERE service='capture' AND name='max_retries'");
    project.runward(["rollback", "last"]).expect_code(3);
    assert!(project.config(SETTING).starts_with("8\t"), "somebody else's value stays");
}

#[test]
fn the_service_is_restarted_when_a_person_says_that_traffic_flows() {
    let project = Project::new();
    let restart = ["run", "ops/restart-service", "-e", "local", "-i", "host=127.0.0.2"];
    let host = project.host("127.0.0.2");
    if !host.is_running() {
        host.ssh("capture-ctl start").expect("the service to run");
    }
    let mut run = project.command(restart).spawn();
    run.wait_for("runward answer");
    project.runward(["answer", "last"]).expect_code(0);
    run.finish().expect_code(0);
    assert!(host.is_running());

    let mut run = project.command(restart).spawn();
    run.wait_for("runward answer");
    project.runward(["answer", "last", "--no"]).expect_code(0);
    run.finish().expect_code(1);
    assert!(host.is_running(), "the undo of stopping leaves it running");
    assert_eq!(show(&project)["failed_step"], "traffic");
}

#[test]
fn hostile_inputs_arrive_as_one_value_everywhere() {
    let project = Project::new();
    project.write(
        "runbooks/echo.yaml",
        r#"version: 1
name: Echo
inputs:
  text: {type: string}
steps:
  - id: ledger
    sql.query:
      on: ledger
      query: SELECT CAST(:text AS text) AS t
      params: {text: "{{ inputs.text }}"}
    expect: result.rows[0].t == inputs.text
  - id: config
    sql.query: {on: config, query: "SELECT :text AS t", params: {text: "{{ inputs.text }}"}}
    expect: result.rows[0].t == inputs.text
  - id: local
    shell.exec: {command: "printf %s {{ inputs.text }}", reads: true}
    expect: result.stdout == inputs.text
  - id: hosts
    foreach: {in: targets.app.hosts, as: host}
    ssh.exec: {on: app, host: "{{ host }}", command: "printf %s {{ inputs.text }}", reads: true}
    expect: result.stdout == inputs.text
"#,
    );
    project.runward(["validate", "runbooks/echo.yaml"]).expect_code(0);
    let marker = project.folder().join("pwned");
    let touch = format!("$(touch {})", marker.display());
    let semicolon = format!("; touch {} #", marker.display());
    let hostile = [
        "'; DROP TABLE payments; --",
        &touch,
        &semicolon,
        "a b",
        "two\nlines",
        "`id`",
        "-n",
        "\"double\" 'single' \\ back",
        "{{ 7 * 7 }}",
        "ünïcödé 💶",
        "*",
        "~",
        " leading and trailing ",
    ];
    for text in hostile {
        let input = format!("text={text}");
        project.runward(["run", "echo", "-e", "local", "-i", &input]).expect_code(0);
    }
    assert!(!marker.exists(), "something in an input was executed");
    assert_ne!(project.ledger("SELECT count(*) FROM payments"), "0");
}

#[test]
fn six_mistakes_are_six_diagnostics_with_their_lines() {
    let project = Project::new();
    project.write(
        "runbooks/wrong.yaml",
        r#"version: 1
nmae: Six mistakes
name: Six mistakes
inputs:
  limit: {type: intger}
steps:
  - id: one
    sql.qeury: {on: ledger, query: SELECT 1}
  - id: two
    sql.query: {on: legder, query: SELECT 1}
    expect: result.rowz[0].n == 1
  - id: two
    check: ["inputs.limti > 3"]
"#,
    );
    let validate = ["validate", "runbooks/wrong.yaml", "--format", "json"];
    let found = project.runward(validate).expect_code(2).json();
    let lines: Vec<_> =
        found.as_array().unwrap().iter().map(|d| d["line"].as_u64().unwrap()).collect();
    for line in [2, 5, 8, 12, 13] {
        assert!(lines.contains(&line), "line {line} of {lines:?}");
    }
    assert!(lines.len() >= 6, "{found:#}");
    project.runward(["run", "wrong", "-e", "local"]).expect_code(2);
    project.runward(["runs"]).expect_code(0);
    assert!(project.host("127.0.0.1").calls().is_empty(), "nothing ran");
}

#[test]
fn a_sensitive_input_reaches_its_target_and_nothing_else() {
    let project = Project::new();
    project.write(
        "runbooks/token.yaml",
        r#"version: 1
name: Uses a token
inputs:
  token: {type: string, sensitive: true}
steps:
  - id: bound
    sql.query:
      on: ledger
      query: SELECT length(:token) AS n
      params: {token: "{{ inputs.token }}"}
    expect: result.rows[0].n == 24
  - id: echoed
    sql.query:
      on: ledger
      query: SELECT CAST(:token AS text) AS t
      params: {token: "{{ inputs.token }}"}
  - id: ask
    manual: {instructions: Is it right?}
  - id: again
    sql.query:
      on: ledger
      query: SELECT length(:token) AS n
      params: {token: "{{ inputs.token }}"}
    expect: result.rows[0].n == 24
"#,
    );
    let token = "tok-5up3rS3cret-9182-zzy";
    let input = format!("token={token}");
    let run = project
        .runward(["run", "token", "-e", "local", "-i", &input, "--no-wait", "--json"])
        .expect_code(4);
    assert!(!run.stdout.contains(token) && !run.stderr.contains(token));
    project.runward(["answer", "last"]).expect_code(0);
    project.runward(["resume", "last"]).expect_code(0);
    let shown = project.runward(["show", "last", "--json"]).expect_code(0);
    let report = project.runward(["report", "last"]).expect_code(0);
    assert!(!shown.stdout.contains(token) && !report.stdout.contains(token));
    for entry in std::fs::read_dir(project.folder().join(".runward")).expect("the state folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file of the state");
        let found = bytes.windows(token.len()).any(|w| w == token.as_bytes());
        assert!(!found, "{} holds the secret", path.display());
    }
}

#[test]
fn whoever_wants_a_run_undone_can_not_approve_that() {
    let project = Project::new();
    project.edit("runward.yaml", "identity: login", "identity: key");
    project.write(
        "runbooks/limit.yaml",
        r#"version: 1
name: Raise the limit
steps:
  - id: limit
    sql.update:
      on: config
      table: settings
      where: {service: capture, name: max_retries}
      set: {value: "7"}
      rows: 1
"#,
    );
    let (ana, bruno) = (key(&project, "ana"), key(&project, "bruno"));
    let run = ["run", "limit", "-e", "production", "--no-wait"];
    // Without a key nobody knows who starts it.
    let nobody = project.command(run).env("HOME", "/nonexistent").run();
    nobody.expect_code(5);
    project.runward([&run[..], &["--key", &ana]].concat()).expect_code(4);
    approve(&project, "bruno").expect_code(0);
    project.runward(["resume", "last"]).expect_code(0);
    assert!(project.config(SETTING).starts_with("7\t"));

    project.runward(["rollback", "last", "--no-wait", "--key", &bruno]).expect_code(4);
    approve(&project, "bruno").expect_code(5).expect_text("bruno@example.com");
    assert!(project.config(SETTING).starts_with("7\t"));
    approve(&project, "carla").expect_code(0);
    project.runward(["resume", "last"]).expect_code(1);
    assert!(project.config(SETTING).starts_with("3\t"));
    let run = show(&project);
    assert_eq!(run["status"], "rolled_back");
    assert_eq!(step(&run, "limit")["rollback"]["status"], "proved");
}

#[test]
fn an_approval_that_nobody_signed_is_refused_though_the_chain_fits() {
    use runward::{base::RunId, ports::Store, store::SqliteStore};
    let project = Project::new();
    project
        .runward(["run", FLAGSHIP, "-e", "production", "-i", "limit=5", "--no-wait"])
        .expect_code(4);
    let shown = show(&project);
    let digest = step(&shown, "limit")["waiting"]["digest"].clone();
    let forged = serde_json::from_value(serde_json::json!({
        "type": "approval.given", "node": "limit", "message": 1,
        "approval": {"by": "bruno@example.com", "key": "SHA256:x", "decision": "approve",
            "at": "2026-01-01T00:00:00Z", "reason": "", "digest": digest, "signature": null},
    }))
    .expect("an event");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The store itself writes it, so that every link of the chain is right.
        let file = project.folder().join(".runward/journal.db");
        let store = SqliteStore::open(&file).await.expect("the journal");
        let run = RunId(shown["id"].as_str().expect("an id").to_owned());
        let now = runward::base::Timestamp::now();
        let lease = store.claim(&run, "forger", None, now).await.expect("the lease");
        let after = shown["journal"]["events"].as_u64().expect("a number");
        let summary = runward::ports::store::Summary::default();
        store.append(&lease, after, &[(now, forged)], &summary).await.expect("an append");
        store.release(&lease).await.expect("given back");
    });
    project.runward(["audit", "verify"]).expect_code(6).expect_text("does not hold");
    project.runward(["resume", "last", "--no-wait"]).expect_code(6);
    assert!(project.config(SETTING).starts_with("3\t"), "nothing was applied");
}
