//! Reads an action's arguments by its spec.
//!
//! Owns which argument may hold templates, how each is rendered, and what the call's effect is.
//! Must not know any action: their specs say everything.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{Reader, templates};
use crate::{
    base::{Source, Value},
    diagnostics::{Diagnostic, codes},
    expression::Escape,
    model::{
        ActionSpec, Effect, EffectRule,
        action_spec::ArgumentKind,
        runbook::{ActionCall, Tree, TreeNode},
    },
    yaml::{
        Entry, Node, Shape,
        scalars::Typed,
        shape::{self, Fields, Findings},
    },
};

impl Reader<'_> {
    /// `action: {argument: value, …}`.
    pub(super) fn call(&mut self, entry: &Entry) -> Option<ActionCall> {
        let catalogue = self.catalogue;
        let Some(spec) = catalogue.get(&*entry.key.text) else {
            self.unknown_action(entry);
            return None;
        };
        let before = self.out.len();
        let arguments = match &entry.value.shape {
            // A script written where its arguments could be.
            Shape::Scalar(s) if has_script(spec) && s.typed() == Typed::Text => {
                let tree = templates::constant(&entry.value, Value::text(&*s.text));
                IndexMap::from([("script".to_owned(), tree)])
            }
            _ => self.arguments(spec, &entry.value)?,
        };
        let effect = effect(spec, &arguments);
        (self.out.len() == before).then(|| ActionCall {
            action: spec.name.clone(),
            place: entry.key.place.clone(),
            arguments,
            effect,
        })
    }

    fn arguments(&mut self, spec: &ActionSpec, node: &Node) -> Option<IndexMap<String, Tree>> {
        let what = format!("`{}`", spec.name);
        if !matches!(node.shape, Shape::Map(_)) {
            let names = spec.arguments.iter().filter(|a| a.required).map(|a| &*a.name);
            let list = names.map(|n| format!("{n}: …")).collect::<Vec<_>>().join(", ");
            let fault = shape::wrong(node, &format!("{what} must be a map"));
            self.out.push(fault.help(format!("write `{}: {{{list}}}`", spec.name)));
            return None;
        }
        let mut fields = Fields::of(node, &what, &mut self.out)?;
        let mut arguments = IndexMap::new();
        let mut found = Vec::new();
        for argument in &spec.arguments {
            // A script may come from a file instead.
            let required = argument.required && !(argument.name == "script" && has_file(spec));
            let entry = match required {
                true => fields.need(&argument.name, &mut self.out),
                false => fields.get(&argument.name),
            };
            if let Some(entry) = entry {
                found.push((entry, argument));
            }
        }
        fields.finish(&mut self.out);
        // In the order in which they are written: that is how people see them again.
        found.sort_by_key(|(entry, _)| entry.key.place.range.start);
        for (entry, argument) in found {
            let what = format!("`{}`", argument.name);
            if let Some(tree) = written(&argument.kind, &entry.value, &what, &mut self.out) {
                arguments.insert(argument.name.clone(), tree);
            }
        }
        if has_script(spec) {
            self.script(spec, node, &mut arguments);
        }
        Some(arguments)
    }

    /// A script stands in `script`, or in the file that `file` names.
    fn script(&mut self, spec: &ActionSpec, node: &Node, arguments: &mut IndexMap<String, Tree>) {
        let file = arguments.get("file").filter(|_| has_file(spec)).cloned();
        match (arguments.get("script"), file) {
            (Some(script), Some(file)) => {
                let message = "`file` does not go with `script`";
                self.out.push(
                    Diagnostic::error(codes::RW0209, file.place, message)
                        .related(script.place.clone(), "the script"),
                );
            }
            (None, Some(file)) => {
                if let Some(script) = self.included(&file) {
                    arguments.insert("script".into(), script);
                }
            }
            (None, None) if node.get("script").is_none() && node.get("file").is_none() => {
                let required = spec.argument("script").is_some_and(|a| a.required);
                if required && has_file(spec) {
                    let message = format!("`{}` needs the key `script` or `file`", spec.name);
                    self.out.push(Diagnostic::error(codes::RW0202, node.place.clone(), message));
                }
            }
            _ => {}
        }
    }

    /// The text of a file that belongs to the runbook.
    fn included(&mut self, file: &Tree) -> Option<Tree> {
        let TreeNode::Constant(Value::Text(written)) = &file.node else { return None };
        let mut refuse = |message: String, help: &str| {
            let fault = Diagnostic::error(codes::RW0106, file.place.clone(), message);
            self.out.push(if help.is_empty() { fault } else { fault.help(help) });
        };
        let Some(relative) = inside(written) else {
            refuse(
                format!("`{}` leaves the runbook's folder", shape::shortened(written)),
                "files of a runbook lie beside it or below, and are named from there",
            );
            return None;
        };
        let folder = self.path.rfind('/').map_or("", |end| &self.path[..=end]);
        let path = format!("{folder}{relative}");
        let source = match self.included.iter().find(|s| s.path == path) {
            Some(source) => Arc::clone(source),
            None => match (self.files)(&path) {
                Ok(text) => {
                    let source = Source::new(path, text);
                    self.included.push(Arc::clone(&source));
                    source
                }
                Err(why) => {
                    refuse(format!("`{relative}` can't be read: {why}"), "");
                    return None;
                }
            },
        };
        let place = crate::base::Place::new(&source, 0..source.text.len());
        Some(Tree { node: TreeNode::Constant(Value::text(source.text.as_str())), place })
    }
}

