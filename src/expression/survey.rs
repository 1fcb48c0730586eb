//! What can be said of an expression before it is evaluated: its names, and calls that can't work.
//!
//! Owns the walk over the tree. Must not know which names exist.

use super::{Kind, NameUse, Node, Written, functions};
use crate::{base::Value, diagnostics::Diagnostic};

/// Every free name of an expression.
pub(super) fn names(node: &Node, written: &Written) -> Vec<NameUse> {
    let mut found = Vec::new();
    gather(node, written, &[], false, &mut found);
    found
}

/// Adds the names that are not among those bound around the node.
pub(super) fn gather(
    node: &Node,
    written: &Written,
    bound: &[&str],
    optional: bool,
    found: &mut Vec<NameUse>,
) {
    if let Some(path) = node.path() {
        if !path.first().is_some_and(|(name, _)| bound.contains(name)) {
            found.push(NameUse {
                path: path.iter().map(|(name, _)| (*name).to_owned()).collect(),
                places: path.into_iter().map(|(_, range)| written.at(range)).collect(),
                optional,
            });
        }
        return;
    }
    // Absence is allowed along the path itself, not in what computes its subscripts.
    let forgives = match &node.kind {
        Kind::Filter(name, ..) => functions::allows_absence(functions::Kind::Filter, name),
        Kind::Test(name, ..) => functions::allows_absence(functions::Kind::Test, name),
        Kind::Attribute(..) | Kind::Item(..) => optional,
        _ => false,
    };
    for (index, child) in children(node).into_iter().enumerate() {
        gather(child, written, bound, forgives && index == 0, found);
    }
}

/// The nodes below, in the order in which they were written; the operand first.
pub(super) fn children(node: &Node) -> Vec<&Node> {
    match &node.kind {
        Kind::Constant(_) | Kind::Name(_) => Vec::new(),
        Kind::Attribute(base, _) | Kind::Not(base) | Kind::Negate(base) => vec![base],
        Kind::Item(left, right) | Kind::Binary(_, left, right) => vec![left, right],
        Kind::Slice(base, start, stop, step) => {
            let parts = [start, stop, step].into_iter().flatten().map(Box::as_ref);
            std::iter::once(base.as_ref()).chain(parts).collect()
        }
        Kind::Compare(first, rest) => {
            std::iter::once(first.as_ref()).chain(rest.iter().map(|(_, node)| node)).collect()
        }
        Kind::If(test, yes, no) => {
            [Some(yes), Some(test), no.as_ref()].into_iter().flatten().map(Box::as_ref).collect()
        }
        Kind::Filter(_, input, arguments) | Kind::Test(_, input, arguments) => {
            std::iter::once(input.as_ref()).chain(arguments.iter().map(|a| &a.value)).collect()
        }
        Kind::Call(_, arguments) => arguments.iter().map(|a| &a.value).collect(),
        Kind::List(items) => items.iter().collect(),
        Kind::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
    }
}

/// Unknown filters, tests and functions, and arguments that they don't take.
pub(super) fn check(node: &Node, written: &Written) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    check_into(node, written, &mut found);
    found
}

