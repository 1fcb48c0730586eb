//! The command line, as clap reads it. Help, completions and the manual page come from here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What scripts rely on; `docs/reference/exit-codes.md` says more.
const EXIT_CODES: &str = "\
Exit codes:
  0  succeeded
  1  failed, and nothing that it changed remains; or a finished run was put back
  2  the command line, a runbook, an input or the project file is wrong; nothing ran
  3  a person must look: a change remains, or an outcome is not known
  4  paused: waits for a person
  5  refused: rejected, expired, frozen, locked or not permitted
  6  the journal can't be used";

/// Executable runbooks: checked, approved by somebody else, recorded, put back when they fail.
#[derive(Debug, Parser)]
#[command(name = "runward", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    /// The project: a folder with `runward.yaml`, or the file [default: found upwards from here]
    #[arg(long, short = 'C', global = true, value_name = "PATH", env = "RUNWARD_PROJECT")]
    pub project: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    /// Log on standard error what runward itself does, without any value
    #[arg(long, global = true, value_enum, value_name = "LEVEL", env = "RUNWARD_LOG")]
    pub log: Option<LogLevel>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What is doubtful.
    Warn,
    /// Connections that are made.
    Info,
    /// Every task of a run, and every request.
    Debug,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a runbook
    Run(RunArgs),
    /// Run the reads, preview the changes, say who must approve; change nothing
    Plan(PlanArgs),
    /// Check runbooks and the project file, without running anything
    Validate(ValidateArgs),
    /// Approve what a run is about to change
    Approve(ApproveArgs),
    /// Reject what a run is about to change
    Reject(RejectArgs),
    /// Print the request for an approval, for signing elsewhere
    Request(RequestArgs),
    /// Answer a manual step
    Answer(AnswerArgs),
    /// Go on with a run that waits or whose process ended
    Resume(ResumeArgs),
    /// Stop a run: what is under way is finished, then it goes back
    Cancel(CancelArgs),
    /// Put back what a finished run changed
    Rollback(RollbackArgs),
    /// Say what became of an attempt that nobody could see
    Resolve(ResolveArgs),
    /// List runs, newest first
    Runs(RunsArgs),
    /// Show a run
    Show(ShowArgs),
    /// Show what a run changed, or would
    Diff(StepArgs),
    /// Write a run's report
    Report(ReportArgs),
    /// Verify or export the journal
    Audit(AuditArgs),
    /// The manual of an action, or the list of actions
    Actions(ActionsArgs),
    /// What a diagnostic means and how to mend it
    Explain(ExplainArgs),
    /// Make a project in this folder
    Init(InitArgs),
    /// See it work: a small project with databases, a gateway and two people
    Demo(DemoArgs),
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// The manual page, in roff
    Man,
}

/// What a run is started with.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The runbook: a path, with or without `.yaml`, also relative to `runbooks/`
    pub runbook: PathBuf,
    /// Where to run it
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<String>,
    /// An input; repeat for more
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// Inputs from a YAML or JSON file
    #[arg(long = "inputs", value_name = "FILE")]
    pub inputs_file: Option<PathBuf>,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// How it is started.
    #[command(flatten)]
    pub start: StartArgs,
    /// Don't wait for people: exit 4 and let `resume` go on
    #[arg(long)]
    pub no_wait: bool,
    /// The operator's SSH private key; without it the agent's and `~/.ssh` are tried
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Print the journal's events, one a line
    #[arg(long)]
    pub json: bool,
}

/// `plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// How it is started.
    #[command(flatten)]
    pub start: StartArgs,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
}

/// `validate`
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Runbooks or folders [default: `runbooks/` of the project]
    pub paths: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Refuse warnings too
    #[arg(long)]
    pub strict: bool,
}

/// How diagnostics are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// With the line and a caret.
    Human,
    /// A list of objects.
    Json,
}

/// `approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// What waits: a run, and the step where several do; `last` is the newest run
    #[arg(value_name = "RUN[/STEP]")]
    pub target: String,
    /// SSH private key to sign with; without it the agent's and `~/.ssh` are tried
    #[arg(long, short, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A signature made elsewhere with `ssh-keygen -Y sign -n runward`
    #[arg(long, value_name = "FILE.sig", conflicts_with = "key")]
    pub import: Option<PathBuf>,
    /// Why
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Don't ask; the request is still shown
    #[arg(long, short)]
    pub yes: bool,
}

