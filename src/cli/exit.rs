//! Exit codes. What scripts rely on: they are never renumbered.

use crate::model::event::RunStatus;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Succeeded.
    Succeeded = 0,
    /// Failed, and nothing that it changed remains.
    Failed = 1,
    /// Usage, runbook or project file invalid; nothing ran.
    Invalid = 2,
    /// Failed and a person must look: a change remains, a rollback is incomplete or an outcome
    /// unknown.
    Look = 3,
    /// Paused, waiting for a person.
    Paused = 4,
    /// Refused: rejected, expired, frozen, locked or not permitted.
    Refused = 5,
    /// The journal can't be used.
    Journal = 6,
}

impl Exit {
    /// The code for a run's end; `remains` says that a change stands although the run failed.
    pub fn of(status: RunStatus, remains: bool) -> Self {
        match status {
            RunStatus::Succeeded => Self::Succeeded,
            RunStatus::RollbackIncomplete | RunStatus::InDoubt => Self::Look,
            RunStatus::Waiting | RunStatus::Running => Self::Paused,
            _ if remains => Self::Look,
            RunStatus::Refused => Self::Refused,
            RunStatus::Failed | RunStatus::RolledBack | RunStatus::Cancelled => Self::Failed,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
