//! Filling in an action's arguments, and what is shown of them.

use std::collections::{BTreeSet, HashMap};

use super::Ports;
use crate::{
    base::{Digest, Map, NodeId, Secret, Value},
    engine::{Run, RunScope},
    expression::Failure,
    model::{
        Fault,
        event::Snapshot,
        runbook::{ActionCall, Tree},
    },
    ports::{Arguments, Captured},
};

/// Rendered arguments, with what the journal may hold of them.
pub(super) struct Rendered {
    pub(super) arguments: Arguments,
    /// Redacted, secrets as `name@version`.
    pub(super) shown: Map,
    /// Keyed, over the exact values with their secrets.
    pub(super) digest: Digest,
}

/// States that an argument may refer to besides what the run knows.
#[derive(Default)]
pub(super) struct States {
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// Fills in every template of a call.
pub(super) async fn render(
    ports: &Ports,
    run: &Run,
    node: &NodeId,
    call: &ActionCall,
    states: States,
) -> Result<Rendered, Fault> {
    let secrets = secrets_of(ports, call).await?;
    let mut scope = RunScope::at(run, node).with_secrets(&secrets);
    for (name, state) in [("before", states.before), ("after", states.after)] {
        if let Some(state) = state {
            scope = scope.with(name, state);
        }
    }
    let mut values = Map::new();
    for (name, tree) in &call.arguments {
        let value = tree.render(&scope).map_err(|failure| fault_of(&failure))?;
        values.insert(name.clone(), value);
    }
    let exact = Value::Map(values.clone()).to_wire().to_string();
    let digest = ports.seal.digest(format!("{}\n{exact}", call.action).as_bytes());
    let (shown, _) = ports.redactor.value(&Value::Map(values.clone()));
    let shown = shown.as_map().cloned().unwrap_or_default();
    Ok(Rendered { arguments: Arguments::new(values), shown, digest })
}

/// Fetches the secrets that a call's templates name.
async fn secrets_of(ports: &Ports, call: &ActionCall) -> Result<HashMap<String, Secret>, Fault> {
    let names: BTreeSet<String> = call
        .arguments
        .values()
        .flat_map(Tree::templates)
        .flat_map(crate::expression::Template::names)
        .filter(|name| name.path[0] == "secrets")
        .filter_map(|name| name.path.get(1).cloned())
        .collect();
    let mut secrets = HashMap::new();
    for name in names {
        secrets.insert(name.clone(), ports.secrets.fetch(&name).await?);
    }
    Ok(secrets)
}

/// A template without a value, as a fault of the step.
pub(super) fn fault_of(failure: &Failure) -> Fault {
    let mut fault = Fault::untouched(failure.code, failure.message.clone());
    fault.help.clone_from(&failure.help);
    fault.place = Some(failure.place.to_string());
    fault
}

/// A call in words: the action and its arguments, one a line. Complete: what is not here is not
/// sent.
pub(super) fn describe(call: &ActionCall, shown: &Map) -> String {
    let mut out = call.action.clone();
    for (name, value) in shown {
        let text = value.to_string();
        if text.contains('\n') {
            out.push_str(&format!("\n  {name}: |"));
            for line in text.lines() {
                out.push_str(&format!("\n    {line}"));
            }
        } else {
            out.push_str(&format!("\n  {name}: {text}"));
        }
    }
    out
}

/// What the journal keeps of a captured state.
pub(super) fn snapshot(ports: &Ports, captured: &Captured) -> Result<Snapshot, Fault> {
    let exact = captured.state.to_journal().to_string();
    let (state, changed) = ports.redactor.value(&captured.state);
    let sealed = if changed { Some(ports.seal.seal(exact.as_bytes())?) } else { None };
    Ok(Snapshot {
        state,
        key: captured.key.clone(),
        digest: ports.seal.digest(exact.as_bytes()),
        sealed,
    })
}

/// The exact state behind a snapshot.
pub(super) fn exact(ports: &Ports, snapshot: &Snapshot) -> Result<Value, Fault> {
    let Some(sealed) = &snapshot.sealed else { return Ok(snapshot.state.clone()) };
    let damaged = |what: String| {
        Fault::untouched(
            crate::diagnostics::codes::RW0801,
            format!("the sealed state can't be read: {what}"),
        )
    };
    let bytes = ports.seal.open(sealed)?;
    let json = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    Value::from_journal(json).map_err(damaged)
}

/// A fault without anything that must not be seen.
pub(super) fn redacted(ports: &Ports, mut fault: Fault) -> Fault {
    fault.message = ports.redactor.text(&fault.message);
    fault.detail = fault.detail.map(|d| ports.redactor.text(&d));
    fault.help = fault.help.map(|h| ports.redactor.text(&h));
    fault.result = fault.result.map(|r| ports.redactor.value(&r).0);
    fault
}