fn check_into(node: &Node, written: &Written, found: &mut Vec<Diagnostic>) {
    let called = match &node.kind {
        Kind::Filter(name, _, arguments) => Some((functions::Kind::Filter, name, arguments)),
        Kind::Test(name, _, arguments) => Some((functions::Kind::Test, name, arguments)),
        Kind::Call(name, arguments) => Some((functions::Kind::Function, name, arguments)),
        _ => None,
    };
    if let Some((kind, name, arguments)) = called {
        let written_arguments: Vec<_> = arguments
            .iter()
            .map(|a| {
                let constant = match &a.value.kind {
                    Kind::Constant(Value::Text(text)) => Some(text.as_str()),
                    _ => None,
                };
                (a.name.as_deref(), constant)
            })
            .collect();
        if let Err(wrong) = functions::check(kind, name, &written_arguments) {
            // The name alone is marked: behind it stand arguments that may well be right.
            let range = node.range.start..(node.range.start + name.len()).min(node.range.end);
            let place = written.at(range);
            found.push(Diagnostic::error(wrong.code, place, wrong.message).maybe_help(wrong.help));
        }
    }
    for child in children(node) {
        check_into(child, written, found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use crate::{base::Place, diagnostics::codes};

    #[test]
    fn names_are_the_longest_fixed_paths_with_a_place_each() {
        let text = "steps.stuck.rows[0].n < inputs['limit'] and x[y.z] is defined or range(3)";
        let names = parsed(text).unwrap().names();
        let paths: Vec<_> = names.iter().map(|n| (n.path.join("."), n.optional)).collect();
        assert_eq!(
            paths,
            [
                ("steps.stuck.rows".to_owned(), false),
                ("inputs.limit".to_owned(), false),
                ("x".to_owned(), true),
                ("y.z".to_owned(), false),
            ]
        );
        let places: Vec<_> = names[0].places.iter().map(Place::text).collect();
        assert_eq!(places, ["steps", "stuck", "rows"]);
        assert_eq!(names[1].places[1].text(), "'limit'");
    }

    #[test]
    fn names_under_default_may_be_absent() {
        for (text, optional) in [
            ("a.b | default(1)", true),
            ("a.b[0].c | d(1)", true),
            ("a.b is undefined", true),
            ("a.b is not defined", true),
            ("(a.b | upper) | default(1)", false),
            ("a.b is none", false),
        ] {
            assert_eq!(parsed(text).unwrap().names()[0].optional, optional, "{text}");
        }
    }

    #[test]
    fn unknown_filters_and_wrong_arguments_are_found_before_running() {
        for (text, message, help, marked) in [
            ("a | uper", "there is no filter `uper`", "did you mean `upper`?", "uper"),
            ("a | tojson", "there is no filter `tojson`", "it is called `json` here", "tojson"),
            ("a is defned", "there is no test `defned`", "did you mean `defined`?", "defned"),
            ("rang(3)", "there is no function `rang`", "did you mean `range`?", "rang"),
            ("upper(a)", "there is no function `upper`", "write `value | upper`", "upper"),
            ("a | upper(1)", "`upper` takes no arguments", "write `upper`", "upper"),
            ("a | replace('x')", "needs an argument `new`", "replace(old, new, [count])", "repl"),
            ("a | round(1, 2)", "`round` takes one argument, not 2", "round([places])", "round"),
            ("a | sort(atribute='x')", "no argument `atribute`", "", "sort"),
            ("a | round(2, places=2)", "twice", "", "round"),
            ("a | select('evn')", "there is no test `evn`", "did you mean `even`?", "select"),
            ("a | map('uper')", "there is no filter `uper`", "did you mean", "map"),
            ("[1, {'k': x | nope}]", "there is no filter `nope`", "", "nope"),
            ("a | regex_find('(')", "not a regular expression: unclosed group", "", "regex_find"),
            ("a | plus('5')", "has no unit", "", "plus"),
            ("a | in_zone('Mars')", "no time zone `Mars`", "America/Sao_Paulo", "in_zone"),
        ] {
            let found = parsed(text).unwrap().check();
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!([codes::RW0303, codes::RW0304].contains(&found[0].code), "{text}");
            assert!(found[0].message.contains(message), "{text}: {}", found[0].message);
            let helped = found[0].help.clone().unwrap_or_default();
            assert!(helped.contains(help), "{text}: {helped}");
            let at = found[0].place.as_ref().unwrap().text();
            assert!(at.contains(marked), "{text}: marked `{at}`");
        }
        for right in ["a | sort(attribute='n', reverse=true)", "a | selectattr('n', 'gt', 1)"] {
            assert!(parsed(right).unwrap().check().is_empty(), "{right}");
        }
    }
}
