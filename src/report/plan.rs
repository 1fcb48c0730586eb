//! `runward plan`: what a run would read and change, and who would have to agree.
//!
//! Owns the words. Must not know how a plan is made: it is a run that stops before each change.

use super::{
    Columns, Fate, Style, count, detail_lines, diff_block, fate_of, head_line, in_brief, people,
    quoted, result_in_brief, utc,
};
use crate::{
    base::{time, visible::escape_line},
    model::{
        event::StepStatus,
        target::{Environment, Irreversible},
        view::{RunView, StepView},
    },
};

/// Most lines of a difference.
const DIFF_LINES: usize = 200;

/// The plan, ending with a line break.
pub fn plan(view: &RunView, environment: &Environment, style: &Style) -> String {
    let field = |name: &str, value: &str| format!("{name:<12} {}", escape_line(value));
    let mut out = vec![style.heading(&format!("Plan: {}", escape_line(&view.name)))];
    out.push(field("runbook", &format!("{} ({})", view.runbook, view.digest.short())));
    out.push(field("environment", &view.environment));
    out.push(field("operator", &view.operator.name));
    for (name, value) in &view.inputs {
        out.push(field("input", &format!("{name} = {}", in_brief(value))));
    }
    out.push(String::new());
    let columns = Columns::of(view);
    for step in &view.steps {
        out.extend(step_lines(view, step, environment, style, columns));
    }
    out.push(String::new());
    out.extend(summary(view, environment, style));
    let mut text = out.join("\n");
    text.push('\n');
    text
}

/// What a plan knows of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It was read, or needs nothing.
    Done,
    /// The change was prepared.
    Change,
    /// It depends on what a plan does not do.
    Unknown,
    /// It would be left out.
    Skipped,
    /// It failed here, and would fail there.
    Failed,
    /// The plan did not get there.
    NotReached,
}

fn known(step: &StepView) -> Known {
    match step.status {
        StepStatus::Failed | StepStatus::InDoubt | StepStatus::RollbackFailed => Known::Failed,
        StepStatus::Skipped => Known::Skipped,
        StepStatus::Succeeded if step.reason.is_some() => Known::Unknown,
        StepStatus::Succeeded if step.statement.is_some() => Known::Change,
        StepStatus::Succeeded | StepStatus::RolledBack => Known::Done,
        StepStatus::Pending | StepStatus::Running | StepStatus::Waiting => Known::NotReached,
    }
}

fn step_lines(
    view: &RunView,
    step: &StepView,
    environment: &Environment,
    style: &Style,
    columns: Columns,
) -> Vec<String> {
    let known = known(step);
    let (mark, words) = match known {
        Known::Done => (style.good("✓"), ""),
        Known::Change => (style.warning("~"), "would change"),
        Known::Unknown => (style.dim("?"), "not known yet"),
        Known::Skipped => (style.dim("-"), "skipped"),
        Known::Failed => (style.bad("✗"), "fails"),
        Known::NotReached => (style.dim("·"), "not reached"),
    };
    let head = head_line(&mark, step, style, columns);
    let mut out = vec![format!("{head}  {words}").trim_end().to_owned()];
    out.extend(detail_lines(step, style));
    if known != Known::Change {
        out.extend(result_in_brief(step).map(|result| format!("    {result}")));
    }
    if let Some(note) = &step.note {
        out.extend(quoted(note, 4));
    }
    if known == Known::Change {
        out.extend(change(view, step, style));
    }
    let to_come = matches!(known, Known::Change | Known::Unknown | Known::NotReached);
    if to_come && fate_of(view, step) == Some(Fate::NotMade) {
        out.push(format!("    {}", approvals(view, step, environment)));
        out.extend(
            irreversible(step, environment).map(|words| format!("    {}", style.bad(&words))),
        );
    }
    let indent = "  ".repeat(step.path.len());
    out.iter().map(|line| format!("{indent}{line}")).collect()
}

