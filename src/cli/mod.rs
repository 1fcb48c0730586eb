//! The command line: one file a family of subcommands.
//!
//! Owns arguments, exit codes and what is printed where. `compose` is the one place that names
//! concrete types. Nobody uses this layer.

mod args;
mod begin;
mod compose;
mod demo;
mod exit;
mod holder;
mod init;
mod live;
mod log;
mod look;
mod manual;
mod people;
mod run;
mod signing;
mod terminal;
mod validate;
mod watch;

use clap::{CommandFactory, Parser};

pub use self::exit::Exit;
use self::{
    args::{Cli, Command},
    terminal::{Failure, Terminal},
};

/// The command line as clap knows it, for completions, manuals and the tests of the documentation.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line, does what it says, and gives the exit code.
pub async fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, and end well; everything else is wrong usage.
            let _ = error.print();
            let exit = if error.use_stderr() { Exit::Invalid } else { Exit::Succeeded };
            return exit.into();
        }
    };
    if let Some(level) = cli.log {
        log::show(level);
    }
    let terminal = Terminal::new(cli.color);
    let exit = match dispatch(&cli, terminal).await {
        Ok(exit) => exit,
        Err(failure) => failure.report(terminal),
    };
    exit.into()
}

async fn dispatch(cli: &Cli, terminal: Terminal) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Run(args) => run::run(cli, terminal, args).await,
        Command::Plan(args) => run::plan(cli, terminal, args).await,
        Command::Resume(args) => run::resume(cli, terminal, args).await,
        Command::Rollback(args) => run::rollback(cli, terminal, args).await,
        Command::Validate(args) => validate::validate(cli, terminal, args),
        Command::Approve(args) => people::approve(cli, terminal, args).await,
        Command::Reject(args) => people::reject(cli, terminal, args).await,
        Command::Request(args) => people::request(cli, terminal, args).await,
        Command::Answer(args) => people::answer(cli, terminal, args).await,
        Command::Cancel(args) => people::cancel(cli, terminal, args).await,
        Command::Resolve(args) => people::resolve(cli, terminal, args).await,
        Command::Runs(args) => look::runs(cli, terminal, args).await,
        Command::Show(args) => look::show(cli, terminal, args).await,
        Command::Diff(args) => look::diff(cli, terminal, args).await,
        Command::Report(args) => look::report(cli, terminal, args).await,
        Command::Audit(args) => look::audit(cli, terminal, args).await,
        Command::Actions(args) => manual::actions(terminal, args),
        Command::Explain(args) => manual::explain(terminal, args),
        Command::Init(args) => init::init(terminal, args),
        Command::Demo(args) => demo::demo(terminal, args).await,
        Command::Completions { shell } => Ok(manual::completions(terminal, *shell)),
        Command::Man => Ok(manual::man(terminal)),
    }
}
