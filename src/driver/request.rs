//! The request for an approval: written once, and from then on only its bytes count.

use super::Ports;
use crate::{
    base::{Digest, NodeId, Value, time},
    diagnostics::codes,
    engine::{Outcome, Run},
    model::{
        Fault,
        approval::{DisplayParts, REQUEST_TYPE, Request},
        event::StepStatus,
        runbook::Step,
        view::diff_json,
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
    let policy = run.plan.environment.policy.approvals.as_ref();
    let required = run.required_approvals(prepared.reversible);
    let from = policy.map(|p| p.from.clone()).unwrap_or_default();
    let expires_at = time::after(now, policy.map_or(EXPIRES, |p| p.expires));
    let view = run.view(now);
    let action = view.step(node).map(|s| s.action.clone()).unwrap_or_default();
    let title = run.title(step, node);
    let so_far = so_far(&view);
    let (statement, rollback, difference) = if undo {
        let back = run.diff(node).map(|d| d.reversed());
        (prepared.undo.as_str(), "this is the rollback", back)
    } else {
        (prepared.statement.as_str(), prepared.undo.as_str(), prepared.difference.clone())
    };
    let rows =
        view.step(node).and_then(|s| s.before.as_ref()?.get("rows")?.as_list().map(<[_]>::len));
    let display = ports.approvals.display(&DisplayParts {
        environment: &run.created.environment,
        node,
        step_name: &title,
        attempt: run.attempts(node),
        target: &prepared.target,
        action: &action,
        statement,
        rows: rows.map(|n| n as u64),
        difference: difference.as_ref(),
        rollback,
        operator: &run.created.operator.name,
        run: &run.id,
        runbook: &run.created.runbook,
        runbook_digest: &run.created.runbook_digest,
        runbook_name: &run.created.name,
        description: &run.plan.runbook.description,
        so_far: &so_far,
        required,
        from: &from,
        asked_at: now,
        expires_at,
    });
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
        statement: statement.to_owned(),
        target: prepared.target.clone(),
        before_digest: prepared
            .before
            .as_ref()
            .map_or_else(|| Digest::of(b""), |snapshot| snapshot.digest.clone()),
        difference: difference.as_ref().map_or(serde_json::Value::Null, diff_json),
        rollback: rollback.to_owned(),
        display,
        operator: run.created.operator.name.clone(),
        required,
        from,
        asked_at: now,
        expires_at,
    };
    let bytes = serde_json::to_string_pretty(&request).map_err(|e| {
        Fault::untouched(codes::RW9901, "the request can't be written").detail(e.to_string())
    })?;
    let digest = Digest::of(bytes.as_bytes());
    Ok(Outcome::Requested { request: bytes, digest, required, expires_at })
}

/// A line for each step that is over.
fn so_far(view: &crate::model::view::RunView) -> Vec<String> {
    view.steps
        .iter()
        .filter(|s| {
            !matches!(s.status, StepStatus::Pending | StepStatus::Waiting | StepStatus::Running)
        })
        .map(|s| format!("{} {}: {}", s.status.as_str(), s.node, s.title))
        .collect()
}
