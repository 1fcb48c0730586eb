//! What end-to-end tests stand on: the servers of `tests/run`, a project of the test's own on
//! them, and the built program. Knows no runbook.
//!
//! ```ignore
//! let project = Project::new();
//! let mut run = project.command(["run", FLAGSHIP, "-e", "production", "-i", "limit=5"]).spawn();
//! run.wait_for("waiting");
//! project.command(["approve", "last"]).by("bruno").input("yes\n").run().expect_code(0);
//! run.finish().expect_code(0);
//! assert_eq!(project.host("127.0.0.1").setting("max_retries"), "5");
//! ```

// Each test binary uses its own part of this; a test that can't go on panics, and says why.
#![allow(dead_code, unused_imports, clippy::expect_used, clippy::panic)]

mod program;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

pub use program::{Invocation, Output, Running};

/// A variable that `tests/run` exports.
///
/// # Panics
/// When it is absent: such tests need the servers.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs servers; run it by `tests/run`")
    })
}

/// Runs a program of the tests (not runward) and gives its standard output, trimmed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let out = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{shown} could not be started: {error}"));
    let text = String::from_utf8_lossy(&out.stdout).trim_end().to_owned();
    if out.status.success() {
        return Ok(text);
    }
    Err(format!("{shown}: {}\n{text}{}", out.status, String::from_utf8_lossy(&out.stderr)))
}

/// A project on the servers, with databases, hosts, gateway and keys that no other test sees.
/// Operator is ana; bruno and carla are leads.
pub struct Project {
    folder: tempfile::TempDir,
    world: String,
}

impl Project {
    /// Makes one, by `tests/fixtures/make-project`, which says what is where.
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let world = format!("t{}x{number}", std::process::id());
        let folder = tempfile::Builder::new()
            .prefix("project-")
            .tempdir_in(variable("RUNWARD_TEST_DIR"))
            .expect("a folder for the project");
        let make = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/make-project");
        output(Command::new(make).arg(folder.path()).arg(&world)).expect("a project");
        Self { folder, world }
    }

    /// The folder with `runward.yaml` and `runbooks/`.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The home of ana, bruno or carla.
    pub fn home(&self, person: &str) -> PathBuf {
        let home = self.folder.path().join("homes").join(person);
        assert!(home.is_dir(), "{person} is nobody in this project");
        home
    }

    /// The private key with which a person signs.
    pub fn key(&self, person: &str) -> PathBuf {
        self.home(person).join(".ssh/id_ed25519")
    }

    /// The private key with which the project reaches its hosts.
    pub fn deploy_key(&self) -> PathBuf {
        self.folder.path().join("deploy")
    }

    /// Writes a file of the project: a runbook, or another `runward.yaml`.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the file's folder");
        fs::write(path, text).expect("a file of the project");
    }

    /// Reads a file of the project.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Replaces text in a file of the project.
    ///
    /// # Panics
    /// When the text is not there: the test would run on something else than it says.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} does not contain {from:?}");
        self.write(path, &text.replace(from, to));
    }

    /// Runs runward as ana and waits until it ends.
    pub fn runward<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        self.command(args).run()
    }

    /// The same, to be shaped before it is run.
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Invocation<'_> {
        self.program(env!("CARGO_BIN_EXE_runward"), args)
    }

    /// Another program in the same clean environment: `ssh-keygen -Y sign` as bruno.
    pub fn program<'a>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Invocation<'_> {
        Invocation::new(self, program, args)
    }

    /// The secrets' variables, as `runward.yaml` names them.
    pub fn secrets(&self) -> [(&'static str, String); 3] {
        [
            ("LEDGER_PASSWORD", variable("RUNWARD_TEST_POSTGRES_PASSWORD")),
            ("CONFIG_PASSWORD", variable("RUNWARD_TEST_MYSQL_PASSWORD")),
            ("GATEWAY_TOKEN", format!("token-of-{}", self.world)),
        ]
    }

    /// The ledger's answer: a line a row, columns parted by `|`.
    pub fn ledger(&self, statement: &str) -> String {
        let url = variable("RUNWARD_TEST_POSTGRES_URL");
        let (server, _) = url.rsplit_once('/').expect("a URL with a database");
        let database = format!("{server}/ledger_{}", self.world);
        let mut psql = Command::new("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &database, "-c", statement])
            .env("PGPASSWORD", variable("RUNWARD_TEST_POSTGRES_PASSWORD"));
        output(&mut psql).expect("the ledger's answer")
    }

    /// The configuration database's answer: a line a row, columns parted by tabs.
    pub fn config(&self, statement: &str) -> String {
        let url = variable("RUNWARD_TEST_MYSQL_URL");
        let address = url.split(['@', '/']).nth(3).expect("a URL with an address");
        let (host, port) = address.split_once(':').expect("an address with a port");
        let database = format!("settings_{}", self.world);
        let mut mariadb = Command::new("mariadb");
        mariadb
            .args(["--no-defaults", "-h", host, "-P", port, "-u", "runward", "-NBe", statement])
            .arg(database)
            .env("MYSQL_PWD", variable("RUNWARD_TEST_MYSQL_PASSWORD"));
        output(&mut mariadb).expect("the configuration database's answer")
    }

    /// One of the hosts `127.0.0.1` and `127.0.0.2`.
    pub fn host(&self, address: &str) -> Host<'_> {
        let hosts = PathBuf::from(variable("RUNWARD_TEST_DIR")).join("hosts").join(&self.world);
        let folder = hosts.join(address);
        assert!(folder.is_dir(), "there is no host {address}");
        Host { project: self, address: address.to_owned(), folder }
    }

    /// What the gateway's `/healthz` answers from now on: `ready` or not, always with status 200.
    pub fn gateway(&self, ready: bool) {
        fs::write(self.health(), format!("{{\"ready\": {ready}}}\n")).expect("the gateway's file");
    }

    /// The gateway's `/healthz` answers 404 from now on.
    pub fn gateway_gone(&self) {
        fs::remove_file(self.health()).expect("the gateway's file");
    }

    fn health(&self) -> PathBuf {
        let www = PathBuf::from(variable("RUNWARD_TEST_DIR")).join("www/worlds");
        www.join(&self.world).join("healthz")
    }
}

