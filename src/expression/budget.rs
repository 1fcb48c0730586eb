//! What one evaluation may cost, so that no expression runs away with the process.
//!
//! Owns the counters and the compiled patterns of one evaluation. Must not know the syntax tree.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use regex::{Regex, RegexBuilder};

use super::wrong::{Wrong, cut};
use crate::base::Value;

/// Nodes evaluated and items made, in one evaluation.
const STEPS: usize = 1_000_000;
/// Bytes of text built in one evaluation.
const BUILT: usize = 16 << 20;
/// Bytes that one compiled pattern may take.
const PATTERN: usize = 1 << 20;

/// The budget of one evaluation.
pub(crate) struct Budget {
    steps: Cell<usize>,
    built: Cell<usize>,
    patterns: RefCell<HashMap<String, Regex>>,
}

impl Budget {
    /// A whole one.
    pub(crate) fn new() -> Self {
        Self {
            steps: Cell::new(STEPS),
            built: Cell::new(BUILT),
            patterns: RefCell::new(HashMap::new()),
        }
    }

    /// Pays for so many nodes or items, before they are made.
    pub(crate) fn step(&self, count: usize) -> Result<(), Wrong> {
        let left = self.steps.get().checked_sub(count).ok_or_else(|| {
            Wrong::types(format!("the expression takes more than {STEPS} steps"))
                .help("let the database or the command do the work, and use its result here")
        })?;
        self.steps.set(left);
        Ok(())
    }

    /// Pays for going over a value once.
    pub(crate) fn read(&self, value: &Value) -> Result<(), Wrong> {
        self.step(match value {
            Value::Text(text) => text.len() / 1024,
            Value::List(items) => items.len() / 16,
            Value::Map(map) => map.len() / 16,
            _ => 0,
        })
    }

    /// Pays for so many bytes of text, before they are built.
    pub(crate) fn build(&self, bytes: usize) -> Result<(), Wrong> {
        let left = self.built.get().checked_sub(bytes).ok_or_else(|| {
            Wrong::types(format!("the expression builds more than {} MiB of text", BUILT >> 20))
                .help("cut the text down where it comes from")
        })?;
        self.built.set(left);
        Ok(())
    }

    /// The bytes of text that may still be built.
    pub(crate) fn bytes_left(&self) -> usize {
        self.built.get()
    }

    /// A compiled pattern, with a bound on its size. The engine's time is linear in the text.
    pub(crate) fn pattern(&self, pattern: &str) -> Result<Regex, Wrong> {
        if let Some(known) = self.patterns.borrow().get(pattern) {
            return Ok(known.clone());
        }
        // Compiling is dear: as many steps as it takes bytes, near enough.
        self.step(pattern.len() + 100)?;
        let compiled = RegexBuilder::new(pattern)
            .size_limit(PATTERN)
            .dfa_size_limit(PATTERN)
            .nest_limit(50)
            .build()
            .map_err(|error| {
                let why = match error {
                    regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                    // The last line is the reason; those before draw the pattern.
                    other => other
                        .to_string()
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .trim_start_matches("error: ")
                        .to_owned(),
                };
                Wrong::types(format!("`{}` is not a regular expression: {why}", cut(pattern)))
            })?;
        self.patterns.borrow_mut().insert(pattern.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_says_so_and_never_goes_below_zero() {
        let budget = Budget::new();
        assert!(budget.step(STEPS).is_ok());
        assert!(budget.step(1).is_err());
        assert!(budget.step(usize::MAX).is_err());
        assert!(budget.build(BUILT + 1).is_err());
        assert!(budget.build(BUILT).is_ok());
        assert_eq!(budget.bytes_left(), 0);
    }

    #[test]
    fn patterns_are_bounded() {
        let budget = Budget::new();
        assert!(budget.pattern("a+").is_ok());
        let big = budget.pattern(r"(?:\w{1000}){1000}").unwrap_err();
        assert!(big.message.contains("too large"), "{}", big.message);
        let wrong = budget.pattern("a(").unwrap_err();
        assert!(wrong.message.contains("unclosed group"), "{}", wrong.message);
        assert!(budget.pattern(&"(".repeat(10_000)).is_err());
    }
}
