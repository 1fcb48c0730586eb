//! Secrets that a program prints: password managers, clients of vaults.
//!
//! Owns running it: no shell, no input, its own process group, an end. Must not know other
//! providers.

use std::{
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};
use zeroize::Zeroizing;

use super::failure;
use crate::{
    base::{Redactor, Secret},
    model::Fault,
};

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long output may stay open when the program has ended: an agent that it started may hold
/// its end.
const REST: Duration = Duration::from_millis(500);
/// Bytes of output that are read.
const LARGEST: usize = 1 << 20;
/// Characters of stderr that a fault shows.
const STDERR: usize = 2000;

/// The first line of what the program prints.
pub(super) async fn fetch(
    name: &str,
    words: &[String],
    folder: &Path,
    redactor: &Redactor,
) -> Result<String, Fault> {
    run(name, words, folder, redactor, PATIENCE).await
}

/// Ends the whole group unless told not to: also when whoever waited went away.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// What a program has printed, and how it ended; `None` when it did not in time.
struct Ended {
    status: Option<io::Result<ExitStatus>>,
    out: Zeroizing<Vec<u8>>,
    err: Zeroizing<Vec<u8>>,
}

async fn run(
    name: &str,
    words: &[String],
    folder: &Path,
    redactor: &Redactor,
    patience: Duration,
) -> Result<String, Fault> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(failure(name, "its command is empty"));
    };
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| not_started(name, program, &e))?;
    let Ended { status, out, err } = wait(child, patience).await;
    let failed =
        |why: &str| detailed(failure(name, &format!("`{program}` {why}")), &out, &err, redactor);
    let status = match status {
        None => {
            let why = format!("did not end within {} seconds", patience.as_secs());
            return Err(failed(&why)
                .help("it must not ask for anything: runward gives it no terminal and no input"));
        }
        Some(Err(e)) => return Err(failed(&format!("was lost sight of ({e})"))),
        Some(Ok(status)) => status,
    };
    match status.code() {
        Some(0) => {}
        Some(code) => return Err(failed(&format!("ended with status {code}"))),
        None => return Err(failed("was ended by a signal")),
    }
    match str::from_utf8(first_line(&out)) {
        Ok("") => Err(failed("printed nothing in its first line")),
        Ok(text) => Ok(text.to_owned()),
        // What it printed may be most of the secret: not even the place of the error is told.
        Err(_) => Err(failure(name, &format!("what `{program}` printed is not UTF-8 text"))),
    }
}

async fn wait(mut child: Child, patience: Duration) -> Ended {
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new()));
    let ended = {
        let output = async { tokio::join!(read(stdout, &mut out), read(stderr, &mut err)) };
        tokio::pin!(output);
        timeout(patience, async {
            tokio::select! {
                status = child.wait() => {
                    // All that it printed is in the pipes by now.
                    let _ = timeout(REST, &mut output).await;
                    status
                }
                _ = &mut output => child.wait().await,
            }
        })
        .await
    };
    if ended.is_ok() {
        // Whatever it left running, such as an agent, was meant to stay.
        group.0 = None;
    }
    Ended { status: ended.ok(), out, err }
}

fn not_started(name: &str, program: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => failure(name, &format!("the program `{program}` is not there"))
            .help("give its path, or install it; no shell is used, so no alias works"),
        io::ErrorKind::PermissionDenied => {
            failure(name, &format!("permission to run `{program}` is denied"))
        }
        _ => failure(name, &format!("`{program}` can't be started ({error})")),
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    // It was never moved while it grew: no copy of a secret stays behind.
    into.reserve(64 * 1024);
    let mut buffer = Zeroizing::new([0; 4096]);
    while let Ok(length @ 1..) = pipe.read(buffer.as_mut_slice()).await {
        // What is too much is read and dropped, so that the program can end.
        let room = LARGEST.saturating_sub(into.len());
        into.extend_from_slice(&buffer[..length.min(room)]);
    }
}

