//! The journal's alphabet: what happened, in the past tense.
//!
//! Events are closed and versioned: names and fields that were released are never renamed or
//! reused, and new fields have a default. `docs/CONTRIBUTING.md` has the questions to ask before
//! changing anything here.

use serde::{Deserialize, Serialize};

pub use super::record::{
    Moment, Operator, Phase, Prepared, RunCreated, RunStatus, Snapshot, StepStatus,
};
use super::{approval::Approval, diff::Diff, fault::Fault, input::Message};
use crate::base::{Digest, Map, NodeId, Seq, Timestamp, Value};

/// Version of the alphabet that this program writes.
pub const FORMAT: u32 = 1;

/// An event as the journal holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Position in the run, from 1.
    pub seq: Seq,
    /// When it was appended.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// Hash over the event before it and this one.
    pub hash: Digest,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// The run exists. Holds all that it depends on.
    #[serde(rename = "run.created")]
    RunCreated(Box<RunCreated>),
    /// A step's condition was false, or its group was skipped.
    #[serde(rename = "step.skipped")]
    StepSkipped {
        /// The step.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// The items of a `foreach` are known.
    #[serde(rename = "items.listed")]
    ItemsListed {
        /// The step.
        node: NodeId,
        /// Its items.
        items: Vec<Value>,
    },
    /// A change was rendered, its state captured and its difference predicted. Nothing changed.
    #[serde(rename = "change.prepared")]
    ChangePrepared {
        /// The step.
        node: NodeId,
        /// The attempt that it is for.
        attempt: u32,
        /// What was found.
        prepared: Box<Prepared>,
    },
    /// Somebody must agree.
    #[serde(rename = "approval.requested")]
    ApprovalRequested {
        /// The step.
        node: NodeId,
        /// The request's exact bytes.
        request: String,
        /// Their digest.
        digest: Digest,
        /// How many people.
        required: u32,
        /// Until when it counts.
        expires_at: Timestamp,
    },
    /// Somebody agreed. The signature was verified.
    #[serde(rename = "approval.given")]
    ApprovalGiven {
        /// The step.
        node: NodeId,
        /// Who, and how it is known.
        approval: Approval,
        /// The message that brought it.
        message: u64,
    },
    /// Somebody rejected it.
    #[serde(rename = "approval.rejected")]
    ApprovalRejected {
        /// The step.
        node: NodeId,
        /// Who and why.
        approval: Approval,
        /// The message that brought it.
        message: u64,
    },
    /// A decision did not count: wrong key, not permitted, for another request.
    #[serde(rename = "approval.refused")]
    ApprovalRefused {
        /// The step.
        node: NodeId,
        /// Who it says that it is from.
        by: String,
        /// Why it does not count.
        reason: String,
        /// The message that brought it.
        message: u64,
    },
    /// Nobody agreed in time.
    #[serde(rename = "approval.expired")]
    ApprovalExpired {
        /// The step.
        node: NodeId,
    },
    /// What was approved is no longer what would happen.
    #[serde(rename = "approval.voided")]
    ApprovalVoided {
        /// The step.
        node: NodeId,
        /// What has changed: `state before`, `arguments`, `target`.
        field: String,
        /// The difference between the approved state and the one found.
        drift: Diff,
    },
    /// An effect is about to happen. Durable before the first byte of it leaves; uses the
    /// approvals up.
    #[serde(rename = "attempt.started")]
    AttemptStarted {
        /// The step.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// The request whose approvals it uses up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Digest>,
    },
    /// An attempt gave its result.
    #[serde(rename = "attempt.succeeded")]
    AttemptSucceeded {
        /// The step.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// When it began; a read has no event of its own for that.
        started_at: Timestamp,
        /// What it gave.
        result: Value,
    },
    /// An attempt failed; the fault says what the world looks like.
    #[serde(rename = "attempt.failed")]
    AttemptFailed {
        /// The step.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// When it began.
        started_at: Timestamp,
        /// What went wrong.
        fault: Fault,
    },
    /// Nobody knows what became of an attempt.
    #[serde(rename = "attempt.in_doubt")]
    AttemptInDoubt {
        /// The step.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// Why it is not known.
        fault: Fault,
    },
    /// A person found out what became of it.
    #[serde(rename = "decision.made")]
    DecisionMade {
        /// The step.
        node: NodeId,
        /// Did it happen?
        applied: bool,
        /// Who says so.
        by: String,
        /// How it is known.
        reason: String,
        /// The message that brought it.
        message: u64,
    },
    /// The state was captured after something was done or went wrong.
    #[serde(rename = "state.captured")]
    StateCaptured {
        /// The step.
        node: NodeId,
        /// After what.
        moment: Moment,
        /// The state.
        snapshot: Box<Snapshot>,
        /// From the state before to this one.
        difference: Diff,
    },
    /// The state could not be captured then.
    #[serde(rename = "state.capture_failed")]
    CaptureFailed {
        /// The step.
        node: NodeId,
        /// After what.
        moment: Moment,
        /// Why.
        fault: Fault,
    },
    /// The step will be tried again.
    #[serde(rename = "retry.scheduled")]
    RetryScheduled {
        /// The step.
        node: NodeId,
        /// The next attempt.
        attempt: u32,
        /// Not before.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// The step is done.
    #[serde(rename = "step.succeeded")]
    StepSucceeded {
        /// The step.
        node: NodeId,
        /// What later steps see instead of the result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<Map>,
        /// Expectations with `severity: warn` that did not hold.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<String>,
    },
    /// The step has failed for good.
    #[serde(rename = "step.failed")]
    StepFailed {
        /// The step.
        node: NodeId,
        /// What went wrong.
        fault: Fault,
    },
    /// While planning: the step was prepared, or can't be yet, and nothing was changed.
    #[serde(rename = "step.planned")]
    StepPlanned {
        /// The step.
        node: NodeId,
        /// Why it could not be prepared, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown: Option<String>,
    },
    /// Text for the report.
    #[serde(rename = "note.written")]
    NoteWritten {
        /// The step.
        node: NodeId,
        /// Markdown.
        text: String,
    },
    /// A person is asked.
    #[serde(rename = "answer.asked")]
    AnswerAsked {
        /// The step.
        node: NodeId,
        /// What to do.
        instructions: String,
    },
    /// A person has answered.
    #[serde(rename = "answer.given")]
    AnswerGiven {
        /// The step.
        node: NodeId,
        /// Who.
        by: String,
        /// Done and right?
        confirmed: bool,
        /// What was entered.
        fields: Map,
        /// The message that brought it.
        message: u64,
    },
    /// A `stop` step was reached.
    #[serde(rename = "run.stopped")]
    RunStopped {
        /// The step.
        node: NodeId,
        /// As a success?
        succeeded: bool,
        /// Why.
        message: String,
    },
    /// From here on the run goes back; it never turns forward again.
    #[serde(rename = "rollback.started")]
    RollbackStarted {
        /// Why.
        reason: String,
        /// What will be undone, in this order.
        nodes: Vec<NodeId>,
        /// Who asked for it, when the run was finished already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requested_by: Option<String>,
        /// Undo also where the state is no longer what the run left.
        #[serde(default)]
        over_drift: bool,
    },
    /// An undo is about to happen. Durable before the first byte of it leaves.
    #[serde(rename = "undo.started")]
    UndoStarted {
        /// The step.
        node: NodeId,
        /// Which attempt of the undo.
        attempt: u32,
    },
    /// The undo was done; whether the state is what it was, a capture proves.
    #[serde(rename = "undo.succeeded")]
    UndoSucceeded {
        /// The step.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// What it gave.
        result: Value,
    },
    /// The undo failed.
    #[serde(rename = "undo.failed")]
    UndoFailed {
        /// The step.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// What went wrong.
        fault: Fault,
    },
    /// Nothing was undone: there was nothing to undo, or there is no way.
    #[serde(rename = "undo.skipped")]
    UndoSkipped {
        /// The step.
        node: NodeId,
        /// Why.
        reason: String,
        /// A change remains.
        remains: bool,
    },
    /// A person said what to do about an undo that failed.
    #[serde(rename = "undo.decided")]
    UndoDecided {
        /// The step.
        node: NodeId,
        /// Try again, or leave the change.
        retry: bool,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// The message that brought it.
        message: u64,
    },
    /// Somebody asked to stop.
    #[serde(rename = "run.cancel_requested")]
    CancelRequested {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// The message that brought it; a signal brings none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<u64>,
    },
    /// The steps of `on_failure` or `finally` begin.
    #[serde(rename = "phase.started")]
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// Another process took the run up.
    #[serde(rename = "run.resumed")]
    RunResumed {
        /// Who.
        by: String,
    },
    /// A message that nothing waited for.
    #[serde(rename = "message.ignored")]
    MessageIgnored {
        /// The message.
        message: u64,
        /// What it was.
        content: Box<Message>,
        /// Why it changes nothing.
        reason: String,
    },
    /// The run is over.
    #[serde(rename = "run.finished")]
    RunFinished {
        /// How.
        status: RunStatus,
        /// In a sentence.
        message: String,
    },
}

impl Event {
    /// The event's type, as the journal names it.
    pub fn kind(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.get("type").and_then(|t| t.as_str().map(str::to_owned)))
            .unwrap_or_default()
    }

    /// The step that it is about.
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::StepSkipped { node, .. }
            | Self::ItemsListed { node, .. }
            | Self::ChangePrepared { node, .. }
            | Self::ApprovalRequested { node, .. }
            | Self::ApprovalGiven { node, .. }
            | Self::ApprovalRejected { node, .. }
            | Self::ApprovalRefused { node, .. }
            | Self::ApprovalExpired { node }
            | Self::ApprovalVoided { node, .. }
            | Self::AttemptStarted { node, .. }
            | Self::AttemptSucceeded { node, .. }
            | Self::AttemptFailed { node, .. }
            | Self::AttemptInDoubt { node, .. }
            | Self::DecisionMade { node, .. }
            | Self::StateCaptured { node, .. }
            | Self::CaptureFailed { node, .. }
            | Self::RetryScheduled { node, .. }
            | Self::StepSucceeded { node, .. }
            | Self::StepFailed { node, .. }
            | Self::StepPlanned { node, .. }
            | Self::NoteWritten { node, .. }
            | Self::AnswerAsked { node, .. }
            | Self::AnswerGiven { node, .. }
            | Self::RunStopped { node, .. }
            | Self::UndoStarted { node, .. }
            | Self::UndoSucceeded { node, .. }
            | Self::UndoFailed { node, .. }
            | Self::UndoSkipped { node, .. }
            | Self::UndoDecided { node, .. } => Some(node),
            Self::RunCreated(_)
            | Self::RollbackStarted { .. }
            | Self::CancelRequested { .. }
            | Self::PhaseStarted { .. }
            | Self::RunResumed { .. }
            | Self::MessageIgnored { .. }
            | Self::RunFinished { .. } => None,
        }
    }

    /// The message that brought it.
    pub fn message(&self) -> Option<u64> {
        match self {
            Self::ApprovalGiven { message, .. }
            | Self::ApprovalRejected { message, .. }
            | Self::ApprovalRefused { message, .. }
            | Self::DecisionMade { message, .. }
            | Self::AnswerGiven { message, .. }
            | Self::UndoDecided { message, .. }
            | Self::MessageIgnored { message, .. } => Some(*message),
            Self::CancelRequested { message, .. } => *message,
            _ => None,
        }
    }
}