fn has_script(spec: &ActionSpec) -> bool {
    spec.argument("script").is_some_and(|a| a.kind == ArgumentKind::Script)
}

fn has_file(spec: &ActionSpec) -> bool {
    has_script(spec) && spec.argument("file").is_some()
}

/// The path in its plain form, if it stays in the folder that it starts from on every system.
fn inside(path: &str) -> Option<String> {
    let odd = |c: char| c.is_control() || matches!(c, '\\' | ':' | '%' | '~' | '*' | '?');
    if path.is_empty() || path.starts_with('/') || path.contains(odd) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// The value of an argument of this kind.
fn written(kind: &ArgumentKind, node: &Node, what: &str, out: &mut Findings) -> Option<Tree> {
    match kind {
        ArgumentKind::Target => {
            shape::filled(node, what, out).map(|t| templates::constant(node, Value::Text(t)))
        }
        ArgumentKind::Text | ArgumentKind::Identifier => {
            templates::text(node, what, Escape::None, out)
        }
        ArgumentKind::Fixed(allowed) => fixed(allowed, node, what, out),
        ArgumentKind::Command => command(node, what, out),
        ArgumentKind::Sql => {
            let tree = templates::text(node, what, Escape::Sql, out)?;
            out.extend(tree.templates().iter().flat_map(|t| t.check_sql()));
            Some(tree)
        }
        ArgumentKind::UrlPath => templates::text(node, what, Escape::Percent, out),
        ArgumentKind::Integer => integer(node, what, out),
        ArgumentKind::Flag => {
            shape::flag(node, what, out).map(|f| templates::constant(node, Value::Bool(f)))
        }
        ArgumentKind::Duration => duration(node, what, out),
        ArgumentKind::List => match &node.shape {
            Shape::Map(_) => refuse(node, what, "a list", out),
            _ if node.is_null() => refuse(node, what, "a list", out),
            _ => templates::value(node, out),
        },
        ArgumentKind::Map => match &node.shape {
            Shape::Map(_) => templates::value(node, out),
            Shape::Scalar(s) if templates::has_template(&s.text) => templates::value(node, out),
            _ => refuse(node, what, "a map", out),
        },
        ArgumentKind::Any => templates::value(node, out),
        ArgumentKind::Script => {
            let text = shape::text(node, what, out)?;
            Some(templates::constant(node, Value::Text(text)))
        }
        ArgumentKind::Rows => rows(node, what, out),
    }
}

fn refuse(node: &Node, what: &str, must: &str, out: &mut Findings) -> Option<Tree> {
    out.push(shape::wrong(node, &format!("{what} must be {must}")));
    None
}

fn fixed(allowed: &[&str], node: &Node, what: &str, out: &mut Findings) -> Option<Tree> {
    let text = shape::filled(node, what, out)?;
    if !allowed.is_empty() && !allowed.contains(&text.as_str()) {
        out.push(shape::not_among(node, what, &text, allowed.iter().copied()));
        return None;
    }
    Some(templates::constant(node, Value::Text(text)))
}

fn command(node: &Node, what: &str, out: &mut Findings) -> Option<Tree> {
    let tree = templates::text(node, what, Escape::Shell, out)?;
    if tree.place.text().trim().is_empty() {
        return refuse(node, what, "a command", out);
    }
    for template in tree.templates() {
        out.extend(template.check_shell());
        for place in template.raw_uses() {
            let message = "`| raw` puts text into the command unquoted";
            out.push(Diagnostic::warning(codes::RW0408, place, message).help(
                "without it the value is one word, whatever is in it; keep it only for text that \
                 nobody outside can choose",
            ));
        }
    }
    Some(tree)
}

/// The value of a single template, whose type is known only when it is rendered.
fn computed(node: &Node, out: &mut Findings) -> Option<Option<Tree>> {
    let scalar = node.scalar()?;
    (scalar.typed() == Typed::Text && templates::has_template(&scalar.text))
        .then(|| templates::value(node, out))
}

fn integer(node: &Node, what: &str, out: &mut Findings) -> Option<Tree> {
    if let Some(tree) = computed(node, out) {
        return tree;
    }
    let int = shape::whole(node, what, 0..=i128::from(i64::MAX), out)?;
    Some(templates::constant(node, Value::Int(int)))
}

fn duration(node: &Node, what: &str, out: &mut Findings) -> Option<Tree> {
    if let Some(tree) = computed(node, out) {
        return tree;
    }
    shape::duration(node, what, out)?;
    let text = node.scalar().map(|s| s.text.trim().to_owned()).unwrap_or_default();
    Some(templates::constant(node, Value::Text(text)))
}

/// `N` or `{max: N}`.
fn rows(node: &Node, what: &str, out: &mut Findings) -> Option<Tree> {
    if let Shape::Map(_) = &node.shape {
        let mut fields = Fields::of(node, what, out)?;
        let max = fields.need("max", out).and_then(|e| integer(&e.value, "`max`", out));
        fields.finish(out);
        let map = IndexMap::from([("max".to_owned(), max?)]);
        return Some(Tree { node: TreeNode::Map(map), place: node.place.clone() });
    }
    integer(node, what, out)
}

/// What the spec's rule says for these arguments.
fn effect(spec: &ActionSpec, arguments: &IndexMap<String, Tree>) -> Effect {
    let EffectRule::ReadsWhen { argument, values, default } = &spec.effect else {
        return match spec.effect {
            EffectRule::Read => Effect::Read,
            EffectRule::Reversible => Effect::Reversible,
            _ => Effect::Change,
        };
    };
    let value = match arguments.get(*argument).map(|t| &t.node) {
        None => (*default).to_owned(),
        Some(TreeNode::Constant(value)) => value.to_string(),
        // Not fixed, which the kinds of arguments rule out: the stricter of the two.
        Some(_) => return Effect::Change,
    };
    if values.contains(&value.as_str()) { Effect::Read } else { Effect::Change }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_the_runbooks_folder() {
        assert_eq!(inside("./lib//a.lua").as_deref(), Some("lib/a.lua"));
        for path in [
            "",
            ".",
            "../a.lua",
            "a/../../b",
            "/etc/passwd",
            "..\\a",
            "C:\\a",
            "file:///etc/passwd",
            "%2e%2e/a",
            "~/a",
            "a\u{0}b",
        ] {
            assert_eq!(inside(path), None, "{path:?}");
        }
    }
}
