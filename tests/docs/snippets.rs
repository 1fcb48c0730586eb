//! YAML in the documentation: each block is a runbook, a project or a part of one, and is read as
//! the program would read it.
//!
//! Owns how a part is made whole: inputs, variables and steps that it uses and does not define are
//! put around it.

use std::collections::BTreeSet;

use regex::Regex;
use runward::{
    actions,
    diagnostics::{Diagnostic, has_errors, render},
    language::{self, Catalogue},
    ports::Actions,
    project,
};

/// Keys of a project file; all others of a part's first key are a runbook's.
const PROJECT_KEYS: [&str; 5] = ["store", "people", "secrets", "redact", "environments"];

/// The real actions, and what they are.
pub struct Program {
    actions: Actions,
    pub catalogue: Catalogue,
}

impl Program {
    pub fn new() -> Self {
        let actions = actions::all();
        let catalogue = actions.iter().map(|(name, a)| (name.clone(), a.spec().clone())).collect();
        Self { actions, catalogue }
    }

    /// What is wrong with a block, drawn; nothing when it is good.
    pub fn check(&self, name: &str, yaml: &str) -> Option<String> {
        let yaml: String = yaml.to_owned();
        let first = yaml.lines().find(|l| !l.trim().is_empty() && !l.starts_with('#'));
        let first = first.unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
        let is_runbook = yaml.contains("\nsteps:");
        let diagnostics = match first.as_str() {
            "version" if is_runbook => self.runbook(name, &yaml),
            "version" => self.project(name, &yaml),
            _ if yaml.starts_with("- ") => self.runbook(name, &whole(&indented(&yaml), "")),
            key if PROJECT_KEYS.contains(&key) => self.project(name, &part_of_project(&yaml)),
            _ if is_runbook || first == "steps" => self.runbook(name, &whole("", &yaml)),
            _ => self.runbook(name, &whole("  - {id: end, note: The end}\n", &yaml)),
        };
        has_errors(&diagnostics).then(|| {
            let drawn: Vec<_> = diagnostics.iter().map(|d| render::human(d, false)).collect();
            format!("{name}\n{}", drawn.join("\n"))
        })
    }

    fn runbook(&self, name: &str, text: &str) -> Vec<Diagnostic> {
        let files = |_: &str| Ok("return {}".to_owned());
        let loaded = language::load(name, text, &self.catalogue, &files);
        let mut diagnostics = loaded.diagnostics;
        for call in loaded.runbook.iter().flat_map(|r| r.calls()) {
            if let Some(action) = self.actions.get(&call.action) {
                diagnostics.extend(action.check(call));
            }
        }
        diagnostics
    }

    fn project(&self, name: &str, text: &str) -> Vec<Diagnostic> {
        project::load(name, "/project".into(), text).1
    }
}

fn indented(yaml: &str) -> String {
    yaml.lines().map(|line| format!("  {line}\n")).collect()
}

fn part_of_project(yaml: &str) -> String {
    let rest = if yaml.contains("environments:") { "" } else { "environments: {}\n" };
    format!("version: 1\n{yaml}{rest}")
}

/// A runbook around steps, or around other keys of one.
fn whole(steps: &str, keys: &str) -> String {
    let both = format!("{steps}{keys}");
    let used = |pattern: &str| -> BTreeSet<String> {
        let regex = Regex::new(pattern).unwrap();
        regex.captures_iter(&both).map(|c| c[1].to_owned()).collect()
    };
    let mut text = String::from("version: 1\nname: Example\n");
    let inputs = used(r"\binputs\.([a-z_]+)");
    if !inputs.is_empty() && !keys.contains("inputs:") {
        text += "inputs:\n";
        text.extend(inputs.iter().map(|name| format!("  {name}: {{type: string}}\n")));
    }
    let vars = used(r"\bvars\.([a-z_]+)");
    if !vars.is_empty() && !keys.contains("vars:") {
        text += "vars:\n";
        text.extend(vars.iter().map(|name| format!("  {name}: x\n")));
    }
    let defined = used(r"\bid: ([a-z_0-9]+)");
    let missing: String = used(r"\bsteps\.([a-z_0-9]+)")
        .difference(&defined)
        .map(|id| format!("  - {{id: {id}, lua: 'return {{}}'}}\n"))
        .collect();
    match keys.split_once("steps:\n") {
        Some((before, after)) => text + before + "steps:\n" + &missing + after,
        None if keys.contains("steps:") => text + keys,
        None => text + keys + "steps:\n" + &missing + steps,
    }
}
