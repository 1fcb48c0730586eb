//! Filters, tests and functions: one table, from which checks, help and the reference are derived.
//!
//! Owns the table, the binding of arguments, and the one place through which every call goes, so
//! that nothing made from a secret is anything but a secret. Must not know the syntax tree.
//! All are pure: there is no `now()`, since an expression means the same at every reading.

mod call;
mod encodings;
mod lists;
mod numbers;
mod predicates;
mod texts;
mod times;

use std::{borrow::Cow, fmt, sync::LazyLock};

pub(crate) use call::Call;

use super::{
    budget::Budget,
    rendering::{holds_secret, revealed},
    wrong::Wrong,
};
use crate::{
    base::{Secret, Value},
    diagnostics::suggest,
};

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `value | name(…)`.
    Filter,
    /// `value is name(…)`.
    Test,
    /// `name(…)`.
    Function,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Test => "test",
            Self::Function => "function",
        })
    }
}

/// An argument of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name; an argument may be given by position or by name.
    pub name: &'static str,
    /// It may be left out.
    pub optional: bool,
}

type Run = fn(&Call<'_>) -> Result<Value, Wrong>;

/// A filter, test or function.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// Other names for the same.
    pub aliases: &'static [&'static str],
    /// Its arguments, without the value that a filter or test is applied to.
    pub parameters: &'static [Parameter],
    /// Further arguments are passed on: those of the test that `select` applies.
    pub rest: bool,
    /// What it does, in one line.
    pub summary: &'static str,
    /// An expression that uses it.
    pub example: &'static str,
    /// The example's value as text; lists and maps as JSON.
    pub result: &'static str,
    /// From a secret it makes a secret. Others either hand values through as they are, or refuse
    /// secrets, since their answer would tell something.
    taints: bool,
    run: Run,
}

impl Entry {
    const fn new(
        kind: Kind,
        name: &'static str,
        summary: &'static str,
        (example, result): (&'static str, &'static str),
        run: Run,
    ) -> Self {
        let (aliases, parameters): (&[&str], &[Parameter]) = (&[], &[]);
        Self {
            kind,
            name,
            aliases,
            parameters,
            rest: false,
            summary,
            example,
            result,
            taints: false,
            run,
        }
    }

    const fn filter(
        name: &'static str,
        summary: &'static str,
        example: (&'static str, &'static str),
        run: Run,
    ) -> Self {
        Self::new(Kind::Filter, name, summary, example, run)
    }

    const fn test(
        name: &'static str,
        summary: &'static str,
        example: (&'static str, &'static str),
        run: Run,
    ) -> Self {
        Self::new(Kind::Test, name, summary, example, run)
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn takes(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    const fn passes_on(mut self) -> Self {
        self.rest = true;
        self
    }

    const fn taints(mut self) -> Self {
        self.taints = true;
        self
    }

    /// How it is written: `replace(old, new, [count])`.
    pub fn signature(&self) -> String {
        if self.parameters.is_empty() && self.kind != Kind::Function {
            return self.name.to_owned();
        }
        let shown = |p: &Parameter| match p.optional {
            true => format!("[{}]", p.name),
            false => p.name.to_owned(),
        };
        let mut parameters: Vec<_> = self.parameters.iter().map(shown).collect();
        if self.rest {
            parameters.push("…".to_owned());
        }
        format!("{}({})", self.name, parameters.join(", "))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.signature())
    }
}

/// An argument that must be given.
const fn required(name: &'static str) -> Parameter {
    Parameter { name, optional: false }
}

/// An argument that may be left out.
const fn optional(name: &'static str) -> Parameter {
    Parameter { name, optional: true }
}

static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    [
        texts::ENTRIES,
        numbers::ENTRIES,
        lists::ENTRIES,
        lists::FUNCTIONS,
        encodings::ENTRIES,
        times::ENTRIES,
        predicates::ENTRIES,
    ]
    .concat()
});

/// Every filter, test and function.
pub fn all() -> &'static [Entry] {
    &TABLE
}

