//! `RW0302`, `RW0410`: every name that a runbook uses means something where it is used.
//!
//! Owns which names there are in which part of a step. Must not know results of steps.

use super::Context;
use crate::{
    base::Place,
    diagnostics::{Diagnostic, codes, suggest},
    expression::{Escape, NameUse, Template},
    language::uses::{self, Part, Position, Role},
    model::{
        Effect,
        runbook::{Body, Step},
    },
};

/// Names that mean something in some part of a runbook.
const ROOTS: [&str; 10] =
    ["inputs", "vars", "run", "env", "targets", "steps", "result", "before", "after", "diff"];
/// What is known of a run from its start.
const RUN: [&str; 5] = ["id", "name", "started_at", "operator", "environment"];
/// What is known of a run that is ending.
const RUN_END: [&str; 3] = ["failed_step", "error", "status"];
const ENV: [&str; 2] = ["name", "protected"];
const TARGET: [&str; 3] = ["hosts", "url", "name"];

/// Where a name is used.
enum Site<'a> {
    /// In `vars`, with how many are defined before it, or in `locks`, with all.
    Start(usize),
    Step(&'a Position<'a>, Role),
}

pub(super) fn check(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let runbook = context.runbook;
    for (index, tree) in runbook.vars.values().enumerate() {
        let names = tree.templates().into_iter().flat_map(Template::names);
        out.extend(names.filter_map(|n| fault(context, &Site::Start(index), &n)));
    }
    for tree in &runbook.locks {
        let names = tree.templates().into_iter().flat_map(Template::names);
        let site = Site::Start(runbook.vars.len());
        out.extend(names.filter_map(|n| fault(context, &site, &n)));
    }
    for position in uses::positions(runbook) {
        out.extend(item_name(&position));
        for (role, names) in uses::uses(position.step) {
            let site = Site::Step(&position, role);
            out.extend(names.iter().filter_map(|n| fault(context, &site, n)));
        }
    }
    out
}

/// The name of an item must not hide another name.
fn item_name(position: &Position<'_>) -> Option<Diagnostic> {
    let name = &position.step.foreach.as_ref()?.name;
    let place = position.step.foreach.as_ref()?.items.written.place.clone();
    let outer = position.parents.iter().filter_map(|p| p.foreach.as_ref());
    if ROOTS.contains(&name.as_str()) || name == "secrets" {
        let message = format!("the item can't be called `{name}`, which means something already");
        return Some(
            Diagnostic::error(codes::RW0207, place, message).help("choose another name with `as`"),
        );
    }
    if outer.into_iter().any(|f| f.name == *name) {
        let message = format!("the item is called `{name}` like that of the group around it");
        return Some(
            Diagnostic::error(codes::RW0208, place, message).help("choose another name with `as`"),
        );
    }
    None
}

fn fault(context: &Context<'_>, site: &Site<'_>, name: &NameUse) -> Option<Diagnostic> {
    let root = name.path.first()?.as_str();
    let place = name.places.first()?;
    match root {
        "inputs" => member(
            name,
            "inputs",
            context.runbook.inputs.keys().map(String::as_str),
            "there is no input",
        )
        .or_else(|| sensitive(context, site, name)),
        "vars" => vars(context, site, name),
        "run" => run(site, name),
        "env" => member(name, "env", ENV.into_iter(), "`env` has no field"),
        "targets" => targets(name),
        "secrets" => secrets(site, name),
        "steps" => match site {
            Site::Step(..) => None,
            Site::Start(_) => {
                Some(not_here(place, "steps", "variables and locks are known before any step"))
            }
        },
        "result" => unavailable_result(site, place),
        "before" | "after" | "diff" => unavailable_state(site, root, place),
        other => match items(site).any(|item| item == other) {
            true => None,
            false => Some(undefined(site, other, place)),
        },
    }
}

fn undefined(site: &Site<'_>, name: &str, place: &Place) -> Diagnostic {
    let message = format!("`{name}` is not defined");
    let known: Vec<&str> = ROOTS.into_iter().chain(items(site)).collect();
    let help = suggest(name, known.iter().copied()).unwrap_or_else(|| {
        let list = known.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        format!("names begin with one of {list}; quote it if it is text: '{name}'")
    });
    Diagnostic::error(codes::RW0302, place.clone(), message).help(help)
}

/// Names of items around a site.
fn items<'a>(site: &Site<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let (parents, own) = match site {
        Site::Start(_) => (Vec::new(), None),
        // The list itself is made before there is an item.
        Site::Step(position, Role::Items) => (position.parents.clone(), None),
        Site::Step(position, _) => (position.parents.clone(), Some(position.step)),
    };
    parents.into_iter().chain(own).filter_map(|s: &Step| Some(s.foreach.as_ref()?.name.as_str()))
}

/// Checks the second segment against what there is.
fn member<'k>(
    name: &NameUse,
    root: &str,
    known: impl Iterator<Item = &'k str> + Clone,
    what: &str,
) -> Option<Diagnostic> {
    let found = name.path.get(1)?;
    if known.clone().any(|k| k == found) {
        return None;
    }
    let list = known.clone().map(|k| format!("`{root}.{k}`")).collect::<Vec<_>>().join(", ");
    let help = suggest(found, known).unwrap_or_else(|| match list.is_empty() {
        true => format!("this runbook defines no {root}"),
        false => format!("there are {list}"),
    });
    let message = format!("{what} `{found}`");
    let place = name.places.get(1).or(name.places.first())?;
    Some(Diagnostic::error(codes::RW0302, place.clone(), message).help(help))
}

