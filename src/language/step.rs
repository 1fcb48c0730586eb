//! Reads the keys that all steps have in common, and finds out what a step does.
//!
//! Owns which common keys go with which kind of step. Must not know what is inside of each kind.

use std::time::Duration;

use indexmap::IndexMap;

use super::{Reader, templates};
use crate::{
    diagnostics::{Diagnostic, codes},
    expression::Expression,
    model::runbook::{Body, Expectation, Foreach, OnError, Retry, Step},
    yaml::{
        Entry, Key, Node, Shape,
        scalars::Typed,
        shape::{self, Fields},
    },
};

/// Keys of which a step has one, besides the names of actions.
pub(super) const BODIES: [&str; 7] = ["change", "steps", "check", "note", "manual", "stop", "lua"];
/// Keys that are planned and not built.
const LATER: [&str; 8] =
    ["parallel", "choose", "call", "wait", "approve", "repeat", "approval", "temporary"];
const COMMON: [&str; 11] = [
    "id",
    "name",
    "description",
    "when",
    "foreach",
    "retry",
    "timeout",
    "expect",
    "outputs",
    "on_error",
    "independent",
];
/// The delay before the second attempt when none is given.
const RETRY_DELAY: Duration = Duration::from_secs(1);

impl Reader<'_> {
    /// A list of steps; `what` is the key that holds it.
    pub(super) fn steps(&mut self, node: &Node, what: &str) -> Vec<Step> {
        let items = shape::list(node, &format!("`{what}`"), &mut self.out).unwrap_or_default();
        items.iter().filter_map(|item| self.step(item)).collect()
    }

    fn step(&mut self, node: &Node) -> Option<Step> {
        let mut fields = Fields::of(node, "a step", &mut self.out)?;
        let out = &mut self.out;
        let id = fields
            .need("id", out)
            .and_then(|e| Some((shape::fixed(&e.value, "`id`", out)?, e.value.place.clone())));
        let name = fields.get("name").and_then(|e| templates::template(&e.value, "`name`", out));
        let description =
            fields.get("description").and_then(|e| shape::fixed(&e.value, "`description`", out));
        let when = fields.get("when").and_then(|e| templates::expression(&e.value, "`when`", out));
        let timeout =
            fields.get("timeout").and_then(|e| shape::duration(&e.value, "`timeout`", out));
        let independent = fields
            .get("independent")
            .and_then(|e| shape::flag(&e.value, "`independent`", out))
            .unwrap_or_default();
        let on_error = fields.get("on_error").map_or(OnError::Rollback, |e| {
            let table = [
                ("rollback", OnError::Rollback),
                ("stop", OnError::Stop),
                ("continue", OnError::Continue),
            ];
            shape::choice(&e.value, "`on_error`", &table, out).unwrap_or_default()
        });
        let foreach = fields.get("foreach").and_then(|e| self.foreach(&e.value));
        let retry = fields.get("retry").and_then(|e| self.retry(&e.value));
        let mut expect =
            fields.get("expect").map(|e| self.expectations(&e.value)).unwrap_or_default();
        let outputs = fields.get("outputs").map(|e| self.outputs(&e.value)).unwrap_or_default();
        let id = self.id(id, node);
        let before = self.out.len();
        let body = self.only_body(&mut fields).and_then(|entry| {
            self.fitting(&entry.key, node);
            self.body(entry, &mut expect)
        });
        if body.is_none() || self.out.len() > before {
            self.broken.push(id.0.clone());
        }
        Some(Step {
            id: id.0,
            place: id.1,
            name,
            description,
            when,
            foreach,
            retry,
            timeout,
            expect,
            outputs,
            on_error,
            independent,
            body: body.unwrap_or(Body::Check),
        })
    }

    /// The id, which no other step may have.
    fn id(
        &mut self,
        id: Option<(String, crate::base::Place)>,
        node: &Node,
    ) -> (String, crate::base::Place) {
        let Some((id, place)) = id else { return (String::new(), node.place.clone()) };
        if shape::check_id(&id, &place, "a step", &mut self.out) {
            if let Some(first) = self.ids.get(&id) {
                let message = format!("the id `{id}` stands twice");
                self.out.push(
                    Diagnostic::error(codes::RW0208, place.clone(), message)
                        .label("second time")
                        .related(first.clone(), "first time")
                        .help("give each step an id of its own: results are found by it"),
                );
            } else {
                self.ids.insert(id.clone(), place.clone());
            }
        }
        (id, place)
    }

    /// The one key that says what the step does.
    fn only_body<'n>(&mut self, fields: &mut Fields<'n>) -> Option<&'n Entry> {
        let mut bodies: Vec<&Entry> = BODIES.iter().filter_map(|k| fields.get(k)).collect();
        let before = self.out.len();
        fields.not_yet(&LATER, &mut self.out);
        for entry in fields.rest() {
            let key = &*entry.key.text;
            if key.contains('.') || self.catalogue.contains_key(key) {
                bodies.push(entry);
            } else {
                let known = COMMON.iter().chain(&BODIES).copied();
                shape::unknown(&entry.key, "a step", known, &mut self.out);
            }
        }
        bodies.sort_by_key(|e| e.key.place.range.start);
        match bodies[..] {
            [entry] => Some(entry),
            [first, second, ..] => {
                let message = format!(
                    "a step does one thing, but this one has `{}` and `{}`",
                    first.key.text, second.key.text
                );
                self.out.push(
                    Diagnostic::error(codes::RW0206, second.key.place.clone(), message)
                        .label("second action")
                        .related(first.key.place.clone(), "first action")
                        .help("make two steps of it"),
                );
                None
            }
            // A misspelt key was told already: it may well be the action.
            [] if self.out.len() > before => None,
            [] => {
                let message = "this step does nothing: it has no action";
                let list = BODIES.map(|b| format!("`{b}`")).join(", ");
                self.out.push(
                    Diagnostic::error(codes::RW0206, fields.place().clone(), message).help(
                        format!(
                            "add an action such as `sql.query`, or one of {list}; \
                             `check: true` goes with `expect` alone"
                        ),
                    ),
                );
                None
            }
        }
    }

    /// Refuses common keys that mean nothing for this kind of step.
    fn fitting(&mut self, kind: &Key, step: &Node) {
        let unfit: &[&str] = match &*kind.text {
            "steps" => &["retry", "timeout", "expect", "outputs", "independent"],
            "check" => &["retry", "timeout", "independent"],
            "note" => &["retry", "timeout", "expect", "outputs", "independent"],
            "stop" => &["foreach", "retry", "timeout", "expect", "outputs", "independent"],
            "manual" => &["retry", "independent"],
            _ => &[],
        };
        let Shape::Map(entries) = &step.shape else { return };
        for entry in entries.iter().filter(|e| unfit.contains(&&*e.key.text)) {
            let message = format!("`{}` does not go with `{}`", entry.key.text, kind.text);
            let help = match &*kind.text {
                "steps" => "put it on the steps inside",
                _ => "remove it",
            };
            self.out.push(
                Diagnostic::error(codes::RW0209, entry.key.place.clone(), message)
                    .related(kind.place.clone(), "the step's kind")
                    .help(help),
            );
        }
    }

    fn foreach(&mut self, node: &Node) -> Option<Foreach> {
        let out = &mut self.out;
        if node.scalar().is_some_and(|s| s.typed() == Typed::Text) {
            let fault = shape::wrong(node, "`foreach` must be a map");
            out.push(fault.help(format!("write `{{in: {}, as: name}}`", node.place.text())));
            return None;
        }
        let mut fields = Fields::of(node, "`foreach`", out)?;
        let items = fields.need("in", out).and_then(|e| templates::items(&e.value, "`in`", out));
        let name = match fields.get("as") {
            Some(e) => shape::fixed(&e.value, "`as`", out)
                .filter(|n| shape::check_id(n, &e.value.place, "an item", out)),
            None => Some("item".to_owned()),
        };
        // One at a time is what happens anyway.
        if let Some(e) = fields.get("parallel")
            && !matches!(e.value.scalar().map(crate::yaml::Scalar::typed), Some(Typed::Int(1)))
        {
            let message = "`parallel` other than 1 is not supported by this version yet";
            out.push(Diagnostic::error(codes::RW0201, e.key.place.clone(), message));
        }
        fields.not_yet(&["canary", "max_failures"], out);
        fields.finish(out);
        Some(Foreach { items: items?, name: name? })
    }

    fn retry(&mut self, node: &Node) -> Option<Retry> {
        let out = &mut self.out;
        let attempts = |node: &Node, out: &mut _| {
            let count = shape::whole(node, "`attempts`", 1..=1000, out)?;
            u32::try_from(count).ok()
        };
        if node.scalar().is_some() {
            let attempts = attempts(node, out)?;
            return Some(Retry { attempts, delay: RETRY_DELAY, backoff: 1.0, until: None });
        }
        let mut fields = Fields::of(node, "`retry`", out)?;
        let count = fields.need("attempts", out).and_then(|e| attempts(&e.value, out));
        let delay = match fields.get("delay") {
            Some(e) => shape::duration(&e.value, "`delay`", out),
            None => Some(RETRY_DELAY),
        };
        let backoff = match fields.get("backoff") {
            Some(e) => backoff(&e.value, out),
            None => Some(1.0),
        };
        let until =
            fields.get("until").and_then(|e| templates::expression(&e.value, "`until`", out));
        fields.finish(out);
        Some(Retry { attempts: count?, delay: delay?, backoff: backoff?, until })
    }

    fn outputs(&mut self, node: &Node) -> IndexMap<String, Expression> {
        let mut outputs = IndexMap::new();
        for entry in shape::entries(node, "`outputs`", &mut self.out).unwrap_or_default() {
            shape::check_id(&entry.key.text, &entry.key.place, "an output", &mut self.out);
            let what = format!("the output `{}`", entry.key.text);
            if let Some(expression) = templates::expression(&entry.value, &what, &mut self.out) {
                outputs.insert(entry.key.text.to_string(), expression);
            }
        }
        outputs
    }

    /// One expectation or a list of them.
    pub(super) fn expectations(&mut self, node: &Node) -> Vec<Expectation> {
        match &node.shape {
            Shape::List(items) => items.iter().filter_map(|i| self.expectation(i)).collect(),
            _ => self.expectation(node).into_iter().collect(),
        }
    }

    fn expectation(&mut self, node: &Node) -> Option<Expectation> {
        let out = &mut self.out;
        if let Shape::Map(_) = &node.shape {
            let mut fields = Fields::of(node, "an expectation", out)?;
            let that = fields
                .need("that", out)
                .and_then(|e| templates::expression(&e.value, "`that`", out));
            let message =
                fields.get("message").and_then(|e| templates::template(&e.value, "`message`", out));
            let warn = fields.get("severity").and_then(|e| {
                shape::choice(&e.value, "`severity`", &[("warn", true), ("error", false)], out)
            });
            fields.finish(out);
            return Some(Expectation { that: that?, message, warn: warn.unwrap_or_default() });
        }
        let that = templates::expression(node, "an expectation", out)?;
        Some(Expectation { that, message: None, warn: false })
    }
}

fn backoff(node: &Node, out: &mut shape::Findings) -> Option<f64> {
    let factor = match node.scalar().map(crate::yaml::Scalar::typed) {
        Some(Typed::Int(_) | Typed::Decimal(_)) => node.scalar()?.text.parse::<f64>().ok(),
        _ => None,
    };
    let factor = factor.filter(|f| (1.0..=10.0).contains(f));
    if factor.is_none() {
        let message = "`backoff` must be a number from 1 to 10";
        out.push(
            Diagnostic::error(codes::RW0204, node.place.clone(), message)
                .help("each delay is the one before times this; 1 keeps it as it is"),
        );
    }
    factor
}
