//! Checks of a runbook that was read, one file each.
//!
//! Owns the list. A check sees the whole runbook and gives all it finds; checks do not know each
//! other.

mod changes;
pub(super) mod environments;
mod names;
mod results;

use super::Catalogue;
use crate::{diagnostics::Diagnostic, model::runbook::Runbook};

/// What a check sees.
pub(super) struct Context<'a> {
    pub(super) runbook: &'a Runbook,
    pub(super) catalogue: &'a Catalogue,
    /// Ids of steps that could not be read whole.
    pub(super) broken: Vec<String>,
}

/// Everything that the checks find.
pub(super) fn all(context: &Context<'_>) -> Vec<Diagnostic> {
    [names::check, results::check, changes::check].iter().flat_map(|check| check(context)).collect()
}
