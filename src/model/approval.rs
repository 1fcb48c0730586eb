//! The request for an approval, and decisions on it.
//!
//! The request is serialised once; from then on only its exact bytes count: they are kept, shown,
//! signed and verified, never serialised again.

use serde::{Deserialize, Serialize};

use crate::base::{Digest, NodeId, RunId, Timestamp};

/// Type and version of a request document.
pub const REQUEST_TYPE: &str = "runward.request/v1";
/// Type and version of a decision document.
pub const DECISION_TYPE: &str = "runward.decision/v1";
/// Namespace of SSH signatures over decisions (`ssh-keygen -Y sign -n runward`).
pub const NAMESPACE: &str = "runward";

/// What an approver is asked to agree to: everything that will happen, on what, from which state,
/// and how it would be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `REQUEST_TYPE`.
    pub r#type: String,
    /// 128 random bits, so that no two requests are alike.
    pub request_id: String,
    /// The journal's identity: no replay to another installation.
    pub journal: String,
    /// The run.
    pub run: RunId,
    /// The runbook's name.
    pub runbook: String,
    /// Digest of the runbook with all its files.
    pub runbook_digest: Digest,
    /// The environment's name.
    pub environment: String,
    /// Digest of the project file: policy, people, targets.
    pub policy_digest: Digest,
    /// Digest of the inputs.
    pub inputs_digest: Digest,
    /// The step.
    pub node: NodeId,
    /// Which attempt.
    pub attempt: u32,
    /// The action's name.
    pub action: String,
    /// The rendered arguments, secrets as `name@version`.
    pub arguments: serde_json::Value,
    /// What will be sent, in full.
    pub statement: String,
    /// What the target turned out to be.
    pub target: String,
    /// Digest of the state before.
    pub before_digest: Digest,
    /// The predicted difference, in the plain JSON form.
    pub difference: serde_json::Value,
    /// What undoing would do, or why it can't.
    pub rollback: String,
    /// The text that the approver is shown.
    pub display: String,
    /// Who asks.
    pub operator: String,
    /// How many people must agree.
    pub required: u32,
    /// Out of these groups; empty: any known person.
    pub from: Vec<String>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it stops to count.
    pub expires_at: Timestamp,
}

/// Approve or reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may happen.
    Approve,
    /// It must not happen.
    Reject,
}

/// A decision as it travels: for an approval the signature is over the request's exact bytes (so
/// that `ssh-keygen -Y sign -n runward request.json` makes one); for a rejection there may be none,
/// since a rejection only ever stops something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedDecision {
    /// Approve or reject.
    pub verdict: Verdict,
    /// Who says they are deciding; an approval counts for the person whose key signed it.
    pub by: String,
    /// Why; required for a rejection.
    pub reason: String,
    /// When it was given, by the decider's clock.
    pub at: Timestamp,
    /// Armoured SSH signature.
    pub signature: Option<String>,
}

/// A decision whose signature was verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// The person, as `people` names them.
    pub by: String,
    /// SHA-256 fingerprint of the key that signed.
    pub key: String,
    /// Approve or reject.
    pub decision: Verdict,
    /// When it was given.
    pub at: Timestamp,
    /// Why, if said.
    pub reason: String,
    /// SHA-256 of the request's bytes.
    pub digest: Digest,
    /// Armoured SSH signature over the request's bytes.
    pub signature: Option<String>,
}

/// What the text that an approver is shown is made of.
#[derive(Clone, Debug)]
pub struct DisplayParts<'a> {
    /// The environment's name.
    pub environment: &'a str,
    /// The step.
    pub node: &'a NodeId,
    /// The step's name; may be empty.
    pub step_name: &'a str,
    /// Which attempt.
    pub attempt: u32,
    /// What the target turned out to be.
    pub target: &'a str,
    /// The action's name.
    pub action: &'a str,
    /// What will be sent, in full.
    pub statement: &'a str,
    /// How many rows it touches, where that is known.
    pub rows: Option<u64>,
    /// What will differ; `None` when that can't be known before.
    pub difference: Option<&'a super::diff::Diff>,
    /// What undoing would do, or why it can't.
    pub rollback: &'a str,
    /// Who asks.
    pub operator: &'a str,
    /// The run.
    pub run: &'a RunId,
    /// The runbook's path or id.
    pub runbook: &'a str,
    /// Digest of the runbook with all its files.
    pub runbook_digest: &'a Digest,
    /// The runbook's name.
    pub runbook_name: &'a str,
    /// What the runbook is for; may be empty.
    pub description: &'a str,
    /// What happened in the run so far, a line each.
    pub so_far: &'a [String],
    /// How many people must agree.
    pub required: u32,
    /// Out of these groups; empty: any known person.
    pub from: &'a [String],
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it stops to count.
    pub expires_at: Timestamp,
}
