//! `runward show`: a run with its steps, as text.
//!
//! Owns the layout. Must not know how the run is found, nor when it is shown.

use super::{
    Columns, Fate, Style, cut, diff_block, fate_of, in_brief, login, quoted, result_in_brief,
    run_words, step_lines, utc, wait_lines, waiting,
};
use crate::{
    base::{markdown::unescaped, time, visible::escape_line},
    model::{
        approval::{Approval, Verdict},
        event::Phase,
        view::{RollbackView, RunView, StepView},
    },
};

/// Most lines of a difference; `runward diff` has them all.
const DIFF_LINES: usize = 40;

/// Characters of a key's fingerprint; the report has all of it.
const KEY: usize = 19;

/// The run, ending with a line break; last what it waits for and what to type.
pub fn show(view: &RunView, style: &Style) -> String {
    let mut out = header(view, style);
    let columns = Columns::of(view);
    let mut path: &[String] = &[];
    let mut phase = None;
    for step in &view.steps {
        if phase != Some(step.phase) {
            out.push(String::new());
            out.push(style.heading(heading(step.phase)));
            phase = Some(step.phase);
            path = &[];
        }
        group_lines(&mut out, path, &step.path, style);
        path = &step.path;
        let indent = "  ".repeat(step.path.len());
        let mut lines = step_lines(step, style, columns);
        lines.extend(about(view, step, style));
        out.extend(lines.iter().map(|line| format!("{indent}{line}")));
    }
    for one in waiting(view) {
        out.push(String::new());
        out.extend(wait_lines(view, &one, style));
    }
    let mut text = out.join("\n");
    text.push('\n');
    text
}

fn heading(phase: Phase) -> &'static str {
    match phase {
        Phase::Main => "Steps",
        Phase::Rollback => "Rollback",
        Phase::OnFailure => "On failure",
        Phase::Finally => "Finally",
    }
}

/// Heads of the groups that begin here.
fn group_lines(out: &mut Vec<String>, before: &[String], now: &[String], style: &Style) {
    let same = before.iter().zip(now).take_while(|(a, b)| a == b).count();
    for (depth, id) in now.iter().enumerate().skip(same) {
        let indent = "  ".repeat(depth);
        out.push(format!("{indent}{}", style.dim(&format!("▸ {}", escape_line(id)))));
    }
}

fn header(view: &RunView, style: &Style) -> Vec<String> {
    let field = |name: &str, value: &str| format!("{name:<12} {}", escape_line(value));
    let plan = if view.plan { " (plan)" } else { "" };
    let mut out = vec![style.heading(&format!("{}{plan}", escape_line(&view.name)))];
    let status = style.of_run(view.status, run_words(view.status));
    match view.message.as_deref().filter(|m| !m.is_empty()) {
        Some(message) => out.push(format!("{:<12} {status}: {}", "status", escape_line(message))),
        None => out.push(format!("{:<12} {status}", "status")),
    }
    out.push(field("run", &view.id.0));
    out.push(field("runbook", &format!("{} ({})", view.runbook, view.digest.short())));
    out.push(field("environment", &view.environment));
    let login = login(view).map_or_else(String::new, |login| format!(" ({login})"));
    out.push(field("operator", &format!("{}{login}", view.operator.name)));
    if let Some(key) = &view.operator.key {
        out.push(field("signed with", key));
    }
    if let Some(undone) = &view.undoes {
        out.push(field("undoes", undone));
    }
    out.push(field("started", &utc(view.started_at)));
    if let Some(end) = view.finished_at {
        out.push(field("took", &time::show_duration(time::between(view.started_at, end))));
    }
    for (name, value) in &view.inputs {
        out.push(field("input", &format!("{name} = {}", in_brief(value))));
    }
    out
}

/// What there is to say of a step besides its line.
fn about(view: &RunView, step: &StepView, style: &Style) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(result) = result_in_brief(step) {
        out.push(format!("    {result}"));
    }
    difference(&mut out, view, step, style);
    for approval in &step.approvals {
        out.push(format!("    {}", decision(approval)));
    }
    if step.request.is_none() {
        out.extend(step.refusals.iter().map(|r| format!("    {}", escape_line(r))));
    }
    rollback(&mut out, view, step, style);
    if let Some(note) = &step.note {
        out.extend(quoted(&unescaped(note), 4));
    }
    out
}

fn difference(out: &mut Vec<String>, view: &RunView, step: &StepView, style: &Style) {
    let see = format!("runward diff {}/{}", view.id.short(), step.node);
    let (words, diff) = match (&step.diff, &step.preview, fate_of(view, step)) {
        (Some(diff), _, _) => ("changed", diff),
        // What was foretold is no news of what happened.
        (None, Some(diff), Some(Fate::NotMade)) => ("would change", diff),
        (None, Some(diff), Some(Fate::UnderWay)) => ("is to change", diff),
        (None, Some(diff), Some(Fate::InDoubt | Fate::MayStand)) => ("may have changed", diff),
        _ => return,
    };
    if diff.is_empty() {
        out.push(format!("    {words}: nothing"));
        return;
    }
    out.push(format!("    {words}:"));
    out.extend(diff_block(diff, style, 6, DIFF_LINES, &see));
}

/// Who decided what, when, and how that is known.
fn decision(approval: &Approval) -> String {
    let verdict = match approval.decision {
        Verdict::Approve => "approved",
        Verdict::Reject => "rejected",
    };
    let by = escape_line(&approval.by);
    let mut line = format!("{verdict} by {by} at {}", utc(approval.at));
    if approval.signature.is_some() {
        line.push_str(&format!(" with key {}", cut(&escape_line(&approval.key), KEY)));
    }
    line.push_str(&format!(", request {}", escape_line(approval.digest.short())));
    if !approval.reason.is_empty() {
        line.push_str(&format!(": {}", escape_line(&approval.reason)));
    }
    line
}

fn rollback(out: &mut Vec<String>, view: &RunView, step: &StepView, style: &Style) {
    let Some(rollback) = &step.rollback else { return };
    let when = rollback.finished_at.map_or_else(String::new, |at| format!(" at {}", utc(at)));
    let line = match fate_of(view, step) {
        Some(Fate::PutBack) => {
            style.good(&format!("put back{when}, and proved: the state is what it was before"))
        }
        Some(Fate::Unproved) => style.bad(&format!("undone{when}, without proof")),
        Some(Fate::Differs) => {
            let words = format!("undone{when}, but the state is not what it was before");
            out.push(format!("    {}", style.bad(&words)));
            return residual_lines(out, view, rollback, style);
        }
        Some(Fate::UndoFailed) => {
            style.bad(&format!("undoing failed{when}; the change may remain"))
        }
        Some(Fate::Left) => style.bad("left in place"),
        Some(Fate::NothingToUndo | Fate::NotMade) => "nothing to undo".to_owned(),
        _ => "to be put back".to_owned(),
    };
    let message = rollback.message.as_deref().filter(|m| !m.is_empty());
    let why = message.map_or_else(String::new, |m| format!(": {}", escape_line(m)));
    out.push(format!("    {line}{why}"));
    residual_lines(out, view, rollback, style);
}

fn residual_lines(out: &mut Vec<String>, view: &RunView, rollback: &RollbackView, style: &Style) {
    if let Some(residual) = rollback.residual.as_ref().filter(|d| !d.is_empty()) {
        out.push(format!("    {}", style.bad("still differs from the state before:")));
        let see = format!("runward show {} --json", view.id.short());
        out.extend(diff_block(residual, style, 6, DIFF_LINES, &see));
    }
}