/// `reject`
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// Your SSH private key, where your login is not one of `people`
    #[arg(long, short, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A run, and the step where several are meant; `last` is the newest run
    #[arg(value_name = "RUN[/STEP]")]
    pub target: String,
    /// Why
    #[arg(long)]
    pub reason: String,
}

/// `request`
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// A run, and the step where several are meant; `last` is the newest run
    #[arg(value_name = "RUN[/STEP]")]
    pub target: String,
    /// Write it there instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `answer`
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// A run, and the step where several are meant; `last` is the newest run
    #[arg(value_name = "RUN[/STEP]")]
    pub target: String,
    /// A field of the answer; repeat for more
    #[arg(long = "input", short = 'i', value_name = "FIELD=VALUE")]
    pub fields: Vec<String>,
    /// It is not done, or not right: the step fails
    #[arg(long)]
    pub no: bool,
}

/// `resume`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// A run's id or the beginning of it; `last` is the newest run
    pub run: String,
    /// Don't wait for people: exit 4
    #[arg(long)]
    pub no_wait: bool,
    /// Print the journal's events, one a line
    #[arg(long)]
    pub json: bool,
}

/// `cancel`
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// A run's id or the beginning of it; `last` is the newest run
    pub run: String,
    /// Why
    #[arg(long, default_value = "asked to stop")]
    pub reason: String,
}

/// `rollback`
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// A run's id or the beginning of it; `last` is the newest run
    pub run: String,
    /// Undo also where the state is no longer what the run left
    #[arg(long)]
    pub over_drift: bool,
    /// Your SSH private key, where the start must be signed; without it the agent is asked
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Don't wait for people: exit 4
    #[arg(long)]
    pub no_wait: bool,
    /// Print the journal's events, one a line
    #[arg(long)]
    pub json: bool,
}

/// `resolve`
#[derive(Debug, Args)]
#[group(id = "outcome", required = true)]
pub struct ResolveArgs {
    /// A run and the step that is in doubt or whose undo failed
    #[arg(value_name = "RUN/STEP")]
    pub target: String,
    /// The change happened
    #[arg(long, group = "outcome")]
    pub applied: bool,
    /// The change did not happen
    #[arg(long, group = "outcome")]
    pub not_applied: bool,
    /// Try a failed undo again
    #[arg(long, group = "outcome")]
    pub retry_undo: bool,
    /// Leave the change of a failed undo in place
    #[arg(long, group = "outcome")]
    pub leave: bool,
    /// How you know
    #[arg(long)]
    pub reason: String,
}

/// `runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Only runs with this status
    #[arg(long)]
    pub status: Option<String>,
    /// Only runs of runbooks whose path or name holds this
    #[arg(long)]
    pub runbook: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 20)]
    pub limit: usize,
    /// Print a list of objects
    #[arg(long)]
    pub json: bool,
}

/// `show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A run's id or the beginning of it; `last` is the newest run
    pub run: String,
    /// Print all of it as JSON
    #[arg(long)]
    pub json: bool,
}

/// A run or a step of it
#[derive(Debug, Args)]
pub struct StepArgs {
    /// A run, and the step where several are meant; `last` is the newest run
    #[arg(value_name = "RUN[/STEP]")]
    pub target: String,
}

/// `report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run's id or the beginning of it; `last` is the newest run
    pub run: String,
    /// In which form
    #[arg(long, value_enum, default_value_t = ReportFormat::Md)]
    pub format: ReportFormat,
    /// Write it there instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Markdown.
    Md,
    /// JSON.
    Json,
}

/// `audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// What
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that every event is there, unchanged, and was allowed where it stands
    Verify {
        /// A run's id or the beginning of it; `last` is the newest [default: every run]
        run: Option<String>,
    },
    /// Write a run's events, one JSON object a line
    Export {
        /// A run's id or the beginning of it; `last` is the newest run
        run: String,
    },
}

/// `actions`
#[derive(Debug, Args)]
pub struct ActionsArgs {
    /// The action
    pub name: Option<String>,
}

/// `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, such as RW0201
    pub code: String,
}

/// `init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder
    #[arg(default_value = ".")]
    pub folder: PathBuf,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder to make
    #[arg(default_value = "runward-demo")]
    pub folder: PathBuf,
    /// Play without questions: the second person approves by themselves
    #[arg(long, short)]
    pub yes: bool,
    /// Only serve the gateway of a demo that exists, for playing on
    #[arg(long)]
    pub serve: bool,
}
