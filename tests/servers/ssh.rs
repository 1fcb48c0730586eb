//! SSH on a real sshd: host keys, authentication, commands, their end.

use std::{
    fs,
    io::BufRead,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use runward::{
    actions,
    base::{Map, NodeId, RunId, Secret, Timestamp, Value},
    model::{Fault, World, target::SshAddress},
    ports::{
        Action, Arguments, Clock, StepContext, Transports,
        transport::{Command, CommandOutput, HttpTarget, Processes, SqlTarget, SshTarget},
    },
    transports::ssh::{self, Hosts},
};
use tempfile::TempDir;

use crate::support::variable;

const ONE: &str = "127.0.0.1";
const TWO: &str = "127.0.0.2";

fn port() -> u16 {
    variable("RUNWARD_TEST_SSH_PORT").parse().unwrap()
}

fn address(hosts: &[&str]) -> SshAddress {
    SshAddress {
        hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        port: Some(port()),
        user: Some(variable("RUNWARD_TEST_SSH_USER")),
        jump: None,
        key: Some(variable("RUNWARD_TEST_SSH_KEY")),
        known_hosts: Some(variable("RUNWARD_TEST_SSH_KNOWN_HOSTS")),
        accept_new: false,
        connect_timeout: Duration::from_secs(20),
    }
}

fn open(hosts: &[&str]) -> Arc<Hosts> {
    ssh::open("app", &address(hosts)).unwrap()
}

fn command(line: &str) -> Command {
    Command { line: line.to_owned(), max_bytes: 1 << 20, ..Command::default() }
}

async fn run(hosts: &Hosts, line: &str) -> CommandOutput {
    hosts.exec(ONE, command(line)).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every server of these tests is this machine, so what runs there can be seen from here.
fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file with known hosts, made from the one of the test environment.
fn known_hosts(change: impl Fn(&str) -> String) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    let lines = fs::read_to_string(variable("RUNWARD_TEST_SSH_KNOWN_HOSTS")).unwrap();
    let changed: String = lines.lines().map(|l| change(l) + "\n").collect();
    fs::write(&file, changed).unwrap();
    let path = file.to_string_lossy().into_owned();
    (folder, path)
}

async fn greet(address: &SshAddress) -> Result<String, Fault> {
    let hosts = ssh::open("app", address).unwrap();
    hosts.identity(ONE).await
}

fn assert_refused(fault: &Fault, words: &[&str]) {
    assert_eq!((fault.code.as_str(), fault.world), ("RW0702", World::Untouched), "{fault:?}");
    let all = format!("{fault:?}");
    for word in words {
        assert!(all.contains(word), "{word} is missing in {all}");
    }
}

#[tokio::test]
async fn streams_status_and_input_come_through() {
    let hosts = open(&[ONE]);
    let input =
        Command { stdin: Some(b"first\nlast".to_vec()), ..command("cat; echo oops >&2; exit 7") };
    let output = hosts.exec(ONE, input).await.unwrap();
    assert_eq!(text(&output.stdout), "first\nlast");
    assert_eq!(text(&output.stderr), "oops\n");
    assert_eq!((output.status, output.signal, output.dropped), (Some(7), None, 0));
    assert_eq!(run(&hosts, "exit 255").await.status, Some(255));
    assert_eq!(run(&hosts, "cat").await.stdout, b"", "without input, input is at its end");
    assert_eq!(run(&hosts, "no-such-program-here").await.status, Some(127));
    assert_eq!(run(&hosts, "if then").await.status, Some(2), "a mistake in the line");
}

#[tokio::test]
async fn a_signal_is_named() {
    let output = run(&open(&[ONE]), "kill -TERM $$").await;
    assert_eq!((output.status, output.signal.as_deref()), (None, Some("TERM")));
}

#[tokio::test]
async fn large_input_arrives_whole() {
    let input = Command { stdin: Some(vec![b'x'; 8 << 20]), ..command("wc -c") };
    let output = open(&[ONE]).exec(ONE, input).await.unwrap();
    assert_eq!(text(&output.stdout).trim(), (8 << 20).to_string());
}

#[tokio::test]
async fn hostile_words_stay_one_argument() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    fs::write(&dump, "#!/bin/sh\nfor a; do printf '%s\\000' \"$a\"; done\n").unwrap();
    let words = [
        "$(touch /tmp/runward-pwned)",
        "`id`",
        "a'b\"c\\d",
        "new\nline",
        "-rf",
        "; id #",
        "*",
        "~",
        "$HOME",
        "!x",
        "tab\there",
        "",
        "ação",
        "runward-0123",
        "\u{1b}[31m",
    ];
    let mut line = format!("/bin/sh {}", dump.display());
    for word in words {
        line.push_str(&format!(" '{}'", word.replace('\'', r"'\''")));
    }
    let environment = vec![("HOSTILE".to_owned(), words.join("|"))];
    let sent = Command { environment, ..command(&format!("{line}; printf %s \"$HOSTILE\"")) };
    let output = open(&[ONE]).exec(ONE, sent).await.unwrap();
    let expected: String = words.iter().map(|w| format!("{w}\0")).collect();
    assert_eq!(text(&output.stdout), expected + &words.join("|"));
    assert!(!Path::new("/tmp/runward-pwned").exists());
}

