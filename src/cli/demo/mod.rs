//! `demo`: a small project made here and now, and two runs of one runbook played on it.
//!
//! What is played are this program's own commands, each shown before it runs: nothing in it is
//! staged but the limit beyond which the gateway's acquirer turns captures away.

mod folder;
mod gateway;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use super::{
    args::DemoArgs,
    compose::{PROJECT_FILE, io_words},
    exit::Exit,
    terminal::{Failure, Terminal},
};
use crate::{
    diagnostics::{Diagnostic, codes},
    model::Fault,
};

/// `runward demo`
pub async fn demo(terminal: Terminal, args: &DemoArgs) -> Result<Exit, Failure> {
    if args.serve {
        return serve(terminal, &args.folder).await;
    }
    let place = free_folder(&args.folder)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|e| went_wrong(&e))?;
    let port = listener.local_addr().map_err(|e| went_wrong(&e))?.port();
    folder::make(&place, port).await.map_err(|error| {
        Fault::untouched(codes::RW0106, format!("the demo can't be made: {error}"))
    })?;
    let gateway = open_gateway(&place).await?;
    let serving = tokio::spawn(gateway.serve(listener));
    let stage = Stage { terminal, folder: place, yes: args.yes };
    let played = stage.play().await;
    serving.abort();
    played
}

/// The folder, or with a number behind it when it is there already and holds something.
fn free_folder(wanted: &Path) -> Result<PathBuf, Failure> {
    let free = |path: &Path| match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    let numbered = (2..100).map(|n| {
        let mut name = wanted.as_os_str().to_owned();
        name.push(format!("-{n}"));
        PathBuf::from(name)
    });
    std::iter::once(wanted.to_owned()).chain(numbered).find(|path| free(path)).ok_or_else(|| {
        let message = format!("`{}` and its like are all taken", wanted.display());
        Diagnostic::unplaced(codes::RW0901, message).help("name another folder").into()
    })
}

fn went_wrong(error: &std::io::Error) -> Failure {
    let message = format!("the demo's gateway can't listen: {}", io_words(error));
    Fault::untouched(codes::RW0701, message).into()
}

async fn open_gateway(folder: &Path) -> Result<std::sync::Arc<gateway::Gateway>, Failure> {
    gateway::Gateway::open(folder).await.map_err(|error| {
        let message = format!("the demo's settings can't be read: {error}");
        Fault::untouched(codes::RW0701, message).into()
    })
}

/// Serves the gateway of a demo that is there, on the port that its project file names.
async fn serve(terminal: Terminal, folder: &Path) -> Result<Exit, Failure> {
    let folder = if folder.join(PROJECT_FILE).is_file() { folder } else { Path::new(".") };
    let text = super::compose::read_text(&folder.join(PROJECT_FILE))?;
    let port = text
        .split_once("http://127.0.0.1:")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    let Some(port) = port else {
        let message = format!("`{}` is no demo's folder", folder.display());
        return Err(Diagnostic::unplaced(codes::RW0901, message).into());
    };
    let port: u16 = port;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|e| went_wrong(&e))?;
    let gateway = open_gateway(folder).await?;
    terminal.out(&format!("the gateway listens on 127.0.0.1:{port}; end it with Ctrl-C"));
    tokio::select! {
        () = gateway.serve(listener) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Succeeded)
}

/// Where the demo is played.
struct Stage {
    terminal: Terminal,
    folder: PathBuf,
    yes: bool,
}

impl Stage {
    async fn play(&self) -> Result<Exit, Failure> {
        let shown = self.folder.display();
        self.say(&format!(
            "A small payments project is in {shown}: a ledger, a settings database, a gateway\n\
             that reads its limit from the settings, and two people. Production is protected:\n\
             Ana may run runbooks, and Bruno must approve what they change.",
        ));
        self.say("Before anything runs, the runbook is checked.");
        self.command(&["validate"]).await?;
        let before = self.setting().await?;
        self.say(&format!("The limit is {before}. Ana asks for 5."));
        let first = self.run("5", "1").await?;
        self.say(&format!(
            "The limit is {} now. Next Ana asks for 9, which the acquirer does not bear: the\n\
             verification will fail after the change was made.",
            self.setting().await?
        ));
        let held = self.setting().await?;
        let second = self.run("9", "2").await?;
        let after = self.setting().await?;
        self.say(&format!("The limit is {after}: what it was before the second run ({held})."));
        self.command(&["runs"]).await?;
        self.say(&format!(
            "The reports are {shown}/reports/run-1.md and run-2.md. The folder is yours to play\n\
             on with: {shown}/README.md says how.",
        ));
        let as_told = first == Some(0) && second == Some(1) && after == held && before != held;
        Ok(if as_told { Exit::Succeeded } else { Exit::Failed })
    }

