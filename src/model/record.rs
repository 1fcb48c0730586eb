//! What events carry: the run's beginning, a prepared change, a captured state, the statuses.
//!
//! Owns these nouns; they are part of the journal, so that `event.rs`'s rule of names and fields
//! holds here too. Must not know which event carries them.

use serde::{Deserialize, Serialize};

use super::diff::Diff;
use crate::base::{Digest, Map, Value};

/// All that a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCreated {
    /// `FORMAT` of the program that wrote it.
    pub format: u32,
    /// The program's version.
    pub version: String,
    /// Identity of the journal.
    pub journal: String,
    /// The runbook's name.
    pub name: String,
    /// Path of the runbook, relative to the project.
    pub runbook: String,
    /// Digest of the runbook with all its files.
    pub runbook_digest: Digest,
    /// Path and text of every file: the runbook's first, then what it includes.
    pub files: Vec<(String, String)>,
    /// Path and text of the project file.
    pub project: (String, String),
    /// Digest of the project file.
    pub project_digest: Digest,
    /// The project's folder, for relative paths.
    pub folder: String,
    /// The environment's name.
    pub environment: String,
    /// Inputs, defaults filled in; of sensitive ones only what is shown for them.
    pub inputs: Map,
    /// Sensitive inputs, encrypted with the installation's key.
    #[serde(default, skip_serializing_if = "indexmap::IndexMap::is_empty")]
    pub sealed_inputs: indexmap::IndexMap<String, String>,
    /// Who started it.
    pub operator: Operator,
    /// Only reads and previews.
    #[serde(default)]
    pub plan: bool,
    /// The run whose changes this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
}

/// Who started a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// The person, as `people` names them; the login where nobody has it.
    pub name: String,
    /// User of the operating system.
    pub login: String,
    /// Host name.
    pub host: String,
    /// Fingerprint of the key that signed the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The signature over runbook digest, inputs, environment and run id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A change, ready to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The rendered arguments, secrets as `name@version`.
    pub arguments: Map,
    /// Keyed digest of the rendered arguments with their secrets.
    pub arguments_digest: Digest,
    /// What will be sent, in full.
    pub statement: String,
    /// What the target turned out to be.
    pub target: String,
    /// The state before, where it can be captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Snapshot>,
    /// From the state before to the expected one, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Diff>,
    /// What undoing would do, or why it can't.
    pub undo: String,
    /// Can it be undone?
    pub reversible: bool,
}

/// The state of what a step changes, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The state, redacted.
    pub state: Value,
    /// Columns that identify a row where the state has `rows`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Keyed digest of the exact state.
    pub digest: Digest,
    /// The exact state, encrypted with the installation's key, where redaction took something
    /// away that undoing would need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// After what a state was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// After the change.
    After,
    /// After a failure, to see what it left.
    Doubt,
    /// After the undo, to prove it.
    Restored,
    /// Before undoing a finished run: is it still what the run left?
    Left,
}

/// Which steps are being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// `steps`.
    Main,
    /// Undoing.
    Rollback,
    /// `on_failure`.
    OnFailure,
    /// `finally`.
    Finally,
}

/// Status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Something is being done, or would be if a process held the run.
    Running,
    /// Waits for a person.
    Waiting,
    /// Done.
    Succeeded,
    /// Failed; nothing had been changed, or `on_error: stop` left it.
    Failed,
    /// Failed; all that was changed is put back, proved.
    RolledBack,
    /// Failed; something remains.
    RollbackIncomplete,
    /// An outcome is unknown; a person must look.
    InDoubt,
    /// Rejected, expired or not permitted.
    Refused,
    /// Stopped by a person.
    Cancelled,
}

impl RunStatus {
    /// As SPEC and JSON name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::RollbackIncomplete => "rollback_incomplete",
            Self::InDoubt => "in_doubt",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Status of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun.
    Pending,
    /// Under way.
    Running,
    /// Waits for a person or a time.
    Waiting,
    /// Left out.
    Skipped,
    /// Done.
    Succeeded,
    /// Failed.
    Failed,
    /// Done and undone, proved.
    RolledBack,
    /// The undo failed, or did not bring the state back.
    RollbackFailed,
    /// Nobody knows whether it happened.
    InDoubt,
}

impl StepStatus {
    /// As SPEC and JSON name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
            Self::InDoubt => "in_doubt",
        }
    }
}
