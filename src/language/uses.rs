//! Every place of a runbook in which a name may be used.
//!
//! Owns the walk over steps and their expressions. Must not know what is allowed where: that is for
//! the checks.

use crate::{
    expression::{Escape, Expression, NameUse, Template},
    model::runbook::{ActionCall, Body, Runbook, Step, Tree, TreeNode, Undo},
};

/// Which part of a run a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `steps`.
    Steps,
    /// `on_failure`.
    OnFailure,
    /// `finally`.
    Finally,
}

/// A step with what is around it.
pub(super) struct Position<'a> {
    pub(super) step: &'a Step,
    pub(super) part: Part,
    /// The groups around it, outermost first.
    pub(super) parents: Vec<&'a Step>,
}

/// Every step in the order in which it is written, a group before what is in it.
pub(super) fn positions(runbook: &Runbook) -> Vec<Position<'_>> {
    fn walk<'a>(steps: &'a [Step], part: Part, parents: &[&'a Step], out: &mut Vec<Position<'a>>) {
        for step in steps {
            out.push(Position { step, part, parents: parents.to_vec() });
            if let Body::Group(inner) = &step.body {
                let parents: Vec<_> = parents.iter().copied().chain([step]).collect();
                walk(inner, part, &parents, out);
            }
        }
    }
    let mut out = Vec::new();
    walk(&runbook.steps, Part::Steps, &[], &mut out);
    walk(&runbook.on_failure, Part::OnFailure, &[], &mut out);
    walk(&runbook.finally, Part::Finally, &[], &mut out);
    out
}

/// When a text of a step is filled in, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `foreach.in`: before there are items.
    Items,
    /// Before or instead of the action: title, `when`, notes, instructions.
    Text,
    /// An argument of an action.
    Argument(Escape),
    /// An argument of a change's `apply`, after the capture.
    Apply(Escape),
    /// An argument of a change's `rollback`.
    Rollback(Escape),
    /// After the action: `expect`, `until`, `outputs`.
    After,
}

/// The names that a step uses, each text with its role.
pub(super) fn uses(step: &Step) -> Vec<(Role, Vec<NameUse>)> {
    let mut out = Vec::new();
    let mut template = |role, t: Option<&Template>| out.extend(t.map(|t| (role, t.names())));
    template(Role::Text, step.name.as_ref());
    match &step.body {
        Body::Note(note) => template(Role::Text, Some(note)),
        Body::Manual(manual) => template(Role::Text, Some(&manual.instructions)),
        Body::Stop(stop) => template(Role::Text, stop.message.as_ref()),
        _ => {}
    }
    for expectation in &step.expect {
        template(Role::After, expectation.message.as_ref());
    }
    let mut expression = |role, e: Option<&Expression>| out.extend(e.map(|e| (role, e.names())));
    expression(Role::Items, step.foreach.as_ref().map(|f| &f.items));
    expression(Role::Text, step.when.as_ref());
    expression(Role::After, step.retry.as_ref().and_then(|r| r.until.as_ref()));
    for expectation in &step.expect {
        expression(Role::After, Some(&expectation.that));
    }
    for output in step.outputs.values() {
        expression(Role::After, Some(output));
    }
    for (call, role) in calls(step) {
        for tree in call.arguments.values() {
            escaped(tree, &mut |template, escape| out.push((role(escape), template.names())));
        }
    }
    out
}

/// The role of an argument that is written with this escape.
type RoleOf = fn(Escape) -> Role;

/// The actions that a step calls itself, with the role of their arguments.
pub(super) fn calls(step: &Step) -> Vec<(&ActionCall, RoleOf)> {
    match &step.body {
        Body::Action(call) => vec![(call, Role::Argument)],
        Body::Change(change) => {
            let mut calls: Vec<(&ActionCall, RoleOf)> = Vec::new();
            calls.extend(change.capture.as_ref().map(|c| (c, Role::Argument as fn(_) -> _)));
            calls.push((&change.apply, Role::Apply));
            if let Undo::Action(undo) = &change.undo {
                calls.push((undo, Role::Rollback));
            }
            calls
        }
        _ => Vec::new(),
    }
}

/// Every template of a written value, with how it is rendered.
pub(super) fn escaped<'t>(tree: &'t Tree, each: &mut dyn FnMut(&'t Template, Escape)) {
    match &tree.node {
        TreeNode::Constant(_) => {}
        TreeNode::Template(template, escape) => each(template, *escape),
        TreeNode::List(items) => items.iter().for_each(|t| escaped(t, each)),
        TreeNode::Map(map) => map.values().for_each(|t| escaped(t, each)),
    }
}