    /// One run: started by Ana, approved by Bruno, reported. The run's exit code.
    async fn run(&self, limit: &str, number: &str) -> Result<Option<i32>, Failure> {
        let input = format!("limit={limit}");
        let args = ["run", "raise-capture-retries", "-i", &input, "--key", "keys/ana"];
        self.announce(&args, "Ana");
        let mut child = self.spawn(&args, Stdio::piped())?;
        let Some(output) = child.stdout.take() else {
            return Err(Fault::untouched(codes::RW9901, "a command without output").into());
        };
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.terminal.out(&format!("    {line}"));
            // The line that says what to type is the sign that it waits.
            if line.contains("runward approve") {
                self.approve().await?;
            }
        }
        let status = child.wait().await.map_err(|e| went_wrong(&e))?;
        self.terminal.out(&format!("    (exit code {})", status.code().unwrap_or(-1)));
        let report = format!("reports/run-{number}.md");
        self.command(&["report", "last", "-o", &report]).await?;
        Ok(status.code())
    }

    async fn approve(&self) -> Result<(), Failure> {
        let mut args = vec!["approve", "last", "--key", "keys/bruno"];
        if self.yes {
            args.push("--yes");
            self.say("Bruno is shown exactly what will happen, and signs that with his key.");
            self.announce(&args, "Bruno");
            self.spawn_and_show(&args).await?;
            return Ok(());
        }
        self.say("You are Bruno now: read what will happen, and type `yes` to approve it.");
        self.announce(&args, "Bruno");
        let mut child = self.spawn(&args, Stdio::inherit())?;
        let status = child.wait().await.map_err(|e| went_wrong(&e))?;
        if !status.success() {
            // Rejecting takes a login that `people` lists, and this is nobody's there.
            self.say("Not approved, so the run is stopped.");
            self.command(&["cancel", "last", "--reason", "not approved in the demo"]).await?;
        }
        Ok(())
    }

    /// Shows a command and its output.
    async fn command(&self, args: &[&str]) -> Result<(), Failure> {
        self.announce(args, "");
        self.spawn_and_show(args).await
    }

    async fn spawn_and_show(&self, args: &[&str]) -> Result<(), Failure> {
        let child = self.spawn(args, Stdio::piped())?;
        let output = child.wait_with_output().await.map_err(|e| went_wrong(&e))?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            self.terminal.out(&format!("    {line}"));
        }
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            self.terminal.out(&format!("    {line}"));
        }
        Ok(())
    }

    fn spawn(&self, args: &[&str], output: Stdio) -> Result<Child, Failure> {
        let program = std::env::current_exe().map_err(|e| went_wrong(&e))?;
        let interactive = !self.yes && args.contains(&"approve");
        let error =
            if interactive || !args.contains(&"run") { None } else { Some(Stdio::inherit()) };
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(&self.folder)
            .env_remove("RUNWARD_PROJECT")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
            .stdout(output)
            .stderr(match (interactive, error) {
                (true, _) => Stdio::inherit(),
                (_, Some(stdio)) => stdio,
                _ => Stdio::piped(),
            })
            .kill_on_drop(true);
        command.spawn().map_err(|e| went_wrong(&e))
    }

    fn say(&self, text: &str) {
        self.terminal.out(&format!("\n{}", self.terminal.style().heading(text)));
    }

    fn announce(&self, args: &[&str], who: &str) {
        let who = if who.is_empty() { String::new() } else { format!("{who} ") };
        let line = format!("  {who}$ runward {}", args.join(" "));
        self.terminal.out(&self.terminal.style().warning(&line));
    }

    /// The limit, read from the database as any other program would.
    async fn setting(&self) -> Result<String, Failure> {
        use sqlx::{Connection, Row};
        let unreadable = |error: sqlx::Error| {
            let message = format!("the demo's settings can't be read: {error}");
            Failure::from(Fault::untouched(codes::RW0701, message))
        };
        let file = self.folder.join("databases/settings.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
        let mut connection =
            sqlx::SqliteConnection::connect_with(&options).await.map_err(unreadable)?;
        let row = sqlx::query(
            "SELECT value FROM settings WHERE service = 'capture' AND name = 'max_retries'",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(unreadable)?;
        row.try_get(0).map_err(unreadable)
    }
}
