//! The manual of an action, from what it is.

use super::Style;
use crate::model::action_spec::{ActionSpec, ArgumentKind, EffectRule, Field};

/// One line of the list.
pub fn line(spec: &ActionSpec, style: &Style) -> String {
    format!("{:<16} {:<12} {}", style.heading(&spec.name), effect(spec), spec.summary)
}

/// `read`, `change`, …, in a word or two.
fn effect(spec: &ActionSpec) -> &'static str {
    match &spec.effect {
        EffectRule::Read => "read",
        EffectRule::Change => "change",
        EffectRule::Reversible => "reversible",
        EffectRule::ReadsWhen { .. } => "read/change",
    }
}

/// The whole manual.
pub fn page(spec: &ActionSpec, style: &Style) -> String {
    let mut out = format!("{}: {}\n", style.heading(&spec.name), spec.summary);
    out.push_str(&format!("\nEffect: {}\n", effect_words(spec)));
    if !spec.manual.trim().is_empty() {
        out.push_str(&format!("\n{}\n", spec.manual.trim()));
    }
    out.push_str(&format!("\n{}\n", style.heading("Arguments")));
    for argument in &spec.arguments {
        let needed = if argument.required { ", required" } else { "" };
        out.push_str(&format!(
            "  {} ({}{needed}): {}\n",
            argument.name,
            kind_words(&argument.kind),
            argument.summary
        ));
    }
    out.push_str(&format!("\n{}\n", style.heading("Result")));
    for field in &spec.result {
        out.push_str(&field_line(field));
    }
    for example in &spec.examples {
        out.push_str(&format!("\n{} {}\n", style.heading("Example:"), example.title));
        for line in example.yaml.trim_end().lines() {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

fn field_line(field: &Field) -> String {
    let volatile = if field.volatile { "; not compared between two states" } else { "" };
    format!("  {} ({}): {}{volatile}\n", field.name, field.kind, field.summary)
}

fn effect_words(spec: &ActionSpec) -> String {
    match &spec.effect {
        EffectRule::Read => "reads".to_owned(),
        EffectRule::Change => "changes, and can't undo it by itself".to_owned(),
        EffectRule::Reversible => "changes, and can put it back by itself".to_owned(),
        EffectRule::ReadsWhen { argument, values, default } => format!(
            "reads when `{argument}` is {} (it is {default} when it is not given), changes \
             otherwise",
            values.join(", ")
        ),
    }
}

/// What may stand in an argument, in words.
pub fn kind_words(kind: &ArgumentKind) -> String {
    match kind {
        ArgumentKind::Target => "name of a target".into(),
        ArgumentKind::Text => "text".into(),
        ArgumentKind::Fixed(values) => format!("one of {}", values.join(", ")),
        ArgumentKind::Command => "command; templates are quoted as one word each".into(),
        ArgumentKind::Sql => "SQL; values go through `params`".into(),
        ArgumentKind::Identifier => "name of a table or column".into(),
        ArgumentKind::UrlPath => "path of a URL; templates are percent-encoded".into(),
        ArgumentKind::Integer => "whole number".into(),
        ArgumentKind::Flag => "true or false".into(),
        ArgumentKind::Duration => "duration such as 30s".into(),
        ArgumentKind::List => "list".into(),
        ArgumentKind::Map => "map".into(),
        ArgumentKind::Any => "anything".into(),
        ArgumentKind::Script => "script; no templates in it".into(),
        ArgumentKind::Rows => "N or {max: N}".into(),
    }
}
