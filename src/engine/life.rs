//! The life of one step: sixteen states and every transition between them, in one table.
//!
//! The states and arrows are those of the design's state machine; an event that has no arrow from
//! the present state is illegal, at append as well as when a journal is verified.

use crate::model::{
    event::{Event, Moment},
    fault::World,
};

/// Where a step is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Nothing has been attempted.
    #[default]
    Pending,
    /// Somebody must agree first.
    AwaitingApproval,
    /// Enough people agreed, and the agreement has not been used.
    Approved,
    /// Somebody rejected it, or nobody agreed in time.
    Rejected,
    /// Left out.
    Skipped,
    /// An attempt is under way.
    Running,
    /// The effect happened.
    Succeeded,
    /// The effect happened, and the step failed all the same: an expectation did not hold.
    SucceededWithError,
    /// The attempt failed and left nothing behind, with proof.
    FailedClean,
    /// The attempt failed; part of its effect may stand.
    FailedDirty,
    /// Nobody knows whether the effect happened or still will.
    InDoubt,
    /// An undo is under way.
    UndoRunning,
    /// Undone.
    Undone,
    /// The undo failed.
    UndoFailed,
    /// Nobody knows what became of the undo.
    UndoInDoubt,
    /// It stays as it is: it can't be undone, or a person decided so.
    LeftInPlace,
}

impl Life {
    /// May a change of this step stand in the world?
    pub fn may_stand(self) -> bool {
        matches!(
            self,
            Self::Running
                | Self::Succeeded
                | Self::SucceededWithError
                | Self::FailedDirty
                | Self::InDoubt
                | Self::UndoRunning
                | Self::UndoFailed
                | Self::UndoInDoubt
                | Self::LeftInPlace
        )
    }

    /// The state after this event; `None` when there is no such arrow. `reads` says that the step
    /// has no effect, so that its attempts need no start on record.
    pub fn next(self, event: &Event, reads: bool) -> Option<Self> {
        use Life::{
            Approved, AwaitingApproval, FailedClean, FailedDirty, InDoubt, LeftInPlace, Pending,
            Rejected, Running, Skipped, Succeeded, SucceededWithError, UndoFailed, UndoInDoubt,
            UndoRunning, Undone,
        };
        Some(match (self, event) {
            // Before anything is attempted.
            (Pending, Event::StepSkipped { .. }) => Skipped,
            (Pending | FailedClean, Event::ApprovalRequested { .. }) => AwaitingApproval,
            (AwaitingApproval, Event::ApprovalRejected { .. } | Event::ApprovalExpired { .. }) => {
                Rejected
            }
            (AwaitingApproval | Approved, Event::ApprovalVoided { .. }) => Pending,
            (Approved, Event::ApprovalRejected { .. } | Event::ApprovalExpired { .. }) => Rejected,

            // Attempts of a change: recorded before they begin.
            (Pending | Approved | FailedClean, Event::AttemptStarted { .. }) if !reads => Running,
            (Running, Event::AttemptSucceeded { .. }) => Succeeded,
            (Running, Event::AttemptFailed { fault, .. }) => match fault.world {
                World::Untouched => FailedClean,
                World::Partial => FailedDirty,
                World::Unknown => InDoubt,
            },
            (Running, Event::AttemptInDoubt { .. }) => InDoubt,

            // Attempts of a read: recorded when they end; the next attempt starts over.
            (Pending | Succeeded | FailedClean, Event::AttemptSucceeded { .. }) if reads => {
                Succeeded
            }
            (Pending | Succeeded | FailedClean, Event::AttemptFailed { .. }) if reads => {
                FailedClean
            }

            // Doubt is settled by looking, where looking is proof, or by a person.
            (FailedDirty, Event::StateCaptured { moment: Moment::Doubt, difference, .. })
                if difference.is_empty() =>
            {
                FailedClean
            }
            (InDoubt | FailedDirty, Event::DecisionMade { applied: true, .. }) => {
                SucceededWithError
            }
            (InDoubt | FailedDirty, Event::DecisionMade { applied: false, .. }) => FailedClean,

            // The step itself is over.
            (Succeeded, Event::StepFailed { .. }) if !reads => SucceededWithError,

            // Going back.
            (
                Succeeded | SucceededWithError | FailedDirty | UndoFailed | UndoInDoubt,
                Event::UndoStarted { .. },
            ) => UndoRunning,
            (UndoRunning, Event::UndoSucceeded { .. }) => Undone,
            (UndoRunning, Event::UndoFailed { fault, .. }) => match fault.world {
                World::Unknown => UndoInDoubt,
                World::Untouched | World::Partial => UndoFailed,
            },
            (
                UndoFailed | UndoInDoubt,
                Event::StateCaptured { moment: Moment::Restored, difference, .. },
            ) if difference.is_empty() => Undone,
            (
                Succeeded | SucceededWithError | FailedDirty | InDoubt,
                Event::UndoSkipped { remains: true, .. },
            ) => LeftInPlace,
            (
                Succeeded | SucceededWithError | FailedDirty,
                Event::UndoSkipped { remains: false, .. },
            ) => Undone,
            (UndoFailed | UndoInDoubt, Event::UndoDecided { retry: false, .. }) => LeftInPlace,
            // A finished run is undone with an approval of its own.
            (Succeeded | SucceededWithError, Event::ApprovalRequested { .. }) => self,
            (
                Succeeded | SucceededWithError,
                Event::ApprovalVoided { .. }
                | Event::ApprovalExpired { .. }
                | Event::ApprovalRejected { .. },
            ) => self,

            // Events that record something about a state without leaving it.
            (Pending | Approved | FailedClean, Event::ChangePrepared { .. }) => self,
            (AwaitingApproval, Event::ApprovalGiven { .. }) => self,
            (Succeeded | SucceededWithError, Event::ApprovalGiven { .. }) => self,
            (_, Event::ApprovalRefused { .. }) => self,
            (Pending, Event::ItemsListed { .. } | Event::AnswerAsked { .. }) => self,
            (Pending, Event::AnswerGiven { .. } | Event::NoteWritten { .. }) => self,
            (Pending | FailedClean | Succeeded, Event::RetryScheduled { .. }) => self,
            (Pending, Event::StepPlanned { .. } | Event::RunStopped { .. }) => self,
            (Pending | Succeeded, Event::StepSucceeded { .. }) => self,
            (
                Pending | AwaitingApproval | Approved | Rejected | FailedClean | FailedDirty
                | SucceededWithError | Succeeded,
                Event::StepFailed { .. },
            ) => self,
            (
                Succeeded | SucceededWithError | FailedDirty | InDoubt | Undone | UndoFailed
                | UndoInDoubt,
                Event::StateCaptured { .. } | Event::CaptureFailed { .. },
            ) => self,
            (UndoFailed | UndoInDoubt, Event::UndoDecided { retry: true, .. }) => self,
            _ => return None,
        })
    }
}
