//! Text with `{{ … }}` in it.
//!
//! Owns what stands between the braces and how it is put together, for each place that text goes
//! to. Must not know those places beyond their escapes. What a value holds is never read as a
//! template: the text is parsed once, before any value is known.

use std::{borrow::Cow, sync::Arc};

use minijinja::machinery::{
    ast::{Expr, Stmt},
    parse,
};

use super::{
    Expression, Failure, Kind, NameUse, Node, Scope, Written,
    budget::Budget,
    evaluate::Evaluation,
    nesting,
    output::Output,
    parse::{Lowering, refused, syntax, too_deep},
    shell::{Danger, Lexer},
    survey::{check, gather},
};
use crate::{
    base::{Place, Value},
    diagnostics::{Diagnostic, codes},
};

/// How a template's values are rendered where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As they are. A string that is a single `{{ … }}` keeps the value's type.
    None,
    /// For a POSIX shell: each value is one word, quoted where it must be; a list is several words.
    Shell,
    /// For a URL's path or query: all but unreserved characters are percent-encoded.
    Percent,
    /// For SQL: only `| ident` may stand there.
    Sql,
    /// For Markdown that the author wrote: values are text in it and nothing else.
    Markdown,
}

/// Text with expressions in it.
#[derive(Clone, Debug)]
pub struct Template {
    /// As it was written.
    pub text: Arc<str>,
    /// Where it was written.
    pub written: Written,
    parts: Arc<[Part]>,
}

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Emit(Arc<Node>),
    If(Node, Vec<Part>, Vec<Part>),
    For(Loop),
}

/// `{% for … %}`.
#[derive(Debug)]
pub(super) struct Loop {
    /// The names that an item, or its parts, are bound to.
    pub(super) names: Vec<String>,
    /// Each item is a list, taken apart into the names.
    pub(super) unpacks: bool,
    pub(super) items: Node,
    pub(super) filter: Option<Node>,
    pub(super) body: Vec<Part>,
    pub(super) otherwise: Vec<Part>,
}

