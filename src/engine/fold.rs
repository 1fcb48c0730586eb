//! What events make of one step: its gate, its attempts, its undoing.
//!
//! Owns the folding of a single node. Must not know the run around it.

use super::{
    life::Life,
    run::{Node, Request},
};
use crate::{
    base::Timestamp,
    model::event::{Event, Moment},
};

/// Requests and decisions.
pub(super) fn fold_gate(node: &mut Node, event: &Event, at: Timestamp) {
    let gate = &mut node.gate;
    match event {
        Event::ApprovalRequested { request, digest, required, expires_at, .. } => {
            gate.approvals.clear();
            gate.rejected = false;
            gate.request = Some(Request {
                bytes: request.clone(),
                digest: digest.clone(),
                required: *required,
                asked_at: at,
                expires_at: *expires_at,
            });
        }
        Event::ApprovalGiven { approval, .. } => {
            gate.history.push(approval.clone());
            // One person counts once, however often they sign.
            if !gate.approvals.iter().any(|a| a.by == approval.by) {
                gate.approvals.push(approval.clone());
            }
            if gate.satisfied() {
                match node.life {
                    Life::AwaitingApproval => node.life = Life::Approved,
                    // An undo is looked at once more, right before it is begun.
                    _ => node.undo.drift = None,
                }
            }
        }
        Event::ApprovalRejected { approval, .. } => {
            gate.history.push(approval.clone());
            gate.refusals.push(format!("rejected by {}: {}", approval.by, approval.reason));
            gate.rejected = true;
            gate.close();
        }
        Event::ApprovalRefused { by, reason, .. } => {
            let whose = if by.is_empty() { String::new() } else { format!(" of {by}") };
            gate.refusals.push(format!("a decision{whose} does not count: {reason}"));
        }
        Event::ApprovalExpired { .. } => {
            gate.refusals.push("nobody agreed in time".to_owned());
            gate.close();
        }
        Event::ApprovalVoided { field, .. } => {
            gate.refusals.push(format!("the approval became void: {field} changed"));
            gate.close();
            if node.life == Life::Pending {
                node.prepared = None;
            }
        }
        Event::AttemptStarted { .. } | Event::UndoStarted { .. } => gate.close(),
        _ => {}
    }
}

/// Attempts, and what was seen after them.
pub(super) fn fold_attempt(node: &mut Node, event: &Event, at: Timestamp) {
    match event {
        Event::AttemptStarted { attempt, .. } => {
            node.attempts = *attempt;
            node.started_at = node.started_at.or(Some(at));
            node.retrying = false;
            node.result = None;
            node.fault = None;
            // What was seen after an earlier attempt says nothing about this one.
            node.doubt = None;
        }
        Event::AttemptSucceeded { attempt, started_at, result, .. } => {
            node.attempts = *attempt;
            node.started_at = node.started_at.or(Some(*started_at));
            node.retrying = false;
            node.retry_at = None;
            node.result = Some(result.clone());
            node.fault = None;
        }
        Event::AttemptFailed { attempt, started_at, fault, .. } => {
            node.attempts = *attempt;
            node.started_at = node.started_at.or(Some(*started_at));
            node.retrying = false;
            node.retry_at = None;
            node.result = fault.result.clone();
            node.fault = Some(fault.clone());
        }
        Event::AttemptInDoubt { fault, .. } => node.fault = Some(fault.clone()),
        Event::DecisionMade { applied, by, reason, .. } => {
            let outcome = if *applied { "applied" } else { "not applied" };
            node.reason = Some(format!("{by} found it {outcome}: {reason}"));
        }
        Event::StateCaptured { moment: Moment::After, snapshot, difference, .. } => {
            node.after = Some(snapshot.clone());
            node.diff = Some(difference.clone());
        }
        Event::StateCaptured { moment: Moment::Doubt, difference, .. } => {
            node.doubt = Some(Ok(difference.clone()));
        }
        Event::CaptureFailed { moment: Moment::After, fault, .. } => {
            node.after_failed = Some(fault.clone());
        }
        Event::CaptureFailed { moment: Moment::Doubt, fault, .. } => {
            node.doubt = Some(Err(fault.clone()));
        }
        _ => {}
    }
}

/// Undoing, and what was seen after it.
pub(super) fn fold_undo(node: &mut Node, event: &Event, at: Timestamp) {
    let undo = &mut node.undo;
    match event {
        Event::StateCaptured { moment: Moment::Left, snapshot, difference, .. } => {
            undo.drift = Some(difference.clone());
            undo.found = Some(snapshot.clone());
        }
        Event::UndoStarted { attempt, .. } => {
            undo.attempts = *attempt;
            undo.fault = None;
            undo.residual = None;
            undo.capture_fault = None;
            undo.retry_decided = false;
        }
        Event::UndoSucceeded { .. } => undo.finished_at = Some(at),
        Event::UndoFailed { fault, .. } => {
            undo.fault = Some(fault.clone());
            undo.finished_at = Some(at);
        }
        Event::UndoSkipped { reason, remains, .. } => {
            undo.skipped = Some((reason.clone(), *remains));
            undo.finished_at = Some(at);
        }
        Event::StateCaptured { moment: Moment::Restored, snapshot, difference, .. } => {
            undo.residual = Some(difference.clone());
            undo.restored = Some(snapshot.state.clone());
        }
        Event::CaptureFailed { moment: Moment::Restored | Moment::Left, fault, .. } => {
            undo.capture_fault = Some(fault.clone());
        }
        _ => {}
    }
}
