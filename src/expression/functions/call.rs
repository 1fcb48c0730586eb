//! One call of a filter, test or function: its value and arguments, with the faults of those that
//! have the wrong kind.
//!
//! Must not know what is being called for.

use std::borrow::Cow;

use super::{super::budget::Budget, Entry};
use crate::{
    base::{Map, Value},
    expression::wrong::{Wrong, described},
};

/// A call.
pub(crate) struct Call<'a> {
    pub(crate) entry: &'static Entry,
    /// What it is applied to; null for a function.
    pub(crate) input: &'a Value,
    /// In the order of the parameters, then the rest.
    pub(crate) arguments: &'a [Option<Cow<'a, Value>>],
    pub(crate) budget: &'a Budget,
}

impl<'a> Call<'a> {
    /// The argument at this position, if it was given.
    pub(crate) fn argument(&self, position: usize) -> Option<&'a Value> {
        self.arguments.get(position)?.as_deref()
    }

    /// The value as text; other kinds are refused, not converted.
    pub(crate) fn text(&self) -> Result<&'a str, Wrong> {
        match self.input {
            Value::Text(text) => Ok(text),
            other => Err(self.takes("text", other)),
        }
    }

    /// The value as a list.
    pub(crate) fn list(&self) -> Result<&'a [Value], Wrong> {
        match self.input {
            Value::List(items) => Ok(items),
            other => Err(self.takes("a list", other)),
        }
    }

    /// The value as a map.
    pub(crate) fn map(&self) -> Result<&'a Map, Wrong> {
        match self.input {
            Value::Map(map) => Ok(map),
            other => Err(self.takes("a map", other)),
        }
    }

    /// A text argument, if it was given.
    pub(crate) fn text_argument(&self, position: usize) -> Result<Option<&'a str>, Wrong> {
        match self.argument(position) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.argument_takes(position, "text", other)),
        }
    }

    /// A text argument that must be given.
    pub(crate) fn needed_text(&self, position: usize) -> Result<&'a str, Wrong> {
        self.text_argument(position)?.ok_or_else(|| {
            Wrong::call(format!("`{}` needs more arguments", self.entry.name))
                .help(format!("write `{}`", self.entry.signature()))
        })
    }

    /// A whole-number argument within bounds, if it was given.
    pub(crate) fn int_argument(
        &self,
        position: usize,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, Wrong> {
        let Some(value) = self.argument(position) else { return Ok(None) };
        let Value::Int(int) = value else {
            return Err(self.argument_takes(position, "an integer", value));
        };
        i64::try_from(*int).ok().filter(|int| bounds.contains(int)).map(Some).ok_or_else(|| {
            Wrong::types(format!(
                "`{}` takes {} to {} as {}, not {int}",
                self.entry.name,
                bounds.start(),
                bounds.end(),
                self.parameter(position),
            ))
        })
    }

    /// A yes or no argument; no when it is left out.
    pub(crate) fn flag(&self, position: usize) -> Result<bool, Wrong> {
        match self.argument(position) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.argument_takes(position, "`true` or `false`", other)),
        }
    }

    /// The fault of a value of the wrong kind.
    pub(crate) fn takes(&self, kind: &str, found: &Value) -> Wrong {
        let name = self.entry.name;
        let wrong = Wrong::types(format!("`{name}` takes {kind}, not {}", described(found)));
        match found {
            Value::Secret(_) => Wrong::secret(&format!("`{name}`")),
            Value::Null => wrong.help("write `| default(…)` in front of it"),
            Value::Int(_) | Value::Decimal(_) | Value::Float(_) | Value::Bool(_)
                if kind == "text" =>
            {
                wrong.help(format!("write `| text | {name}`"))
            }
            Value::Text(_) if kind == "a time" => wrong.help(format!("write `| time | {name}`")),
            Value::Text(_) if kind == "a list" => {
                wrong.help(format!("write `| lines | {name}` or `| split(',') | {name}`"))
            }
            Value::List(_) if kind == "text" => {
                wrong.help(format!("write `| join(' ') | {name}`, or `| map('{name}')` for each"))
            }
            _ => wrong,
        }
    }

    fn argument_takes(&self, position: usize, kind: &str, found: &Value) -> Wrong {
        let name = self.entry.name;
        if matches!(found, Value::Secret(_)) {
            return Wrong::secret(&format!("`{name}`"));
        }
        let parameter = self.parameter(position);
        Wrong::types(format!("`{name}` takes {kind} as {parameter}, not {}", described(found)))
    }

    fn parameter(&self, position: usize) -> String {
        match self.entry.parameters.get(position) {
            Some(parameter) => format!("`{}`", parameter.name),
            None => format!("argument {}", position + 1),
        }
    }
}
