//! From text to syntax tree.
use super::{Expression, NameUse, Node, Written};
use crate::diagnostics::Diagnostic;
pub(super) fn expression(_text: &str, _written: Written) -> Result<Expression, Vec<Diagnostic>> {
    todo!()
}
pub(super) fn names(_node: &Node, _written: &Written) -> Vec<NameUse> {
    todo!()
}
pub(super) fn check(_node: &Node, _written: &Written) -> Vec<Diagnostic> {
    todo!()
}
