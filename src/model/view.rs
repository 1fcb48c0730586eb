//! `RunView`: what anybody is shown of a run. Produced by the engine from the fold, and the only
//! source of "status" for command line, reports and pages.

use serde::Serialize;
use serde_json::Value as Json;

use super::{
    approval::{Approval, Verdict},
    diff::Diff,
    event::{Operator, Phase, RunStatus, StepStatus},
    fault::Fault,
};
use crate::base::{Digest, Map, NodeId, RunId, Timestamp, Value};

/// A run, as it is known now.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// The runbook's name.
    pub name: String,
    /// The runbook's path.
    pub runbook: String,
    /// Digest of the runbook.
    pub digest: Digest,
    /// Description of the runbook.
    pub description: String,
    /// The environment.
    pub environment: String,
    /// Who started it.
    pub operator: Operator,
    /// Who asks for what needs an approval: the operator, or whoever wants a finished run undone.
    pub asker: String,
    /// Status.
    pub status: RunStatus,
    /// What is being done.
    pub phase: Phase,
    /// How it ended, in a sentence.
    pub message: Option<String>,
    /// When it was created.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Inputs.
    pub inputs: Map,
    /// The first step that failed.
    pub failed_step: Option<NodeId>,
    /// Only reads and previews.
    pub plan: bool,
    /// The run whose changes this one undoes.
    pub undoes: Option<String>,
    /// Its steps, one an item, in order.
    pub steps: Vec<StepView>,
    /// Number of events.
    pub events: u64,
    /// Hash of the newest.
    pub head: Digest,
}

/// A step, as it is known now.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Which.
    pub node: NodeId,
    /// Ids of the enclosing groups, outermost first.
    pub path: Vec<String>,
    /// Which part of the runbook it belongs to.
    pub phase: Phase,
    /// Title.
    pub title: String,
    /// The item of `foreach`.
    pub item: Option<Value>,
    /// The action, or the kind of step.
    pub action: String,
    /// `read`, `change` or none.
    pub effect: Option<&'static str>,
    /// Status.
    pub status: StepStatus,
    /// Attempts begun.
    pub attempts: u32,
    /// When the first began.
    pub started_at: Option<Timestamp>,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
    /// What it gave.
    pub result: Option<Value>,
    /// What later steps see instead.
    pub outputs: Option<Map>,
    /// What went wrong.
    pub error: Option<Fault>,
    /// Expectations with `severity: warn` that did not hold.
    pub findings: Vec<String>,
    /// Why it was skipped, or could not be planned.
    pub reason: Option<String>,
    /// What was, or would be, sent.
    pub statement: Option<String>,
    /// The target's identity.
    pub target: Option<String>,
    /// The state before.
    pub before: Option<Value>,
    /// The state after.
    pub after: Option<Value>,
    /// The predicted difference.
    pub preview: Option<Diff>,
    /// The difference made.
    pub diff: Option<Diff>,
    /// What was seen after an attempt that failed half-way or is in doubt: the difference from the
    /// state before.
    pub doubt: Option<Diff>,
    /// What undoing would do.
    pub undo: Option<String>,
    /// Can it be undone?
    pub reversible: bool,
    /// The open request, if it waits for one.
    pub request: Option<RequestView>,
    /// Decisions.
    pub approvals: Vec<Approval>,
    /// Decisions that did not count, and why; and approvals that became void.
    pub refusals: Vec<String>,
    /// The question, if it waits for an answer or got one.
    pub question: Option<String>,
    /// Text for the report.
    pub note: Option<String>,
    /// What became of undoing it.
    pub rollback: Option<RollbackView>,
}

