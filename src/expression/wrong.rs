//! A fault that doesn't know its place yet, and how values are named in faults.
//!
//! Owns the words for kinds. Must not know the syntax tree.

use bigdecimal::BigDecimal;

use super::operators::sane;
use crate::{
    base::Value,
    diagnostics::{Code, codes},
};

/// Longest piece of a value that a message quotes, in characters.
const QUOTED: usize = 40;

/// What is wrong with an operation on values; the evaluation adds the place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wrong {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    /// Types or values that don't go together.
    pub(crate) fn types(message: impl Into<String>) -> Self {
        Self { code: codes::RW0304, message: message.into(), help: None }
    }

    /// Something that isn't there; `is defined` and `default` allow it.
    pub(crate) fn absent(message: impl Into<String>) -> Self {
        Self { code: codes::RW0302, message: message.into(), help: None }
    }

    /// A filter, test or function that isn't there or is called wrongly.
    pub(crate) fn call(message: impl Into<String>) -> Self {
        Self { code: codes::RW0303, message: message.into(), help: None }
    }

    /// An answer that would let a secret be guessed.
    pub(crate) fn secret(what: &str) -> Self {
        Self::types(format!("{what} would tell something about a secret"))
            .help("hand the secret to the action as it is, or compare it with `==`")
    }

    /// The same, saying what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with help, where there is some.
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// A value as a message names it: its kind and, when short, what it is. Never a secret's text.
pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "empty text".to_owned(),
        Value::Text(text) => format!("text `{}`", cut(text)),
        Value::Int(_) => format!("the integer {value}"),
        Value::Decimal(d) => match sane(d) {
            Ok(()) => format!("the decimal {}", cut(&value.to_string())),
            Err(_) => "a decimal".to_owned(),
        },
        Value::Float(_) => format!("the float {value}"),
        Value::Bool(b) => format!("`{b}`"),
        Value::Time(t) => format!("the time {t}"),
        Value::List(items) if items.is_empty() => "an empty list".to_owned(),
        Value::List(items) => format!("a list of {}", items.len()),
        _ => value.kind().to_owned(),
    }
}

/// The beginning of a text, on one line.
pub(crate) fn cut(text: &str) -> String {
    let mut short: String =
        text.chars().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTED).is_some() {
        short.push('…');
    }
    short
}

/// Refuses decimals whose exponent alone would fill the memory, anywhere in the value.
pub(crate) fn sane_throughout(value: &Value) -> Result<(), Wrong> {
    let check = |d: &BigDecimal| sane(d);
    match value {
        Value::Decimal(d) => check(d),
        Value::List(items) => items.iter().try_for_each(sane_throughout),
        Value::Map(map) => map.values().try_for_each(sane_throughout),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    #[test]
    fn long_and_secret_values_are_not_quoted_whole() {
        let long = described(&Value::text("x\n".repeat(100)));
        assert!(long.chars().count() < 60 && !long.contains('\n'), "{long}");
        let secret = described(&Value::Secret(Secret::new("n", "v", "clear".into())));
        assert_eq!(secret, "a secret");
        assert_eq!(described(&Value::Decimal("1e999999999".parse().unwrap())), "a decimal");
    }
}
