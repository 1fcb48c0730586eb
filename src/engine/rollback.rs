//! Going back: which changes, in which order, and when to stop and ask.

use super::{
    life::Life,
    run::{Node, Run},
    walk::{Activity, Found, Progress, Question, When},
};
use crate::{
    base::{NodeId, Timestamp},
    model::{
        event::{Event, Phase, RunStatus},
        runbook::{OnError, Step},
    },
};

impl Run {
    /// The event that turns the run back. Undone is what may stand, newest first; nothing when the
    /// failed step says `on_error: stop`.
    pub(super) fn rollback_started(&self, reason: String) -> Event {
        let stop =
            self.failure.as_ref().is_some_and(|(node, _)| self.has_on_error(node, OnError::Stop));
        let nodes = if stop { Vec::new() } else { self.standing() };
        Event::RollbackStarted {
            reason,
            nodes,
            requested_by: None,
            signature: None,
            over_drift: false,
        }
    }

    /// Steps whose change may stand in the world and is not meant to, newest first.
    pub(super) fn standing(&self) -> Vec<NodeId> {
        self.changes
            .iter()
            .rev()
            .filter(|id| self.is_taken_back(id))
            .filter(|id| self.node(id).is_some_and(|n| n.life.may_stand()))
            .cloned()
            .collect()
    }

    /// What `on_failure` and `finally` do is meant to stay.
    fn is_taken_back(&self, id: &NodeId) -> bool {
        self.plan.location(&id.step).is_some_and(|l| l.phase == Phase::Main)
    }

    pub(super) fn walk_rollback(&self, now: Timestamp, found: &mut Found) {
        let Some(rollback) = &self.rollback else { return };
        for id in &rollback.order {
            let (Some(step), Some(node)) = (self.plan.step(&id.step), self.node(id)) else {
                continue;
            };
            match self.walk_undo(step, id, node, now, found) {
                Progress::Done => {}
                // Its failure does not touch the earlier ones: they go on, it is asked about later.
                _ if step.independent && self.undo_stuck(node) => {}
                _ => return,
            }
        }
        if found.pending.questions.is_empty() && found.pending.tasks.is_empty() {
            found.events(vec![self.rollback_over()]);
        }
    }

    fn undo_stuck(&self, node: &Node) -> bool {
        matches!(node.life, Life::UndoFailed | Life::UndoInDoubt) && !node.undo.retry_decided
    }

    fn walk_undo(
        &self,
        step: &Step,
        id: &NodeId,
        node: &Node,
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        let captures = step.captures();
        match node.life {
            Life::InDoubt => found.ask(Question::Doubt(id.clone())),
            Life::Succeeded | Life::SucceededWithError | Life::FailedDirty => {
                self.walk_to_undo(step, id, node, now, found)
            }
            // Left by an earlier rollback; this one has not decided about it.
            Life::LeftInPlace if node.undo.skipped.is_none() && node.undo.left.is_none() => {
                self.walk_to_undo(step, id, node, now, found)
            }
            Life::UndoRunning => found.perform(id, Activity::Undo, node.undo.attempts),
            Life::Undone => {
                let unproved = node.undo.residual.is_none()
                    && node.undo.capture_fault.is_none()
                    && node.undo.skipped.is_none();
                if captures && unproved {
                    return found.perform(
                        id,
                        Activity::Capture(When::Restored),
                        node.undo.attempts,
                    );
                }
                Progress::Done
            }
            Life::UndoFailed | Life::UndoInDoubt => {
                if node.undo.retry_decided {
                    let attempt = node.undo.attempts + 1;
                    return found.events(vec![Event::UndoStarted { node: id.clone(), attempt }]);
                }
                // It may have worked all the same: equal states prove it.
                if captures && node.undo.residual.is_none() && node.undo.capture_fault.is_none() {
                    return found.perform(
                        id,
                        Activity::Capture(When::Restored),
                        node.undo.attempts,
                    );
                }
                found.ask(Question::FailedUndo(id.clone()))
            }
            _ => Progress::Done,
        }
    }

