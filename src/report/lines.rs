//! Lines for live output: a step, a difference, what a run waits for.
//!
//! Owns their layout. Must not know when they are printed, or whether over each other. No line has
//! a line break or anything from outside that a terminal would obey.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Need, Style, Waiting, count, people, step_words, title_of, utc, waiting};
use crate::{
    base::{
        markdown::unescaped,
        time,
        visible::{escape, escape_line},
    },
    model::{
        Fault, World,
        diff::Diff,
        diff_text::{self, Mark},
        event::StepStatus,
        view::{RunView, StepView},
    },
};

/// Equal lines shown around what differs in a text.
const CONTEXT: usize = 3;

/// Widths of the columns of a list of steps, in terminal cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Of the ids.
    pub id: usize,
    /// Of the titles.
    pub title: usize,
}

impl Default for Columns {
    fn default() -> Self {
        Self { id: 12, title: 40 }
    }
}

impl Columns {
    /// Wide enough for all steps of a run, within reason.
    pub fn of(view: &RunView) -> Self {
        let widest = |widths: &mut dyn Iterator<Item = usize>, least: usize, most: usize| {
            widths.max().unwrap_or(0).clamp(least, most)
        };
        Self {
            id: widest(&mut view.steps.iter().map(|s| s.node.to_string().width()), 8, 24),
            title: widest(&mut view.steps.iter().map(|s| title_of(s).width()), 16, 48),
        }
    }
}

/// A step in live output: mark, id, title, time, and where it is not plain success what happened;
/// under it what went wrong and what was found. Ends without a line break.
pub fn step_line(step: &StepView, style: &Style) -> String {
    step_lines(step, style, Columns::default()).join("\n")
}

/// The same with other columns, a line each.
pub(super) fn step_lines(step: &StepView, style: &Style, columns: Columns) -> Vec<String> {
    let mut line = head_line(&style.mark(step.status), step, style, columns);
    let words = state(step);
    if !words.is_empty() {
        line.push_str("  ");
        line.push_str(&style.of_step(step.status, &words));
    }
    let mut out = vec![line.trim_end().to_owned()];
    out.extend(detail_lines(step, style));
    out
}

/// Mark, id, title and time, in their columns.
pub(super) fn head_line(mark: &str, step: &StepView, style: &Style, columns: Columns) -> String {
    let time = match (step.started_at, step.finished_at) {
        (Some(start), Some(end)) if start < end => time::show_duration(time::between(start, end)),
        _ => String::new(),
    };
    let id = padded(&step.node.to_string(), columns.id);
    let title = padded(&title_of(step), columns.title);
    let gap = " ".repeat(7_usize.saturating_sub(time.width()));
    format!("{mark} {id} {title} {gap}{}", style.dim(&time))
}

/// What the mark alone does not say.
fn state(step: &StepView) -> String {
    let mut parts = Vec::new();
    let gated = step.request.is_some();
    match (step.status, step.rollback.as_ref()) {
        (StepStatus::Succeeded, _) => {}
        (StepStatus::Waiting, _) if gated => parts.push("waiting for approval".to_owned()),
        (StepStatus::Waiting, _) => parts.push("waiting for an answer".to_owned()),
        (StepStatus::RollbackFailed, Some(r)) if r.status == "unproved" => {
            parts.push("undone, not proved".to_owned());
        }
        (status, _) => parts.push(step_words(status).to_owned()),
    }
    if step.attempts > 1 {
        parts.push(format!("{} attempts", step.attempts));
    }
    parts.join(", ")
}

/// Why it was skipped, what went wrong, what was found.
pub(super) fn detail_lines(step: &StepView, style: &Style) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(reason) = &step.reason {
        out.push(format!("    {}", style.dim(&escape_line(reason))));
    }
    if let Some(fault) = &step.error {
        out.extend(fault_lines(fault, style));
        out.extend(left_behind(step, fault).map(|words| format!("      {}", style.warning(words))));
    }
    for finding in &step.findings {
        out.push(format!("    {} {}", style.warning("finding:"), escape_line(finding)));
    }
    out
}