impl Template {
    /// Parses; faults are `RW0301`.
    pub fn parse(text: &str, written: Written) -> Result<Self, Vec<Diagnostic>> {
        let plain = |parts: Vec<Part>, written| Self {
            text: Arc::from(text),
            written,
            parts: Arc::from(parts),
        };
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return Ok(plain(vec![Part::Text(text.to_owned())], written));
        }
        nesting::check(text, false)
            .map_err(|(range, why)| vec![too_deep("template", &why, &written, range)])?;
        let tree = parse(text, "template", syntax())
            .map_err(|error| vec![refused(&error, text, false, &written)])?;
        let mut lowering = Lowering::new(text, &written);
        let parts = match &tree {
            Stmt::Template(template) => lowering.parts(&template.children),
            other => lowering.parts(std::slice::from_ref(other)),
        };
        if lowering.faults.is_empty() { Ok(plain(parts, written)) } else { Err(lowering.faults) }
    }

    /// Holds no template at all.
    pub fn is_plain(&self) -> bool {
        matches!(&*self.parts, [Part::Text(text)] if **text == *self.text)
            || (self.parts.is_empty() && self.text.is_empty())
    }

    /// The expression, when the whole text is one.
    pub fn single(&self) -> Option<Expression> {
        let [Part::Emit(root)] = &*self.parts else { return None };
        let inner = self.text.strip_prefix("{{")?.strip_suffix("}}")?;
        Some(Expression {
            text: Arc::from(inner.trim_matches(['-', '+']).trim()),
            written: self.written.clone(),
            root: Arc::clone(root),
        })
    }

    /// Every free name in it.
    pub fn names(&self) -> Vec<NameUse> {
        let mut found = Vec::new();
        names(&self.parts, &self.written, &mut Vec::new(), &mut found);
        found
    }

    /// Filters, tests and functions that do not exist.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        each_node(&self.parts, &mut |node| found.extend(check(node, &self.written)));
        found
    }

    /// Values that stand, in this text as a shell command, where quoting them as a word does not
    /// protect: inside the author's own quotes, in a comment, and such.
    pub fn check_shell(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut report = |node: &Node, danger: Danger| {
            found.push(
                Diagnostic::error(codes::RW0305, self.written.at(node.whole()), danger.message())
                    .help(danger.help()),
            );
        };
        shell(&self.parts, &mut Lexer::new(), None, &mut report);
        found
    }

    /// Values that stand, in this text as SQL, without being an identifier that is quoted.
    pub fn check_sql(&self) -> Vec<Diagnostic> {
        self.emitted()
            .into_iter()
            .filter(|node| !ends_in(node, "ident"))
            .map(|node| {
                Diagnostic::error(
                    codes::RW0305,
                    self.written.at(node.whole()),
                    "a value stands in the text of a statement",
                )
                .help("bind it with `params`; a table's or column's name takes `| ident`")
            })
            .collect()
    }

    /// Where `| raw` takes a value's quoting away.
    pub fn raw_uses(&self) -> Vec<Place> {
        let raw = |node: &&Node| ends_in_any(node, "raw");
        self.emitted().into_iter().filter(raw).map(|n| self.written.at(n.whole())).collect()
    }

    fn emitted(&self) -> Vec<&Node> {
        let mut nodes = Vec::new();
        emitted(&self.parts, &mut nodes);
        nodes
    }

    /// Fills in.
    ///
    /// With `Escape::None` a text that is a single `{{ … }}` gives the value as it is, of whatever
    /// kind. Everything else is text, or a secret when a secret went into it.
    pub fn render(&self, scope: &dyn Scope, escape: Escape) -> Result<Value, Failure> {
        let faults = match escape {
            Escape::Shell => self.check_shell(),
            Escape::Sql => self.check_sql(),
            Escape::None | Escape::Percent | Escape::Markdown => Vec::new(),
        };
        if let Some(fault) = faults.into_iter().next() {
            return Err(Failure {
                code: fault.code,
                message: fault.message,
                place: fault.place.unwrap_or_else(|| self.written.place.clone()),
                help: fault.help,
                not_yet_known: false,
            });
        }
        let budget = Budget::new();
        let evaluation = Evaluation { written: &self.written, scope, budget: &budget };
        if escape == Escape::None
            && let [Part::Emit(root)] = &*self.parts
            && self.single().is_some()
        {
            return evaluation.value(root).map(Cow::into_owned);
        }
        let mut output = Output::new(escape);
        output.parts(&self.parts, evaluation)?;
        output.finish(&self.written)
    }
}

impl Lowering<'_> {
    fn parts(&mut self, statements: &[Stmt<'_>]) -> Vec<Part> {
        statements.iter().filter_map(|statement| self.part(statement)).collect()
    }

    fn part(&mut self, statement: &Stmt<'_>) -> Option<Part> {
        let (name, span, help) = match statement {
            Stmt::EmitRaw(raw) => return Some(Part::Text(raw.raw.to_owned())),
            Stmt::EmitExpr(emit) => return Some(Part::Emit(Arc::new(self.node(&emit.expr)))),
            Stmt::IfCond(choice) => {
                let test = self.node(&choice.expr);
                let yes = self.parts(&choice.true_body);
                return Some(Part::If(test, yes, self.parts(&choice.false_body)));
            }
            Stmt::ForLoop(each) if !each.recursive => {
                let (names, unpacks) = targets(&each.target);
                return Some(Part::For(Loop {
                    names,
                    unpacks,
                    items: self.node(&each.iter),
                    filter: each.filter_expr.as_ref().map(|filter| self.node(filter)),
                    body: self.parts(&each.body),
                    otherwise: self.parts(&each.else_body),
                }));
            }
            Stmt::ForLoop(each) => ("for … recursive", each.span(), "write the loop out"),
            Stmt::Template(template) => ("template", template.span(), "write plain text"),
            Stmt::WithBlock(with) => ("with", with.span(), "write the expression where it is used"),
            Stmt::Set(set) => ("set", set.span(), "give it a name with `vars` or `outputs`"),
            Stmt::SetBlock(set) => ("set", set.span(), "give it a name with `vars` or `outputs`"),
            Stmt::AutoEscape(block) => {
                ("autoescape", block.span(), "values are escaped for where they go")
            }
            Stmt::FilterBlock(block) => {
                ("filter", block.span(), "apply the filter to each value: `{{ x | upper }}`")
            }
            Stmt::Do(call) => ("do", call.span(), "write `{{ … }}`: expressions have no effects"),
            // Features of minijinja that this build leaves out have no other statements.
            #[allow(unreachable_patterns)]
            _ => return None,
        };
        self.refuse(
            span.start_offset as usize..span.end_offset as usize,
            format!("`{{% {name} %}}` does not exist in templates"),
            help.to_owned(),
        );
        None
    }
}

