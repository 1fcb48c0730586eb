//! Names and paths: what they stand for, and what to say where they stand for nothing.
//!
//! Owns the walk from a scope into its values. Must not know operators or filters.

use std::{borrow::Cow, ops::Range};

use super::{
    Absent, Failure, Kind, Node,
    evaluate::Evaluation,
    members::{item, listed, member},
    wrong::Wrong,
};
use crate::{
    base::Value,
    diagnostics::{codes, suggest},
};

/// The segments of a path, each with its range.
type Path<'a> = [(&'a str, Range<usize>)];

/// What was found at the end of a path.
pub(super) enum Seen<'a> {
    Value(Cow<'a, Value>),
    /// Nothing; `is defined` and `default` take that for an answer.
    Absent(Failure),
}

impl<'a> Evaluation<'a> {
    /// What stands at a path, where nothing may stand too.
    pub(super) fn seen(&self, node: &'a Node) -> Result<Seen<'a>, Failure> {
        if let Some(path) = node.path() {
            return self.lookup(node, &path);
        }
        let (base, key) = match &node.kind {
            Kind::Attribute(base, name) => (base, Cow::Owned(Value::text(name))),
            Kind::Item(base, key) => (base, self.value(key)?),
            _ => return self.value(node).map(Seen::Value),
        };
        self.paid(node, self.budget.step(1))?;
        let value = match self.seen(base)? {
            Seen::Value(value) => value,
            absent @ Seen::Absent(_) => return Ok(absent),
        };
        let of = self.source(base);
        let found = match value {
            Cow::Borrowed(value) => item(value, &key, &of),
            Cow::Owned(value) => item(&value, &key, &of).map(|v| Cow::Owned(v.into_owned())),
        };
        self.absent_or(node, found)
    }

    fn lookup(&self, node: &'a Node, path: &Path<'a>) -> Result<Seen<'a>, Failure> {
        let names: Vec<&str> = path.iter().map(|(name, _)| *name).collect();
        let (value, taken) = match self.scope.lookup(&names) {
            Ok(found) => found,
            Err(absent) => return self.nothing(node, path, absent),
        };
        let mut of = names.get(..taken).unwrap_or_default().join(".");
        let rest = path.get(taken..).unwrap_or_default();
        let mut descend = |value: &'a Value| {
            let mut value = value;
            for (name, range) in rest {
                match member(value, name, &format!("`{of}`")) {
                    Ok(found) => value = found,
                    Err(wrong) => return Err((wrong, range.clone())),
                }
                of = format!("{of}.{name}");
            }
            Ok(value)
        };
        let found = match value {
            Cow::Borrowed(value) => descend(value).map(Cow::Borrowed),
            Cow::Owned(value) => owned_member(value, &names, taken)
                .map(Cow::Owned)
                .map_err(|(wrong, at)| (wrong, path.get(at).map_or(node.whole(), |p| p.1.clone()))),
        };
        match found {
            Ok(value) => Ok(Seen::Value(value)),
            Err((wrong, range)) => {
                let absent = wrong.code == codes::RW0302;
                let failure =
                    Failure { place: self.written.at(range), ..self.failure(node, wrong) };
                if absent { Ok(Seen::Absent(failure)) } else { Err(failure) }
            }
        }
    }

    fn nothing(&self, node: &Node, path: &Path<'_>, absent: Absent) -> Result<Seen<'a>, Failure> {
        let name = |segment: usize| path.get(segment).map_or("", |(name, _)| *name);
        let whole: Vec<_> = path.iter().map(|(name, _)| *name).collect();
        let whole = whole.join(".");
        Ok(Seen::Absent(match absent {
            Absent::Undefined { segment, known } => {
                let before: Vec<_> = path.iter().take(segment).map(|(name, _)| *name).collect();
                let message = match segment {
                    0 => format!("`{}` is not defined", name(0)),
                    _ => format!("`{}` has no `{}`", before.join("."), name(segment)),
                };
                let known = known.iter().map(String::as_str);
                let help = suggest(name(segment), known.clone()).or_else(|| listed(known));
                let range = path.get(segment).map_or(node.whole(), |(_, range)| range.clone());
                let wrong = Wrong::absent(message).maybe_help(help);
                Failure { place: self.written.at(range), ..self.failure(node, wrong) }
            }
            Absent::Missing(why) => {
                let wrong = Wrong::absent(format!("`{whole}` has no value: {why}"));
                self.failure(node, wrong.help("write `| default(…)` where it may be missing"))
            }
            Absent::NotYetKnown(why) => {
                let wrong = Wrong {
                    code: codes::RW0306,
                    message: format!("`{whole}` is not known yet: {why}"),
                    help: None,
                };
                return Err(Failure { not_yet_known: true, ..self.failure(node, wrong) });
            }
        }))
    }

    fn absent_or(
        &self,
        node: &Node,
        found: Result<Cow<'a, Value>, Wrong>,
    ) -> Result<Seen<'a>, Failure> {
        match found {
            Ok(value) => Ok(Seen::Value(value)),
            Err(wrong) if wrong.code == codes::RW0302 => {
                Ok(Seen::Absent(self.failure(node, wrong)))
            }
            Err(wrong) => Err(self.failure(node, wrong)),
        }
    }
}

