//! Programs on this machine, each in a process group of its own.
//!
//! Owns starting, feeding, listening, and ending the whole group when its time is over or nobody
//! waits for it any more. Must not know actions. A process that makes itself a session of its own
//! (a daemon) leaves the group, and is not ended.

use std::{io, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdout, Command as Program},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::output::{Kept, gather, with_tail};
use crate::{
    base::time::show_duration,
    diagnostics::codes,
    model::Fault,
    ports::transport::{Command, CommandOutput, Processes},
};

/// What a program gets of our own environment. Anything else might be a secret of ours.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "LANG", "USER", "TZ"];
/// After the program's exit its output may pause so long before it is held to be complete:
/// a daemon that it left behind may keep the pipe open for ever.
const QUIET: Duration = Duration::from_secs(1);
/// After the program's exit the rest of its output must be read within this time.
const DRAIN: Duration = Duration::from_secs(30);
/// Time to end by itself after TERM, and to be gone after KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often a group that is ending is looked at; the system tells nobody when a group is empty.
const LOOK: Duration = Duration::from_millis(20);

/// The way to programs on this machine.
pub fn local() -> Arc<dyn Processes> {
    Arc::new(Local)
}

struct Local;

#[async_trait]
impl Processes for Local {
    async fn exec(
        &self,
        program: &[String],
        folder: PathBuf,
        command: Command,
    ) -> Result<CommandOutput, Fault> {
        let (name, mut child) = start(program, &folder, &command)?;
        let mut group = Group::of(&child);
        let deadline = command.timeout.map(|t| Instant::now() + t);
        let mut session = Session::new(command.max_bytes, &mut child);
        let talk = session.talk(&mut child, command.stdin.unwrap_or_default());
        let finished = match deadline {
            None => Some(talk.await),
            Some(at) => timeout_at(at, talk).await.ok(),
        };
        match finished {
            Some(Ok(())) => {
                group.forget();
                Ok(session.output())
            }
            Some(Err(e)) => {
                let ended = group.end(&mut child).await;
                Err(session.ended_early(&format!("`{name}` could not be waited for: {e}"), ended))
            }
            None => {
                let ended = group.end(&mut child).await;
                // What it wrote last helps to see why it took so long.
                let _ = timeout(QUIET, session.listen(&mut child)).await;
                let limit = show_duration(command.timeout.unwrap_or_default());
                Err(session.ended_early(&format!("`{name}` took longer than {limit}"), ended))
            }
        }
    }
}

/// Starts the program; faults leave the world untouched, since it did not run.
fn start(
    program: &[String],
    folder: &std::path::Path,
    command: &Command,
) -> Result<(String, Child), Fault> {
    let Some((name, arguments)) = program.split_first().filter(|(name, _)| !name.is_empty()) else {
        return Err(Fault::untouched(codes::RW0711, "there is no program to run"));
    };
    if !folder.is_dir() {
        let what = format!("there is no folder `{}` to run `{name}` in", folder.display());
        return Err(
            Fault::untouched(codes::RW0711, what).help("Make the folder, or mend `folder`.")
        );
    }
    let kept = ENVIRONMENT.iter().filter_map(|n| std::env::var_os(n).map(|v| (*n, v)));
    let child = Program::new(name)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(kept)
        .envs(command.environment.iter().map(|(n, v)| (n, v)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| not_started(name, &e))?;
    Ok((name.clone(), child))
}

fn not_started(name: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let what = format!("there is no program `{name}` on this machine");
            Fault::untouched(codes::RW0711, what)
                .help("Install it, or say its full path; it was looked for in PATH.")
        }
        io::ErrorKind::PermissionDenied => {
            Fault::untouched(codes::RW0711, format!("`{name}` may not be run by this user"))
                .help("Check its permissions (`chmod +x`).")
        }
        io::ErrorKind::ArgumentListTooLong => {
            Fault::untouched(codes::RW0711, format!("the arguments of `{name}` are too long"))
                .help("Give the data in `stdin` or a file.")
        }
        // A NUL byte in a word or variable.
        io::ErrorKind::InvalidInput => {
            Fault::untouched(codes::RW0711, format!("`{name}` can't be given these words: {error}"))
                .help("No program can be given a NUL byte as argument or variable; use `stdin`.")
        }
        _ => Fault::untouched(codes::RW0701, format!("`{name}` can't be started: {error}"))
            .transient(),
    }
}

