//! Evaluation.

use super::{Node, Scope, Written};
use crate::{
    base::{Place, Value},
    diagnostics::Code,
};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// `RW0302` undefined, `RW0303`, `RW0304` types, `RW0306` not known yet.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// Where in the file.
    pub place: Place,
    /// What to do.
    pub help: Option<String>,
    /// The value will be known once a change was made.
    pub not_yet_known: bool,
}

pub(super) fn evaluate(
    _node: &Node,
    _written: &Written,
    _scope: &dyn Scope,
) -> Result<Value, Failure> {
    todo!()
}
