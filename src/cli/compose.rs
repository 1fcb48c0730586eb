//! The one place that names concrete types: project, journal, catalogue, targets put together.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{args::Cli, terminal::Failure};
use crate::{
    actions,
    approvals::SshVerifier,
    base::{Redactor, RunId, Timestamp},
    diagnostics::{Diagnostic, codes, has_errors},
    driver::{self, Ports},
    engine::Run,
    language::Catalogue,
    model::{
        Fault,
        approval::SignedDecision,
        event::{Event, Recorded},
        project::{Project, StoreAddress},
        runbook::Runbook,
        target::Environment,
    },
    ports::{
        Actions, Approvals, Clock, Seal, Secrets, Store,
        store::{StoreError, Summary},
    },
    project, secrets, store, transports,
};

/// The project file's name.
pub const PROJECT_FILE: &str = "runward.yaml";

/// The system's clock.
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn until(&self, at: Timestamp) {
        if at == Timestamp::MAX {
            return std::future::pending().await;
        }
        // Looked at again now and then: the clock may be set, and the machine may sleep.
        loop {
            let left = crate::base::time::between(self.now(), at);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(std::time::Duration::from_secs(30))).await;
        }
    }

    fn new_id(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}

/// The project that the user stands in, with its journal and catalogue.
pub struct Here {
    /// The project file.
    pub project: Arc<Project>,
    /// The journal.
    pub store: Arc<dyn Store>,
    /// Every action.
    pub actions: Arc<Actions>,
    /// What every action is.
    pub catalogue: Catalogue,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
}

/// The catalogue of all actions, and what they are.
pub fn catalogue() -> (Arc<Actions>, Catalogue) {
    let actions = actions::all();
    let catalogue =
        actions.iter().map(|(name, action)| (name.clone(), action.spec().clone())).collect();
    (Arc::new(actions), catalogue)
}

/// Finds the project file: the option, else upwards from the working folder.
pub fn find_project(cli: &Cli) -> Result<PathBuf, Failure> {
    if let Some(path) = &cli.project {
        let file = if path.is_dir() { path.join(PROJECT_FILE) } else { path.clone() };
        if file.is_file() {
            return Ok(file);
        }
        let message = format!("there is no project file `{}`", file.display());
        return Err(Diagnostic::unplaced(codes::RW0501, message).into());
    }
    let start = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    start
        .ancestors()
        .map(|folder| folder.join(PROJECT_FILE))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            Diagnostic::unplaced(
                codes::RW0501,
                format!("there is no `{PROJECT_FILE}` in {} or above it", start.display()),
            )
            .help("`runward init` makes one here; `--project PATH` names one elsewhere")
            .into()
        })
}

/// Reads the project file, with all that is wrong in it.
pub fn read_project(file: &Path) -> Result<(Option<Project>, Vec<Diagnostic>), Failure> {
    let text = read_text(file)?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Ok(project::load(&shown(file), folder, &text))
}

/// A text file of the user's.
pub fn read_text(file: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(file).map_err(|error| {
        let message = format!("`{}` can't be read: {}", file.display(), io_words(&error));
        Diagnostic::unplaced(codes::RW0106, message)
    })?;
    Ok(crate::yaml::decode(&shown(file), bytes)?)
}

/// What went wrong with a file, without the operating system's error number.
pub fn io_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::NotFound => "it does not exist".into(),
        K::PermissionDenied => "permission denied".into(),
        K::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

/// A path as the user would write it from where they stand.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let here = here.canonicalize().unwrap_or(here);
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

impl Here {
    /// Puts it together; a project file with errors ends it.
    pub async fn open(cli: &Cli) -> Result<Self, Failure> {
        let file = find_project(cli)?;
        let (project, diagnostics) = read_project(&file)?;
        let Some(project) = project.filter(|_| !has_errors(&diagnostics)) else {
            return Err(diagnostics.into());
        };
        let store = store::open(&project.store).await?;
        let (actions, catalogue) = catalogue();
        let clock = Arc::new(SystemClock);
        Ok(Self { project: Arc::new(project), store, actions, catalogue, clock })
    }

    /// The folder of the journal: keys and captured output lie beside it.
    pub fn state_folder(&self) -> PathBuf {
        let StoreAddress::Sqlite(file) = &self.project.store;
        file.parent().unwrap_or(Path::new(".")).to_owned()
    }

    /// The installation's key.
    pub fn seal(&self) -> Result<Arc<dyn Seal>, Failure> {
        Ok(secrets::seal::open(&self.state_folder())?)
    }

    /// Everything that a run in this environment needs; `project` is the one that it recorded.
    pub fn ports(
        &self,
        project: &Arc<Project>,
        environment: &Environment,
        store: Arc<dyn Store>,
    ) -> Result<Ports, Failure> {
        let seal = self.seal()?;
        let redactor = Redactor::new(&project.redact_columns);
        let secrets: Arc<dyn Secrets> = secrets::open(project, redactor.clone(), Arc::clone(&seal));
        let transports = transports::open(environment, Arc::clone(&secrets));
        Ok(Ports {
            store,
            clock: Arc::clone(&self.clock),
            actions: Arc::clone(&self.actions),
            transports,
            secrets,
            redactor,
            seal,
            approvals: Arc::new(SshVerifier),
            project: Arc::clone(project),
            folder: self.project.folder.clone(),
        })
    }