fn change(view: &RunView, step: &StepView, style: &Style) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(target) = &step.target {
        out.push(format!("    on {}", escape_line(target)));
    }
    if let Some(statement) = &step.statement {
        out.push("    would send".to_owned());
        out.extend(quoted(statement, 6));
    }
    match &step.preview {
        None => out.push("    what will differ is not known before it runs".to_owned()),
        Some(diff) if diff.is_empty() => out.push("    would change nothing".to_owned()),
        Some(diff) => {
            out.push("    would change".to_owned());
            let see = format!("runward show {} --json", view.id.short());
            out.extend(diff_block(diff, style, 6, DIFF_LINES, &see));
        }
    }
    if let Some(undo) = step.undo.as_deref().filter(|u| step.reversible && !u.trim().is_empty()) {
        out.push("    to undo it".to_owned());
        out.extend(quoted(undo, 6));
    }
    out
}

fn approvals(view: &RunView, step: &StepView, environment: &Environment) -> String {
    match required(environment, step.reversible) {
        0 => "needs nobody's approval".to_owned(),
        n => {
            let from = environment.policy.approvals.as_ref().map_or(&[][..], |p| &p.from);
            let who = people(n, from);
            escape_line(&format!("needs {who}, not {}", view.operator.name))
        }
    }
}

/// How many people must agree, as the engine counts them.
fn required(environment: &Environment, reversible: bool) -> u32 {
    let base = match (&environment.policy.approvals, environment.protected) {
        (Some(policy), _) => policy.required,
        (None, true) => 1,
        (None, false) => 0,
    };
    match environment.policy.irreversible {
        Irreversible::Extra(more) if !reversible => base.saturating_add(more),
        _ => base,
    }
}

/// The warning of a change that can't be undone.
fn irreversible(step: &StepView, environment: &Environment) -> Option<String> {
    if step.reversible {
        return None;
    }
    let why = step.undo.as_deref().filter(|why| !why.trim().is_empty());
    let why = why.map_or_else(String::new, |why| format!(": {}", escape_line(why)));
    let name = escape_line(&environment.name);
    Some(match environment.policy.irreversible {
        Irreversible::Forbid => {
            format!("CAN'T BE UNDONE{why}; {name} forbids that, so a run is refused here")
        }
        Irreversible::Allow => format!("CAN'T BE UNDONE{why}"),
        Irreversible::Extra(more) => {
            format!("CAN'T BE UNDONE{why} ({} more for that)", count(more as usize, "approval"))
        }
    })
}

fn summary(view: &RunView, environment: &Environment, style: &Style) -> Vec<String> {
    let of = |what: Known| view.steps.iter().filter(|s| known(s) == what).count();
    let changes: Vec<_> = view
        .steps
        .iter()
        .filter(|s| s.effect == Some("change"))
        .filter(|s| !matches!(known(s), Known::Skipped | Known::Failed))
        .collect();
    let reads =
        view.steps.iter().filter(|s| s.effect == Some("read") && known(s) == Known::Done).count();
    let mut out = vec![style.heading("Nothing was changed: a plan only reads and previews.")];
    out.push(format!("{} done, {} to make", count(reads, "read"), count(changes.len(), "change")));
    match of(Known::Unknown) {
        0 => {}
        1 => out.push("1 step can't be known before the run".to_owned()),
        n => out.push(format!("{n} steps can't be known before the run")),
    }
    let failed: Vec<_> = view.steps.iter().filter(|s| known(s) == Known::Failed).collect();
    if let [first, ..] = failed.as_slice() {
        let rest = of(Known::NotReached);
        let words = format!("it fails at {}; {} not reached", first.node, count(rest, "step"));
        out.push(style.bad(&words));
    }
    let lasting = changes.iter().filter(|s| !s.reversible).count();
    if lasting > 0 {
        let words = format!("{} can't be undone", count(lasting, "change"));
        out.push(style.bad(&words));
    }
    if let Some(policy) = environment.policy.approvals.as_ref().filter(|_| !changes.is_empty()) {
        let span = time::show_duration(policy.expires);
        out.push(format!("a request for approval expires after {span}"));
    }
    let now = view.started_at;
    if let Some(f) = environment.policy.freeze.iter().find(|f| f.from <= now && now < f.until) {
        out.push(style.bad(&format!(
            "{} is frozen until {}: {}; a change is refused before then",
            escape_line(&environment.name),
            utc(f.until),
            escape_line(&f.reason)
        )));
    }
    out
}