/// A host of a project, as its administrator sees it.
pub struct Host<'a> {
    project: &'a Project,
    address: String,
    folder: PathBuf,
}

impl Host<'_> {
    /// A setting in `capture.conf`.
    pub fn setting(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.join("capture.conf")).expect("capture.conf");
        let prefix = format!("{name}=");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }

    /// Every call of `capture-ctl`, in order: `get max_retries`, `set max_retries 5`.
    pub fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("calls.log")).expect("calls.log");
        log.lines().map(str::to_owned).collect()
    }

    /// Calls that are no reads.
    pub fn changes(&self) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| !call.starts_with("get ") && call != "status");
        calls
    }

    /// Makes `capture-ctl` fail: `fail-set` before the change, `fail-set-partial` after it,
    /// `fail-start`, `fail-stop`.
    pub fn fail(&self, how: &str) {
        fs::write(self.folder.join(how), "").expect("the host's folder");
    }

    /// Makes `capture-ctl` work again.
    pub fn heal(&self, how: &str) {
        fs::remove_file(self.folder.join(how)).expect("it was told to fail");
    }

    /// Runs a command on the host, by the `ssh` program and the project's key.
    pub fn ssh(&self, command: &str) -> Result<String, String> {
        ssh(&self.project.deploy_key(), &self.address, command)
    }

    /// Whether the capture service runs.
    pub fn is_running(&self) -> bool {
        self.ssh("capture-ctl status").expect("its status") == "running"
    }
}

/// Runs a command on a host, by the `ssh` program, reading no file of the user's.
pub fn ssh(key: &Path, address: &str, command: &str) -> Result<String, String> {
    let known_hosts = variable("RUNWARD_TEST_SSH_KNOWN_HOSTS");
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "IdentityAgent=none", "-o", "GlobalKnownHostsFile=/dev/null"])
        .args(["-o", &format!("UserKnownHostsFile={known_hosts}"), "-o", "ConnectTimeout=10"])
        .args(["-p", &variable("RUNWARD_TEST_SSH_PORT"), "-l", &variable("RUNWARD_TEST_SSH_USER")])
        .arg("-i")
        .arg(key)
        .args([address, command]);
    output(&mut ssh)
}