/// What other languages call it.
const ELSEWHERE: &[(&str, &str)] = &[
    ("tojson", "json"),
    ("to_json", "json"),
    ("fromjson", "parse_json"),
    ("from_json", "parse_json"),
    ("b64encode", "base64"),
    ("b64decode", "unbase64"),
    ("uppercase", "upper"),
    ("toupper", "upper"),
    ("to_upper", "upper"),
    ("lowercase", "lower"),
    ("tolower", "lower"),
    ("to_lower", "lower"),
    ("strip", "trim"),
    ("len", "length"),
    ("size", "length"),
    ("str", "text"),
    ("to_string", "text"),
    ("integer", "int"),
    ("number", "decimal"),
    ("strftime", "format_time"),
    ("escape", "urlencode"),
    ("quote_ident", "ident"),
    ("shell_quote", "quote"),
    ("regex_search", "regex_find"),
    ("starts_with", "startswith"),
    ("ends_with", "endswith"),
];

/// The filter that a method or a filter of another language goes by here.
pub(crate) fn filter_like(name: &str) -> Option<&'static str> {
    let known = find(Kind::Filter, name).map(|entry| entry.name);
    let other = || {
        let name = name.to_lowercase();
        ELSEWHERE.iter().find(|(there, _)| *there == name).map(|(_, here)| *here)
    };
    known.or_else(other)
}

/// The entry of this name.
pub(crate) fn find(kind: Kind, name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|e| e.kind == kind && (e.name == name || e.aliases.contains(&name)))
}

/// The entry of this name, or what may have been meant.
pub(crate) fn known(kind: Kind, name: &str) -> Result<&'static Entry, Wrong> {
    find(kind, name).ok_or_else(|| {
        let names = TABLE
            .iter()
            .filter(|e| e.kind == kind)
            .flat_map(|e| std::iter::once(e.name).chain(e.aliases.iter().copied()));
        let elsewhere = match kind {
            Kind::Filter => filter_like(name).map(|here| format!("it is called `{here}` here")),
            Kind::Function => {
                find(Kind::Filter, name).map(|_| format!("it is a filter: write `value | {name}`"))
            }
            Kind::Test => None,
        };
        let help = elsewhere.or_else(|| suggest(name, names));
        Wrong::call(format!("there is no {kind} `{name}`")).maybe_help(help)
    })
}

/// May the value that it is applied to be absent?
pub(crate) fn allows_absence(kind: Kind, name: &str) -> bool {
    matches!(
        (kind, find(kind, name).map(|e| e.name)),
        (Kind::Filter, Some("default")) | (Kind::Test, Some("defined" | "undefined"))
    )
}

/// Does it exist and take these arguments? Each is its name, if it has one, and its text, if it is
/// a constant one.
pub(crate) fn check(
    kind: Kind,
    name: &str,
    arguments: &[(Option<&str>, Option<&str>)],
) -> Result<(), Wrong> {
    let entry = known(kind, name)?;
    let names: Vec<_> = arguments.iter().map(|(name, _)| *name).collect();
    let slots = bind(entry, &names)?;
    // What a constant text names, or is, can be wrong too.
    for (index, parameter) in entry.parameters.iter().enumerate() {
        let given = slots.iter().position(|slot| *slot == index);
        let Some((_, Some(text))) = given.and_then(|at| arguments.get(at)) else { continue };
        match parameter.name {
            "test" => known(Kind::Test, text).map(|_| ())?,
            "filter" => known(Kind::Filter, text).map(|_| ())?,
            "pattern" => Budget::new().pattern(text).map(|_| ())?,
            "span" => times::span(text).map(|_| ())?,
            "zone" => times::zone(Some(text)).map(|_| ())?,
            _ => {}
        }
    }
    Ok(())
}

/// Which parameter each argument is for, by position or by name.
pub(crate) fn bind(entry: &Entry, names: &[Option<&str>]) -> Result<Vec<usize>, Wrong> {
    let wrong =
        |message: String| Wrong::call(message).help(format!("write `{}`", entry.signature()));
    let mut slots = Vec::with_capacity(names.len());
    for (position, name) in names.iter().enumerate() {
        let slot = match name {
            None => position,
            Some(name) => entry
                .parameters
                .iter()
                .position(|p| p.name == *name)
                .ok_or_else(|| wrong(format!("`{}` has no argument `{name}`", entry.name)))?,
        };
        if slot >= entry.parameters.len() && !entry.rest {
            let most = entry.parameters.len();
            return Err(wrong(match most {
                0 => format!("`{}` takes no arguments", entry.name),
                1 => format!("`{}` takes one argument, not {}", entry.name, names.len()),
                _ => format!("`{}` takes {most} arguments, not {}", entry.name, names.len()),
            }));
        }
        if slots.contains(&slot) {
            let name = entry.parameters.get(slot).map_or("", |p| p.name);
            return Err(wrong(format!("`{}` gets its argument `{name}` twice", entry.name)));
        }
        slots.push(slot);
    }
    for (index, parameter) in entry.parameters.iter().enumerate() {
        if !parameter.optional && !slots.contains(&index) {
            return Err(wrong(format!("`{}` needs an argument `{}`", entry.name, parameter.name)));
        }
    }
    Ok(slots)
}

