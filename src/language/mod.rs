//! From the text of a runbook to the model, with everything that is wrong with it at once.
//!
//! Owns the language: its keys, its types, and the checks that need no target. Must not know how
//! anything is run; has no disk: files that a runbook names come from the caller.
//!
//! What later steps see of an earlier one, as `checks::names` holds it:
//! * an action: the fields that its spec declares; a `change`: those of its `apply`;
//! * a step with `outputs`: only these; a `manual` step: its fields;
//! * a step with `foreach`: `items`, a list with one such result for each item
//!   (`steps.workers.items[0].stdout`);
//! * a group, `check`, `note` or `stop`: nothing.

mod action;
mod body;
mod checks;
mod given;
mod inputs;
mod runbook;
mod step;
mod templates;
mod uses;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

pub use checks::environments::check_in_project;
pub use given::{Given, given_from_yaml, inputs, values};
pub use inputs::fields;

use crate::{
    base::{Place, Source},
    diagnostics::{Diagnostic, has_errors},
    model::{ActionSpec, runbook::Runbook},
    yaml,
};

/// Every action there is, by name.
pub type Catalogue = BTreeMap<String, ActionSpec>;

/// Gives the text of a file that a runbook names, or says in words why it can't.
pub type Files<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// What came of reading a runbook.
#[derive(Debug)]
pub struct Loaded {
    /// The runbook, when there is no error in it; warnings there may be.
    pub runbook: Option<Runbook>,
    /// Everything that was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a runbook.
///
/// `path` is shown in diagnostics. `files` is asked for each file that the runbook names, by its
/// path put behind the runbook's folder (`path` without its last part), without `..` that leaves
/// that path's first folder, never absolute unless `path` is; the caller must not follow symbolic
/// links out of the project. What each action checks of its own arguments is left to the caller.
pub fn load(path: &str, text: &str, catalogue: &Catalogue, files: Files<'_>) -> Loaded {
    let source = Source::new(path, text);
    let (root, mut diagnostics) = yaml::parse(&source);
    let mut runbook = None;
    if let Some(root) = root {
        let mut reader = Reader {
            catalogue,
            files,
            path: path.to_owned(),
            included: Vec::new(),
            ids: HashMap::new(),
            broken: Vec::new(),
            out: Vec::new(),
        };
        runbook = reader.runbook(&source, &root);
        if let Some(runbook) = &runbook {
            let broken = std::mem::take(&mut reader.broken);
            reader.out.extend(checks::all(&checks::Context { runbook, catalogue, broken }));
        }
        diagnostics.append(&mut reader.out);
    }
    let diagnostics = yaml::finish(diagnostics);
    Loaded { runbook: runbook.filter(|_| !has_errors(&diagnostics)), diagnostics }
}

/// The state of reading one runbook.
struct Reader<'a> {
    catalogue: &'a Catalogue,
    files: Files<'a>,
    path: String,
    included: Vec<Arc<Source>>,
    /// Where each id was seen first.
    ids: HashMap<String, Place>,
    /// Ids of steps that could not be read whole: their results are not known.
    broken: Vec<String>,
    out: Vec<Diagnostic>,
}
