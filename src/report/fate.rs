//! What became of a step's change, judged from what is known and from nothing else.

use crate::model::{
    World,
    diff::Diff,
    event::StepStatus,
    view::{RunView, StepView},
};

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not made: never begun, or an attempt that left nothing behind.
    NotMade,
    /// It is, or may be, being made.
    UnderWay,
    /// It was made and stands.
    InPlace,
    /// An attempt failed, and part of it may stand.
    MayStand,
    /// Nobody knows whether it happened.
    InDoubt,
    /// A person found out whether it happened; their words are the step's reason.
    Found,
    /// It will be, or is being, put back.
    GoingBack,
    /// It was put back, and a capture equals the state before.
    PutBack,
    /// It was undone, without proof that the state is what it was.
    Unproved,
    /// It was undone, and a capture shows that the state is not what it was.
    Differs,
    /// Undoing failed.
    UndoFailed,
    /// It was left in place: it can't be undone, or somebody decided so.
    Left,
    /// It was made, and there is nothing to undo about it.
    NothingToUndo,
}

impl Fate {
    /// Was it certainly made, wholly or in part?
    pub(super) fn made(self) -> bool {
        !matches!(
            self,
            Self::NotMade | Self::UnderWay | Self::InDoubt | Self::MayStand | Self::Found
        )
    }
}

/// What became of the step's change; `None` for a step that changes nothing by its kind.
pub(super) fn fate_of(view: &RunView, step: &StepView) -> Option<Fate> {
    if step.effect != Some("change") {
        return None;
    }
    if view.plan {
        return Some(Fate::NotMade);
    }
    // Only a change that was made is looked at afterwards.
    let seen = step.after.is_some() || step.diff.is_some();
    if step.status == StepStatus::InDoubt {
        return Some(Fate::InDoubt);
    }
    if let Some(rollback) = &step.rollback {
        let clean = rollback.residual.as_ref().is_some_and(Diff::is_empty);
        return Some(match rollback.status {
            "proved" if clean => Fate::PutBack,
            "proved" | "unproved" if rollback.residual.is_none() => Fate::Unproved,
            "proved" | "unproved" => Fate::Differs,
            "failed" => Fate::UndoFailed,
            "left" => Fate::Left,
            "skipped" if step.status == StepStatus::Succeeded => Fate::NothingToUndo,
            "skipped" => Fate::NotMade,
            _ => Fate::GoingBack,
        });
    }
    Some(match step.status {
        StepStatus::Succeeded => Fate::InPlace,
        StepStatus::Failed if seen => Fate::InPlace,
        StepStatus::Failed if world(step) == World::Untouched => Fate::NotMade,
        // Unknown outcomes leave doubt by a person's word alone.
        StepStatus::Failed if world(step) == World::Unknown && step.reason.is_some() => Fate::Found,
        StepStatus::Failed => Fate::MayStand,
        StepStatus::Running if seen => Fate::InPlace,
        StepStatus::Running => Fate::UnderWay,
        StepStatus::RolledBack => Fate::PutBack,
        StepStatus::RollbackFailed => Fate::UndoFailed,
        StepStatus::Pending | StepStatus::Waiting | StepStatus::Skipped | StepStatus::InDoubt => {
            Fate::NotMade
        }
    })
}

fn world(step: &StepView) -> World {
    step.error.as_ref().map_or(World::Unknown, |fault| fault.world)
}
