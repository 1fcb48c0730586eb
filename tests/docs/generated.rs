//! The parts of the documentation that are made from the program: arguments of actions, functions
//! of expressions, the command line, the journal's events.
//!
//! Owns their layout. `RUNWARD_UPDATE=1` writes them anew.

use std::fs;

use clap::{Arg, Command};
use regex::Regex;
use runward::{
    expression::functions::{self, Entry, Kind},
    model::{ActionSpec, EffectRule},
    report::manual::kind_words,
};

use crate::markdown::root;

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A span of code in a cell.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {} ``", cell(text)) } else { format!("`{}`", cell(text)) }
}

/// What an action is, for the end of its page.
pub fn action(spec: &ActionSpec) -> String {
    let effect = match &spec.effect {
        EffectRule::Read => "It reads.".to_owned(),
        EffectRule::Change => "It changes, and can't undo it by itself.".to_owned(),
        EffectRule::Reversible => "It changes, and can put it back by itself.".to_owned(),
        EffectRule::ReadsWhen { argument, values, default } => format!(
            "It reads when `{argument}` is {}; without it, `{argument}` counts as `{default}`. \
             Otherwise it changes.",
            values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" or ")
        ),
    };
    let mut out = format!("{effect}\n\n## Arguments\n\n");
    out += "| argument | type | | what |\n| --- | --- | --- | --- |\n";
    for argument in &spec.arguments {
        let required = if argument.required { "required" } else { "" };
        let (kind, what) = (cell(&kind_words(&argument.kind)), cell(&argument.summary));
        out += &format!("| `{}` | {kind} | {required} | {what} |\n", argument.name);
    }
    if !spec.result.is_empty() {
        out += "\n## Result\n\n| field | type | what |\n| --- | --- | --- |\n";
    }
    for field in &spec.result {
        let volatile = if field.volatile { " Not compared between two states." } else { "" };
        let (kind, what) = (cell(&field.kind), cell(&field.summary));
        out += &format!("| `{}` | {kind} | {what}{volatile} |\n", field.name);
    }
    out += "\n## Examples\n";
    for example in &spec.examples {
        out += &format!("\n{}:\n\n```yaml\n{}\n```\n", example.title, example.yaml.trim_end());
    }
    out
}

/// Every filter, test and function, in a table for each kind.
pub fn expressions() -> String {
    let kinds = [
        (Kind::Filter, "Filters", "`value | name(…)`"),
        (Kind::Test, "Tests", "`value is name(…)`, `value is not name(…)`"),
        (Kind::Function, "Functions", "`name(…)`"),
    ];
    let mut out = String::new();
    for (kind, title, form) in kinds {
        out += &format!("\n## {title}\n\n{form}\n\n");
        out += "| name | what it does | example | gives |\n| --- | --- | --- | --- |\n";
        let mut entries: Vec<&Entry> = functions::all().iter().filter(|e| e.kind == kind).collect();
        entries.sort_by_key(|e| e.name);
        for entry in entries {
            let aliases: Vec<_> = entry.aliases.iter().map(|a| format!("`{a}`")).collect();
            let also = match aliases.is_empty() {
                true => String::new(),
                false => format!(" Also {}.", aliases.join(", ")),
            };
            out += &format!(
                "| {} | {}{also} | {} | {} |\n",
                code(&entry.signature()),
                cell(entry.summary),
                code(entry.example),
                code(entry.result),
            );
        }
    }
    out
}

/// Every subcommand with its arguments and options.
pub fn command_line() -> String {
    let mut command = runward::cli::command();
    command.build();
    let mut out = format!("## Options of every command\n\n{}", options(globals(&command)));
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        describe(sub, "runward", &mut out);
    }
    out
}

fn globals(command: &Command) -> Vec<&Arg> {
    command.get_arguments().filter(|a| a.is_global_set() || a.get_id() == "version").collect()
}