/// The entry at the rest of a path, taken out of a value that nobody else holds.
fn owned_member(mut value: Value, names: &[&str], taken: usize) -> Result<Value, (Wrong, usize)> {
    for (at, name) in names.iter().enumerate().skip(taken) {
        let of = names.get(..at).unwrap_or_default().join(".");
        member(&value, name, &format!("`{of}`")).map_err(|wrong| (wrong, at))?;
        if let Value::Map(mut map) = value {
            value = map.swap_remove(*name).unwrap_or(Value::Null);
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{evaluated, shown},
        *,
    };

    #[test]
    fn absence_is_an_error_unless_it_was_asked_for() {
        for (text, value) in [
            ("nmae", "RW0302: `nmae` is not defined"),
            ("row.statsu", "RW0302: `row` has no `statsu`"),
            ("made.statsu", "RW0302: `made` has no `statsu`"),
            ("rows[0].nn", "RW0302: `rows[0]` has no `nn`"),
            ("empty[0].n", "RW0302: `empty` has no item 0: the list is empty"),
            ("rows[9]", "RW0302: `rows` has no item 9: the list has 3 items, from [0]"),
            ("row.note.x", "RW0302: `row.note` is null, so it has no `x`"),
            ("rows.n", "RW0304: `rows` is a list, and has no `n`"),
            (
                "steps.skipped.rows",
                "RW0302: `steps.skipped.rows` has no value: its step was skipped",
            ),
            ("nmae is defined", "false"),
            ("row.statsu is undefined", "true"),
            ("row.note is defined", "true"),
            ("row.statsu | default(0)", "0"),
            ("row.note | default(0)", "0"),
            ("row.note.deep.down | d(0)", "0"),
            ("empty[0].n | default('none')", "none"),
            ("steps.skipped.rows[0].n | default(3)", "3"),
            ("steps.skipped is defined", "false"),
            ("'' | default('x')", ""),
            ("'' | default('x', true)", "x"),
            ("row[nmae] | default(0)", "RW0302: `nmae` is not defined"),
            ("limit.x | default(0)", "RW0304: `limit` is an integer, and has no `x`"),
        ] {
            assert_eq!(shown(text), value, "{text}");
        }
        let failure = evaluated("nmae").unwrap_err();
        assert_eq!(failure.help.as_deref(), Some("did you mean `name`?"));
        let failure = evaluated("limit + row.statsu").unwrap_err();
        assert_eq!(failure.place.text(), "statsu");
    }

    #[test]
    fn what_is_not_known_yet_stays_so_under_default() {
        for text in [
            "steps.later.rows[0].n",
            "steps.later.rows | default(1)",
            "steps.later is defined",
            "limit + steps.later.n",
        ] {
            let failure = evaluated(text).unwrap_err();
            assert!(failure.not_yet_known, "{text}");
            assert_eq!(failure.code, codes::RW0306);
        }
        assert_eq!(shown("limit or steps.later.n"), "5");
        assert!(!evaluated("nmae").unwrap_err().not_yet_known);
    }
}
