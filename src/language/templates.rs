//! Reads expressions, templates and written values out of the tree.
//!
//! Owns where a bare expression, a template or fixed text stands, and how values without a declared
//! type are typed. Must not know steps.

use indexmap::IndexMap;

use crate::{
    base::Value,
    diagnostics::{Diagnostic, codes},
    expression::{Escape, Expression, Template, Written},
    model::runbook::{Tree, TreeNode},
    yaml::{
        Node, Scalar, Shape,
        scalars::Typed,
        shape::{self, Findings},
    },
};

/// A bare expression, as `when` and `expect` hold it.
pub(super) fn expression(node: &Node, what: &str, out: &mut Findings) -> Option<Expression> {
    let Some(scalar) = node.scalar().filter(|_| !node.is_null()) else {
        out.push(shape::wrong(node, &format!("{what} must be an expression")));
        return None;
    };
    if let Some(inner) = braces(&scalar.text) {
        let message = format!("{what} is an expression by itself and takes no braces");
        out.push(
            Diagnostic::error(codes::RW0301, node.place.clone(), message)
                .help(format!("write `{}`", shape::shortened(inner.trim()))),
        );
        return None;
    }
    parsed(&scalar.text, scalar.written.clone(), out)
}

fn parsed(text: &str, written: Written, out: &mut Findings) -> Option<Expression> {
    match Expression::parse(text, written) {
        Ok(expression) => {
            out.extend(expression.check());
            Some(expression)
        }
        Err(faults) => {
            out.extend(faults);
            None
        }
    }
}

/// What is between the braces of a text that is one template.
fn braces(text: &str) -> Option<&str> {
    text.trim().strip_prefix("{{")?.strip_suffix("}}")
}

/// The list of `foreach`: an expression, or a list written out.
///
/// A list becomes the text of the expression that means the same, so that one kind of thing is
/// evaluated; its whole place stands for every part.
pub(super) fn items(node: &Node, what: &str, out: &mut Findings) -> Option<Expression> {
    let Shape::List(list) = &node.shape else { return expression(node, what, out) };
    let mut parts = Vec::with_capacity(list.len());
    for item in list.iter() {
        parts.push(literal(item, what, out)?);
    }
    let written = Written { place: node.place.clone(), runs: [].into() };
    parsed(&format!("[{}]", parts.join(", ")), written, out)
}