    fn walk_to_undo(
        &self,
        step: &Step,
        id: &NodeId,
        node: &Node,
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        let skip = |reason: String, remains| {
            vec![Event::UndoSkipped { node: id.clone(), reason, remains }]
        };
        match step.reversibility() {
            Ok(true) => {}
            Ok(false) => return found.events(skip("there is nothing to undo".into(), false)),
            Err(why) => return found.events(skip(why, true)),
        }
        let requested = self.rollback.as_ref().filter(|r| r.requested);
        if let Some(rollback) = requested {
            if node.after.is_some() && node.undo.drift.is_none() {
                if let Some(fault) = &node.undo.capture_fault {
                    let reason = format!("the state can't be looked at: {}", fault.message);
                    return found.events(skip(reason, true));
                }
                return found.perform(id, Activity::Capture(When::Left), node.undo.attempts);
            }
            let drifted = node.undo.drift.as_ref().is_some_and(|d| !d.is_empty());
            if drifted && !rollback.over_drift {
                let reason = "the state is no longer what the run left".to_owned();
                return found.events(skip(reason, true));
            }
            let required = self.required_approvals(true);
            match &node.gate.request {
                _ if required == 0 => {}
                Some(request) if now >= request.expires_at => {
                    let expired = Event::ApprovalExpired { node: id.clone() };
                    return found.events(
                        [vec![expired], skip("nobody agreed in time".into(), true)].concat(),
                    );
                }
                Some(_) if node.gate.satisfied() => {}
                Some(request) => {
                    found.wake(request.expires_at);
                    return found.ask(Question::Approval(id.clone()));
                }
                None if node.gate.rejected => {
                    return found.events(skip("undoing was rejected".into(), true));
                }
                None => {
                    return found.perform(id, Activity::Request { undo: true }, node.attempts);
                }
            }
        }
        let attempt = node.undo.attempts + 1;
        found.events(vec![Event::UndoStarted { node: id.clone(), attempt }])
    }

    /// Did it not do what it was begun for?
    pub(super) fn has_failed(&self) -> bool {
        let stopped = matches!(self.stopped, Some((false, _)));
        stopped || self.failure.is_some() || self.cancelled.is_some()
    }

    /// How the run stands if it ended now, and in a sentence why.
    pub fn verdict(&self) -> (RunStatus, String) {
        let remains = self.remaining();
        let put_back = |n: &&Node| n.life == Life::Undone && n.undo.skipped.is_none();
        let undone = self.nodes.values().filter(put_back).count();
        let why = match (&self.cancelled, &self.failure, &self.stopped) {
            (_, Some((node, fault)), _) => format!("step `{node}` failed: {}", fault.message),
            (Some(reason), None, _) => format!("cancelled: {reason}"),
            (None, None, Some((false, message))) => message.clone(),
            (None, None, _) => String::new(),
        };
        let why = why.trim_end_matches('.').to_owned();
        let join = |what: String| if why.is_empty() { what } else { format!("{why}; {what}") };
        if self.rollback.as_ref().is_some_and(|r| r.requested) {
            return if remains.is_empty() {
                (RunStatus::RolledBack, format!("undone: {}", count(undone, "change")))
            } else {
                (RunStatus::RollbackIncomplete, format!("not undone: {}", names(&remains)))
            };
        }
        if !self.has_failed() {
            let message = self.stopped.as_ref().map_or_else(String::new, |(_, m)| m.clone());
            return (RunStatus::Succeeded, message);
        }
        if !remains.is_empty() {
            // Nothing was to be taken back: `on_error: stop`, or a failure at the very end.
            let stop = self.rollback.as_ref().is_none_or(|r| r.order.is_empty());
            let status = if stop { RunStatus::Failed } else { RunStatus::RollbackIncomplete };
            return (status, join(format!("still in place: {}", names(&remains))));
        }
        let undone_words = match undone {
            0 => "nothing had to be put back".to_owned(),
            n => format!("{} put back and proved", count(n, "change")),
        };
        let status = match (self.refused, &self.cancelled, undone) {
            (true, ..) => RunStatus::Refused,
            (_, Some(_), _) => RunStatus::Cancelled,
            (_, None, 0) => RunStatus::Failed,
            _ => RunStatus::RolledBack,
        };
        (status, join(undone_words))
    }

    /// Steps whose change stands, or may stand, or is undone without proof.
    pub fn remaining(&self) -> Vec<NodeId> {
        let unproved = |n: &Node, id: &NodeId| {
            let proved = n.undo.residual.as_ref().is_some_and(crate::model::Diff::is_empty);
            let nothing = n.undo.skipped.as_ref().is_some_and(|(_, remains)| !remains);
            let noted = self.plan.step(&id.step).is_some_and(Step::changes);
            noted && n.life == Life::Undone && !proved && !nothing
        };
        self.nodes
            .iter()
            .filter(|(id, n)| {
                let changes = self.plan.step(&id.step).is_some_and(Step::changes);
                let meant =
                    self.plan.step(&id.step).is_some_and(|s| s.reversibility() == Ok(false));
                changes
                    && self.is_taken_back(id)
                    && ((n.life.may_stand() && !meant) || unproved(n, id))
            })
            .map(|(id, _)| id.clone())
            .collect()
    }
}

fn names(ids: &[NodeId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