fn describe(command: &Command, parent: &str, out: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let subcommands: Vec<_> =
        command.get_subcommands().filter(|c| c.get_name() != "help").collect();
    if !subcommands.is_empty() {
        subcommands.into_iter().for_each(|sub| describe(sub, &name, out));
        return;
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    *out += &format!("\n## {name}\n\n{about}.\n\n```text\n{usage}\n```\n\n");
    let own = |a: &&Arg| !a.is_global_set() && !["help", "version"].contains(&a.get_id().as_str());
    *out += &options(command.get_arguments().filter(own).collect());
    if let Some(after) = command.get_after_help() {
        *out += &format!("\n{after}\n");
    }
}

fn options(arguments: Vec<&Arg>) -> String {
    if arguments.is_empty() {
        return String::new();
    }
    let mut out = String::from("| | |\n| --- | --- |\n");
    for argument in arguments {
        out += &format!("| {} | {} |\n", code(&written(argument)), cell(&meaning(argument)));
    }
    out
}

/// `-i, --input NAME=VALUE`, `RUNBOOK`.
fn written(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let takes = argument.get_action().takes_values();
    let options = [
        argument.get_short().map(|c| format!("-{c}")),
        argument.get_long().map(|l| format!("--{l}")),
    ];
    let options = options.into_iter().flatten().collect::<Vec<_>>().join(", ");
    match (options.is_empty(), takes) {
        (true, _) => value.to_uppercase(),
        (_, true) => format!("{options} {value}"),
        _ => options,
    }
}

fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    if !text.ends_with(['.', ']']) {
        text += ".";
    }
    if !argument.get_action().takes_values() {
        return text;
    }
    let values = argument.get_possible_values();
    if !values.is_empty() {
        let names: Vec<_> = values.iter().map(|v| format!("`{}`", v.get_name())).collect();
        text += &format!(" One of {}.", names.join(", "));
    }
    let defaults = argument.get_default_values();
    let default = defaults.iter().map(|v| v.to_string_lossy()).collect::<Vec<_>>().join(" ");
    if !default.is_empty() {
        text += &format!(" Default: `{default}`.");
    }
    if let Some(variable) = argument.get_env() {
        text += &format!(" Also from `{}`.", variable.to_string_lossy());
    }
    text
}

/// An event as its definition in `src/model/event.rs` documents it.
pub struct EventDoc {
    pub name: String,
    pub meaning: String,
    /// Names and meanings of its fields.
    pub fields: Vec<(String, String)>,
}

/// The journal's alphabet, read from its definition.
pub fn event_docs() -> Vec<EventDoc> {
    let text = fs::read_to_string(root().join("src/model/event.rs")).unwrap();
    let start = text.find("pub enum Event {").expect("the alphabet");
    let end = start + text[start..].find("\n}\n").expect("its end");
    let renamed = Regex::new(r#"^#\[serde\(rename = "([a-z_.]+)"\)\]$"#).unwrap();
    let field = Regex::new(r"^([a-z_]+): .*,$").unwrap();
    let (mut events, mut docs): (Vec<EventDoc>, Vec<String>) = (Vec::new(), Vec::new());
    for line in text[start..end].lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            docs.push(doc.to_owned());
        } else if let Some(found) = renamed.captures(line) {
            let meaning = std::mem::take(&mut docs).join(" ");
            events.push(EventDoc { name: found[1].to_owned(), meaning, fields: Vec::new() });
        } else if let (Some(found), Some(event)) = (field.captures(line), events.last_mut()) {
            event.fields.push((found[1].to_owned(), std::mem::take(&mut docs).join(" ")));
        }
    }
    events
}

/// Every event with its fields.
pub fn events() -> String {
    let mut out = String::new();
    for event in event_docs() {
        out += &format!("### {}\n\n{}\n\n", event.name, event.meaning);
        for (name, meaning) in &event.fields {
            out += &format!("- `{name}`: {meaning}\n");
        }
        out += "\n";
    }
    out
}