#[tokio::test]
async fn values_of_variables_stand_in_no_argument_list() {
    let environment = vec![("TOKEN".to_owned(), "s3cr3t-value-of-a-variable".to_owned())];
    let line = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null; echo; done; \
                printf %s \"$TOKEN\" | wc -c";
    let output = open(&[ONE]).exec(ONE, Command { environment, ..command(line) }).await.unwrap();
    let shown = text(&output.stdout);
    assert!(shown.trim_end().ends_with("26"), "{shown}");
    assert!(!shown.contains("s3cr3t-value-of"), "{shown}");
}

/// Runs one of these tests in a process of its own, with other variables; true when this is not
/// yet that process.
fn alone(test: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var_os("RUNWARD_TEST_ALONE").is_some() {
        return false;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("RUNWARD_TEST_ALONE", "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    true
}

#[tokio::test]
async fn output_over_the_cap_is_counted_and_memory_stays_flat() {
    // Memory is the process's; other tests need some too.
    if alone("ssh::output_over_the_cap_is_counted_and_memory_stays_flat", &[]) {
        return;
    }
    let hosts = open(&[ONE]);
    run(&hosts, "true").await;
    let before = resident();
    let small = Command { max_bytes: 1000, ..command("head -c 67108864 /dev/zero; echo end >&2") };
    let output = hosts.exec(ONE, small).await.unwrap();
    assert_eq!((output.stdout.len(), output.dropped), (1000, 67_108_864 - 1000));
    assert_eq!(text(&output.stderr), "end\n");
    assert!(resident() < before + 16 * 1024, "{before} KiB grew to {} KiB", resident());
}

/// An agent that ends with the test.
struct Agent {
    process: std::process::Child,
    socket: String,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent").to_string_lossy().into_owned();
        let mut process = std::process::Command::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It says where it listens once it does.
        let mut said = String::new();
        let stdout = process.stdout.take().unwrap();
        std::io::BufReader::new(stdout).read_line(&mut said).unwrap();
        assert!(said.contains(&socket), "the agent does not start: {said:?}");
        Self { process, socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn the_agent_signs_for_a_key_with_a_passphrase() {
    let test = "ssh::commands_share_one_connection";
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked").to_string_lossy().into_owned();
    fs::copy(variable("RUNWARD_TEST_SSH_KEY"), &locked).unwrap();
    let agent = Agent::start(folder.path());
    let tool = |program: &str, arguments: &[&str]| {
        let done = std::process::Command::new(program)
            .args(arguments)
            .env("SSH_AUTH_SOCK", &agent.socket)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
    };
    tool("ssh-add", &["-q", &locked]);
    tool("ssh-keygen", &["-q", "-p", "-P", "", "-N", "secret words", "-f", &locked]);
    let variables = [("SSH_AUTH_SOCK", agent.socket.as_str()), ("RUNWARD_TEST_SSH_KEY", &locked)];
    assert!(alone(test, &variables));
}

/// The most memory that this process has held, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn commands_share_one_connection() {
    let hosts = open(&[ONE]);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(text(&run(&hosts, "echo $SSH_CONNECTION").await.stdout));
    }
    let (a, b) = tokio::join!(run(&hosts, "echo $SSH_CONNECTION"), run(&hosts, "sleep 0.2"));
    seen.push(text(&a.stdout));
    assert_eq!(b.status, Some(0));
    assert!(seen[0].starts_with(ONE) && seen.iter().all(|s| s == &seen[0]), "{seen:?}");
    hosts.close().await;
    assert_ne!(text(&run(&hosts, "echo $SSH_CONNECTION").await.stdout), seen[0]);
}

#[tokio::test]
async fn identity_is_fingerprint_and_place() {
    let shown = greet(&address(&[ONE])).await.unwrap();
    let place = format!("{}@{ONE}:{}", variable("RUNWARD_TEST_SSH_USER"), port());
    assert!(shown.starts_with("SHA256:") && shown.ends_with(&place), "{shown}");
}

#[tokio::test]
async fn a_timeout_ends_the_group_even_against_its_will() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // The leader and a child ignore TERM; another child obeys it.
    let line = format!(
        "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $! >{0}; \
         sleep 600 & echo $! >>{0}; echo $$ >>{0}; echo begun; while :; do sleep 1; done",
        pids.display()
    );
    let limited = Command { timeout: Some(Duration::from_millis(1500)), ..command(&line) };
    let fault = open(&[ONE]).exec(ONE, limited).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0703", World::Partial), "{fault:?}");
    assert_eq!(fault.result.unwrap().get("stdout"), Some(&Value::text("begun\n")));
    let pids = fs::read_to_string(&pids).unwrap();
    assert_eq!(pids.lines().count(), 3);
    for pid in pids.lines() {
        assert!(!lives(pid), "{pid} still lives");
    }
}

#[tokio::test]
async fn a_timeout_works_with_input_that_nobody_reads() {
    let line = "echo $$; sleep 600; cat >/dev/null";
    let limited = Command {
        stdin: Some(vec![b'x'; 8 << 20]),
        timeout: Some(Duration::from_secs(1)),
        ..command(line)
    };
    let fault = open(&[ONE]).exec(ONE, limited).await.unwrap_err();
    assert_eq!(fault.world, World::Partial, "{fault:?}");
    let result = fault.result.unwrap();
    assert!(!lives(result.get("stdout").and_then(Value::as_text).unwrap()));
}

#[tokio::test]
async fn a_dropped_call_ends_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let hosts = open(&[ONE]);
    let line = format!("trap '' TERM; echo $$ >{}; while :; do sleep 1; done", file.display());
    let call = tokio::spawn({
        let hosts = hosts.clone();
        async move { hosts.exec(ONE, command(&line)).await }
    });
    until("it runs", || fs::read_to_string(&file).is_ok_and(|t| t.ends_with('\n'))).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Closing waits for what cancelled calls have left to do.
    hosts.close().await;
    assert!(!lives(&fs::read_to_string(&file).unwrap()));
}