/// What a failed change left, where nothing further down the line has shown it.
fn left_behind(step: &StepView, fault: &Fault) -> Option<&'static str> {
    let seen = step.after.is_some() || step.diff.is_some() || step.rollback.is_some();
    if step.effect != Some("change") || step.status != StepStatus::Failed || seen {
        return None;
    }
    match fault.world {
        World::Untouched => Some("nothing was changed by this step"),
        World::Partial => Some("part of its effect may stand"),
        // A person's word is the step's reason; without one it would be in doubt.
        World::Unknown => None,
    }
}

/// A failure: code and message, what was found, what to do, where.
fn fault_lines(fault: &Fault, style: &Style) -> Vec<String> {
    let code = style.bad(&escape_line(&fault.code));
    let mut out = vec![format!("    {code} {}", escape_line(&fault.message))];
    if let Some(detail) = &fault.detail {
        out.push("      found:".to_owned());
        out.extend(quoted(detail, 8));
    }
    if let Some(help) = &fault.help {
        out.push(format!("      help: {}", escape_line(help)));
    }
    if let Some(place) = &fault.place {
        out.push(format!("      at {}", style.dim(&escape_line(place))));
    }
    out
}

/// A difference, all of it: the place, and under it what was there and what is there. A line wider
/// than `width` terminal cells is cut where it is seen; `usize::MAX` cuts nothing.
pub fn diff_lines(diff: &Diff, style: &Style, width: usize) -> Vec<String> {
    diff_text::lines(diff, Some(CONTEXT))
        .iter()
        .map(|line| {
            let (mark, paint): (_, fn(&Style, &str) -> String) = match line.mark {
                Mark::Place => ("", |_, text| text.to_owned()),
                Mark::Same => ("    ", |_, text| text.to_owned()),
                Mark::Before => ("  - ", Style::removed),
                Mark::After => ("  + ", Style::added),
                Mark::Gap => ("  ", Style::dim),
                Mark::Remark => ("    ", Style::dim),
            };
            paint(style, &fitted(&format!("{mark}{}", line.text), width))
        })
        .collect()
}

/// A difference, indented and at most so many lines; what is left out is said, and how to see it.
pub(super) fn diff_block(
    diff: &Diff,
    style: &Style,
    indent: usize,
    most: usize,
    see: &str,
) -> Vec<String> {
    let indent = " ".repeat(indent);
    let lines = diff_lines(diff, style, usize::MAX);
    let more = lines.len().saturating_sub(most);
    let mut out: Vec<_> = lines.iter().take(most).map(|line| format!("{indent}{line}")).collect();
    if more > 0 {
        out.push(format!("{indent}… and {}: {see}", count(more, "more line")));
    }
    out
}

/// What a run waits for: what, since when, until when, who may, and last what to type.
pub fn waiting_lines(view: &RunView, style: &Style) -> Vec<String> {
    waiting(view).iter().flat_map(|one| wait_lines(view, one, style)).collect()
}