/// A value in the syntax of expressions.
fn literal(node: &Node, what: &str, out: &mut Findings) -> Option<String> {
    match &node.shape {
        Shape::List(list) => {
            let parts: Option<Vec<_>> = list.iter().map(|n| literal(n, what, out)).collect();
            Some(format!("[{}]", parts?.join(", ")))
        }
        Shape::Map(map) => {
            let parts: Option<Vec<_>> = map
                .iter()
                .map(|e| {
                    Some(format!("{}: {}", quoted(&e.key.text), literal(&e.value, what, out)?))
                })
                .collect();
            Some(format!("{{{}}}", parts?.join(", ")))
        }
        Shape::Scalar(scalar) => match scalar.typed() {
            Typed::Null => Some("none".into()),
            Typed::Bool(flag) => Some(flag.to_string()),
            Typed::Int(int) => Some(int.to_string()),
            Typed::Decimal(decimal) => Some(decimal.to_plain_string()),
            Typed::Text => match braces(&scalar.text) {
                Some(inner) if !inner.contains("{{") => Some(format!("({inner})")),
                _ if has_template(&scalar.text) => {
                    let message = format!("a template inside of text can't stand in {what}");
                    out.push(
                        Diagnostic::error(codes::RW0305, node.place.clone(), message)
                            .help("join the texts with `~` in an expression"),
                    );
                    None
                }
                _ => Some(quoted(&scalar.text)),
            },
            Typed::Ambiguous(why) => {
                out.push(shape::ambiguous(node, why));
                None
            }
        },
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Does the text begin anything of the template language?
pub(super) fn has_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Text that may hold templates.
pub(super) fn template(node: &Node, what: &str, out: &mut Findings) -> Option<Template> {
    let scalar = node.scalar().filter(|s| s.typed() == Typed::Text);
    let Some(scalar) = scalar else {
        out.push(shape::wrong(node, &format!("{what} must be text")));
        return None;
    };
    template_of(scalar, out)
}

fn template_of(scalar: &Scalar, out: &mut Findings) -> Option<Template> {
    match Template::parse(&scalar.text, scalar.written.clone()) {
        Ok(template) => {
            out.extend(template.check());
            Some(template)
        }
        Err(faults) => {
            out.extend(faults);
            None
        }
    }
}

/// Text as a written value: fixed, or a template rendered in this way.
pub(super) fn text(node: &Node, what: &str, escape: Escape, out: &mut Findings) -> Option<Tree> {
    match node.scalar().filter(|s| s.typed() == Typed::Text) {
        Some(scalar) => scalar_text(node, scalar, escape, out),
        None => {
            out.push(shape::wrong(node, &format!("{what} must be text")));
            None
        }
    }
}

fn scalar_text(node: &Node, scalar: &Scalar, escape: Escape, out: &mut Findings) -> Option<Tree> {
    if !has_template(&scalar.text) {
        return Some(constant(node, Value::text(&*scalar.text)));
    }
    let template = template_of(scalar, out)?;
    let node_ = match template.is_plain() {
        true => TreeNode::Constant(Value::text(&*scalar.text)),
        false => TreeNode::Template(template, escape),
    };
    Some(Tree { node: node_, place: node.place.clone() })
}

/// A fixed value at a node's place.
pub(super) fn constant(node: &Node, value: Value) -> Tree {
    Tree { node: TreeNode::Constant(value), place: node.place.clone() }
}

/// Any value, typed by what it looks like; texts may hold templates.
pub(super) fn value(node: &Node, out: &mut Findings) -> Option<Tree> {
    let tree = match &node.shape {
        Shape::List(items) => {
            // Every item is read, so that each fault is told.
            let items: Vec<_> = items.iter().map(|item| value(item, out)).collect();
            TreeNode::List(items.into_iter().collect::<Option<_>>()?)
        }
        Shape::Map(entries) => {
            let mut map = IndexMap::with_capacity(entries.len());
            let mut whole = true;
            for entry in entries.iter() {
                whole &= fixed_key(&entry.key, out);
                match value(&entry.value, out) {
                    Some(tree) => drop(map.insert(entry.key.text.to_string(), tree)),
                    None => whole = false,
                }
            }
            TreeNode::Map(whole.then_some(map)?)
        }
        Shape::Scalar(scalar) => match scalar.typed() {
            Typed::Text => return scalar_text(node, scalar, Escape::None, out),
            Typed::Null => TreeNode::Constant(Value::Null),
            Typed::Bool(flag) => TreeNode::Constant(Value::Bool(flag)),
            Typed::Int(int) => TreeNode::Constant(Value::Int(int)),
            Typed::Decimal(decimal) => TreeNode::Constant(Value::Decimal(decimal)),
            Typed::Ambiguous(why) => {
                out.push(shape::ambiguous(node, why));
                return None;
            }
        },
    };
    Some(Tree { node: tree, place: node.place.clone() })
}

fn fixed_key(key: &crate::yaml::Key, out: &mut Findings) -> bool {
    let fixed = !has_template(&key.text);
    if !fixed {
        let message = "a key is fixed text: no template may stand in it";
        out.push(Diagnostic::error(codes::RW0305, key.place.clone(), message));
    }
    fixed
}

/// A fixed value without templates, as defaults have it.
pub(super) fn plain(tree: &Tree) -> Option<Value> {
    Some(match &tree.node {
        TreeNode::Constant(value) => value.clone(),
        TreeNode::Template(..) => return None,
        TreeNode::List(items) => Value::List(items.iter().map(plain).collect::<Option<_>>()?),
        TreeNode::Map(map) => Value::Map(
            map.iter().map(|(k, t)| Some((k.clone(), plain(t)?))).collect::<Option<_>>()?,
        ),
    })
}

/// A value of a file of data: braces in it are text, never a template.
pub(super) fn data(node: &Node, out: &mut Findings) -> Option<Value> {
    Some(match &node.shape {
        Shape::List(items) => {
            let items: Vec<_> = items.iter().map(|item| data(item, out)).collect();
            Value::List(items.into_iter().collect::<Option<_>>()?)
        }
        Shape::Map(entries) => {
            let pairs: Vec<_> =
                entries.iter().map(|e| (e.key.text.to_string(), data(&e.value, out))).collect();
            Value::Map(pairs.into_iter().map(|(k, v)| Some((k, v?))).collect::<Option<_>>()?)
        }
        Shape::Scalar(scalar) => match scalar.typed() {
            Typed::Text => Value::text(&*scalar.text),
            Typed::Null => Value::Null,
            Typed::Bool(flag) => Value::Bool(flag),
            Typed::Int(int) => Value::Int(int),
            Typed::Decimal(decimal) => Value::Decimal(decimal),
            Typed::Ambiguous(why) => {
                out.push(shape::ambiguous(node, why));
                return None;
            }
        },
    })
}