#[tokio::test]
async fn a_cut_connection_leaves_the_world_unknown() {
    let hosts = open(&[ONE]);
    // The session's parent is the sshd process of this connection.
    let line = "kill -KILL $PPID; sleep 5";
    let fault = hosts.exec(ONE, command(line)).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0712", World::Unknown), "{fault:?}");
    assert!(fault.result.is_some(), "what it said so far is kept");
    assert_eq!(run(&hosts, "echo again").await.stdout, b"again\n", "another connection is made");
}

#[tokio::test]
async fn a_daemon_that_keeps_the_pipe_does_not_hold_us() {
    let hosts = open(&[ONE]);
    let start = Instant::now();
    let output = run(&hosts, "sleep 600 & echo $!; exit 3").await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(output.status, Some(3));
    let pid = text(&output.stdout);
    assert!(lives(&pid), "what was left in the background lives on");
    run(&hosts, &format!("kill {pid}")).await;
}

#[tokio::test]
async fn an_unknown_host_is_refused() {
    let (_folder, file) = known_hosts(|_| String::new());
    let address = SshAddress { known_hosts: Some(file.clone()), ..address(&[ONE]) };
    let fault = greet(&address).await.unwrap_err();
    assert_refused(&fault, &["is not known", "SHA256:", "ssh-keyscan"]);
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), "", "nothing is recorded");
}

#[tokio::test]
async fn a_new_host_is_recorded_when_that_is_allowed() {
    let (_folder, file) = known_hosts(|_| String::new());
    let new = SshAddress { known_hosts: Some(file), accept_new: true, ..address(&[ONE]) };
    let first = greet(&new).await.unwrap();
    let strict = SshAddress { accept_new: false, ..new };
    assert_eq!(greet(&strict).await.unwrap(), first);
}

#[tokio::test]
async fn a_changed_host_key_is_refused_loudly() {
    let other = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let (_folder, file) = known_hosts(|_| format!("[{ONE}]:{} ssh-ed25519 {other}", port()));
    for accept_new in [false, true] {
        let known_hosts = Some(file.clone());
        let address = SshAddress { known_hosts, accept_new, ..address(&[ONE]) };
        let fault = greet(&address).await.unwrap_err();
        assert_refused(&fault, &["HAS CHANGED", "shown:", "known: SHA256:", "ssh-keygen -R"]);
    }
}

