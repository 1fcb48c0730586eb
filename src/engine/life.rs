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
    /// has no effect of its own (a read, a check, a person), so that its attempts need no start on
    /// record.
    pub fn next(self, event: &Event, reads: bool) -> Option<Self> {
        if reads { self.next_of_read(event) } else { self.next_of_change(event) }
    }

    fn next_of_read(self, event: &Event) -> Option<Self> {
        use Life::{FailedClean, Pending, Skipped, Succeeded};
        Some(match (self, event) {
            (Pending, Event::StepSkipped { .. }) => Skipped,
            (Pending, Event::ItemsListed { .. } | Event::AnswerAsked { .. }) => self,
            (Pending, Event::AnswerGiven { .. } | Event::NoteWritten { .. }) => self,
            (Pending, Event::RunStopped { .. }) => self,
            // Recorded when they end; the next attempt starts over.
            (Pending | Succeeded | FailedClean, Event::AttemptSucceeded { .. }) => Succeeded,
            (Pending | Succeeded | FailedClean, Event::AttemptFailed { fault, .. })
                if fault.world == World::Untouched =>
            {
                FailedClean
            }
            (Succeeded | FailedClean, Event::RetryScheduled { .. }) => self,
            (Pending | Succeeded, Event::StepSucceeded { .. }) => self,
            // Planned: what it reads, or needs, is known once the changes before it are made.
            (
                Pending | Succeeded | FailedClean,
                Event::StepPlanned { .. } | Event::StepFailed { .. },
            ) => self,
            _ => return None,
        })
    }

    fn next_of_change(self, event: &Event) -> Option<Self> {
        self.next_forward(event).or_else(|| self.next_back(event))
    }

    /// A change, until its step is over.
    fn next_forward(self, event: &Event) -> Option<Self> {
        use Life::{
            Approved, AwaitingApproval, FailedClean, FailedDirty, InDoubt, Pending, Rejected,
            Running, Skipped, Succeeded, SucceededWithError,
        };
        Some(match (self, event) {
            // Before anything is attempted.
            (Pending, Event::StepSkipped { .. }) => Skipped,
            (Pending, Event::ItemsListed { .. } | Event::StepPlanned { .. }) => self,
            (Pending | FailedClean, Event::ChangePrepared { .. }) => self,
            (Pending | FailedClean, Event::ApprovalRequested { .. }) => AwaitingApproval,
            // More people than needed may agree, in the same moment too.
            (AwaitingApproval | Approved, Event::ApprovalGiven { .. }) => self,
            (AwaitingApproval | Approved, Event::ApprovalRefused { .. }) => self,
            (
                AwaitingApproval | Approved,
                Event::ApprovalRejected { .. } | Event::ApprovalExpired { .. },
            ) => Rejected,
            (Approved, Event::ApprovalVoided { .. }) => Pending,

            // Attempts, recorded before they begin.
            (Pending | Approved | FailedClean, Event::AttemptStarted { .. }) => Running,
            (Running, Event::AttemptSucceeded { .. }) => Succeeded,
            (Running, Event::AttemptFailed { fault, .. }) => match fault.world {
                World::Untouched => FailedClean,
                World::Partial => FailedDirty,
                World::Unknown => InDoubt,
            },
            (Running, Event::AttemptInDoubt { .. }) => InDoubt,
            (Pending | FailedClean, Event::RetryScheduled { .. }) => self,

            // What it left is looked at.
            (
                Succeeded,
                Event::StateCaptured { moment: Moment::After, .. }
                | Event::CaptureFailed { moment: Moment::After, .. },
            ) => self,
            // Doubt is settled by looking, where looking is proof, or by a person.
            (FailedDirty, Event::StateCaptured { moment: Moment::Doubt, difference, .. })
                if difference.is_empty() =>
            {
                FailedClean
            }
            (
                FailedDirty | InDoubt,
                Event::StateCaptured { moment: Moment::Doubt, .. }
                | Event::CaptureFailed { moment: Moment::Doubt, .. },
            ) => self,
            (InDoubt, Event::DecisionMade { applied: true, .. }) => SucceededWithError,
            (InDoubt, Event::DecisionMade { applied: false, .. }) => FailedClean,

            // The step itself is over.
            (Succeeded, Event::StepSucceeded { .. }) => self,
            (Succeeded, Event::StepFailed { .. }) => SucceededWithError,
            (
                Pending | AwaitingApproval | Approved | Rejected | FailedClean | FailedDirty
                | SucceededWithError,
                Event::StepFailed { .. },
            ) => self,
            _ => return None,
        })
    }

    /// A change whose effect may stand, on the way back.
    fn next_back(self, event: &Event) -> Option<Self> {
        use Life::{
            FailedDirty, LeftInPlace, Succeeded, SucceededWithError, UndoFailed, UndoInDoubt,
            UndoRunning, Undone,
        };
        Some(match (self, event) {
            (
                Succeeded | SucceededWithError | FailedDirty | UndoFailed | UndoInDoubt
                | LeftInPlace,
                Event::UndoStarted { .. },
            ) => UndoRunning,
            (UndoRunning, Event::UndoSucceeded { .. }) => Undone,
            (UndoRunning, Event::UndoFailed { fault, .. }) => match fault.world {
                World::Unknown => UndoInDoubt,
                World::Untouched | World::Partial => UndoFailed,
            },
            // Equal states prove an undo, whatever became of it.
            (
                UndoFailed | UndoInDoubt,
                Event::StateCaptured { moment: Moment::Restored, difference, .. },
            ) if difference.is_empty() => Undone,
            (
                Undone | UndoFailed | UndoInDoubt,
                Event::StateCaptured { moment: Moment::Restored, .. }
                | Event::CaptureFailed { moment: Moment::Restored, .. },
            ) => self,
            (UndoFailed | UndoInDoubt, Event::UndoDecided { retry: true, .. }) => self,
            (UndoFailed | UndoInDoubt, Event::UndoDecided { retry: false, .. }) => LeftInPlace,
            (
                Succeeded | SucceededWithError | FailedDirty | LeftInPlace,
                Event::UndoSkipped { remains: true, .. },
            ) => LeftInPlace,
            (
                Succeeded | SucceededWithError | FailedDirty,
                Event::UndoSkipped { remains: false, .. },
            ) => Undone,

            // A finished run is undone with an approval of its own, after a look.
            (
                Succeeded | SucceededWithError | LeftInPlace,
                Event::StateCaptured { moment: Moment::Left, .. }
                | Event::CaptureFailed { moment: Moment::Left, .. },
            ) => self,
            (
                Succeeded | SucceededWithError | FailedDirty | LeftInPlace,
                Event::ApprovalRequested { .. }
                | Event::ApprovalGiven { .. }
                | Event::ApprovalRefused { .. }
                | Event::ApprovalExpired { .. }
                | Event::ApprovalRejected { .. },
            ) => self,
            _ => return None,
        })
    }
}
