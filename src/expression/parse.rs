//! From text to syntax tree: minijinja parses, and its tree, which borrows the text, becomes ours.
//!
//! Owns what of minijinja's grammar exists here, and the words for what does not. Must not know
//! values of names, nor what filters do.

use std::{ops::Range, str::FromStr, sync::Arc};

use bigdecimal::BigDecimal;
use minijinja::{
    machinery::{
        ast::{self, BinOpKind, CompareOpKind, Expr, UnaryOpKind},
        parse_expr,
    },
    syntax::SyntaxConfig,
};

use super::{Argument, Expression, Kind, Node, Operator, Written, functions, nesting};
use crate::{
    base::Value,
    diagnostics::{Diagnostic, codes},
};

/// How templates are read: a line that holds nothing but a `{% … %}` leaves no empty line behind,
/// and the text's last line break stays.
pub(super) fn syntax() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    // Only delimiters can be wrong, and they are the default ones.
    builder.build().unwrap_or_default()
}

/// Parses a bare expression.
pub(super) fn expression(text: &str, written: Written) -> Result<Expression, Vec<Diagnostic>> {
    if text.trim().is_empty() {
        let empty = Diagnostic::error(codes::RW0301, written.place, "the expression is empty");
        return Err(vec![empty.help("write a condition such as `result.status == 200`")]);
    }
    nesting::check(text, true)
        .map_err(|(range, why)| vec![too_deep("expression", &why, &written, range)])?;
    let tree = parse_expr(text).map_err(|error| vec![refused(&error, text, true, &written)])?;
    let mut lowering = Lowering::new(text, &written);
    let root = Arc::new(lowering.node(&tree));
    if lowering.faults.is_empty() {
        Ok(Expression { text: Arc::from(text), written, root })
    } else {
        Err(lowering.faults)
    }
}

pub(super) fn too_deep(
    what: &str,
    why: &str,
    written: &Written,
    range: Range<usize>,
) -> Diagnostic {
    Diagnostic::error(
        codes::RW0301,
        written.at(range),
        format!("the {what} is too large to be read: {why}"),
    )
    .help("split it: give parts names with `outputs` or `vars`")
}

/// A syntax error of minijinja's, in the words of our grammar.
pub(super) fn refused(
    error: &minijinja::Error,
    text: &str,
    bare: bool,
    written: &Written,
) -> Diagnostic {
    let detail = error.detail().unwrap_or("it is not an expression");
    let end = detail.starts_with("unexpected end of input");
    let range = match error.range() {
        // What is missing is missing behind the last word.
        Some(range) if end && bare => range.start.min(text.len())..text.len(),
        Some(range) => range.start.min(text.len())..range.end.min(text.len()),
        None => 0..text.len(),
    };
    let place = written.at(range.clone());
    if let Some(statement) = detail.strip_prefix("unknown statement ") {
        let message = format!("`{{% {statement} %}}` does not exist in templates");
        return Diagnostic::error(codes::RW0301, place, message)
            .help("templates know `{% if %}`, `{% for %}`, `{# … #}` and `{% raw %}`");
    }
    let detail = detail
        .replace("start of variable block", "`{{`")
        .replace("end of variable block", "`}}`")
        .replace("start of block", "`{%`")
        .replace("end of block", "`%}`")
        .replace("identifier", "a name")
        .replace("end of input", "the end");
    let what = if bare { "expression" } else { "template" };
    Diagnostic::error(codes::RW0301, place, format!("the {what} can't be read: {detail}"))
        .maybe_help(help_for(text, &range, bare))
}