#[tokio::test]
async fn a_withdrawn_host_key_is_refused() {
    let (_folder, file) = known_hosts(|line| {
        let key: Vec<&str> = line.split_whitespace().skip(1).collect();
        format!("{line}\n@revoked * {}", key.join(" "))
    });
    let address = SshAddress { known_hosts: Some(file), ..address(&[ONE]) };
    assert_refused(&greet(&address).await.unwrap_err(), &["withdrawn"]);
}

#[tokio::test]
async fn hashed_names_are_known() {
    let (_folder, file) = known_hosts(str::to_owned);
    let hashed = std::process::Command::new("ssh-keygen").args(["-q", "-H", "-f", &file]).status();
    assert!(hashed.unwrap().success());
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.contains("|1|") && !lines.contains(ONE), "{lines}");
    let address = SshAddress { known_hosts: Some(file), ..address(&[ONE]) };
    greet(&address).await.unwrap();
}

#[tokio::test]
async fn a_host_known_by_any_one_of_its_keys_is_known() {
    let lines = fs::read_to_string(variable("RUNWARD_TEST_SSH_KNOWN_HOSTS")).unwrap();
    let mut kinds = 0;
    for kind in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"] {
        if !lines.contains(kind) {
            continue;
        }
        kinds += 1;
        let (_folder, file) =
            known_hosts(|l| if l.contains(kind) { l.to_owned() } else { String::new() });
        let address = SshAddress { known_hosts: Some(file), ..address(&[ONE]) };
        greet(&address).await.unwrap_or_else(|fault| panic!("{kind}: {fault:?}"));
    }
    assert!(kinds > 0);
}

#[tokio::test]
async fn keys_that_do_not_open_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, passphrase: &str| {
        let path = folder.path().join(name).to_string_lossy().into_owned();
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", passphrase, "-f", &path])
            .status();
        assert!(made.unwrap().success());
        path
    };
    let with = |key: String| SshAddress { key: Some(key), ..address(&[ONE]) };
    let fault = greet(&with(make("stranger", ""))).await.unwrap_err();
    assert_refused(&fault, &["accepted no key", "stranger", "authorized_keys"]);
    let fault = greet(&with(make("locked", "secret words"))).await.unwrap_err();
    assert_refused(&fault, &["passphrase", "ssh-add"]);
    let fault = greet(&with("/no/such/key".into())).await.unwrap_err();
    assert_refused(&fault, &["no such file"]);
}

#[tokio::test]
async fn a_jump_host_leads_on() {
    let user = variable("RUNWARD_TEST_SSH_USER");
    let jump = Some(format!("{user}@{TWO}:{}", port()));
    let hosts = ssh::open("app", &SshAddress { jump, ..address(&[ONE]) }).unwrap();
    let output = run(&hosts, "exit 4").await;
    assert_eq!(output.status, Some(4));
    let (_folder, file) =
        known_hosts(|l| if l.contains(TWO) { String::new() } else { l.to_owned() });
    let unknown = SshAddress {
        jump: Some(format!("{user}@{TWO}:{}", port())),
        known_hosts: Some(file),
        ..address(&[ONE])
    };
    assert_refused(&greet(&unknown).await.unwrap_err(), &["is not known", TWO]);
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_told() {
    // A port on which nothing listens: it was free a moment ago.
    let free = std::net::TcpListener::bind((ONE, 0)).unwrap().local_addr().unwrap().port();
    let fault = greet(&SshAddress { port: Some(free), ..address(&[ONE]) }).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.world, fault.transient),
        ("RW0701", World::Untouched, true)
    );
    // One that accepts and says nothing.
    let silent = std::net::TcpListener::bind((ONE, 0)).unwrap();
    let port = Some(silent.local_addr().unwrap().port());
    let connect_timeout = Duration::from_millis(300);
    let fault = greet(&SshAddress { port, connect_timeout, ..address(&[ONE]) }).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0701", World::Untouched), "{fault:?}");
    assert!(ssh::open("app", &address(&["-oProxyCommand=x"])).is_err());
}

// The action.

pub struct Wiring {
    ssh: Option<Arc<Hosts>>,
}

