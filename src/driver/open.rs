//! From a journal to a run: its first event holds all that the rest depends on.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use crate::{
    base::{Redactor, RunId, Secret},
    diagnostics::{Diagnostic, codes},
    engine::{Plan, Run},
    expression::Failure,
    language::{self, Catalogue},
    model::{
        Fault,
        event::{Event, Recorded, RunCreated},
        project::Project,
    },
    ports::{Seal, Store, store::StoreError},
    project,
};

/// Why a run can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recorded files no longer give a runbook: the program is older or newer than they are.
    #[error("the recorded runbook can't be read by this version")]
    Unreadable(Vec<Diagnostic>),
    /// A `vars` expression has no value.
    #[error("{}", .0.message)]
    Vars(Failure),
    /// A sensitive input can't be decrypted.
    #[error("{}", .0.message)]
    Sealed(Fault),
    /// An event that the state machine does not allow.
    #[error(transparent)]
    Illegal(#[from] crate::engine::Illegal),
}

/// The plan and the project as the run recorded them.
pub fn plan_of(
    created: &RunCreated,
    catalogue: &Catalogue,
) -> Result<(Arc<Plan>, Arc<Project>), OpenError> {
    let files: HashMap<&str, &str> =
        created.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (path, text) = created.files.first().ok_or_else(|| no_files(created))?;
    let include = |path: &str| {
        files.get(path).map(|text| (*text).to_owned()).ok_or_else(|| "not recorded".to_owned())
    };
    let loaded = language::load(path, text, catalogue, &include);
    let (project_path, project_text) = &created.project;
    let folder = PathBuf::from(&created.folder);
    let (project, mut problems) = project::load(project_path, folder, project_text);
    problems.extend(loaded.diagnostics);
    problems.retain(|d| d.severity == crate::diagnostics::Severity::Error);
    let (Some(runbook), Some(project), true) = (loaded.runbook, project, problems.is_empty())
    else {
        return Err(OpenError::Unreadable(problems));
    };
    let Some(environment) = project.environments.get(&created.environment).cloned() else {
        let message = format!("environment `{}` is not defined", created.environment);
        return Err(OpenError::Unreadable(vec![Diagnostic::unplaced(codes::RW0409, message)]));
    };
    Ok((Arc::new(Plan::new(Arc::new(runbook), environment)), Arc::new(project)))
}

fn no_files(created: &RunCreated) -> OpenError {
    let message = format!("the run of `{}` holds no files", created.runbook);
    OpenError::Unreadable(vec![Diagnostic::unplaced(codes::RW0801, message)])
}

/// A sensitive input: its version tells two values apart and nothing about them.
pub fn sensitive(seal: &dyn Seal, name: &str, clear: String) -> Secret {
    let version: String = seal.digest(clear.as_bytes()).short().chars().take(6).collect();
    Secret::new(&format!("input {name}"), &version, clear)
}

/// The run with its sensitive inputs, known to the redactor from now on.
pub fn unsealed(run: Run, seal: &dyn Seal, redactor: &Redactor) -> Result<Run, OpenError> {
    let mut secrets = Vec::new();
    for (name, sealed) in &run.created.sealed_inputs {
        let clear = String::from_utf8(seal.open(sealed).map_err(OpenError::Sealed)?)
            .map_err(|_| StoreError::Damaged(format!("input `{name}` is no text")))?;
        let secret = sensitive(seal, name, clear);
        redactor.learn(&secret);
        secrets.push((name.clone(), secret));
    }
    if secrets.is_empty() {
        return Ok(run);
    }
    run.with_secrets(secrets).map_err(OpenError::Vars)
}

/// Folds a run from its journal.
pub async fn load(
    store: &dyn Store,
    id: &RunId,
    catalogue: &Catalogue,
) -> Result<(Run, Arc<Project>, Vec<Recorded>), OpenError> {
    let events = store.read(id, 1).await?;
    let (run, project) = fold(id, &events, catalogue)?;
    Ok((run, project, events))
}

/// Folds a run from its events.
pub fn fold(
    id: &RunId,
    events: &[Recorded],
    catalogue: &Catalogue,
) -> Result<(Run, Arc<Project>), OpenError> {
    let Some((first, rest)) = events.split_first() else {
        return Err(OpenError::Store(StoreError::NoRun(id.0.clone())));
    };
    let Event::RunCreated(created) = &first.event else {
        let what = format!("run {id} does not begin with its creation");
        return Err(OpenError::Store(StoreError::Damaged(what)));
    };
    let (plan, project) = plan_of(created, catalogue)?;
    let mut run =
        Run::begin(id.clone(), first.at, (**created).clone(), &plan).map_err(OpenError::Vars)?;
    run.head = first.hash.clone();
    for recorded in rest {
        run.replay(recorded)?;
    }
    Ok((run, project))
}
