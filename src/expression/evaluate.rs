//! Evaluation: from a syntax tree and a scope to a value, or to why there is none.
//!
//! Owns the walk and the lookup of names. Must not know what operators and filters do.

use std::borrow::Cow;

use super::{
    Argument, Kind, Node, Operator, Scope, Written,
    budget::Budget,
    functions,
    lookup::Seen,
    members::slice,
    operators::{binary, negate},
    wrong::{Wrong, described},
};
use crate::{
    base::{Map, Place, Value},
    diagnostics::Code,
};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// `RW0302` undefined, `RW0303`, `RW0304` types, `RW0306` not known yet.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// Where in the file.
    pub place: Place,
    /// What to do.
    pub help: Option<String>,
    /// The value will be known once a change was made.
    pub not_yet_known: bool,
}

/// The value of an expression.
pub(super) fn evaluate(
    node: &Node,
    written: &Written,
    scope: &dyn Scope,
) -> Result<Value, Failure> {
    let budget = Budget::new();
    let evaluation = Evaluation { written, scope, budget: &budget };
    evaluation.value(node).map(Cow::into_owned)
}

/// One evaluation: of an expression, or of all those in a template.
#[derive(Clone, Copy)]
pub(super) struct Evaluation<'a> {
    pub(super) written: &'a Written,
    pub(super) scope: &'a dyn Scope,
    pub(super) budget: &'a Budget,
}

impl<'a> Evaluation<'a> {
    /// The value of a node. Borrowed from the scope or the tree wherever it can be.
    ///
    /// Each kind has a function of its own, which keeps the stack that a level takes small.
    pub(super) fn value(&self, node: &'a Node) -> Result<Cow<'a, Value>, Failure> {
        self.paid(node, self.budget.step(1))?;
        match &node.kind {
            Kind::Constant(value) => Ok(Cow::Borrowed(value)),
            Kind::Name(_) | Kind::Attribute(..) | Kind::Item(..) => self.present(node),
            Kind::If(test, yes, no) => self.choice(test, yes, no.as_deref()),
            Kind::Binary(operator, left, right) => self.binary(node, *operator, left, right),
            Kind::Filter(name, input, arguments) => self.filter(node, name, input, arguments),
            Kind::Slice(..) => self.slice(node),
            Kind::Not(operand) => self.not(operand),
            Kind::Negate(operand) => self.negate(node, operand),
            Kind::Compare(first, rest) => self.chain(node, first, rest),
            Kind::Test(name, input, arguments) => self.test(node, name, input, arguments),
            Kind::Call(name, arguments) => self.function(node, name, arguments),
            Kind::List(items) => self.list(items),
            Kind::Map(pairs) => self.map(pairs),
        }
    }

    fn present(&self, node: &'a Node) -> Result<Cow<'a, Value>, Failure> {
        match self.seen(node)? {
            Seen::Value(value) => Ok(value),
            Seen::Absent(failure) => Err(failure),
        }
    }

    fn choice(
        &self,
        test: &'a Node,
        yes: &'a Node,
        no: Option<&'a Node>,
    ) -> Result<Cow<'a, Value>, Failure> {
        if self.truth(test)? {
            return self.value(yes);
        }
        no.map_or(Ok(Cow::Owned(Value::Null)), |no| self.value(no))
    }

    fn truth(&self, node: &'a Node) -> Result<bool, Failure> {
        self.value(node).map(|value| value.is_true())
    }

    fn binary(
        &self,
        node: &Node,
        operator: Operator,
        left: &'a Node,
        right: &'a Node,
    ) -> Result<Cow<'a, Value>, Failure> {
        let left = self.value(left)?;
        match operator {
            Operator::And if !left.is_true() => return Ok(left),
            Operator::Or if left.is_true() => return Ok(left),
            Operator::And | Operator::Or => return self.value(right),
            _ => {}
        }
        let right = self.value(right)?;
        self.placed(node, binary(operator, &left, &right, self.budget)).map(Cow::Owned)
    }

