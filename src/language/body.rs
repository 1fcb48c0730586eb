//! Reads what a step does: a change, a group, a check, a note, a person's work, an early end.
//!
//! Owns these kinds' own keys. Must not know the arguments of actions.

use super::{Reader, step::BODIES, templates};
use crate::{
    diagnostics::{Diagnostic, codes, nearest},
    model::{
        Effect,
        runbook::{ActionCall, Body, Change, Expectation, Manual, Stop, Undo},
    },
    yaml::{
        Entry, Node, Shape,
        scalars::Typed,
        shape::{self, Fields},
    },
};

impl Reader<'_> {
    /// What the key says. Expectations of a `check` are added to the step's.
    pub(super) fn body(&mut self, entry: &Entry, expect: &mut Vec<Expectation>) -> Option<Body> {
        let node = &entry.value;
        match &*entry.key.text {
            "change" => Some(Body::Change(Box::new(self.change(entry)?))),
            "steps" => {
                let steps = self.steps(node, "steps");
                if steps.is_empty() {
                    let message = "a group must hold at least one step";
                    let place = entry.key.place.clone();
                    self.out.push(Diagnostic::error(codes::RW0202, place, message));
                }
                Some(Body::Group(steps))
            }
            "check" => self.check(entry, expect),
            "note" => templates::template(node, "`note`", &mut self.out).map(Body::Note),
            "manual" => self.manual(node).map(Body::Manual),
            "stop" => self.stop(node).map(Body::Stop),
            _ => self.call(entry).map(Body::Action),
        }
    }

    fn check(&mut self, entry: &Entry, expect: &mut Vec<Expectation>) -> Option<Body> {
        let bare = match &entry.value.shape {
            Shape::Scalar(s) => matches!(s.typed(), Typed::Bool(true) | Typed::Null),
            Shape::Map(entries) => entries.is_empty(),
            Shape::List(_) => false,
        };
        let before = self.out.len();
        if !bare {
            let more = self.expectations(&entry.value);
            expect.extend(more);
        }
        if expect.is_empty() && self.out.len() == before {
            let message = "this check expects nothing";
            self.out.push(
                Diagnostic::error(codes::RW0202, entry.key.place.clone(), message)
                    .help("write `check: [expression, …]`, or add `expect`"),
            );
            return None;
        }
        Some(Body::Check)
    }

    fn change(&mut self, entry: &Entry) -> Option<Change> {
        let mut fields = Fields::of(&entry.value, "a change", &mut self.out)?;
        let capture = fields.get("capture");
        let apply = fields.need("apply", &mut self.out);
        let undos: Vec<&Entry> = ["rollback", "irreversible", "no_rollback"]
            .iter()
            .filter_map(|key| fields.get(key))
            .collect();
        fields.not_yet(&["probe", "temporary", "preview"], &mut self.out);
        let place = fields.place().clone();
        fields.finish(&mut self.out);
        let capture = capture.and_then(|e| self.single_call(&e.value, "`capture`"));
        if let Some(capture) = &capture {
            self.must_read(capture);
        }
        let apply = apply.and_then(|e| self.single_call(&e.value, "`apply`"));
        let undo = match undos[..] {
            [undo] => self.undo(undo),
            [first, second, ..] => {
                let message =
                    format!("`{}` does not go with `{}`", second.key.text, first.key.text);
                self.out.push(
                    Diagnostic::error(codes::RW0209, second.key.place.clone(), message)
                        .related(first.key.place.clone(), "the other one")
                        .help("keep one of them"),
                );
                None
            }
            [] => {
                let message = "a change must say how it is undone";
                self.out.push(Diagnostic::error(codes::RW0202, place, message).help(
                    "add `rollback: {action: …}`, `irreversible: why it can't be undone`, or \
                     `no_rollback: why there is nothing to undo`",
                ));
                None
            }
        };
        Some(Change { capture, apply: apply?, undo: undo? })
    }

    fn must_read(&mut self, capture: &ActionCall) {
        if capture.effect == Effect::Read {
            return;
        }
        let message = format!("`capture` must only look, but `{}` changes", capture.action);
        let reads =
            self.catalogue.get(&capture.action).is_some_and(|s| s.argument("reads").is_some());
        let help = match reads {
            true => "add `reads: true` to a command that only looks",
            false => "capture with an action that reads, such as `sql.query`",
        };
        self.out.push(Diagnostic::error(codes::RW0209, capture.place.clone(), message).help(help));
    }

    fn undo(&mut self, entry: &Entry) -> Option<Undo> {
        let node = &entry.value;
        match &*entry.key.text {
            "rollback" => self.single_call(node, "`rollback`").map(Undo::Action),
            "irreversible" => {
                shape::filled(node, "`irreversible`", &mut self.out).map(Undo::Irreversible)
            }
            _ => shape::filled(node, "`no_rollback`", &mut self.out).map(Undo::NotNeeded),
        }
    }

    /// `{action: arguments}`.
    fn single_call(&mut self, node: &Node, what: &str) -> Option<ActionCall> {
        let entries = shape::entries(node, what, &mut self.out)?;
        match entries {
            [entry] => {
                let key = &*entry.key.text;
                if BODIES.contains(&key) && !self.catalogue.contains_key(key) {
                    let message = format!("{what} must be an action, but is `{key}`");
                    let place = entry.key.place.clone();
                    self.out.push(Diagnostic::error(codes::RW0206, place, message));
                    return None;
                }
                self.call(entry)
            }
            _ => {
                let message = match entries {
                    [] => format!("{what} has no action"),
                    _ => format!("{what} is one action, but has {} keys", entries.len()),
                };
                self.out.push(
                    Diagnostic::error(codes::RW0206, node.place.clone(), message)
                        .help("write `{action: {argument: value, …}}`"),
                );
                None
            }
        }
    }

    fn manual(&mut self, node: &Node) -> Option<Manual> {
        if node.scalar().is_some() {
            let instructions = templates::template(node, "`manual`", &mut self.out)?;
            return Some(Manual { instructions, fields: indexmap::IndexMap::new() });
        }
        let out = &mut self.out;
        let mut keys = Fields::of(node, "a manual step", out)?;
        let instructions = keys
            .need("instructions", out)
            .and_then(|e| templates::template(&e.value, "`instructions`", out));
        let fields = keys
            .get("fields")
            .map(|e| super::inputs::fields(&e.value, "a field", out))
            .unwrap_or_default();
        keys.finish(out);
        Some(Manual { instructions: instructions?, fields })
    }

    fn stop(&mut self, node: &Node) -> Option<Stop> {
        let out = &mut self.out;
        let mut keys = Fields::of(node, "`stop`", out)?;
        let table = [("succeeded", true), ("failed", false)];
        let outcome = keys
            .need("outcome", out)
            .and_then(|e| shape::choice(&e.value, "`outcome`", &table, out));
        let message =
            keys.get("message").and_then(|e| templates::template(&e.value, "`message`", out));
        keys.finish(out);
        Some(Stop { succeeded: outcome?, message })
    }

    /// The diagnostic for an action that is not in the catalogue.
    pub(super) fn unknown_action(&mut self, entry: &Entry) {
        let name = &*entry.key.text;
        let names = || self.catalogue.keys().map(String::as_str);
        let family = name.split('.').next().unwrap_or(name);
        let siblings: Vec<_> = names()
            .filter(|n| n.split('.').next() == Some(family))
            .map(|n| format!("`{n}`"))
            .collect();
        let help = match (nearest(name, names()), siblings.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, false) => format!("there are {}", siblings.join(", ")),
            (None, true) => "`runward actions` lists them; a plugin may be missing".to_owned(),
        };
        let message = format!("there is no action `{}`", shape::shortened(name));
        self.out
            .push(Diagnostic::error(codes::RW0401, entry.key.place.clone(), message).help(help));
    }
}