fn vars(context: &Context<'_>, site: &Site<'_>, name: &NameUse) -> Option<Diagnostic> {
    let vars = &context.runbook.vars;
    if let (Site::Start(before), Some(found)) = (site, name.path.get(1))
        && vars.get_index_of(found.as_str()).is_some_and(|index| index >= *before)
    {
        let message = format!("the variable `{found}` is defined later");
        let place = name.places.get(1).or(name.places.first())?;
        return Some(
            Diagnostic::error(codes::RW0302, place.clone(), message)
                .help("a variable may use those above it: move it up"),
        );
    }
    member(name, "vars", vars.keys().map(String::as_str), "there is no variable")
}

fn run(site: &Site<'_>, name: &NameUse) -> Option<Diagnostic> {
    let found = name.path.get(1)?.as_str();
    let ending = matches!(site, Site::Step(p, _) if p.part != Part::Steps);
    if !ending && RUN_END.contains(&found) {
        let message = format!("`run.{found}` is known only when the run ends");
        let place = name.places.get(1).or(name.places.first())?;
        return Some(
            Diagnostic::error(codes::RW0302, place.clone(), message)
                .help("use it in `on_failure` or `finally`"),
        );
    }
    let known = RUN.into_iter().chain(RUN_END.into_iter().filter(|_| ending));
    member(name, "run", known, "`run` has no field")
}

fn targets(name: &NameUse) -> Option<Diagnostic> {
    let field = name.path.get(2)?;
    if TARGET.contains(&field.as_str()) {
        return None;
    }
    let place = name.places.get(2).or(name.places.first())?;
    let message = format!("a target has no field `{field}`");
    let help = suggest(field, TARGET)
        .unwrap_or_else(|| "there are `hosts` (SSH), `url` (HTTP) and `name`".into());
    Some(Diagnostic::error(codes::RW0302, place.clone(), message).help(help))
}

/// A sensitive input is a secret; unlike others it may be used for judging, which shows nothing.
fn sensitive(context: &Context<'_>, site: &Site<'_>, name: &NameUse) -> Option<Diagnostic> {
    let spec = context.runbook.inputs.get(name.path.get(1)?)?;
    let exposed = matches!(
        site,
        Site::Step(_, Role::Argument(escape) | Role::Apply(escape) | Role::Rollback(escape))
            if matches!(escape, Escape::Shell | Escape::Percent | Escape::Sql)
    );
    if spec.sensitive && exposed { secrets(site, name) } else { None }
}

fn secrets(site: &Site<'_>, name: &NameUse) -> Option<Diagnostic> {
    let place = name.places.first()?;
    let refuse = |message: &str, help: &str| {
        Some(Diagnostic::error(codes::RW0410, place.clone(), message).help(help))
    };
    let Site::Step(_, Role::Argument(escape) | Role::Apply(escape) | Role::Rollback(escape)) = site
    else {
        return refuse(
            "a secret may be used in the arguments of an action only",
            "everything else is shown to people and kept in the journal",
        );
    };
    match escape {
        Escape::Shell => refuse(
            "a secret can't stand in a command: other users of the machine see it",
            "pass it through `stdin` or `env`",
        ),
        Escape::Percent => refuse(
            "a secret can't stand in a URL: servers and proxies write it to their logs",
            "send it in a header or in the body",
        ),
        Escape::Sql => refuse("a secret can't stand in a statement", "pass it through `params`"),
        Escape::None | Escape::Markdown if name.path.len() < 2 => refuse(
            "a secret must be named here: `secrets.name`",
            "a computed name can't be checked",
        ),
        Escape::None | Escape::Markdown => None,
    }
}

fn not_here(place: &Place, name: &str, why: &str) -> Diagnostic {
    let message = format!("`{name}` is not known here");
    Diagnostic::error(codes::RW0302, place.clone(), message).help(why.to_owned())
}

fn unavailable_result(site: &Site<'_>, place: &Place) -> Option<Diagnostic> {
    let Site::Step(position, role) = site else {
        return Some(not_here(place, "result", "variables and locks are known before any step"));
    };
    let gives = matches!(position.step.body, Body::Action(_) | Body::Change(_) | Body::Manual(_));
    match (role, gives) {
        (Role::After, true) => None,
        (Role::After, false) => Some(not_here(
            place,
            "result",
            "this step has none; use `steps.<id>` of an earlier one",
        )),
        _ => Some(not_here(
            place,
            "result",
            "it is the result of this step's action, for `expect`, `outputs` and `until`",
        )),
    }
}

/// `before`, `after` and `diff`: after a change that captures, and for undoing it.
fn unavailable_state(site: &Site<'_>, root: &str, place: &Place) -> Option<Diagnostic> {
    let Site::Step(position, role) = site else {
        return Some(not_here(place, root, "variables and locks are known before any step"));
    };
    let (changes, captures) = match &position.step.body {
        Body::Change(change) => (true, change.capture.is_some()),
        Body::Action(call) => {
            let reversible = call.effect == Effect::Reversible;
            (reversible, reversible)
        }
        _ => (false, false),
    };
    let why = match (changes, captures, role) {
        (true, true, Role::After) => return None,
        (true, true, Role::Apply(_) | Role::Rollback(_)) if root == "before" => return None,
        (true, true, Role::Apply(_) | Role::Rollback(_)) => {
            "only `before` is known when a change is made or undone"
        }
        (true, true, _) => "it is the state that this change captures: use it in `expect`",
        (true, false, _) => "this change captures nothing: add `capture`",
        (false, ..) => "only a change has a state before and after",
    };
    Some(not_here(place, root, why))
}