#[async_trait]
impl Transports for Wiring {
    async fn sql(&self, _: &str) -> Result<Arc<dyn SqlTarget>, Fault> {
        unreachable!("not used here")
    }
    async fn http(&self, _: &str) -> Result<Arc<dyn HttpTarget>, Fault> {
        unreachable!("not used here")
    }
    async fn ssh(&self, _: &str) -> Result<Arc<dyn SshTarget>, Fault> {
        Ok(self.ssh.clone().expect("hosts"))
    }
    fn processes(&self) -> Arc<dyn Processes> {
        runward::transports::process::local()
    }
    async fn close(&self) {}
}

struct RealTime;

#[async_trait]
impl Clock for RealTime {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    async fn until(&self, _: Timestamp) {}
    fn new_id(&self) -> String {
        String::new()
    }
}

pub fn context(ssh: Option<Arc<Hosts>>, folder: PathBuf) -> StepContext {
    StepContext {
        run: RunId("0198c0de-0000-7000-8000-000000000000".to_owned()),
        node: NodeId::new("step"),
        attempt: 1,
        timeout: None,
        clock: Arc::new(RealTime),
        transports: Arc::new(Wiring { ssh }),
        folder,
    }
}

pub fn arguments(pairs: &[(&str, Value)]) -> Arguments {
    Arguments::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<Map>())
}

async fn act(hosts: &[&str], pairs: &[(&str, Value)]) -> Result<Value, Fault> {
    let action: Arc<dyn Action> = actions::ssh_exec::new();
    let mut all = vec![("on", Value::text("app"))];
    all.extend(pairs.iter().cloned());
    action.run(&context(Some(open(hosts)), PathBuf::from("/")), &arguments(&all)).await
}

#[tokio::test]
async fn one_host_gives_a_flat_result() {
    let value = act(&[ONE], &[("command", Value::text("echo hi"))]).await.unwrap();
    assert_eq!(value.get("host"), Some(&Value::text(ONE)));
    assert_eq!(value.get("stdout"), Some(&Value::text("hi\n")));
    let chosen = [("command", Value::text("echo hi")), ("host", Value::text(TWO))];
    let value = act(&[ONE, TWO], &chosen).await.unwrap();
    assert_eq!(value.get("host"), Some(&Value::text(TWO)));
    let wrong = [("command", Value::text("echo hi")), ("host", Value::text("127.0.0.3"))];
    assert_eq!(act(&[ONE, TWO], &wrong).await.unwrap_err().code, "RW0711");
}

#[tokio::test]
async fn several_hosts_give_a_list_in_their_order() {
    let line = Value::text("echo $SSH_CONNECTION | cut -d' ' -f3");
    let value = act(&[TWO, ONE], &[("command", line), ("reads", Value::Bool(true))]).await.unwrap();
    let hosts = value.get("hosts").unwrap().as_list().unwrap();
    let shown: Vec<_> = hosts.iter().map(|h| h.get("stdout").unwrap().to_string()).collect();
    assert_eq!(shown, [format!("{TWO}\n"), format!("{ONE}\n")]);
    assert_eq!(value.get("failed"), Some(&Value::Int(0)));
}

#[tokio::test]
async fn a_change_stops_at_the_first_host_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let line = Value::text(format!("echo x >>{}; echo why >&2; exit 9", mark.display()));
    let fault = act(&[ONE, TWO], &[("command", line.clone())]).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0704", World::Partial));
    assert!(fault.detail.unwrap().contains("why"));
    assert_eq!(fs::read_to_string(&mark).unwrap(), "x\n", "the second host was not begun");
    let more = [("command", line.clone()), ("max_failures", Value::Int(5))];
    assert!(act(&[ONE, TWO], &more).await.unwrap_err().message.starts_with("2 of 2"));
    let reads = [("command", line.clone()), ("reads", Value::Bool(true))];
    assert_eq!(act(&[ONE], &reads).await.unwrap_err().world, World::Untouched);
    let allow = [("command", line), ("allow", Value::List(vec![Value::Int(9)]))];
    assert_eq!(act(&[ONE], &allow).await.unwrap().get("status"), Some(&Value::Int(9)));
}

#[tokio::test]
async fn secrets_go_by_variables_and_input_only() {
    let secret = || Value::Secret(Secret::new("token", "1a", "clear-text".into()));
    let fault = act(&[ONE], &[("command", secret())]).await.unwrap_err();
    assert_eq!(fault.code, "RW0410");
    let env = Value::map([("TOKEN", secret())]);
    let line = Value::text("printf %s \"$TOKEN\" | wc -c; wc -c");
    let given = [("command", line), ("env", env), ("stdin", secret())];
    assert_eq!(act(&[ONE], &given).await.unwrap().get("stdout"), Some(&Value::text("10\n10\n")));
}
