//! Text with `{{ … }}` in it.

use std::sync::Arc;

use super::{Expression, Failure, NameUse, Scope, Written};
use crate::{base::Value, diagnostics::Diagnostic};

/// How a template's values are rendered where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As they are. A string that is a single `{{ … }}` keeps the value's type.
    None,
    /// For a POSIX shell: each value is one word, quoted where it must be; a list is several words.
    Shell,
    /// For a URL's path or query: all but unreserved characters are percent-encoded.
    Percent,
    /// For SQL: only `| ident` may stand there.
    Sql,
}

/// Text with expressions in it.
#[derive(Clone, Debug)]
pub struct Template {
    /// As it was written.
    pub text: Arc<str>,
    /// Where it was written.
    pub written: Written,
}

impl Template {
    /// Parses; faults are `RW0301`.
    pub fn parse(_text: &str, _written: Written) -> Result<Self, Vec<Diagnostic>> {
        todo!()
    }
    /// Holds no template at all.
    pub fn is_plain(&self) -> bool {
        todo!()
    }
    /// The expression, when the whole text is one.
    pub fn single(&self) -> Option<Expression> {
        todo!()
    }
    /// Every free name in it.
    pub fn names(&self) -> Vec<NameUse> {
        todo!()
    }
    /// Filters, tests and functions that do not exist.
    pub fn check(&self) -> Vec<Diagnostic> {
        todo!()
    }
    /// Fills in.
    pub fn render(&self, _scope: &dyn Scope, _escape: Escape) -> Result<Value, Failure> {
        todo!()
    }
}