/// The names that a loop binds, and whether each item is taken apart for them.
fn targets(target: &Expr<'_>) -> (Vec<String>, bool) {
    fn collect(target: &Expr<'_>, names: &mut Vec<String>) {
        match target {
            Expr::Var(var) => names.push(var.id.to_owned()),
            Expr::List(list) => list.items.iter().for_each(|item| collect(item, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    collect(target, &mut names);
    (names, matches!(target, Expr::List(_)))
}

/// Is a filter the last thing that happens to the value, whichever way a choice goes?
pub(super) fn ends_in(node: &Node, filter: &str) -> bool {
    match &node.kind {
        Kind::Filter(name, ..) => name == filter,
        Kind::If(_, yes, Some(no)) => ends_in(yes, filter) && ends_in(no, filter),
        _ => false,
    }
}

/// The same, if only one way.
fn ends_in_any(node: &Node, filter: &str) -> bool {
    match &node.kind {
        Kind::Filter(name, ..) => name == filter,
        Kind::If(_, yes, no) => {
            ends_in_any(yes, filter) || no.as_ref().is_some_and(|no| ends_in_any(no, filter))
        }
        _ => false,
    }
}

fn emitted<'a>(parts: &'a [Part], nodes: &mut Vec<&'a Node>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Emit(node) => nodes.push(node),
            Part::If(_, yes, no) => {
                emitted(yes, nodes);
                emitted(no, nodes);
            }
            Part::For(each) => {
                emitted(&each.body, nodes);
                emitted(&each.otherwise, nodes);
            }
        }
    }
}

fn each_node(parts: &[Part], visit: &mut dyn FnMut(&Node)) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Emit(node) => visit(node),
            Part::If(test, yes, no) => {
                visit(test);
                each_node(yes, visit);
                each_node(no, visit);
            }
            Part::For(each) => {
                visit(&each.items);
                each.filter.iter().for_each(&mut *visit);
                each_node(&each.body, visit);
                each_node(&each.otherwise, visit);
            }
        }
    }
}

fn names<'a>(
    parts: &'a [Part],
    written: &Written,
    bound: &mut Vec<&'a str>,
    found: &mut Vec<NameUse>,
) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Emit(node) => gather(node, written, bound, false, found),
            Part::If(test, yes, no) => {
                gather(test, written, bound, false, found);
                names(yes, written, bound, found);
                names(no, written, bound, found);
            }
            Part::For(each) => {
                gather(&each.items, written, bound, false, found);
                let outside = bound.len();
                bound.extend(each.names.iter().map(String::as_str));
                if let Some(filter) = &each.filter {
                    gather(filter, written, bound, false, found);
                }
                bound.push("loop");
                names(&each.body, written, bound, found);
                bound.truncate(outside);
                names(&each.otherwise, written, bound, found);
            }
        }
    }
}