/// Calls an entry. `arguments` stand in the order of its parameters.
pub(crate) fn run(
    entry: &'static Entry,
    input: &Value,
    arguments: &[Option<Cow<'_, Value>>],
    budget: &Budget,
) -> Result<Value, Wrong> {
    budget.read(input)?;
    arguments.iter().flatten().try_for_each(|argument| budget.read(argument))?;
    let secret = entry.taints
        && (holds_secret(input) || arguments.iter().flatten().any(|a| holds_secret(a)));
    let result = if secret {
        run_on_secret(entry, input, arguments, budget)?
    } else {
        (entry.run)(&Call { entry, input, arguments, budget })?
    };
    if let Value::List(items) = &result {
        budget.step(items.len())?;
    }
    Ok(result)
}

/// Applies the entry to the clear texts, and makes secrets of all that comes out.
fn run_on_secret(
    entry: &'static Entry,
    input: &Value,
    arguments: &[Option<Cow<'_, Value>>],
    budget: &Budget,
) -> Result<Value, Wrong> {
    let with = |text: &dyn Fn(&Secret) -> &str| {
        let input = revealed(input, text);
        let arguments: Vec<_> =
            arguments.iter().map(|a| a.as_ref().map(|a| Cow::Owned(revealed(a, text)))).collect();
        (entry.run)(&Call { entry, input: &input, arguments: &arguments, budget })
    };
    // The reason could quote the clear text.
    let clear = with(&Secret::expose).map_err(|wrong| Wrong {
        message: format!("`{}` can't be applied to this secret", entry.name),
        help: None,
        ..wrong
    })?;
    let shown = match input {
        // What was done to the letters of a secret can't be shown on those of its name.
        Value::Secret(secret) => format!("{} | {}", secret.shown(), entry.name),
        _ => match with(&Secret::shown) {
            Ok(Value::Text(shown)) => shown,
            _ => format!("‹secret› | {}", entry.name),
        },
    };
    tainted(clear, &shown).ok_or_else(|| Wrong::secret(&format!("`{}`", entry.name)))
}

fn tainted(value: Value, shown: &str) -> Option<Value> {
    match value {
        Value::Text(clear) => Some(Value::Secret(Secret::derived(clear, shown.to_owned()))),
        Value::List(items) => items
            .into_iter()
            .map(|item| tainted(item, shown))
            .collect::<Option<_>>()
            .map(Value::List),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Kind as NodeKind,
            testing::{CLEAR, evaluated, names, parsed, secret},
        },
        *,
    };

    #[test]
    fn every_example_gives_its_result() {
        for entry in all() {
            let value = evaluated(entry.example)
                .unwrap_or_else(|f| panic!("{entry:?}: {}: {}", entry.example, f.message));
            assert_eq!(value.to_string(), entry.result, "{entry:?}: {}", entry.example);
            assert!(entry.example.contains(entry.name), "{entry:?} shows something else");
            assert!(parsed(entry.example).unwrap().check().is_empty(), "{entry:?}");
            assert!(entry.summary.ends_with(['.', '?']), "{entry:?}");
        }
    }

    #[test]
    fn names_are_unique_and_other_languages_names_lead_somewhere() {
        for kind in [Kind::Filter, Kind::Test, Kind::Function] {
            let mut names: Vec<_> = all()
                .iter()
                .filter(|e| e.kind == kind)
                .flat_map(|e| std::iter::once(e.name).chain(e.aliases.iter().copied()))
                .collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{kind}");
        }
        for (there, here) in ELSEWHERE {
            assert!(find(Kind::Filter, here).is_some(), "{here}");
            assert!(find(Kind::Filter, there).is_none(), "{there} exists");
        }
    }

    /// Arguments that the entry's example gives, evaluated.
    fn arguments(entry: &Entry) -> Vec<Value> {
        fn find_call<'a>(node: &'a super::super::Node, name: &str) -> Option<Vec<&'a NodeValue>> {
            let called = match &node.kind {
                NodeKind::Filter(n, _, arguments)
                | NodeKind::Test(n, _, arguments)
                | NodeKind::Call(n, arguments)
                    if n == name =>
                {
                    Some(arguments.iter().map(|a| &a.value).collect())
                }
                _ => None,
            };
            let below = || {
                super::super::survey::children(node).into_iter().find_map(|c| find_call(c, name))
            };
            called.or_else(below)
        }
        type NodeValue = super::super::Node;
        let expression = parsed(entry.example).unwrap();
        let scope = names();
        find_call(&expression.root, entry.name)
            .unwrap_or_default()
            .into_iter()
            .map(|node| {
                super::super::evaluate::evaluate(node, &expression.written, &scope).unwrap()
            })
            .collect()
    }

    /// Everything that people could get to see of a result.
    fn visible(result: &Result<Value, Wrong>) -> String {
        match result {
            Ok(v) => format!("{v} {v:?} {} {}", v.to_plain(), v.to_journal()),
            Err(wrong) => format!("{wrong:?}"),
        }
    }

    #[test]
    fn no_entry_lets_a_secret_out() {
        let secret = secret();
        let map = Value::map([("k", secret.clone()), ("n", Value::Int(1))]);
        let inputs = [
            secret.clone(),
            Value::List(vec![secret.clone(), Value::text("plain")]),
            Value::List(vec![secret.clone(), secret.clone()]),
            map.clone(),
            Value::List(vec![map.clone(), map]),
            Value::text("some text"),
        ];
        let budget = Budget::new();
        let base64 = evaluated(&format!("'{CLEAR}' | base64")).unwrap().to_string();
        let hex = evaluated(&format!("'{CLEAR}' | hex")).unwrap().to_string();
        let digest = evaluated(&format!("'{CLEAR}' | sha256")).unwrap().to_string();
        let reversed: String = CLEAR.chars().rev().collect();
        let traces = [
            CLEAR.to_lowercase(),
            base64.to_lowercase(),
            hex,
            digest,
            reversed.to_lowercase(),
            "cl34r".to_owned(),
            "tx7".to_owned(),
        ];
        let mut tried = 0;
        for entry in all() {
            let given = arguments(entry);
            let count = given.len().max(entry.parameters.len());
            // Each argument as in the example, and the secret (or what is like `k`) in its stead.
            let mut lists: Vec<Vec<Option<Cow<'_, Value>>>> = Vec::new();
            let plain: Vec<_> = (0..count).map(|i| given.get(i).map(Cow::Borrowed)).collect();
            lists.push(plain.clone());
            for index in 0..count {
                for instead in [secret.clone(), Value::text("k")] {
                    let mut changed = plain.clone();
                    changed[index] = Some(Cow::Owned(instead));
                    lists.push(changed);
                }
            }
            for input in &inputs {
                for list in &lists {
                    let seen = visible(&run(entry, input, list, &budget)).to_lowercase();
                    for trace in &traces {
                        assert!(!seen.contains(trace), "{entry:?} of {input:?}: {seen}");
                    }
                    tried += 1;
                }
            }
        }
        assert!(tried > 1000, "only {tried} calls were tried");
    }

    #[test]
    fn the_reason_why_a_secret_is_refused_does_not_quote_it() {
        let failure = evaluated("token | unbase64").unwrap_err();
        assert_eq!(failure.message, "`unbase64` can't be applied to this secret");
        assert_eq!(failure.help, None);
    }

    #[test]
    fn rounding_is_half_to_even() {
        for (text, rounded) in [
            ("2.5 | round", "2"),
            ("3.5 | round", "4"),
            ("-2.5 | round", "-2"),
            ("2.665 | round(2)", "2.66"),
            ("1234 | round(-2)", "1200"),
            ("'0.125' | decimal(2)", "0.12"),
            ("1 | decimal(2)", "1.00"),
            ("'5.00' | int", "5"),
            ("'  -7 ' | int", "-7"),
        ] {
            assert_eq!(evaluated(text).unwrap().to_string(), rounded, "{text}");
        }
        for wrong in ["'' | int", "'1_000' | int", "'.' | decimal", "'e5' | decimal", "[] | int"] {
            assert!(evaluated(wrong).is_err(), "{wrong}");
        }
    }
}
