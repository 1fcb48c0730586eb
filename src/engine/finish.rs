//! When a step's attempt is over: do its expectations hold, and what do later steps see?

use super::{
    run::{Node, Run},
    scope::RunScope,
};
use crate::{
    base::{Map, NodeId, Timestamp, Value, time},
    diagnostics::codes,
    expression::{Escape, Failure},
    model::{
        diff::Diff,
        event::Event,
        fault::{Fault, World},
        runbook::{Retry, Step},
    },
};

/// What `steps.<id>` gives: outputs where the step has them, else its result, and for a change the
/// states before and after.
pub(super) fn exposed(node: &Node) -> Value {
    if let Some(outputs) = &node.outputs {
        return Value::Map(outputs.clone());
    }
    let mut fields = match &node.result {
        Some(Value::Map(map)) => map.clone(),
        Some(other) => Map::from_iter([("value".to_owned(), other.clone())]),
        None => Map::new(),
    };
    if let Some((_, _, answer)) = &node.answer {
        fields.extend(answer.clone());
    }
    if let Some(before) = node.prepared.as_ref().and_then(|p| p.before.as_ref()) {
        fields.insert("before".into(), before.state.clone());
    }
    if let Some(after) = &node.after {
        fields.insert("after".into(), after.state.clone());
    }
    if let Some(diff) = &node.diff {
        fields.insert("diff".into(), diff_value(diff));
    }
    Value::Map(fields)
}

/// A difference as expressions see it: a list of `{path, before, after}`.
pub(super) fn diff_value(diff: &Diff) -> Value {
    Value::List(
        diff.0
            .iter()
            .map(|d| {
                let mut entry = Map::new();
                entry.insert("path".into(), Value::text(&d.path));
                entry.insert("before".into(), d.before.clone().unwrap_or_default());
                entry.insert("after".into(), d.after.clone().unwrap_or_default());
                Value::Map(entry)
            })
            .collect(),
    )
}

/// A failure of an expression as a step's fault. Evaluating has no effect, so the world is what
/// it was.
pub(super) fn fault_of(failure: &Failure) -> Fault {
    let mut fault = Fault::untouched(failure.code, failure.message.clone());
    fault.help.clone_from(&failure.help);
    fault.place = Some(failure.place.to_string());
    fault
}

/// Judges an attempt that gave its result: success, another attempt, or failure.
pub(super) fn judge(run: &Run, step: &Step, id: &NodeId, now: Timestamp) -> Vec<Event> {
    let node = run.node(id).cloned().unwrap_or_default();
    let result = match (&node.result, &node.answer) {
        (_, Some((_, _, fields))) => Value::Map(fields.clone()),
        (Some(result), None) => result.clone(),
        (None, None) => Value::Null,
    };
    let scope = || RunScope::at(run, id).with("result", result.clone()).with_states();

    let mut findings = Vec::new();
    let mut fault = None;
    for expectation in &step.expect {
        match holds(expectation, &scope()) {
            Ok(None) => {}
            Ok(Some(unmet)) if expectation.warn => findings.push(unmet.message),
            Ok(Some(unmet)) => fault = fault.or(Some(unmet)),
            Err(failed) => fault = fault.or(Some(fault_of(&failed))),
        }
    }
    if let (None, Some(Retry { until: Some(until), .. })) = (&fault, &step.retry) {
        match until.evaluate(&scope()) {
            Ok(value) if value.is_true() => {}
            Ok(_) => {
                let message = format!("`{}` does not hold yet", until.text.trim());
                let mut unmet = Fault::untouched(codes::RW0708, message);
                unmet.place = Some(until.written.place.to_string());
                fault = Some(unmet);
            }
            Err(failed) => fault = Some(fault_of(&failed)),
        }
    }
    if let Some(mut fault) = fault {
        if run.awaits_a_change() {
            // It may hold once the changes before it are made.
            let unknown = format!("not known before the changes are made; now: {}", fault.message);
            return vec![Event::StepPlanned { node: id.clone(), unknown: Some(unknown) }];
        }
        if step.changes() {
            // The effect happened; only the step has failed.
            fault.world = World::Partial;
        }
        return retry_or_fail(step, id, &node, node.attempts, fault, now);
    }
    let mut outputs = Map::new();
    for (name, expression) in &step.outputs {
        match expression.evaluate(&scope()) {
            Ok(value) => {
                outputs.insert(name.clone(), value);
            }
            Err(failed) => {
                let world = if step.changes() { World::Partial } else { World::Untouched };
                let fault = fault_of(&failed).world(world);
                return vec![Event::StepFailed { node: id.clone(), fault }];
            }
        }
    }
    let outputs = (!step.outputs.is_empty()).then_some(outputs);
    vec![Event::StepSucceeded { node: id.clone(), outputs, findings }]
}

/// Another attempt where the step allows one, else the step's failure. A change is tried again
/// only when the attempt left nothing behind, which is proved. `tried` counts the attempts, also
/// one that failed while it was prepared.
pub(super) fn retry_or_fail(
    step: &Step,
    id: &NodeId,
    node: &Node,
    tried: u32,
    fault: Fault,
    now: Timestamp,
) -> Vec<Event> {
    use super::life::Life;
    let may_repeat = !step.changes() || matches!(node.life, Life::FailedClean | Life::Pending);
    let tried = tried.max(1);
    if let Some(retry) = &step.retry
        && tried < retry.attempts
        && may_repeat
    {
        let factor = retry.backoff.max(1.0).powi(tried.saturating_sub(1).min(30) as i32);
        // A delay beyond a day is a mistake of the arithmetic, not a wish.
        let delay =
            retry.delay.mul_f64(factor.min(1e6)).min(std::time::Duration::from_secs(86_400));
        return vec![Event::RetryScheduled {
            node: id.clone(),
            attempt: tried + 1,
            at: time::after(now, delay),
            reason: fault.message,
        }];
    }
    vec![Event::StepFailed { node: id.clone(), fault }]
}

fn holds(
    expectation: &crate::model::runbook::Expectation,
    scope: &RunScope<'_>,
) -> Result<Option<Fault>, Failure> {
    if expectation.that.evaluate(scope)?.is_true() {
        return Ok(None);
    }
    let text = expectation.that.text.trim();
    let message = match &expectation.message {
        Some(message) => message.render(scope, Escape::None)?.to_string(),
        None => format!("expected `{text}`, which does not hold"),
    };
    let mut fault = Fault::untouched(codes::RW0708, message);
    fault.place = Some(expectation.that.written.place.to_string());
    let found: Vec<_> = expectation
        .that
        .names()
        .iter()
        .filter_map(|name| {
            let path: Vec<_> = name.path.iter().map(String::as_str).collect();
            let (value, used) = crate::expression::Scope::lookup(scope, &path).ok()?;
            let leaf = path[used..].iter().try_fold(value.as_ref(), |v, key| v.get(key))?;
            let shown = leaf.to_string();
            let short: String = shown.chars().take(200).collect();
            Some(format!("{} = {short}{}", path.join("."), if short == shown { "" } else { " …" }))
        })
        .collect();
    if !found.is_empty() {
        fault = fault.detail(found.join("\n"));
    }
    Ok(Some(fault))
}