/// Walks a command, and reports values that stand where they must not. `before` is the value that
/// the text goes on from.
fn shell<'a>(
    parts: &'a [Part],
    lexer: &mut Lexer,
    before: Option<&'a Node>,
    report: &mut dyn FnMut(&Node, Danger),
) -> Option<&'a Node> {
    let mut before = before;
    for part in parts {
        match part {
            Part::Text(text) => {
                if let (Some(value), true) = (before, text.starts_with(['<', '>'])) {
                    report(value, Danger::Redirection);
                }
                lexer.text(text);
                before = if text.is_empty() { before } else { None };
            }
            Part::Emit(node) => {
                // What is raw is the author's own business, and is linted.
                if !ends_in(node, "raw") {
                    if let Some(danger) = lexer.danger() {
                        report(node, danger);
                    }
                    before = Some(node);
                }
                lexer.value();
            }
            Part::If(_, yes, no) => {
                let mut other = lexer.clone();
                let after = shell(yes, lexer, before, report);
                let after_other = shell(no, &mut other, before, report);
                before = after.or(after_other);
                // Where the branches leave different quotes open, what follows is seen both ways
                // only as the first goes; the stricter one is kept.
                if lexer.danger().is_none() && other.danger().is_some() {
                    *lexer = other;
                }
            }
            Part::For(each) => {
                let mut none = lexer.clone();
                shell(&each.otherwise, &mut none, before, report);
                before = shell(&each.body, lexer, before, report);
                if *lexer != none && lexer.danger().is_some() {
                    // A second round begins inside the quotes that the first left open.
                    shell(&each.body, lexer, before, report);
                }
            }
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{rendered, template, text, written},
        *,
    };

    #[test]
    fn a_single_expression_keeps_its_type() {
        for (single, kind) in [
            ("{{ limit }}", "an integer"),
            ("{{ rows }}", "a list"),
            ("{{- row.amount -}}", "a decimal"),
            ("{{ bytes }}", "bytes"),
            ("{{ row.note }}", "null"),
        ] {
            assert_eq!(rendered(single, Escape::None).unwrap().kind(), kind, "{single}");
            assert!(template(single).single().is_some(), "{single}");
        }
        assert_eq!(&*template("{{ limit + 1 }}").single().unwrap().text, "limit + 1");
        for composed in
            ["{{ limit }} ", " {{ limit }}", "{{ limit }}{{ limit }}", "x", "{# #}{{ limit }}"]
        {
            assert_eq!(rendered(composed, Escape::None).unwrap().kind(), "text", "{composed}");
            assert!(template(composed).single().is_none(), "{composed}");
        }
        assert_eq!(rendered("{{ limit }}", Escape::Shell).unwrap().kind(), "text");
        assert!(template("a { b").is_plain() && template("").is_plain());
        assert!(!template("{{ a }}").is_plain() && !template("{# c #}").is_plain());
    }

    #[test]
    fn values_inside_of_quotes_are_reported_where_they_are() {
        for (command, marked, help) in [
            ("echo '{{ name }}'", vec!["name"], "leave the quotes out"),
            ("echo \"a {{ name }} {{ limit }}\"", vec!["name", "limit"], "leave the quotes out"),
            ("{% if limit %}echo '{% endif %}{{ name }}'", vec!["name"], "leave the quotes out"),
            ("{% for h in hosts %}'{{ h }}'{% endfor %}", vec!["h"], "leave the quotes out"),
            ("{% for h in hosts %}{{ h }} '{% endfor %}", vec!["h"], "leave the quotes out"),
            ("echo {{ limit }}>out", vec!["limit"], "put a space"),
            ("cat <<E\n{{ name }}\nE", vec!["name"], "`stdin`"),
            ("echo {{ name }} 'a' \"b\" {{ limit }}", vec![], ""),
            ("echo '{{ name | raw }}'", vec![], ""),
        ] {
            let found = template(command).check_shell();
            let places: Vec<_> =
                found.iter().map(|d| d.place.as_ref().unwrap().text().to_owned()).collect();
            assert_eq!(places, marked, "{command}");
            for diagnostic in &found {
                assert_eq!(diagnostic.code, codes::RW0305);
                assert!(diagnostic.help.as_ref().unwrap().contains(help), "{command}");
            }
        }
    }

    #[test]
    fn only_identifiers_stand_in_sql() {
        let ident = "SELECT * FROM {{ 'a\"b' | ident }} WHERE x = :x";
        assert_eq!(text(ident, Escape::Sql), "SELECT * FROM \"a\"\"b\" WHERE x = :x");
        assert!(template(ident).check_sql().is_empty());
        assert!(template("{{ 'a' | ident if limit else 'b' | ident }}").check_sql().is_empty());
        for wrong in [
            "SELECT {{ limit }}",
            "SELECT {{ ('a' | ident) ~ limit }}",
            "SELECT {{ 'a' | ident | raw }}",
            "SELECT {{ 'a' | ident if limit else name }}",
            "SELECT {{ 'a' | ident if limit }}",
            "{% for h in hosts %}{{ h }}{% endfor %}",
        ] {
            assert_eq!(template(wrong).check_sql().len(), 1, "{wrong}");
            assert_eq!(rendered(wrong, Escape::Sql).unwrap_err().code, codes::RW0305, "{wrong}");
        }
        assert!(rendered("{{ '' | ident }}", Escape::Sql).is_err());
        assert!(rendered("{{ row.note | ident }}", Escape::Sql).is_err());
    }

    #[test]
    fn names_bound_by_a_loop_are_not_free() {
        let all = "{{ a.b }}{% for x, y in b.c if x > d %}{{ x.z }}{{ loop.index }}{{ e }}\
                   {% else %}{{ x }}{% endfor %}{{ loop }}\
                   {% if f | default(0) %}{{ y }}{% endif %}";
        let names = template(all).names();
        let paths: Vec<_> = names.iter().map(|n| n.path.join(".")).collect();
        assert_eq!(paths, ["a.b", "b.c", "d", "e", "x", "loop", "f", "y"]);
        assert!(names[6].optional);
    }

    #[test]
    fn what_templates_do_not_have_is_refused() {
        for (text, message) in [
            ("{% set x = 1 %}", "`{% set %}` does not exist"),
            ("{% with x = 1 %}{% endwith %}", "`{% with %}` does not exist"),
            ("{% do f() %}", "`{% do %}` does not exist"),
            ("{% filter upper %}x{% endfilter %}", "`{% filter %}` does not exist"),
            ("{% autoescape true %}x{% endautoescape %}", "`{% autoescape %}` does not exist"),
            ("{% macro m() %}{% endmacro %}", "`{% macro %}` does not exist"),
            ("{% include 'x' %}", "`{% include %}` does not exist"),
            ("{% extends 'x' %}", "`{% extends %}` does not exist"),
            ("{% block b %}{% endblock %}", "`{% block %}` does not exist"),
            ("{% import 'x' as y %}", "`{% import %}` does not exist"),
            ("{% call f() %}{% endcall %}", "`{% call %}` does not exist"),
            ("{% for x in y recursive %}{% endfor %}", "recursive"),
            ("{% for x in y %}", "can't be read"),
            ("{{ name.upper() }}", "no methods"),
            ("{{ }}", "can't be read"),
            ("{{ a", "can't be read"),
            ("${#array[@]}", "can't be read"),
            ("{{.Names}}", "can't be read"),
        ] {
            let faults = Template::parse(text, written(text)).unwrap_err();
            assert_eq!(faults[0].code, codes::RW0301);
            assert!(faults[0].message.contains(message), "{text}: {}", faults[0].message);
            assert!(faults[0].place.is_some() && faults[0].help.is_some(), "{text}");
        }
        assert_eq!(
            template("{{ a | uper }}{% if b is nope %}{{ f() }}{% endif %}").check().len(),
            3
        );
        assert_eq!(template("{{ a | raw }} {{ b }} {{ c | upper | raw }}").raw_uses().len(), 2);
    }
}
