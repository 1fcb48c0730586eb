//! `RW0403`, `RW0409`, `RW0410`, `RW0603`: what a runbook names exists in the project, and what it
//! does is permitted, in every environment in which the runbook may run.
//!
//! Owns the meeting of runbook and project. Must not know how a project is read.

use std::collections::BTreeMap;

use crate::{
    base::Place,
    diagnostics::{Diagnostic, codes, nearest, suggest},
    expression::NameUse,
    language::{Catalogue, uses},
    model::{
        action_spec::{ArgumentKind, TargetKind},
        project::Project,
        runbook::{ActionCall, Runbook, Step},
        target::{Environment, Irreversible},
    },
    yaml,
};

/// Everything in which a runbook and its project do not fit together.
pub fn check_in_project(
    runbook: &Runbook,
    project: &Project,
    catalogue: &Catalogue,
) -> Vec<Diagnostic> {
    let mut out = undefined_environments(runbook, project);
    let environments: Vec<&Environment> = project
        .environments
        .values()
        .filter(|e| {
            runbook.environments.is_empty()
                || runbook.environments.iter().any(|(n, _)| *n == e.name)
        })
        .collect();
    for position in uses::positions(runbook) {
        for (call, _) in uses::calls(position.step) {
            out.extend(targets(call, catalogue, &environments));
        }
        out.extend(forbidden(position.step, &environments));
        for (_, names) in uses::uses(position.step) {
            for name in &names {
                out.extend(used_target(name, &environments));
                out.extend(secret(name, project));
            }
        }
    }
    let start = runbook.vars.values().chain(&runbook.locks);
    for template in start.flat_map(|t| t.templates()) {
        out.extend(template.names().iter().filter_map(|n| used_target(n, &environments)));
    }
    yaml::finish(out)
}

/// A change that can't be undone, where an environment's policy forbids those.
fn forbidden(step: &Step, environments: &[&Environment]) -> Option<Diagnostic> {
    let why = step.reversibility().err()?;
    let forbids = |e: &&&Environment| e.policy.irreversible == Irreversible::Forbid;
    let names: Vec<_> =
        environments.iter().filter(forbids).map(|e| format!("`{}`", e.name)).collect();
    if names.is_empty() {
        return None;
    }
    let message = format!("{} will refuse this step, which can't be undone", names.join(", "));
    Some(Diagnostic::warning(codes::RW0603, step.place.clone(), message).label(why).help(
        "give it a rollback, let the policy say `irreversible: allow` or `extra`, or list the \
             environments where the runbook may run",
    ))
}

fn undefined_environments(runbook: &Runbook, project: &Project) -> Vec<Diagnostic> {
    let unknown =
        runbook.environments.iter().filter(|(n, _)| !project.environments.contains_key(n));
    unknown
        .map(|(name, place)| {
            let known = || project.environments.keys().map(String::as_str);
            let list = known().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
            let message = format!("the project defines no environment `{name}`");
            Diagnostic::error(codes::RW0409, place.clone(), message)
                .help(suggest(name, known()).unwrap_or_else(|| format!("there are {list}")))
        })
        .collect()
}

/// The targets that a call names, in each environment.
fn targets(
    call: &ActionCall,
    catalogue: &Catalogue,
    environments: &[&Environment],
) -> Vec<Diagnostic> {
    let Some(spec) = catalogue.get(&call.action) else { return Vec::new() };
    let mut out = Vec::new();
    for argument in spec.arguments.iter().filter(|a| a.kind == ArgumentKind::Target) {
        let (Some(name), Some(tree)) =
            (call.fixed(&argument.name), call.arguments.get(&argument.name))
        else {
            continue;
        };
        out.extend(absent(name, &tree.place, environments));
        let Some(kind) = spec.target else { continue };
        let mut wrong: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for environment in environments {
            match environment.targets.get(name).map(|t| t.address.kind()) {
                Some(found) if found != kind => {
                    wrong.entry(words(found)).or_default().push(&environment.name);
                }
                _ => {}
            }
        }
        for (found, places) in wrong {
            let message = format!(
                "`{}` works on {}, but `{name}` is {found} in {}",
                call.action,
                words(kind),
                quoted(&places)
            );
            let fitting: Vec<&str> = environments
                .iter()
                .flat_map(|e| e.targets.values())
                .filter(|t| t.address.kind() == kind)
                .map(|t| t.name.as_str())
                .collect();
            let help = nearest(name, fitting.iter().copied())
                .or(fitting.first().copied())
                .map(|near| format!("did you mean `{near}`?"));
            out.push(
                Diagnostic::error(codes::RW0403, tree.place.clone(), message).maybe_help(help),
            );
        }
    }
    out
}

fn words(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Sql => "a database",
        TargetKind::Http => "an HTTP service",
        TargetKind::Ssh => "hosts over SSH",
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// One diagnostic for all environments in which a target is not defined.
fn absent(name: &str, place: &Place, environments: &[&Environment]) -> Option<Diagnostic> {
    let without: Vec<&str> = environments
        .iter()
        .filter(|e| !e.targets.contains_key(name))
        .map(|e| e.name.as_str())
        .collect();
    if without.is_empty() {
        return None;
    }
    let message = format!("the target `{name}` is not defined in {}", quoted(&without));
    let known = environments.iter().flat_map(|e| e.targets.keys()).map(String::as_str);
    let help = suggest(name, known.filter(|k| *k != name)).unwrap_or_else(|| {
        "define it there in runward.yaml, or limit the runbook with `environments`".into()
    });
    Some(Diagnostic::error(codes::RW0403, place.clone(), message).help(help))
}

/// `targets.<name>` in an expression.
fn used_target(name: &NameUse, environments: &[&Environment]) -> Option<Diagnostic> {
    if name.path.first().map(String::as_str) != Some("targets") || name.optional {
        return None;
    }
    let place = name.places.get(1).or(name.places.first())?;
    absent(name.path.get(1)?, place, environments)
}

fn secret(name: &NameUse, project: &Project) -> Option<Diagnostic> {
    if name.path.first().map(String::as_str) != Some("secrets") {
        return None;
    }
    let found = name.path.get(1)?;
    if project.secrets.contains_key(found) {
        return None;
    }
    let place = name.places.get(1).or(name.places.first())?;
    let message = format!("the project defines no secret `{found}`");
    let help = suggest(found, project.secrets.keys().map(String::as_str))
        .unwrap_or_else(|| "define it under `secrets` in runward.yaml".into());
    Some(Diagnostic::error(codes::RW0410, place.clone(), message).help(help))
}
