//! From Lua's errors to a line of the script and a message for people.
//!
//! Owns the wording of failed scripts. Must not know how scripts are run.

use std::{error::Error as _, fmt, sync::LazyLock};

use regex::Regex;

/// Name of the script's chunk in Lua's own messages; paths never appear there.
pub(super) const SCRIPT: &str = "script";
/// Name of the chunk of guards around Lua's libraries.
pub(super) const GUARDS: &str = "guards";
/// A message longer than this is cut.
const MAX_MESSAGE: usize = 2000;

/// Why a script does not compile or did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The script's line, from 1, where Lua knows it.
    pub line: Option<usize>,
    /// What is wrong, without places, control characters or Lua's stack.
    pub message: String,
    /// The script needed more memory than it may have.
    pub out_of_memory: bool,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} of the script: {}", self.message),
            None => write!(f, "the script: {}", self.message),
        }
    }
}

/// What `runward.fail` raises, so that its words come through as they are.
#[derive(Debug)]
pub(super) struct Failed(pub(super) String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

static PLACE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"(?m)^\s*{SCRIPT}:(\d+)")).ok());
static PREFIX: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"^(?:{SCRIPT}|{GUARDS}):\d+:\s*")).ok());

impl ScriptError {
    /// Words of our own, without a line.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into(), out_of_memory: false }
    }

    /// What mlua says, for people.
    pub(super) fn from_lua(error: &mlua::Error) -> Self {
        let mut trace = String::new();
        let mut message = String::new();
        let mut out_of_memory = false;
        unwind(error, &mut trace, &mut message, &mut out_of_memory);
        let line = PLACE
            .as_ref()
            .and_then(|place| place.captures(&message).or_else(|| place.captures(&trace)))
            .and_then(|found| found[1].parse().ok());
        Self { line, message: clean(&message), out_of_memory }
    }
}

/// Follows an error to its root, and gathers Lua's stack on the way.
fn unwind(error: &mlua::Error, trace: &mut String, message: &mut String, memory: &mut bool) {
    match error {
        mlua::Error::CallbackError { traceback, cause } => {
            trace.push_str(traceback);
            trace.push('\n');
            unwind(cause, trace, message, memory);
        }
        mlua::Error::BadArgument { pos, cause, .. } => {
            unwind(cause, trace, message, memory);
            *message = format!("argument {pos}: {message}");
        }
        mlua::Error::MemoryError(_) => {
            *memory = true;
            message.push_str("not enough memory");
        }
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => {
            let (text, stack) = text.split_once("\nstack traceback:").unwrap_or((text, ""));
            // A memory error that passed through `pcall` and `error` is text like any other.
            *memory = text == "not enough memory";
            message.push_str(text);
            trace.push_str(stack);
        }
        mlua::Error::FromLuaConversionError { from, to, .. } => {
            message.push_str(&format!("expected {}, got {from}", to.to_lowercase()));
        }
        mlua::Error::ExternalError(inner) => message.push_str(&inner.to_string()),
        other => {
            let root = other.source().map(ToString::to_string);
            message.push_str(&root.unwrap_or_else(|| other.to_string()));
        }
    }
}

/// One line without control characters or the names of chunks.
fn clean(message: &str) -> String {
    let message = match PREFIX.as_ref() {
        Some(prefix) => prefix.replace(message, ""),
        None => message.into(),
    };
    let mut text: String =
        message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect();
    text.truncate(text.trim_end().len());
    if text.is_empty() { "it failed without a message".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_and_the_stack_is_cut() {
        let error = mlua::Error::RuntimeError(
            "script:3: no rows\u{1b}[2J\nstack traceback:\n[C] in error\nscript:3".into(),
        );
        let found = ScriptError::from_lua(&error);
        assert_eq!(found.to_string(), "line 3 of the script: no rows [2J");
    }

    #[test]
    fn a_failure_in_a_guard_is_told_at_the_scripts_line() {
        let error = mlua::Error::CallbackError {
            traceback: "[C] in find\nguards:12 in find\nscript:7".into(),
            cause: std::sync::Arc::new(mlua::Error::RuntimeError("guards:12: bad pattern".into())),
        };
        assert_eq!(
            ScriptError::from_lua(&error),
            ScriptError { line: Some(7), message: "bad pattern".into(), out_of_memory: false }
        );
    }
}
