//! The built program in a clean environment: run to its end, or watched while it runs. Every wait
//! is for an event and has a limit.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Project, variable};

/// No command of a test takes as long as this, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A call that was not made yet.
pub struct Invocation<'a> {
    project: &'a Project,
    command: Command,
    input: Option<String>,
}

impl<'a> Invocation<'a> {
    pub(super) fn new<'b>(
        project: &'a Project,
        program: &str,
        args: impl IntoIterator<Item = &'b str>,
    ) -> Self {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        command
            .args(args)
            .current_dir(project.folder())
            .env_clear()
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .envs(project.secrets());
        // By this `tests/run` finds a process that a failed test leaves behind.
        if let Some(mark) = std::env::var_os("TESTS_RUN_MARK") {
            command.env("TESTS_RUN_MARK", mark);
        }
        let invocation = Self { project, command, input: None };
        invocation.person("ana", &variable("RUNWARD_TEST_SSH_USER"))
    }

    fn person(mut self, name: &str, login: &str) -> Self {
        self.command.env("HOME", self.project.home(name)).env("USER", login).env("LOGNAME", login);
        self
    }

    /// As this person: their home, key and login name. Ana is the operating system's user.
    pub fn by(self, person: &str) -> Self {
        let login = variable("RUNWARD_TEST_SSH_USER");
        let login = if person == "ana" { login } else { person.to_owned() };
        self.person(person, &login)
    }

    /// With a variable in the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Without a variable: a secret that is not there.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// With this on standard input, which else is empty.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        self.spawn().finish()
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = self.command.get_program().to_string_lossy().into_owned();
        let name = program.rsplit('/').next().unwrap_or_default();
        let shown = format!("{name} {:?}", self.command.get_args().collect::<Vec<_>>());
        let mut child = self.command.spawn().expect("the program starts");
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), self.input) {
            // It may end without reading.
            thread::spawn(move || pipe.write_all(text.as_bytes()));
        }
        let pid = child.id();
        let shared = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let stdout = follow(child.stdout.take().expect("a pipe"), &shared, |seen| &mut seen.stdout);
        let stderr = follow(child.stderr.take().expect("a pipe"), &shared, |seen| &mut seen.stderr);
        let ending = Arc::clone(&shared);
        thread::spawn(move || {
            let status = child.wait().expect("its end");
            // All of its output was seen before its end is.
            let _ = (stdout.join(), stderr.join());
            ending.0.lock().expect("no panic").status = Some(status);
            ending.1.notify_all();
        });
        Running { shown, pid, shared, read: 0 }
    }
}

type Shared = Arc<(Mutex<Seen>, Condvar)>;

#[derive(Default)]
struct Seen {
    stdout: String,
    stderr: String,
    /// Lines of both, in the order in which they came.
    lines: Vec<String>,
    status: Option<ExitStatus>,
}

fn follow(
    pipe: impl Read + Send + 'static,
    shared: &Shared,
    stream: fn(&mut Seen) -> &mut String,
) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            let mut seen = shared.0.lock().expect("no panic");
            stream(&mut seen).push_str(&text);
            seen.lines.push(text.trim_end().to_owned());
            shared.1.notify_all();
            line.clear();
        }
    })
}

/// A program that runs. Dropping it kills it.
pub struct Running {
    shown: String,
    pid: u32,
    shared: Shared,
    /// Lines that `wait_for` is done with.
    read: usize,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the next line, on either stream, that contains the text; gives the line. Lines
    /// up to it are not looked at again.
    ///
    /// # Panics
    /// When the program ends first, or a minute passes.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut seen = self.shared.0.lock().expect("no panic");
        loop {
            let found = seen.lines[self.read..].iter().position(|line| line.contains(text));
            if let Some(index) = found {
                self.read += index + 1;
                return seen.lines[self.read - 1].clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let why = match seen.status {
                Some(status) => format!("ended ({status})"),
                None if left.is_zero() => "went on for a minute".to_owned(),
                None => {
                    seen = self.shared.1.wait_timeout(seen, left).expect("no panic").0;
                    continue;
                }
            };
            let all = seen.lines.join("\n");
            drop(seen);
            panic!("{} {why} and did not say {text:?}:\n{all}", self.shown);
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When a minute passes.
    pub fn finish(self) -> Output {
        let seen = self.shared.0.lock().expect("no panic");
        let (seen, _) = self
            .shared
            .1
            .wait_timeout_while(seen, LIMIT, |seen| seen.status.is_none())
            .expect("no panic");
        let Some(status) = seen.status else {
            let all = seen.lines.join("\n");
            drop(seen);
            panic!("{} has not ended after a minute:\n{all}", self.shown);
        };
        let (stdout, stderr) = (seen.stdout.clone(), seen.stderr.clone());
        drop(seen);
        Output { shown: self.shown.clone(), status, stdout, stderr }
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let seen = self.shared.0.lock().expect("no panic");
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (None, Some(pid)) = (seen.status, pid) {
            // It may have ended just now.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub fn kill(self) -> Output {
        self.signal(Signal::KILL);
        self.finish()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// How a call ended.
#[derive(Debug)]
pub struct Output {
    shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What scripts read.
    pub stdout: String,
    /// What people read.
    pub stderr: String,
}

impl Output {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The same, after a look at the exit code.
    ///
    /// # Panics
    /// When it is another, with all that the program said.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// The same, after a look for a text on either stream.
    ///
    /// # Panics
    /// When it is not there, with all that the program said.
    #[track_caller]
    pub fn expect_text(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "no {text:?} in {self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shown, status, stdout, stderr } = self;
        write!(f, "{shown}: {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