/// The likeliest slip of people who write other languages too.
fn help_for(text: &str, range: &Range<usize>, bare: bool) -> Option<String> {
    let help = |text: &str| Some(text.to_owned());
    if bare && text.contains("{{") {
        return help("leave `{{` and `}}` out: an expression stands here already");
    }
    if !bare && text.contains("{#") && !text.contains("#}") {
        return help(
            "`{#` begins a comment; text that needs it goes between `{% raw %}` and `{% endraw %}`",
        );
    }
    let near = text.get(range.start.saturating_sub(2)..).unwrap_or(text);
    let near: String = near.chars().take(range.len() + 4).collect();
    for (wrong, right) in
        [("&&", "and"), ("||", "or"), ("!", "not"), ("?", "a if condition else b")]
    {
        if near.contains(wrong) && !near.contains("!=") {
            return Some(format!("write `{right}` instead of `{wrong}`"));
        }
    }
    if near.contains('=') && !near.contains("==") && bare {
        return help("write `==` to compare");
    }
    (!bare).then(|| {
        "a text that must hold `{{` or `{%` goes between `{% raw %}` and `{% endraw %}`".to_owned()
    })
}

/// Makes our tree from minijinja's, and gathers what does not exist here.
pub(super) struct Lowering<'a> {
    text: &'a str,
    written: &'a Written,
    pub(super) faults: Vec<Diagnostic>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(text: &'a str, written: &'a Written) -> Self {
        Self { text, written, faults: Vec::new() }
    }

    /// Notes something that does not exist here.
    pub(super) fn refuse(&mut self, range: Range<usize>, message: String, help: String) {
        let place = self.written.at(range);
        self.faults.push(Diagnostic::error(codes::RW0301, place, message).help(help));
    }

    /// The node; where there is a fault, null stands for it.
    ///
    /// Each kind has a function of its own, which keeps the stack that a level takes small.
    pub(super) fn node(&mut self, expr: &Expr<'_>) -> Node {
        let span = expr.span();
        let own = span.start_offset as usize..span.end_offset as usize;
        match expr {
            // As in YAML and JSON, and not a name that could be anything else.
            Expr::Var(var) if var.id == "null" => {
                Node { kind: Kind::Constant(Value::Null), range: own }
            }
            Expr::Var(var) => Node { kind: Kind::Name(var.id.to_owned()), range: own },
            Expr::Const(constant) => {
                Node { kind: Kind::Constant(self.constant(&constant.value, &own)), range: own }
            }
            Expr::Slice(slice) => self.slice(slice, own.end),
            Expr::UnaryOp(unary) => self.unary(unary, own),
            Expr::BinOp(binary) => self.binary(binary, own.end),
            Expr::Compare(compare) => self.compare(compare, own.end),
            Expr::IfExpr(choice) => self.choice(choice, own.end),
            Expr::Filter(filter) => self.filter(filter, own),
            Expr::Test(test) => self.test(test, own),
            Expr::GetAttr(attribute) => {
                let base = Box::new(self.node(&attribute.expr));
                let range = base.whole().start..own.end;
                Node { kind: Kind::Attribute(base, attribute.name.to_owned()), range }
            }
            Expr::GetItem(item) => self.item(item, own.end),
            Expr::Call(call) => self.call(call, own),
            Expr::List(list) => Node { kind: Kind::List(self.nodes(&list.items)), range: own },
            Expr::Tuple(tuple) => Node { kind: Kind::List(self.nodes(&tuple.items)), range: own },
            Expr::Map(map) => self.map(map, own),
        }
    }

    // minijinja begins the range of some nodes one word early: ours begins at the first operand.

    fn slice(&mut self, slice: &ast::Slice<'_>, end: usize) -> Node {
        let base = Box::new(self.node(&slice.expr));
        let range = base.whole().start..end;
        let mut part = |part: &Option<Expr<'_>>| part.as_ref().map(|p| Box::new(self.node(p)));
        let (start, stop, step) = (part(&slice.start), part(&slice.stop), part(&slice.step));
        Node { kind: Kind::Slice(base, start, stop, step), range }
    }

    fn unary(&mut self, unary: &ast::UnaryOp<'_>, range: Range<usize>) -> Node {
        let operand = Box::new(self.node(&unary.expr));
        let kind = match unary.op {
            UnaryOpKind::Not => Kind::Not(operand),
            UnaryOpKind::Neg => Kind::Negate(operand),
        };
        // `a not in b` is a negation that begins at its operand.
        let start = range.start.min(match &kind {
            Kind::Not(operand) | Kind::Negate(operand) => operand.whole().start,
            _ => range.start,
        });
        Node { kind, range: start..range.end }
    }

    fn binary(&mut self, binary: &ast::BinOp<'_>, end: usize) -> Node {
        let left = Box::new(self.node(&binary.left));
        let range = left.whole().start..end;
        let right = Box::new(self.node(&binary.right));
        Node { kind: Kind::Binary(operator(binary.op), left, right), range }
    }

    fn compare(&mut self, compare: &ast::Compare<'_>, end: usize) -> Node {
        let first = Box::new(self.node(&compare.expr));
        let range = first.whole().start..end;
        let rest = compare.ops.iter().map(|op| (comparison(op.op), self.node(&op.expr))).collect();
        Node { kind: Kind::Compare(first, rest), range }
    }

    fn choice(&mut self, choice: &ast::IfExpr<'_>, end: usize) -> Node {
        let yes = Box::new(self.node(&choice.true_expr));
        let range = yes.whole().start..end;
        let test = Box::new(self.node(&choice.test_expr));
        let no = choice.false_expr.as_ref().map(|no| Box::new(self.node(no)));
        Node { kind: Kind::If(test, yes, no), range }
    }

    fn test(&mut self, test: &ast::Test<'_>, range: Range<usize>) -> Node {
        let input = Box::new(self.node(&test.expr));
        let arguments = self.arguments(&test.args, &range);
        Node { kind: Kind::Test(test.name.to_owned(), input, arguments), range }
    }

    fn item(&mut self, item: &ast::GetItem<'_>, end: usize) -> Node {
        let base = Box::new(self.node(&item.expr));
        let range = base.whole().start..end;
        let key = Box::new(self.node(&item.subscript_expr));
        Node { kind: Kind::Item(base, key), range }
    }

    fn map(&mut self, map: &ast::Map<'_>, range: Range<usize>) -> Node {
        let keys = self.nodes(&map.keys);
        Node { kind: Kind::Map(keys.into_iter().zip(self.nodes(&map.values)).collect()), range }
    }

    fn nodes(&mut self, items: &[Expr<'_>]) -> Vec<Node> {
        items.iter().map(|item| self.node(item)).collect()
    }

    fn filter(&mut self, filter: &ast::Filter<'_>, range: Range<usize>) -> Node {
        let arguments = self.arguments(&filter.args, &range);
        let kind = match &filter.expr {
            Some(input) => {
                let input = Box::new(self.node(input));
                Kind::Filter(filter.name.to_owned(), input, arguments)
            }
            // Only in `{% filter %}`, which is refused where it stands.
            None => Kind::Constant(Value::Null),
        };
        Node { kind, range }
    }

    fn call(&mut self, call: &ast::Call<'_>, own: Range<usize>) -> Node {
        let arguments = self.arguments(&call.args, &own);
        let kind = match &call.expr {
            Expr::Var(var) => Kind::Call(var.id.to_owned(), arguments),
            Expr::GetAttr(method) => {
                let base = self.node(&method.expr);
                let name = functions::filter_like(method.name).unwrap_or(method.name);
                let whole = base.whole();
                let before = self.text.get(whole.clone()).unwrap_or("value");
                self.refuse(
                    whole.start..own.end,
                    format!("values have no methods: `{}()`", method.name),
                    format!("write `{before} | {name}`"),
                );
                Kind::Constant(Value::Null)
            }
            _ => {
                self.refuse(
                    own.clone(),
                    "only a function's name can be called".to_owned(),
                    "functions are called as in `range(3)`".to_owned(),
                );
                Kind::Constant(Value::Null)
            }
        };
        Node { kind, range: own }
    }

    fn arguments(&mut self, args: &[ast::CallArg<'_>], range: &Range<usize>) -> Vec<Argument> {
        args.iter()
            .filter_map(|argument| {
                let (name, value) = match argument {
                    ast::CallArg::Pos(value) => (None, value),
                    ast::CallArg::Kwarg(name, value) => (Some((*name).to_owned()), value),
                    ast::CallArg::PosSplat(_) | ast::CallArg::KwargSplat(_) => {
                        self.refuse(
                            range.clone(),
                            "arguments can't be spread with `*` or `**`".to_owned(),
                            "write each argument out".to_owned(),
                        );
                        return None;
                    }
                };
                Some(Argument { name, value: self.node(value) })
            })
            .collect()
    }

    fn constant(&mut self, value: &minijinja::Value, range: &Range<usize>) -> Value {
        if let Some(text) = value.as_str() {
            return Value::text(text);
        }
        if value.is_none() {
            return Value::Null;
        }
        if let (minijinja::value::ValueKind::Bool, truth) = (value.kind(), value.is_true()) {
            return Value::Bool(truth);
        }
        if value.is_integer()
            && let Ok(int) = i128::try_from(value.clone())
        {
            return Value::Int(int);
        }
        // minijinja has read a binary float, or more digits than an integer holds: the digits that
        // were written are what counts.
        let digits = self.text.get(range.clone()).unwrap_or_default().replace('_', "");
        match BigDecimal::from_str(&digits) {
            Ok(decimal) if super::operators::sane(&decimal).is_ok() => Value::Decimal(decimal),
            _ => {
                self.refuse(
                    range.clone(),
                    format!("`{digits}` is not a number that can be used"),
                    "write the number in decimal digits".to_owned(),
                );
                Value::Null
            }
        }
    }
}

fn operator(kind: BinOpKind) -> Operator {
    match kind {
        BinOpKind::Eq => Operator::Equal,
        BinOpKind::Ne => Operator::NotEqual,
        BinOpKind::Lt => Operator::Less,
        BinOpKind::Lte => Operator::LessOrEqual,
        BinOpKind::Gt => Operator::Greater,
        BinOpKind::Gte => Operator::GreaterOrEqual,
        BinOpKind::ScAnd => Operator::And,
        BinOpKind::ScOr => Operator::Or,
        BinOpKind::Add => Operator::Add,
        BinOpKind::Sub => Operator::Subtract,
        BinOpKind::Mul => Operator::Multiply,
        BinOpKind::Div => Operator::Divide,
        BinOpKind::FloorDiv => Operator::FloorDivide,
        BinOpKind::Rem => Operator::Remainder,
        BinOpKind::Pow => Operator::Power,
        BinOpKind::Concat => Operator::Concatenate,
        BinOpKind::In => Operator::In,
    }
}

fn comparison(kind: CompareOpKind) -> Operator {
    match kind {
        CompareOpKind::Eq => Operator::Equal,
        CompareOpKind::Ne => Operator::NotEqual,
        CompareOpKind::Lt => Operator::Less,
        CompareOpKind::Lte => Operator::LessOrEqual,
        CompareOpKind::Gt => Operator::Greater,
        CompareOpKind::Gte => Operator::GreaterOrEqual,
        CompareOpKind::In => Operator::In,
        CompareOpKind::NotIn => Operator::NotIn,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{parsed, shown},
        *,
    };

    fn fault(text: &str) -> (String, String, String) {
        let faults = parsed(text).unwrap_err();
        let first = faults.first().unwrap();
        assert_eq!(first.code, codes::RW0301, "{text}");
        let marked = first.place.as_ref().unwrap().text().to_owned();
        (first.message.clone(), marked, first.help.clone().unwrap_or_default())
    }

    #[test]
    fn money_is_read_as_it_is_written() {
        for (text, kind, value) in [
            ("0.01", "a decimal", "0.01"),
            ("1_000.10", "a decimal", "1000.10"),
            ("1e3", "a decimal", "1000"),
            ("0x10", "an integer", "16"),
            ("170141183460469231731687303715884105727", "an integer", ""),
            ("170141183460469231731687303715884105728", "a decimal", ""),
            ("'it''s'", "text", "its"),
            (r"'\d+\n'", "text", "\\d+\n"),
            ("null", "null", "null"),
            ("none", "null", "null"),
            ("(1, 2)", "a list", "[1,2]"),
        ] {
            let found = parsed(text).unwrap().evaluate(&super::super::testing::names()).unwrap();
            assert_eq!(found.kind(), kind, "{text}");
            let expected = if value.is_empty() { text } else { value };
            assert_eq!(found.to_string(), expected, "{text}");
        }
        assert_eq!(shown("0.1 + 0.2 == 0.3"), "true");
    }

    #[test]
    fn faults_stand_where_they_are() {
        for (text, message, marked, help) in [
            ("", "the expression is empty", "", ""),
            ("a ==", "unexpected the end", "==", ""),
            ("a b", "unexpected input", "b", ""),
            ("a && b", "unexpected character", "&", "write `and` instead of `&&`"),
            ("a || b", "unexpected `|`", "|", "write `or` instead of `||`"),
            ("a = b", "unexpected input", "=", "write `==` to compare"),
            ("{{ a }}", "unexpected", "", "leave `{{` and `}}` out"),
            ("'abc", "unexpected end of string", "", ""),
            ("name.upper()", "no methods", "name.upper()", "write `name | upper`"),
            ("name.tolower().x", "no methods", "name.tolower()", "write `name | lower`"),
            ("a[0](1)", "only a function's name", "(1)", ""),
            ("range(*a)", "can't be spread", "range(*a)", ""),
            ("1e999999999", "not a number", "1e999999999", ""),
        ] {
            let (found, at, helped) = fault(text);
            assert!(found.contains(message), "{text}: {found}");
            assert!(at.contains(marked), "{text}: marked `{at}`");
            assert!(helped.contains(help), "{text}: {helped}");
        }
    }

    #[test]
    fn all_faults_come_in_one_pass() {
        assert_eq!(parsed("a.x() + b.y() + f(**c)").unwrap_err().len(), 3);
    }

    #[test]
    fn hostile_texts_give_a_diagnostic() {
        for hostile in [
            "(".repeat(100_000),
            "not ".repeat(50_000),
            "-".repeat(100_000),
            format!("a{}", ".b".repeat(100_000)),
            "a if b else ".repeat(20_000),
            "[".repeat(29) + &"-".repeat(300),
            "\u{0}".to_owned(),
            "\u{202e}".to_owned(),
            "'\u{1f3e6}".to_owned(),
            "a.\u{e9}".to_owned(),
        ] {
            assert!(parsed(&hostile).is_err(), "{:?}", hostile.chars().take(20));
        }
    }

    #[test]
    fn what_passes_the_bounds_fits_the_stack() {
        // The runtime's threads have 2 MiB, of which the rest of a run needs its part.
        let half = std::thread::Builder::new().stack_size(1 << 20);
        half.spawn(deep_but_allowed).unwrap().join().unwrap();
    }

    fn deep_but_allowed() {
        for deep in [
            format!("{}1{}", "(".repeat(30), ")".repeat(30)),
            format!("{}1{}", "[".repeat(30), "]".repeat(30)),
            format!("{}1{}", "{'k':".repeat(30), "}".repeat(30)),
            format!("{}1{}", "range(".repeat(30), ")".repeat(30)),
            format!("{}1", "not ".repeat(199)),
            format!("{}1", "-".repeat(199)),
            format!("row{}", ".n".repeat(199)),
            format!("rows{}", "[0]".repeat(99)),
            format!("1{}", " + 1".repeat(199)),
            format!("1{}", " | abs".repeat(199)),
            format!("1{}", " and 1".repeat(199)),
            format!("{}1", "1 if 0 else ".repeat(99)),
            format!("{}{}1{}", "-".repeat(130), "(".repeat(30), ")".repeat(30)),
            format!("{}{}1{}", "not ".repeat(130), "[".repeat(30), "]".repeat(30)),
        ] {
            let expression = parsed(&deep).unwrap_or_else(|d| panic!("{deep}: {d:?}"));
            assert!(!expression.names().is_empty() || !deep.contains("row"));
            assert!(expression.check().is_empty());
            let _ = expression.evaluate(&super::super::testing::names());
        }
    }
}