/// An open request for approval.
#[derive(Clone, Debug)]
pub struct RequestView {
    /// The request's exact bytes.
    pub bytes: String,
    /// Their digest.
    pub digest: Digest,
    /// How many people.
    pub required: u32,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// What became of undoing a step.
#[derive(Clone, Debug)]
pub struct RollbackView {
    /// `pending`, `running`, `proved`, `unproved`, `failed`, `skipped`, `left`.
    pub status: &'static str,
    /// Why, in words.
    pub message: Option<String>,
    /// What differs from the state before, once captured.
    pub residual: Option<Diff>,
    /// The state after undoing.
    pub restored: Option<Value>,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
}

impl RunView {
    /// The JSON that people script against.
    pub fn to_json(&self) -> Json {
        serde_json::json!({
            "id": self.id,
            "name": self.name,
            "runbook": {"path": self.runbook, "digest": self.digest},
            "environment": self.environment,
            "operator": self.operator.name,
            "status": self.status,
            "message": self.message,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "inputs": plain_map(&self.inputs),
            "failed_step": self.failed_step,
            "steps": self.steps.iter().map(StepView::to_json).collect::<Vec<_>>(),
            "journal": {"events": self.events, "head": self.head},
        })
    }

    /// The step of this name; with items where it has them.
    pub fn step(&self, node: &NodeId) -> Option<&StepView> {
        self.steps.iter().find(|s| s.node == *node)
    }

    /// Steps whose request waits for somebody.
    pub fn waiting_for_approval(&self) -> impl Iterator<Item = &StepView> {
        self.steps.iter().filter(|s| s.request.is_some())
    }
}

impl StepView {
    /// The JSON that people script against.
    pub fn to_json(&self) -> Json {
        serde_json::json!({
            "id": self.node,
            "path": self.path,
            "name": self.title,
            "phase": self.phase,
            "item": self.item.as_ref().map(Value::to_plain),
            "action": self.action,
            "effect": self.effect,
            "status": self.status,
            "attempts": self.attempts,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "result": self.result.as_ref().map(Value::to_plain),
            "outputs": self.outputs.as_ref().map(plain_map),
            "error": self.error.as_ref().map(fault_json),
            "findings": self.findings,
            "reason": self.reason,
            "statement": self.statement,
            "target": self.target,
            "before": self.before.as_ref().map(Value::to_plain),
            "after": self.after.as_ref().map(Value::to_plain),
            "preview": self.preview.as_ref().map(diff_json),
            "diff": self.diff.as_ref().map(diff_json),
            "doubt": self.doubt.as_ref().map(diff_json),
            "approvals": self.approvals.iter().map(|a| ApprovalJson {
                by: &a.by,
                at: a.at,
                decision: a.decision,
                digest: &a.digest,
                key: &a.key,
                reason: &a.reason,
            }).collect::<Vec<_>>(),
            "refusals": self.refusals,
            "waiting": self.request.as_ref().map(|r| serde_json::json!({
                "digest": r.digest, "required": r.required,
                "asked_at": r.asked_at, "expires_at": r.expires_at,
            })),
            "note": self.note,
            "rollback": self.rollback.as_ref().map(|r| serde_json::json!({
                "status": r.status,
                "message": r.message,
                "residual": r.residual.as_ref().map(diff_json),
                "finished_at": r.finished_at,
            })),
        })
    }
}

#[derive(Serialize)]
struct ApprovalJson<'a> {
    by: &'a str,
    at: Timestamp,
    decision: Verdict,
    digest: &'a Digest,
    key: &'a str,
    reason: &'a str,
}

fn plain_map(map: &Map) -> Json {
    Json::Object(map.iter().map(|(k, v)| (k.clone(), v.to_plain())).collect())
}

fn fault_json(fault: &Fault) -> Json {
    serde_json::json!({
        "code": fault.code, "message": fault.message, "detail": fault.detail,
        "help": fault.help, "world": fault.world, "place": fault.place,
    })
}

/// A difference in the plain JSON form; an absent side is left out, a NULL is `null`.
pub fn diff_json(diff: &Diff) -> Json {
    diff.0
        .iter()
        .map(|d| {
            let mut entry = serde_json::Map::new();
            entry.insert("path".into(), Json::String(d.path.clone()));
            for (name, side) in [("before", &d.before), ("after", &d.after)] {
                if let Some(value) = side {
                    entry.insert(name.into(), value.to_plain());
                }
            }
            Json::Object(entry)
        })
        .collect()
}