fn first_line(out: &[u8]) -> &[u8] {
    let line = out.split(|b| *b == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The end of stderr, without the secret that the program may have printed there too.
fn detailed(fault: Fault, out: &[u8], err: &[u8], redactor: &Redactor) -> Fault {
    let printed = Redactor::default();
    for line in String::from_utf8_lossy(out).lines() {
        printed.learn(&Secret::derived(line.to_owned(), "‹what it printed›".into()));
    }
    let text = redactor.text(&printed.text(String::from_utf8_lossy(err).trim()));
    if text.is_empty() {
        return fault;
    }
    let skipped = text.chars().count().saturating_sub(STDERR);
    fault.detail(text.chars().skip(skipped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn shell(script: &str) -> Result<String, Fault> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let patience = Duration::from_millis(700);
        run("token", &words, Path::new("/"), &Redactor::default(), patience).await
    }

    #[tokio::test]
    async fn the_first_line_is_the_secret() {
        assert_eq!(shell("echo 's3cret value'; echo user: ana").await.unwrap(), "s3cret value");
        assert_eq!(shell("printf 'no-break'").await.unwrap(), "no-break");
        assert_eq!(shell("printf 'a b\\r\\n'").await.unwrap(), "a b");
        assert_eq!(shell("pwd; cat").await.unwrap(), "/");
    }

    #[tokio::test]
    async fn no_shell_sees_the_words() {
        let words = ["echo", "$HOME;", "`id`"].map(str::to_owned);
        let out = fetch("s", &words, Path::new("/"), &Redactor::default()).await;
        assert_eq!(out.unwrap(), "$HOME; `id`");
    }

    #[tokio::test]
    async fn a_failure_shows_the_end_of_stderr_without_the_secret() {
        let script = "echo s3cret-value; echo 'got s3cret-value but denied' >&2; exit 3";
        let fault = shell(script).await.unwrap_err();
        assert_eq!(fault.code, "RW0714");
        assert!(fault.message.contains("status 3"), "{fault:?}");
        assert_eq!(fault.detail.as_deref(), Some("got ‹what it printed› but denied"));
        let long = shell("yes x | head -5000 >&2; echo end >&2; exit 1").await.unwrap_err();
        let detail = long.detail.unwrap();
        assert!(detail.ends_with("end") && detail.chars().count() == STDERR);
    }

    #[tokio::test]
    async fn a_program_that_waits_is_ended_with_its_children() {
        let scratch = tempfile::tempdir().unwrap();
        let pid = scratch.path().join("pid");
        let start = Instant::now();
        let script = format!("sleep 60 & echo $! > '{}'; wait", pid.display());
        let fault = shell(&script).await.unwrap_err();
        assert!(fault.message.contains("did not end"), "{fault:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
        let pid = std::fs::read_to_string(pid).unwrap();
        // Ended, or waiting for whoever adopted it to notice.
        let ended = |stat: String| stat.contains(") Z") || stat.contains(") X");
        while std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|s| !ended(s))
        {
            assert!(start.elapsed() < Duration::from_secs(20), "the child lives");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn an_agent_that_stays_does_not_hold_up_the_secret() {
        let words = ["sh", "-c", "sleep 5 & echo s3cret-value"].map(str::to_owned);
        let start = Instant::now();
        let out = fetch("s", &words, Path::new("/"), &Redactor::default()).await;
        assert_eq!(out.unwrap(), "s3cret-value");
        assert!(start.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn what_can_t_be_run_is_said() {
        let run = async |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
            fetch("s", &words, Path::new("/"), &Redactor::default()).await.unwrap_err().message
        };
        let plain = tempfile::NamedTempFile::new().unwrap();
        assert!(run(&["runward-no-such-program"]).await.contains("is not there"));
        assert!(run(&[]).await.contains("empty"));
        assert!(run(&[plain.path().to_str().unwrap()]).await.contains("permission"));
        assert!(run(&["true"]).await.contains("printed nothing"));
        assert!(run(&["printf", "\\377x"]).await.contains("UTF-8"));
    }
}