    fn not(&self, operand: &'a Node) -> Result<Cow<'a, Value>, Failure> {
        self.truth(operand).map(|truth| Cow::Owned(Value::Bool(!truth)))
    }

    fn negate(&self, node: &Node, operand: &'a Node) -> Result<Cow<'a, Value>, Failure> {
        let value = self.value(operand)?;
        self.placed(node, negate(&value)).map(Cow::Owned)
    }

    fn slice(&self, node: &'a Node) -> Result<Cow<'a, Value>, Failure> {
        let Kind::Slice(base, start, stop, step) = &node.kind else { return self.value(node) };
        let value = self.value(base)?;
        let bound = |bound: &'a Option<Box<Node>>| self.bound(bound.as_deref());
        let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?);
        let sliced = self.placed(node, slice(&value, start, stop, step, &self.source(base)))?;
        if let Value::List(items) = &sliced {
            self.paid(node, self.budget.step(items.len()))?;
        }
        Ok(Cow::Owned(sliced))
    }

    fn function(
        &self,
        node: &'a Node,
        name: &str,
        arguments: &'a [Argument],
    ) -> Result<Cow<'a, Value>, Failure> {
        let entry = self.placed(node, functions::known(functions::Kind::Function, name))?;
        self.call(node, entry, &Value::Null, arguments).map(Cow::Owned)
    }

    fn list(&self, items: &'a [Node]) -> Result<Cow<'a, Value>, Failure> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.value(item)?.into_owned());
        }
        Ok(Cow::Owned(Value::List(values)))
    }

    fn chain(
        &self,
        node: &Node,
        first: &'a Node,
        rest: &'a [(Operator, Node)],
    ) -> Result<Cow<'a, Value>, Failure> {
        let mut left = self.value(first)?;
        for (operator, right) in rest {
            let right = self.value(right)?;
            let holds = binary(*operator, &left, &right, self.budget);
            if !self.placed(node, holds)?.is_true() {
                return Ok(Cow::Owned(Value::Bool(false)));
            }
            left = right;
        }
        Ok(Cow::Owned(Value::Bool(true)))
    }

    fn map(&self, pairs: &'a [(Node, Node)]) -> Result<Cow<'a, Value>, Failure> {
        let mut map = Map::with_capacity(pairs.len());
        for (key, value) in pairs {
            let name = match &*self.value(key)? {
                Value::Text(name) => name.clone(),
                other => {
                    let wrong =
                        Wrong::types(format!("the key of a map is text, not {}", described(other)));
                    return Err(self.failure(key, wrong));
                }
            };
            map.insert(name, self.value(value)?.into_owned());
        }
        Ok(Cow::Owned(Value::Map(map)))
    }

    fn bound(&self, bound: Option<&'a Node>) -> Result<Option<i128>, Failure> {
        let Some(node) = bound else { return Ok(None) };
        match &*self.value(node)? {
            Value::Null => Ok(None),
            Value::Int(int) => Ok(Some(*int)),
            other => {
                let wrong = format!("the bounds of a slice are integers, not {}", described(other));
                Err(self.failure(node, Wrong::types(wrong)))
            }
        }
    }

    fn filter(
        &self,
        node: &'a Node,
        name: &str,
        input: &'a Node,
        arguments: &'a [Argument],
    ) -> Result<Cow<'a, Value>, Failure> {
        let entry = self.placed(node, functions::known(functions::Kind::Filter, name))?;
        if functions::allows_absence(functions::Kind::Filter, name) {
            let value = match self.seen(input)? {
                Seen::Value(value) => value,
                Seen::Absent(_) => Cow::Owned(Value::Null),
            };
            // A value that is there goes on without being copied.
            if arguments.len() == 1 && *value != Value::Null {
                return Ok(value);
            }
            return self.call(node, entry, &value, arguments).map(Cow::Owned);
        }
        let value = self.value(input)?;
        self.call(node, entry, &value, arguments).map(Cow::Owned)
    }

    fn test(
        &self,
        node: &'a Node,
        name: &str,
        input: &'a Node,
        arguments: &'a [Argument],
    ) -> Result<Cow<'a, Value>, Failure> {
        let entry = self.placed(node, functions::known(functions::Kind::Test, name))?;
        let value = if functions::allows_absence(functions::Kind::Test, name) {
            match self.seen(input)? {
                Seen::Value(value) => value,
                Seen::Absent(_) => {
                    return Ok(Cow::Owned(Value::Bool(entry.name == "undefined")));
                }
            }
        } else {
            self.value(input)?
        };
        self.call(node, entry, &value, arguments).map(Cow::Owned)
    }

    fn call(
        &self,
        node: &'a Node,
        entry: &'static functions::Entry,
        input: &Value,
        arguments: &'a [Argument],
    ) -> Result<Value, Failure> {
        let names: Vec<_> = arguments.iter().map(|a| a.name.as_deref()).collect();
        let slots = self.placed(node, functions::bind(entry, &names))?;
        let count = slots.iter().map(|slot| slot + 1).max().unwrap_or(0);
        let mut values = vec![None; count.max(entry.parameters.len())];
        for (argument, slot) in arguments.iter().zip(slots) {
            if let Some(place) = values.get_mut(slot) {
                *place = Some(self.value(&argument.value)?);
            }
        }
        // What is left out behind the parameters that were given must not look like a null.
        while count < values.len() && values.last().is_some_and(Option::is_none) {
            values.pop();
        }
        self.placed(node, functions::run(entry, input, &values, self.budget))
    }

    /// How a node is written, for messages.
    pub(super) fn source(&self, node: &Node) -> String {
        let place = self.written.at(node.whole());
        let text = place.text();
        let usable = place != self.written.place && text.len() <= 60 && !text.contains('\n');
        if usable && !text.is_empty() { format!("`{text}`") } else { "the value".to_owned() }
    }

    pub(super) fn failure(&self, node: &Node, wrong: Wrong) -> Failure {
        let range = match &node.kind {
            // A filter's name and arguments are to blame, not all that stands in front of it.
            Kind::Filter(..) | Kind::Test(..) => node.range.clone(),
            _ => node.whole(),
        };
        Failure {
            code: wrong.code,
            message: wrong.message,
            place: self.written.at(range),
            help: wrong.help,
            not_yet_known: false,
        }
    }

    pub(super) fn placed<T>(&self, node: &Node, result: Result<T, Wrong>) -> Result<T, Failure> {
        result.map_err(|wrong| self.failure(node, wrong))
    }

    pub(super) fn paid(&self, node: &Node, result: Result<(), Wrong>) -> Result<(), Failure> {
        self.placed(node, result)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{CLEAR, evaluated, names, parsed, shown},
        *,
    };
    use crate::diagnostics::codes;

    #[test]
    fn expressions_mean_what_they_say() {
        for (text, value) in [
            ("limit + 1", "6"),
            ("rows[1].amount * 2", "40.40"),
            ("rows | sum(attribute='amount')", "30.31"),
            ("rows | sum(attribute='amount') == 30.31", "true"),
            ("rows[-1].status ~ '!'", "stuck!"),
            ("rows[:2] | length", "2"),
            ("'yes' if limit > 3 else 'no'", "yes"),
            ("'yes' if limit > 9", "null"),
            ("1 < limit <= 5", "true"),
            ("1 < limit < 5", "false"),
            ("limit in [1, 5]", "true"),
            ("limit not in [1, 5]", "false"),
            ("'work' in name", "true"),
            ("'n' in row", "true"),
            ("not empty and limit", "5"),
            ("empty or 'none'", "none"),
            ("false and nonsense", "false"),
            ("limit or nonsense", "5"),
            ("{'a': limit, 'b': [1.50]}", r#"{"a":5,"b":["1.50"]}"#),
            ("rows | selectattr('status', 'eq', 'stuck') | map(attribute='n') | list", "[2,3]"),
            ("name | split | last | upper", "WORKERS"),
            ("-limit | abs", "5"),
            ("made.amount", "1.50"),
            ("row['sta' ~ 'tus']", "ok"),
            ("at - 0 if false else at", "2026-01-02T03:04:05Z"),
            ("at | minus('15m') < at", "true"),
            ("at | minus('15m') | format_time('%H:%M', 'America/Sao_Paulo')", "23:49"),
            ("[1, 2] + [3]", "[1,2,3]"),
            ("limit / 2", "2.5"),
            ("row.note == null", "true"),
            ("limit == none", "false"),
        ] {
            assert_eq!(shown(text), value, "{text}");
        }
    }

    #[test]
    fn faults_stand_at_what_is_to_blame() {
        for (text, message, marked, help) in [
            ("limit == name", "the integer 5 can't be compared", "limit == name", "| int"),
            ("1 + limit < name", "can't be compared", "1 + limit < name", ""),
            ("2 * (limit | upper)", "`upper` takes text, not the integer 5", "upper", "| text |"),
            ("name + 1", "`+` takes numbers, not text `capture workers`", "name + 1", "| int"),
            ("name + name", "`+` takes numbers", "name + name", "a ~ b"),
            ("hosts | upper", "not a list of 2", "upper", "map('upper')"),
            ("name | int", "text `capture workers` is not a number", "int", ""),
            ("'1,5' | decimal", "is not a number", "decimal", "the point as `.`"),
            ("2.5 | int", "the decimal 2.5 has a fraction", "int", "| round"),
            ("{limit: 1}", "the key of a map is text", "limit", ""),
            ("rows[name]", "`rows` is a list", "", "[0]"),
            ("rows[1.5]", "items of `rows` go by number", "", ""),
            ("rows | sum", "`sum` takes numbers, not a map at position 0", "sum", ""),
            ("[1, null] | sum", "null at position 1", "sum", "reject('none')"),
            ("[1, 'a'] | sort", "can't be compared", "sort", ""),
            ("name | regex_find('(')", "not a regular expression", "regex_find", ""),
            ("name | regex_find('a', 1)", "no group 1", "regex_find", ""),
            ("'x' | time", "is not a time", "time", "2026-01-02T03:04:05Z"),
            ("at | in_zone('Mars')", "no time zone `Mars`", "in_zone", "UTC"),
            ("at | plus('5')", "has no unit", "plus", ""),
            ("at | plus('99999999h')", "beyond all calendars", "plus", ""),
            ("at < '2026-01-02'", "can't be compared", "", "| time"),
            ("1 / 0", "by zero", "1 / 0", ""),
            ("rows | sort", "no place in an order", "sort", "attribute="),
            ("bytes ~ 'x'", "bytes are not text", "bytes ~ 'x'", "base64"),
        ] {
            let failure = evaluated(text).unwrap_err();
            assert_eq!(failure.code, codes::RW0304, "{text}: {}", failure.message);
            assert!(failure.message.contains(message), "{text}: {}", failure.message);
            let at = failure.place.text();
            assert!(at.contains(marked), "{text}: marked `{at}`");
            let helped = failure.help.unwrap_or_default();
            assert!(helped.contains(help), "{text}: {helped}");
        }
    }

    #[test]
    fn no_expression_runs_away() {
        let names = names();
        for hostile in [
            "range(1000000000)",
            "range(0, 1000000000, 1)",
            "range(10000) | map('text') | join(',') | replace(',', name * 1)",
            "range(9999) | join('1') | replace('1', 'x' ~ (range(9999) | join('yyyyyyyyyy')))",
            "(range(10000) | join) | regex_replace('[0-9]', '${0}' ~ (range(10000) | join))",
            "(range(9999) | join) | regex_replace('', (range(9999) | join))",
            "'x' | replace('', 'y')",
            "range(10000) | map('default', 1)",
            "2 ** 999999",
            "9.99 ** 9999 ** 9",
            "1e9999 * 1e9999",
            "'1e400' | float",
            "range(9999) | join(' ') | split('')",
            "((range(9999) | join) | regex_replace('.', ' a b c d e f g')) | split | map('split')",
            "'1e999999999' | decimal",
            "'1e999999999' | int",
            "('1e5000' | decimal) ** 9 | round(2)",
            "name | regex_find('(?:\\\\w{1000}){1000}')",
            "('a' ~ range(10000) | join) | indent(200, true) | indent(99999)",
        ] {
            let result = parsed(hostile).unwrap().evaluate(&names);
            assert!(result.is_err(), "{hostile}: {:?}", result.map(|v| v.kind()));
        }
    }

    #[test]
    fn secrets_stay_secret() {
        for text in [
            "'Bearer ' ~ token",
            "token ~ limit ~ token",
            "token | upper",
            "login | json",
            "login ~ ''",
            "[token, 'x'] | join(',')",
            "'a-b' | replace('-', token)",
            "login.pass[1:3]",
            "('x:' ~ token) | base64",
            "token | split('-') | first",
            "token if token == 'x' else login.pass",
        ] {
            let value = evaluated(text).unwrap();
            assert!(matches!(value, Value::Secret(_)), "{text}: {value:?}");
            let all = format!("{value} {value:?} {} {}", value.to_plain(), value.to_journal());
            assert!(!all.contains(CLEAR) && all.contains("token@v1"), "{text}: {all}");
        }
        assert_eq!(shown(&format!("token == '{CLEAR}'")), "true");
        assert_eq!(shown("token == 'other'"), "false");
        assert_eq!(shown("token is string and token is defined"), "true");
        assert_eq!(shown("'Bearer ' ~ token"), "Bearer ‹secret token@v1›");
        for text in [
            "token | length",
            "token < 'm'",
            "'cl' in token",
            "token is startingwith('c')",
            "token is matching('^c')",
            "token | contains('c')",
            "token | regex_find('c')",
            "token | int",
            "token | bool",
            "token[0]",
            "token | list",
            "token | parse_json",
            "name | startswith(token)",
            "[token, token] | sort",
            "token + 1",
        ] {
            let failure = evaluated(text).unwrap_err();
            assert_eq!(failure.code, codes::RW0304, "{text}");
            assert!(!failure.message.contains(CLEAR), "{text}: {}", failure.message);
        }
    }
}
