//! `RW0402`, `RW0407`: a step uses results of steps that run before it, and fields that they have.
//!
//! Owns what later steps see of an earlier one. Must not know other names.

use std::collections::HashMap;

use super::Context;
use crate::{
    base::Place,
    diagnostics::{Diagnostic, codes, suggest},
    expression::NameUse,
    language::uses::{self, Position, Role},
    model::runbook::{ActionCall, Body, Step},
};

/// What can be used of a step.
enum Gives {
    /// Anything: its fields are not known.
    Open,
    /// These fields.
    Fields(Vec<String>),
    /// Nothing.
    Nothing,
}

pub(super) fn check(context: &Context<'_>) -> Vec<Diagnostic> {
    let positions = uses::positions(context.runbook);
    let mut index = HashMap::new();
    for (at, position) in positions.iter().enumerate() {
        index.entry(position.step.id.as_str()).or_insert(at);
    }
    let mut out = Vec::new();
    for (at, position) in positions.iter().enumerate() {
        for (role, names) in uses::uses(position.step) {
            for name in &names {
                let found = match name.path.first().map(String::as_str) {
                    Some("steps") => step(context, &positions, &index, at, name),
                    Some(root @ ("result" | "before" | "after")) if role != Role::Items => {
                        own(context, position.step, root, name)
                    }
                    _ => None,
                };
                out.extend(found);
            }
        }
    }
    out
}

/// A use of `steps.<id>…` by the step at `at`.
fn step(
    context: &Context<'_>,
    positions: &[Position<'_>],
    index: &HashMap<&str, usize>,
    at: usize,
    name: &NameUse,
) -> Option<Diagnostic> {
    let id = name.path.get(1)?;
    let place = name.places.get(1).or(name.places.first())?;
    let user = &positions[at];
    let refuse = |message: String, help: &str| {
        Some(Diagnostic::error(codes::RW0402, place.clone(), message).help(help))
    };
    let Some(found) = index.get(id.as_str()).copied() else {
        let help = suggest(id, index.keys().copied())
            .unwrap_or_else(|| "`steps` holds the results of earlier steps by their `id`".into());
        return refuse(format!("there is no step `{id}`"), &help);
    };
    let used = &positions[found];
    if found == at {
        return refuse(
            format!("`{id}` is this step itself"),
            "its own result is `result`, in `expect`, `outputs` and `until`",
        );
    }
    if user.parents.iter().any(|p| p.id == *id) {
        return refuse(
            format!("`{id}` is the group around this step"),
            "use the results of single steps in it",
        );
    }
    if found > at {
        let message = format!("the step `{id}` comes later");
        return Some(
            Diagnostic::error(codes::RW0402, place.clone(), message)
                .related(used.step.place.clone(), "here")
                .help("move one of the two, so that the result is there when it is used"),
        );
    }
    let repeated = used
        .parents
        .iter()
        .find(|p| p.foreach.is_some() && !user.parents.iter().any(|mine| std::ptr::eq(*mine, **p)));
    if let Some(group) = repeated {
        return refuse(
            format!("`{id}` runs once for each item of `{}`, so it has no single result", group.id),
            "use it inside of that group",
        );
    }
    field(context, used.step, name, 2, &format!("steps.{id}"))
}

/// A use of `result`, `before` or `after` by the step itself.
fn own(context: &Context<'_>, step: &Step, root: &str, name: &NameUse) -> Option<Diagnostic> {
    let gives = match (root, &step.body) {
        ("result", _) => gives_body(context, step),
        (_, Body::Change(change)) => {
            change.capture.as_ref().map_or(Gives::Open, |c| gives_call(context, c))
        }
        _ => Gives::Open,
    };
    match gives {
        Gives::Fields(fields) => missing(name, 1, root, &fields),
        Gives::Open | Gives::Nothing => None,
    }
}

/// Checks the segment behind a step's id.
fn field(
    context: &Context<'_>,
    step: &Step,
    name: &NameUse,
    segment: usize,
    path: &str,
) -> Option<Diagnostic> {
    if context.broken.contains(&step.id) {
        return None;
    }
    let gives = gives(context, step);
    if step.foreach.is_some() && !matches!(gives, Gives::Nothing) {
        let found = name.path.get(segment)?;
        if found == "items" {
            return None;
        }
        let place = name.places.get(segment).or(name.places.first())?;
        let message = format!("`{}` ran once for each item", step.id);
        return Some(
            Diagnostic::error(codes::RW0407, place.clone(), message)
                .help(format!("use `{path}.items`, a list: `{path}.items[0].{found}`")),
        );
    }
    match gives {
        Gives::Open => None,
        Gives::Fields(fields) => missing(name, segment, path, &fields),
        Gives::Nothing => {
            let place = name.places.get(1).or(name.places.first())?;
            let message = format!("the step `{}` has no result", step.id);
            let help = match step.body {
                Body::Group(_) => "use the result of a step in the group",
                _ => "actions, changes and manual steps have one",
            };
            Some(Diagnostic::error(codes::RW0407, place.clone(), message).help(help))
        }
    }
}

fn missing(name: &NameUse, segment: usize, path: &str, fields: &[String]) -> Option<Diagnostic> {
    let found = name.path.get(segment)?;
    if fields.contains(found) || name.optional {
        return None;
    }
    let place: &Place = name.places.get(segment).or(name.places.first())?;
    let message = format!("`{path}` has no field `{found}`");
    let known = || fields.iter().map(String::as_str);
    let help = suggest(found, known()).unwrap_or_else(|| {
        let list = known().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ");
        format!("there are {list}")
    });
    Some(Diagnostic::error(codes::RW0407, place.clone(), message).help(help))
}

fn gives(context: &Context<'_>, step: &Step) -> Gives {
    if !step.outputs.is_empty() {
        return Gives::Fields(step.outputs.keys().cloned().collect());
    }
    gives_body(context, step)
}

fn gives_body(context: &Context<'_>, step: &Step) -> Gives {
    match &step.body {
        Body::Action(call) => gives_call(context, call),
        Body::Change(change) => gives_call(context, &change.apply),
        // A bare confirmation: who gave it is for the report, not for later steps.
        Body::Manual(manual) if manual.fields.is_empty() => Gives::Open,
        Body::Manual(manual) => Gives::Fields(manual.fields.keys().cloned().collect()),
        Body::Group(_) | Body::Check | Body::Note(_) | Body::Stop(_) => Gives::Nothing,
    }
}

fn gives_call(context: &Context<'_>, call: &ActionCall) -> Gives {
    match context.catalogue.get(&call.action) {
        // A script returns what it likes.
        Some(spec) if spec.name != "lua" && !spec.result.is_empty() => {
            Gives::Fields(spec.result.iter().map(|f| f.name.clone()).collect())
        }
        _ => Gives::Open,
    }
}