/// What a program has said so far.
struct Session {
    stdout: Kept,
    stderr: Kept,
    status: Option<i32>,
    signal: Option<String>,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
}

impl Session {
    fn new(max: usize, child: &mut Child) -> Self {
        Self {
            stdout: Kept::new(max),
            stderr: Kept::new(max),
            status: None,
            signal: None,
            out: child.stdout.take(),
            err: child.stderr.take(),
        }
    }

    /// Feeds the program and listens, until it has ended and said all.
    async fn talk(&mut self, child: &mut Child, input: Vec<u8>) -> io::Result<()> {
        let stdin = child.stdin.take();
        let send = async move {
            if let Some(mut stdin) = stdin {
                // A program need not read its input: then the pipe breaks, and that is no fault.
                let _ = stdin.write_all(&input).await;
            }
        };
        tokio::pin!(send);
        let listen = self.listen(child);
        tokio::pin!(listen);
        tokio::select! {
            done = &mut listen => done,
            () = &mut send => listen.await,
        }
    }

    async fn listen(&mut self, child: &mut Child) -> io::Result<()> {
        let (mut out_buffer, mut err_buffer) = (vec![0; 32 * 1024], vec![0; 32 * 1024]);
        let mut exited: Option<Instant> = None;
        while exited.is_none() || self.out.is_some() || self.err.is_some() {
            let until = exited.map(|at| (Instant::now() + QUIET).min(at + DRAIN));
            tokio::select! {
                biased;
                size = read(&mut self.out, &mut out_buffer), if self.out.is_some() => match size? {
                    0 => self.out = None,
                    size => self.stdout.push(&out_buffer[..size]),
                },
                size = read(&mut self.err, &mut err_buffer), if self.err.is_some() => match size? {
                    0 => self.err = None,
                    size => self.stderr.push(&err_buffer[..size]),
                },
                status = child.wait(), if exited.is_none() => {
                    self.ended(status?);
                    exited = Some(Instant::now());
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
            }
        }
        Ok(())
    }

    fn ended(&mut self, status: std::process::ExitStatus) {
        use std::os::unix::process::ExitStatusExt;
        self.status = status.code();
        self.signal = status.signal().map(signal_name);
    }

    fn output(self) -> CommandOutput {
        gather(self.stdout, self.stderr, self.status, self.signal)
    }

    fn ended_early(self, what: &str, ended: bool) -> Fault {
        let output = self.output();
        let (fault, help) = if ended {
            let what = format!("{what}; all its processes were ended");
            (
                Fault::partial(codes::RW0703, what),
                "Part of its work may be done; look before you \
              repeat it, or give it more time with `timeout`.",
            )
        } else {
            let what = format!("{what}, and may still be running");
            (
                Fault::unknown(codes::RW0703, what),
                "Its processes could not be ended: they may \
              belong to another user (sudo), or hang in the kernel. Look with `ps`.",
            )
        };
        with_tail(fault, &output.stderr).help(help).result(output.to_value())
    }
}

async fn read<R: AsyncRead + Unpin>(from: &mut Option<R>, buffer: &mut [u8]) -> io::Result<usize> {
    match from {
        Some(reader) => reader.read(buffer).await,
        None => Ok(0),
    }
}

/// The process group of a program; it is ended when this is dropped, unless it was forgotten.
struct Group {
    id: Option<Pid>,
}

impl Group {
    fn of(child: &Child) -> Self {
        Self { id: child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) }
    }