    /// The run that the user means: an unambiguous beginning of its id, or `last`.
    pub async fn find_run(&self, text: &str) -> Result<(RunId, Summary), Failure> {
        let runs = self.store.list(usize::MAX).await?;
        let found: Vec<_> = match text {
            "last" => runs.into_iter().take(1).collect(),
            _ => runs
                .into_iter()
                .filter(|(id, _)| !text.is_empty() && id.0.starts_with(&text.to_lowercase()))
                .collect(),
        };
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(run), None) => Ok(run),
            (Some((a, _)), Some((b, _))) => Err(Fault::untouched(
                codes::RW0804,
                format!("`{text}` is the beginning of several runs, such as {a} and {b}"),
            )
            .help("give more of the id")
            .into()),
            (None, _) => Err(Fault::untouched(codes::RW0804, format!("there is no run `{text}`"))
                .help("`runward runs` lists them; `last` is the newest")
                .into()),
        }
    }

    /// The run, folded from the journal.
    pub async fn load(&self, id: &RunId) -> Result<(Run, Arc<Project>, Vec<Recorded>), Failure> {
        let (run, project, events) = driver::load(self.store.as_ref(), id, &self.catalogue).await?;
        signed(&events, &project)?;
        Ok((run, project, events))
    }

    /// The runbook's file: as given, with `.yaml`, or below `runbooks/`.
    pub fn find_runbook(&self, path: &Path) -> Result<PathBuf, Failure> {
        let folders =
            [PathBuf::new(), self.project.folder.clone(), self.project.folder.join("runbooks")];
        let mut tried = Vec::new();
        for folder in folders {
            for ending in ["", ".yaml", ".yml"] {
                let mut name = folder.join(path).into_os_string();
                name.push(ending);
                let file = PathBuf::from(name);
                if file.is_file() {
                    return Ok(file);
                }
                tried.push(file);
            }
        }
        Err(Diagnostic::unplaced(
            codes::RW0106,
            format!("there is no runbook `{}`", path.display()),
        )
        .help("give its path from here, or below `runbooks/`")
        .into())
    }

    /// Reads a runbook, with all that is wrong in it, also in this project.
    pub fn read_runbook(&self, file: &Path) -> Result<(Option<Runbook>, Vec<Diagnostic>), Failure> {
        read_runbook(file, &self.project, &self.actions, &self.catalogue)
    }
}

/// Reads a runbook, with all that is wrong in it, also in this project.
pub fn read_runbook(
    file: &Path,
    project: &Project,
    actions: &Actions,
    catalogue: &Catalogue,
) -> Result<(Option<Runbook>, Vec<Diagnostic>), Failure> {
    let text = read_text(file)?;
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
    let root = project.folder.clone();
    let include = move |path: &str| read_include(&root, &folder, path);
    let loaded = crate::language::load(&shown(&file), &text, catalogue, &include);
    let mut diagnostics = loaded.diagnostics;
    if let Some(runbook) = &loaded.runbook {
        diagnostics.extend(crate::language::check_in_project(runbook, project, catalogue));
        for call in runbook.calls() {
            if let Some(action) = actions.get(&call.action) {
                diagnostics.extend(action.check(call));
            }
        }
    }
    crate::diagnostics::sort(&mut diagnostics);
    Ok((loaded.runbook, diagnostics))
}

/// A file that a runbook names: beside it, and inside of the project even through links.
fn read_include(root: &Path, folder: &Path, path: &str) -> Result<String, String> {
    let file = folder.join(path).canonicalize().map_err(|e| io_words(&e))?;
    if !file.starts_with(root) && !file.starts_with(folder) {
        return Err("it lies outside of the project".into());
    }
    std::fs::read_to_string(&file).map_err(|e| io_words(&e))
}

/// Every approval on record is signed, over the request that was open then. A chain that fits can
/// be written by whoever owns the file; somebody else's signature can't.
fn signed(events: &[Recorded], project: &Project) -> Result<(), Failure> {
    let mut open = std::collections::HashMap::new();
    for recorded in events {
        match &recorded.event {
            Event::ApprovalRequested { node, request, .. } => {
                open.insert(node, request);
            }
            Event::ApprovalGiven { node, approval, .. } => {
                let decision = SignedDecision {
                    verdict: approval.decision,
                    by: approval.by.clone(),
                    reason: approval.reason.clone(),
                    at: approval.at,
                    signature: approval.signature.clone(),
                };
                // It was verified a moment before it went on record.
                let moment = jiff::SignedDuration::from_secs(1);
                let then = recorded.at.checked_sub(moment).unwrap_or(recorded.at);
                let request = open.get(node).map_or("", |request| request.as_str());
                SshVerifier.verify(request, &decision, project, then).map_err(|why| {
                    let what =
                        format!("the approval in event {} does not hold: {why}", recorded.seq);
                    Failure::from(StoreError::Damaged(what))
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}