pub(super) fn wait_lines(view: &RunView, waiting: &Waiting<'_>, style: &Style) -> Vec<String> {
    let step = waiting.step;
    let title = title_of(step);
    let named =
        if title.is_empty() { step.node.to_string() } else { format!("{} ({title})", step.node) };
    let head = match waiting.need {
        Need::Approval => format!("Waiting for approval of {named}"),
        Need::UndoApproval => format!("Waiting for approval to undo {named}"),
        Need::Answer => format!("Waiting for an answer at {named}"),
        Need::Doubt => format!("Nobody knows whether {named} took effect; a person must look"),
        Need::FailedUndo => format!("Undoing {named} failed; a person must decide"),
    };
    let mut out = vec![style.heading(&head)];
    match waiting.need {
        Need::Answer => {
            out.extend(quoted(&unescaped(step.question.as_deref().unwrap_or_default()), 2));
        }
        Need::Doubt => out.extend(evidence(step)),
        Need::FailedUndo => {
            let why = step.rollback.as_ref().and_then(|r| r.message.as_deref());
            out.extend(why.map(|why| format!("  {}", escape_line(why))));
        }
        Need::Approval | Need::UndoApproval => {
            let who = people(waiting.required, &waiting.from);
            let not = format!("{who}, not {}", view.asker);
            out.push(field("needs", &not));
            if !waiting.agreed.is_empty() {
                out.push(field("agreed", &waiting.agreed.join(", ")));
            }
        }
    }
    for refusal in &step.refusals {
        out.push(field("note", refusal));
    }
    let what = match waiting.need {
        Need::Approval | Need::UndoApproval | Need::Answer => "since",
        Need::Doubt | Need::FailedUndo => "started",
    };
    out.extend(waiting.since.map(|at| field(what, &utc(at))));
    out.extend(waiting.until.map(|at| field("until", &utc(at))));
    let widest = waiting.commands.iter().map(|(c, _)| c.width()).max().unwrap_or(0);
    for (command, when) in &waiting.commands {
        let gap = " ".repeat(widest - command.width() + 2);
        let line = format!("  {}{gap}{when}", style.heading(command));
        out.push(line.trim_end().to_owned());
    }
    out
}

/// What a person needs to find out what became of an attempt.
fn evidence(step: &StepView) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(fault) = &step.error {
        out.push(format!("  {} {}", escape_line(&fault.code), escape_line(&fault.message)));
    }
    out.extend(step.target.as_deref().map(|target| field("look at", target)));
    if let Some(statement) = &step.statement {
        out.push("  it sent, or would have sent:".to_owned());
        out.extend(quoted(statement, 4));
    }
    match &step.doubt {
        None => {}
        Some(seen) if seen.is_empty() => {
            out.push(
                "  seen since: the state is what it was before; it may still happen".to_owned(),
            );
        }
        Some(seen) => {
            out.push("  seen since: the state differs from the one before".to_owned());
            let lines = diff_lines(seen, &Style::PLAIN, usize::MAX);
            out.extend(lines.into_iter().map(|line| format!("    {line}")));
        }
    }
    out
}

/// A name and its value on one line.
fn field(name: &str, value: &str) -> String {
    format!("  {name:<8} {}", escape_line(value))
}

/// Text from outside, each line set off so that it can't pose as ours.
pub(super) fn quoted(text: &str, indent: usize) -> Vec<String> {
    let indent = " ".repeat(indent);
    let text = escape(text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.split('\n').map(|line| format!("{indent}| {line}").trim_end().to_owned()).collect()
}

/// Padded to so many terminal cells.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Cut to so many terminal cells; a cut is seen.
fn fitted(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(padded("日本", 6), "日本  ");
        assert_eq!(fitted("日本語", 5), "日本…");
        assert_eq!(fitted("日本語", 6), "日本語");
    }

    #[test]
    fn differences_are_cut_only_where_it_is_asked_for() {
        let long = "x".repeat(300);
        let diff = Diff(vec![crate::model::diff::Difference {
            path: "rows[id=7].value".into(),
            before: None,
            after: Some(long.clone().into()),
        }]);
        let cut = diff_lines(&diff, &Style::PLAIN, 20);
        assert_eq!(cut, ["rows[id=7]", "  - value: (nothing)", "  + value: \"xxxxxxx…"]);
        let whole = diff_lines(&diff, &Style::PLAIN, usize::MAX);
        assert!(whole[2].contains(&long));
        let block = diff_block(&diff, &Style::PLAIN, 2, 2, "`runward diff`");
        assert_eq!(block[2], "  … and 1 more line: `runward diff`");
    }
}
