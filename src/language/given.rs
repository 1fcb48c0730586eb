//! What the operator gives, held against what the runbook asks for.
//!
//! Owns turning command-line text and values of a file into inputs. Must not know the command line
//! itself. Every fault is told at once; a sensitive value is never part of one.

use indexmap::IndexMap;

use super::{
    inputs::{check, convert, kind_name},
    templates,
};
use crate::{
    base::{Map, Source, Value},
    diagnostics::{Diagnostic, codes, suggest},
    model::runbook::{InputKind, InputSpec, Runbook},
    yaml::{self, shape},
};

/// A value as it was given.
#[derive(Clone, Debug)]
pub enum Given {
    /// Text, from `NAME=VALUE` or a prompt: its type is the input's.
    Text(String),
    /// A value with a type of its own, from YAML or JSON.
    Value(Value),
}

/// The inputs of a run: what was given, and defaults for what was not.
///
/// # Errors
/// `RW0405` for each input that is unknown, missing, given twice, of the wrong type or beyond its
/// limits.
pub fn inputs(runbook: &Runbook, given: &[(String, Given)]) -> Result<Map, Vec<Diagnostic>> {
    values(&runbook.inputs, given, "input")
}

/// The same for any definitions; `what` names one of them (`field`).
pub fn values(
    specs: &IndexMap<String, InputSpec>,
    given: &[(String, Given)],
    what: &str,
) -> Result<Map, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    for (index, (name, _)) in given.iter().enumerate() {
        if !specs.contains_key(name) {
            faults.push(unknown(specs, name, what));
        } else if given[..index].iter().any(|(n, _)| n == name) {
            let message = format!("the {what} `{name}` is given twice");
            faults.push(Diagnostic::unplaced(codes::RW0405, message));
        }
    }
    let mut values = Map::with_capacity(specs.len());
    for (name, spec) in specs {
        let found = given.iter().find(|(n, _)| n == name).map(|(_, given)| given);
        match value(spec, found) {
            Ok(value) => drop(values.insert(name.clone(), value)),
            Err(why) => {
                let message = format!("the {what} `{name}` {why}");
                faults.push(
                    Diagnostic::error(codes::RW0405, spec.place.clone(), message)
                        .label("defined here"),
                );
            }
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(yaml::finish(faults)) }
}

fn unknown(specs: &IndexMap<String, InputSpec>, name: &str, what: &str) -> Diagnostic {
    let list = specs.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
    let known = match list.is_empty() {
        true => format!("there are no {what}s here"),
        false => format!("{what}s: {list}"),
    };
    let help = match suggest(name, specs.keys().map(String::as_str)) {
        Some(near) => format!("{near} ({known})"),
        None => known,
    };
    let message = format!("there is no {what} `{}`", shape::shortened(name));
    Diagnostic::unplaced(codes::RW0405, message).help(help)
}

fn value(spec: &InputSpec, given: Option<&Given>) -> Result<Value, String> {
    let value = match given {
        None => {
            return spec.default.clone().ok_or_else(|| {
                let about = match spec.description.is_empty() {
                    true => String::new(),
                    false => format!(": {}", shape::shortened(&spec.description)),
                };
                format!("({}) is missing{about}", kind_name(spec.kind))
            });
        }
        Some(Given::Value(Value::Null)) if matches!(spec.default, Some(Value::Null)) => {
            return Ok(Value::Null);
        }
        Some(Given::Value(value)) => value.clone(),
        Some(Given::Text(text)) => read(spec.kind, text).map_err(|why| hide(spec, why))?,
    };
    let value = convert(spec.kind, value).map_err(|why| hide(spec, why))?;
    check(spec, &value)?;
    Ok(value)
}

/// A fault of a sensitive value, without the value.
fn hide(spec: &InputSpec, why: String) -> String {
    match spec.sensitive {
        true => format!("is not of the type `{}` (the value is not shown)", kind_name(spec.kind)),
        false => why,
    }
}

/// Text as an untyped value, for the conversion to the input's type.
fn read(kind: InputKind, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    Ok(match kind {
        InputKind::Integer => trimmed.parse().map_or_else(|_| Value::text(text), Value::Int),
        InputKind::Boolean => match trimmed {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::text(text),
        },
        InputKind::List | InputKind::Map => {
            let source = Source::new("input", text);
            let (root, mut faults) = yaml::parse(&source);
            let tree = root.and_then(|node| templates::data(&node, &mut faults));
            match tree.filter(|_| faults.is_empty()) {
                Some(value) => value,
                None => {
                    let why = faults.first().map_or("", |f| &f.message);
                    return Err(format!("must be YAML or JSON: {why}"));
                }
            }
        }
        _ => Value::text(text),
    })
}

/// Reads a file of inputs: a map in YAML or JSON.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn given_from_yaml(path: &str, text: &str) -> Result<Vec<(String, Given)>, Vec<Diagnostic>> {
    let source = Source::new(path, text);
    let (root, mut faults) = yaml::parse(&source);
    let mut given = Vec::new();
    if let Some(root) = root {
        let entries = shape::entries(&root, "a file of inputs", &mut faults).unwrap_or_default();
        for entry in entries {
            if let Some(value) = templates::data(&entry.value, &mut faults) {
                given.push((entry.key.text.to_string(), Given::Value(value)));
            }
        }
    }
    if faults.is_empty() { Ok(given) } else { Err(yaml::finish(faults)) }
}