    /// The program has ended by itself; what it left in the background may live on.
    fn forget(&mut self) {
        self.id = None;
    }

    /// Ends it: TERM, and KILL for what is left. True when nothing of it lives.
    async fn end(&mut self, child: &mut Child) -> bool {
        let Some(id) = self.id else { return false };
        for signal in [Signal::TERM, Signal::KILL] {
            // An empty group can't be signalled; whether it is empty, is looked at below.
            let _ = kill_process_group(id, signal);
            let gone = async {
                // Reaps the leader, whose remains would count as a member.
                let _ = child.wait().await;
                emptied(id).await;
            };
            if timeout(GRACE, gone).await.is_ok() {
                self.id = None;
                return true;
            }
        }
        self.id = None;
        false
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let _ = kill_process_group(id, Signal::TERM);
        let last = LastWord(id);
        // Without a runtime there is no time to wait: the last word is spoken at once.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if timeout(GRACE, emptied(id)).await.is_ok() {
                    std::mem::forget(last);
                }
            });
        }
    }
}

/// KILL, even when the runtime ends before the grace is over.
struct LastWord(Pid);

impl Drop for LastWord {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

async fn emptied(id: Pid) {
    while lives(id) {
        sleep(LOOK).await;
    }
}

/// Does a process of the group live? Zombies that nobody has collected do not count.
fn lives(id: Pid) -> bool {
    if test_kill_process_group(id).is_err_and(|e| e == rustix::io::Errno::SRCH) {
        return false;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    let mut seen = false;
    for process in processes.flatten() {
        let Ok(stat) = std::fs::read(process.path().join("stat")) else { continue };
        seen = true;
        if member(&stat, id) {
            return true;
        }
    }
    // Systems without such files have only the kernel's word, and that was yes.
    !seen
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)): is this a living member of the group?
fn member(stat: &[u8], id: Pid) -> bool {
    let text = String::from_utf8_lossy(stat);
    // The program's name stands in parentheses and may hold anything.
    let Some((_, fields)) = text.rsplit_once(") ") else { return false };
    let mut fields = fields.split(' ');
    let state = fields.next().unwrap_or_default();
    let group = fields.nth(1).and_then(|g| g.parse().ok());
    group == Some(id.as_raw_nonzero().get()) && !matches!(state, "Z" | "X")
}

/// The name as `kill -l` gives it; a number for signals without one.
fn signal_name(number: i32) -> String {
    let Some(signal) = Signal::from_named_raw(number) else { return number.to_string() };
    // The library spells a few of them out.
    let shown = format!("{signal:?}");
    match shown.trim_matches('"').trim_start_matches("Signal::") {
        "ABORT" => "ABRT".to_owned(),
        "ALARM" => "ALRM".to_owned(),
        "CHILD" => "CHLD".to_owned(),
        "VTALARM" => "VTALRM".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Vec<String> {
        ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
    }

    fn command(limit: Option<Duration>) -> Command {
        Command { max_bytes: 1 << 20, timeout: limit, ..Command::default() }
    }

    async fn run(line: &str, command: Command) -> Result<CommandOutput, Fault> {
        local().exec(&shell(line), std::env::temp_dir(), command).await
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Processes whose arguments hold this text; this test's own do not.
    fn running(text: &str) -> usize {
        let has = |path: PathBuf| {
            let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(text)
        };
        std::fs::read_dir("/proc").unwrap().flatten().filter(|p| has(p.path())).count()
    }

    async fn until(what: impl Fn() -> bool) {
        timeout(Duration::from_secs(10), async {
            while !what() {
                sleep(LOOK).await;
            }
        })
        .await
        .expect("it never came true");
    }

    #[tokio::test]
    async fn status_streams_and_input() {
        let input = Command { stdin: Some(b"hello".to_vec()), ..command(None) };
        let output = run("cat; echo oops >&2; exit 255", input).await.unwrap();
        assert_eq!((text(&output.stdout), text(&output.stderr)), ("hello".into(), "oops\n".into()));
        assert_eq!((output.status, output.signal), (Some(255), None));
    }

    #[tokio::test]
    async fn a_signal_is_named() {
        let output = run("kill -ABRT $$", command(None)).await.unwrap();
        assert_eq!((output.status, output.signal.as_deref()), (None, Some("ABRT")));
        let output = run("kill -KILL $$", command(None)).await.unwrap();
        assert_eq!(output.signal.as_deref(), Some("KILL"));
    }

    #[tokio::test]
    async fn input_that_nobody_reads_is_no_fault() {
        let input = Command { stdin: Some(vec![b'x'; 1 << 20]), ..command(None) };
        assert_eq!(run("exit 3", input).await.unwrap().status, Some(3));
    }

    #[tokio::test]
    async fn output_over_the_cap_is_counted() {
        let small = Command { max_bytes: 1000, ..command(None) };
        let output = run("head -c 67108864 /dev/zero", small).await.unwrap();
        assert_eq!((output.stdout.len(), output.dropped), (1000, 67_108_864 - 1000));
    }

    #[tokio::test]
    async fn the_environment_is_short() {
        let extra = vec![("EXTRA".to_owned(), "a b".to_owned())];
        let output = run("env", Command { environment: extra, ..command(None) }).await.unwrap();
        let shown = text(&output.stdout);
        assert!(shown.contains("EXTRA=a b\n"), "{shown}");
        for line in shown.lines() {
            let name = line.split('=').next().unwrap();
            let expected = ["EXTRA", "PWD", "OLDPWD", "SHLVL", "_"];
            assert!(ENVIRONMENT.contains(&name) || expected.contains(&name), "{line}");
        }
    }

    #[tokio::test]
    async fn a_timeout_ends_the_whole_group_even_against_its_will() {
        let line =
            "trap '' TERM; (trap '' TERM; sleep 3141.1) & echo on; sleep 3141.1; sleep 3141.1";
        let fault = run(line, command(Some(Duration::from_millis(300)))).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.world), ("RW0703", crate::model::World::Partial));
        assert_eq!(fault.result.unwrap().get("stdout"), Some(&crate::base::Value::text("on\n")));
        assert_eq!(running("3141.1"), 0);
    }

    #[tokio::test]
    async fn a_dropped_call_ends_the_group() {
        let call = tokio::spawn(run("trap '' TERM; sleep 3141.2; sleep 3141.2", command(None)));
        until(|| running("3141.2") == 2).await;
        call.abort();
        until(|| running("3141.2") == 0).await;
    }

    #[tokio::test]
    async fn a_daemon_that_keeps_the_pipe_does_not_hold_us() {
        let output = run("sleep 31.4 & echo $!", command(None)).await.unwrap();
        let id: i32 = text(&output.stdout).trim().parse().unwrap();
        let stat = std::fs::read(format!("/proc/{id}/stat")).unwrap();
        assert!(text(&stat).contains("(sleep) S"), "what was left in the background lives on");
        rustix::process::kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn what_can_t_start_leaves_the_world_untouched() {
        let call = |program: &str, folder: &str| {
            let (program, folder) = (vec![program.to_owned()], PathBuf::from(folder));
            async move { local().exec(&program, folder, command(None)).await.unwrap_err() }
        };
        let nul = call("/bin/echo\0", "/").await;
        for fault in [call("no-such-program", "/").await, call("id", "/no/such").await, nul] {
            assert_eq!(fault.code, "RW0711");
            assert_eq!(fault.world, crate::model::World::Untouched);
        }
    }

    #[test]
    fn members_are_told_by_group_and_state() {
        let id = Pid::from_raw(42).unwrap();
        assert!(member(b"7 (a) b) S 1 42 42 0", id));
        assert!(!member(b"7 (sh) Z 1 42 42 0", id));
        assert!(!member(b"42 (sh) S 1 7 42 0", id));
        assert!(!member(b"7 (x", id));
    }
}
