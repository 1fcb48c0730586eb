//! From a command line to a run that can begin: runbook, environment, inputs, operator.

use std::path::Path;

use super::{
    args::StartArgs,
    compose::{self, Here},
    exit::Exit,
    signing,
    terminal::{Failure, Terminal},
};
use crate::{
    approvals::{freeze, identity},
    base::{Digest, Map, RunId, Value},
    diagnostics::{Diagnostic, Severity, codes, has_errors},
    driver,
    engine::Run,
    language::{self, Given},
    model::{
        Fault,
        event::{FORMAT, Operator, RunCreated},
        runbook::Runbook,
        target::{Environment, Identity, Irreversible},
    },
};

/// A run that is not on record yet.
pub struct Begun {
    /// The run.
    pub run: Run,
    /// Its first event.
    pub created: RunCreated,
    /// Locks that it needs, by name.
    pub locks: Vec<String>,
}

/// Reads and checks everything that a run needs. Warnings are shown, errors end it.
pub async fn begin(
    here: &Here,
    terminal: Terminal,
    start: &StartArgs,
    key: Option<&Path>,
    plan: bool,
) -> Result<Begun, Failure> {
    let file = here.find_runbook(&start.runbook)?;
    let (runbook, diagnostics) = here.read_runbook(&file)?;
    let Some(runbook) = runbook.filter(|_| !has_errors(&diagnostics)) else {
        return Err(diagnostics.into());
    };
    let warnings: Vec<_> =
        diagnostics.into_iter().filter(|d| d.severity == Severity::Warning).collect();
    if plan && !warnings.is_empty() {
        terminal.diagnostics(&warnings);
    }
    let environment = choose_environment(here, &runbook, start.env.as_deref())?;
    if !plan {
        permitted(&runbook, environment)?;
    }
    let inputs = inputs(&runbook, start)?;
    let id = RunId(here.clock.new_id());
    let now = here.clock.now();
    if !plan && let Some(frozen) = freeze::frozen(&environment.policy, now) {
        let message = format!(
            "`{}` is frozen until {}: {}",
            environment.name,
            frozen.until,
            frozen.reasons.join("; ")
        );
        return Err(Fault::untouched(codes::RW0603, message).into());
    }
    let mut created = RunCreated {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        journal: here.store.journal_id().await?,
        name: runbook.name.clone(),
        runbook: runbook.source.path.clone(),
        runbook_digest: runbook.digest.clone(),
        files: runbook.files.iter().map(|f| (f.path.clone(), f.text.clone())).collect(),
        project: (here.project.source.path.clone(), here.project.source.text.clone()),
        project_digest: here.project.digest.clone(),
        folder: here.project.folder.display().to_string(),
        environment: environment.name.clone(),
        inputs,
        sealed_inputs: indexmap::IndexMap::new(),
        operator: operator(here)?,
        plan,
        undoes: None,
    };
    seal_inputs(here, &runbook, &mut created)?;
    if !plan && environment.protected && environment.policy.identity == Identity::Key {
        sign_start(here, terminal, &id, &mut created, key).await?;
    }
    // The same path as resuming: what the journal holds must give the run.
    let (plan, _) = driver::plan_of(&created, &here.catalogue)?;
    let run = Run::begin(id, now, created.clone(), &plan)
        .map_err(|failure| Failure::from(driver::OpenError::Vars(failure)))?;
    let locks = locks(&run)?;
    Ok(Begun { run, created, locks })
}

/// Refused before anything runs, where it can be seen: the policy forbids what a step does.
fn permitted(runbook: &Runbook, environment: &Environment) -> Result<(), Failure> {
    if environment.policy.irreversible != Irreversible::Forbid {
        return Ok(());
    }
    let Some((step, why)) =
        runbook.all_steps().into_iter().find_map(|s| Some((s, s.reversibility().err()?)))
    else {
        return Ok(());
    };
    let message = format!(
        "`{}` forbids changes that can't be undone, such as step `{}`: {why}",
        environment.name, step.id
    );
    Err(Fault::untouched(codes::RW0603, message)
        .help("give the step a rollback, or let the policy say `irreversible: allow` or `extra`")
        .into())
}

