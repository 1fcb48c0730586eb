//! A scope of plain names, for the unit tests of this module.

use std::borrow::Cow;

use super::{Absent, Escape, Expression, Failure, Scope, Template, Written};
use crate::{
    base::{Map, Place, Secret, Source, Value},
    diagnostics::Diagnostic,
};

/// Clear text that must turn up nowhere.
pub(super) const CLEAR: &str = "cl34r-Tx7";

/// Names with values; `steps.skipped` has none, and `steps.later` will have one.
pub(super) struct Names(pub(super) Map);

impl Scope for Names {
    fn lookup(&self, path: &[&str]) -> Result<(Cow<'_, Value>, usize), Absent> {
        match path {
            ["steps", "skipped", ..] => Err(Absent::Missing("its step was skipped".into())),
            ["steps", "later", ..] => {
                Err(Absent::NotYetKnown("its step has not run while planning".into()))
            }
            // Given as a value of its own, as a scope does that makes it for the asking.
            ["made", ..] => Ok((Cow::Owned(self.0.get("row").cloned().unwrap_or(Value::Null)), 1)),
            [name, ..] => self.0.get(*name).map(|v| (Cow::Borrowed(v), 1)).ok_or_else(|| {
                Absent::Undefined { segment: 0, known: self.0.keys().cloned().collect() }
            }),
            [] => Err(Absent::Missing("nothing was asked for".into())),
        }
    }
}

pub(super) fn secret() -> Value {
    Value::Secret(Secret::new("token", "v1", CLEAR.to_owned()))
}

/// What the tests' expressions can name.
pub(super) fn names() -> Names {
    let row = |n: i64, status: &str, amount: &str| {
        Value::map([
            ("n", Value::from(n)),
            ("status", Value::text(status)),
            ("amount", Value::Decimal(amount.parse().unwrap())),
            ("note", Value::Null),
        ])
    };
    let rows = vec![row(1, "ok", "10.10"), row(2, "stuck", "20.20"), row(3, "stuck", "0.01")];
    Names(
        [
            ("row", row(7, "ok", "1.50")),
            ("rows", Value::List(rows)),
            ("empty", Value::List(vec![])),
            ("limit", Value::from(5)),
            ("name", Value::text("capture workers")),
            ("hosts", Value::List(vec!["app1".into(), "app 2".into()])),
            ("hostile", Value::text("{{ 7*7 }} {% if x %}; rm -rf $(id) `id` '\"")),
            ("token", secret()),
            ("login", Value::map([("user", Value::text("ana")), ("pass", secret())])),
            ("bytes", Value::Bytes(vec![0xff, 0x00])),
            ("at", Value::Time("2026-01-02T03:04:05Z".parse().unwrap())),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
    )
}

pub(super) fn written(text: &str) -> Written {
    let source = Source::new("test.yaml", format!("x: {text}"));
    Written::verbatim(Place::new(&source, 3..3 + text.len()))
}

pub(super) fn parsed(text: &str) -> Result<Expression, Vec<Diagnostic>> {
    Expression::parse(text, written(text))
}

pub(super) fn evaluated(text: &str) -> Result<Value, Failure> {
    parsed(text).unwrap_or_else(|d| panic!("{text}: {d:?}")).evaluate(&names())
}

/// The value as text, or the code and words of the fault.
pub(super) fn shown(text: &str) -> String {
    match evaluated(text) {
        Ok(value) => value.to_string(),
        Err(failure) => format!("{}: {}", failure.code, failure.message),
    }
}

pub(super) fn template(text: &str) -> Template {
    Template::parse(text, written(text)).unwrap_or_else(|d| panic!("{text}: {d:?}"))
}

pub(super) fn rendered(text: &str, escape: Escape) -> Result<Value, Failure> {
    template(text).render(&names(), escape)
}

pub(super) fn text(template: &str, escape: Escape) -> String {
    match rendered(template, escape) {
        Ok(value) => value.to_string(),
        Err(failure) => format!("{}: {}", failure.code, failure.message),
    }
}
