//! From a journal to a run: its first event holds all that the rest depends on.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use crate::{
    base::RunId,
    diagnostics::{Diagnostic, codes},
    engine::{Plan, Run},
    expression::Failure,
    language::{self, Catalogue},
    model::{
        event::{Event, Recorded, RunCreated},
        project::Project,
    },
    ports::{Store, store::StoreError},
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
        Run::begin(id.clone(), first.at, (**created).clone(), plan).map_err(OpenError::Vars)?;
    run.head = first.hash.clone();
    for recorded in rest {
        run.replay(recorded)?;
    }
    Ok((run, project))
}
