//! The request for an approval: written once, and from then on only its bytes count.

use super::Ports;
use crate::{
    base::{Digest, NodeId, Timestamp, Value, time},
    diagnostics::codes,
    engine::{Outcome, Run},
    model::{
        Diff, Fault,
        approval::{DisplayParts, REQUEST_TYPE, Request},
        event::{Prepared, StepStatus},
        runbook::Step,
        view::{RunView, diff_json},
    },
};

/// How long a request waits where no policy says it.
const EXPIRES: std::time::Duration = std::time::Duration::from_secs(30 * 60);

/// Writes the request for making a step's change, or for undoing it.
pub(super) fn request(
    ports: &Ports,
    run: &Run,
    node: &NodeId,
    step: &Step,
    undo: bool,
) -> Result<Outcome, Fault> {
    let prepared = run
        .prepared(node)
        .ok_or_else(|| Fault::untouched(codes::RW9901, "the change was never prepared"))?;
    let now = ports.clock.now();
    let view = run.view(now);
    let asked = Asked::of(run, node, prepared, undo);
    let terms = Terms::of(run, prepared, now);
    let display = ports.approvals.display(&DisplayParts {
        environment: &run.created.environment,
        node,
        step_name: &run.title(step, node),
        attempt: run.attempts(node),
        target: &prepared.target,
        action: &action(&view, node),
        statement: asked.statement,
        rows: rows(&view, node),
        difference: asked.difference.as_ref(),
        rollback: asked.rollback,
        operator: &run.created.operator.name,
        run: &run.id,
        runbook: &run.created.runbook,
        runbook_digest: &run.created.runbook_digest,
        runbook_name: &run.created.name,
        description: &run.plan.runbook.description,
        so_far: &so_far(&view),
        required: terms.required,
        from: &terms.from,
        asked_at: now,
        expires_at: terms.expires_at,
    });
    let action = action(&view, node);
    let inputs = Value::Map(run.created.inputs.clone()).to_journal().to_string();
    let request = Request {
        r#type: REQUEST_TYPE.to_owned(),
        request_id: ports.clock.new_id(),
        journal: run.created.journal.clone(),
        run: run.id.clone(),
        runbook: run.created.name.clone(),
        runbook_digest: run.created.runbook_digest.clone(),
        environment: run.created.environment.clone(),
        policy_digest: run.created.project_digest.clone(),
        inputs_digest: Digest::of(inputs.as_bytes()),
        node: node.clone(),
        attempt: run.attempts(node),
        action: if undo { format!("undo {action}") } else { action },
        arguments: Value::Map(prepared.arguments.clone()).to_plain(),
        statement: asked.statement.to_owned(),
        target: prepared.target.clone(),
        before_digest: prepared
            .before
            .as_ref()
            .map_or_else(|| Digest::of(b""), |snapshot| snapshot.digest.clone()),
        difference: asked.difference.as_ref().map_or(serde_json::Value::Null, diff_json),
        rollback: asked.rollback.to_owned(),
        display,
        operator: run.created.operator.name.clone(),
        required: terms.required,
        from: terms.from,
        asked_at: now,
        expires_at: terms.expires_at,
    };
    written(&request)
}

/// What people are asked to agree to.
struct Asked<'a> {
    statement: &'a str,
    rollback: &'a str,
    difference: Option<Diff>,
}

impl<'a> Asked<'a> {
    fn of(run: &Run, node: &NodeId, prepared: &'a Prepared, undo: bool) -> Self {
        if undo {
            return Self {
                statement: &prepared.undo,
                rollback: "this is the rollback",
                difference: run.diff(node).map(Diff::reversed),
            };
        }
        Self {
            statement: &prepared.statement,
            rollback: &prepared.undo,
            difference: prepared.difference.clone(),
        }
    }
}

/// Who must agree, and until when.
struct Terms {
    required: u32,
    from: Vec<String>,
    expires_at: Timestamp,
}

impl Terms {
    fn of(run: &Run, prepared: &Prepared, now: Timestamp) -> Self {
        let policy = run.plan.environment.policy.approvals.as_ref();
        Self {
            required: run.required_approvals(prepared.reversible),
            from: policy.map(|p| p.from.clone()).unwrap_or_default(),
            expires_at: time::after(now, policy.map_or(EXPIRES, |p| p.expires)),
        }
    }
}

/// The bytes that count.
fn written(request: &Request) -> Result<Outcome, Fault> {
    let bytes = serde_json::to_string_pretty(request).map_err(|e| {
        Fault::untouched(codes::RW9901, "the request can't be written").detail(e.to_string())
    })?;
    let digest = Digest::of(bytes.as_bytes());
    let (required, expires_at) = (request.required, request.expires_at);
    Ok(Outcome::Requested { request: bytes, digest, required, expires_at })
}

fn action(view: &RunView, node: &NodeId) -> String {
    view.step(node).map(|s| s.action.clone()).unwrap_or_default()
}

/// How many rows the state before holds, where it has rows.
fn rows(view: &RunView, node: &NodeId) -> Option<u64> {
    let before = view.step(node)?.before.as_ref()?;
    Some(before.get("rows")?.as_list()?.len() as u64)
}

/// A line for each step that is over.
fn so_far(view: &RunView) -> Vec<String> {
    view.steps
        .iter()
        .filter(|s| {
            !matches!(s.status, StepStatus::Pending | StepStatus::Waiting | StepStatus::Running)
        })
        .map(|s| format!("{} {}: {}", s.status.as_str(), s.node, s.title))
        .collect()
}