/// Sensitive inputs are secrets from here on; the journal holds them encrypted.
fn seal_inputs(here: &Here, runbook: &Runbook, created: &mut RunCreated) -> Result<(), Failure> {
    let sensitive = runbook.inputs.iter().filter(|(_, spec)| spec.sensitive);
    for (name, _) in sensitive {
        let Some(value) = created.inputs.get(name).filter(|v| !matches!(v, Value::Null)) else {
            continue;
        };
        let seal = here.seal()?;
        let clear = value.to_string();
        created.sealed_inputs.insert(name.clone(), seal.seal(clear.as_bytes())?);
        let secret = driver::open::sensitive(seal.as_ref(), name, clear);
        created.inputs.insert(name.clone(), Value::Secret(secret));
    }
    Ok(())
}

fn locks(run: &Run) -> Result<Vec<String>, Failure> {
    let scope = crate::engine::RunScope::new(run);
    run.plan
        .runbook
        .locks
        .iter()
        .map(|lock| {
            lock.render(&scope).map(|v| v.to_string()).map_err(|failure| {
                Failure::from(
                    Diagnostic::error(failure.code, failure.place, failure.message)
                        .maybe_help(failure.help),
                )
            })
        })
        .collect()
}

fn choose_environment<'a>(
    here: &'a Here,
    runbook: &Runbook,
    wanted: Option<&str>,
) -> Result<&'a Environment, Failure> {
    let defined = &here.project.environments;
    let allowed: Vec<&str> = match runbook.environments.is_empty() {
        true => defined.keys().map(String::as_str).collect(),
        false => runbook.environments.iter().map(|(name, _)| name.as_str()).collect(),
    };
    let list = || allowed.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let name = match (wanted, allowed.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            return Err(Diagnostic::unplaced(codes::RW0409, "in which environment?")
                .help(format!("say `--env` with one of {}", list()))
                .into());
        }
    };
    let Some(environment) = defined.get(name) else {
        let known = defined.keys().map(String::as_str);
        let message = format!("there is no environment `{name}`");
        return Err(Diagnostic::unplaced(codes::RW0409, message)
            .maybe_help(crate::diagnostics::suggest(name, known))
            .into());
    };
    if !allowed.contains(&name) {
        let message = format!("`{}` may not run in `{name}`", runbook.name);
        return Err(Diagnostic::unplaced(codes::RW0409, message)
            .help(format!("it lists {}", list()))
            .into());
    }
    Ok(environment)
}

fn inputs(runbook: &Runbook, start: &StartArgs) -> Result<Map, Failure> {
    let mut given: Vec<(String, Given)> = Vec::new();
    if let Some(file) = &start.inputs_file {
        let text = compose::read_text(file)?;
        given.extend(language::given_from_yaml(&compose::shown(file), &text)?);
    }
    for pair in &start.inputs {
        let (name, value) = split_pair(pair)?;
        // The command line wins over the file.
        given.retain(|(known, _)| known != name);
        given.push((name.to_owned(), Given::Text(value.to_owned())));
    }
    Ok(language::inputs(runbook, &given)?)
}

/// `NAME=VALUE`
pub fn split_pair(pair: &str) -> Result<(&str, &str), Failure> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        Diagnostic::unplaced(codes::RW0901, format!("`{pair}` is not NAME=VALUE")).into()
    })
}

/// Who stands at the keyboard, as the operating system knows them.
pub fn operator(here: &Here) -> Result<Operator, Failure> {
    let unknown = |what: &str| {
        Fault::untouched(codes::RW0603, format!("the operating system does not say {what}"))
    };
    let login = whoami::username().map_err(|_| unknown("who you are"))?;
    let host = whoami::hostname().unwrap_or_else(|_| "localhost".to_owned());
    let name = identity::operator(&here.project, &login, &host)?;
    Ok(Operator { name, login, host, key: None, signature: None })
}

/// In a protected environment the start is signed: the key says who it is.
async fn sign_start(
    here: &Here,
    terminal: Terminal,
    id: &RunId,
    created: &mut RunCreated,
    key: Option<&Path>,
) -> Result<(), Failure> {
    let inputs = Value::Map(created.inputs.clone()).to_journal().to_string();
    let statement = identity::start_statement(
        id,
        &created.runbook_digest,
        &created.environment,
        &Digest::of(inputs.as_bytes()),
    );
    let signature = signing::sign(here, terminal, key, statement.as_bytes()).await?;
    let known = identity::verify_start(&statement, &signature, &here.project).map_err(|why| {
        let fault = Fault::untouched(codes::RW0603, format!("the start is not permitted: {why}"))
            .help("the key must be one of a person in `people`");
        Failure::Fault(Box::new(fault), Exit::Refused)
    })?;
    created.operator.name = known.person;
    created.operator.key = Some(known.fingerprint);
    created.operator.signature = Some(signature);
    Ok(())
}
