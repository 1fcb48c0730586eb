//! "What was changed": every change with its target, statement, difference, approval and outcome.

use super::{
    Facts, Fate, block, code, count, inline, lines, named, section, step_words, title_of, utc,
};
use crate::model::{
    approval::{Approval, Verdict},
    diff::Diff,
    diff_text::{self, Mark},
    event::StepStatus,
    view::{RunView, StepView},
};

/// Most lines of a difference or a statement; `runward diff` and `runward show --json` have all.
const LINES: usize = 200;
/// Equal lines around what differs in a text.
const CONTEXT: usize = 3;

/// The sections on changes that were made, or may have been, and on those that were not.
pub(super) fn changes(out: &mut String, view: &RunView, facts: &Facts<'_>) {
    let all: Vec<_> = view.steps.iter().filter_map(|s| Some((s, facts.fate(view, s)?))).collect();
    let (made, not): (Vec<_>, Vec<_>) = all.iter().partition(|(_, f)| *f != Fate::NotMade);
    if view.plan {
        let planned: Vec<_> = not.iter().filter(|(s, _)| s.statement.is_some()).collect();
        if !planned.is_empty() {
            out.push_str("## What would be changed\n\n");
            planned.iter().for_each(|(step, fate)| change(out, view, step, *fate, facts));
        }
    }
    if !made.is_empty() {
        let sure = made.iter().all(|(_, fate)| fate.made());
        let heading = if sure { "What was changed" } else { "What was changed, or may have been" };
        out.push_str(&format!("## {heading}\n\n"));
        made.iter().for_each(|(step, fate)| change(out, view, step, *fate, facts));
    }
    if !view.plan {
        let mut text = String::new();
        not.iter().for_each(|(step, _)| not_made(&mut text, view, step, facts));
        let over = view.finished_at.is_some();
        let heading = if over { "Changes that were not made" } else { "Changes not made so far" };
        section(out, heading, &text);
    }
}

fn change(out: &mut String, view: &RunView, step: &StepView, fate: Fate, facts: &Facts<'_>) {
    let title = title_of(step);
    let title = if title.is_empty() { title } else { format!(": {}", inline(&title)) };
    out.push_str(&format!("### {}{title}\n\n", code(&step.node.to_string())));
    if !view.plan {
        outcome(out, step, fate, facts);
    }
    let target = step.target.as_ref().map_or_else(String::new, |t| format!(" to {}", code(t)));
    if let Some(statement) = &step.statement {
        let at = facts.begun.get(&step.node).map(|at| format!(" at {}", utc(*at)));
        let words = match (&at, view.plan) {
            (_, true) => format!("Would be sent{target}:"),
            (Some(at), _) if fate == Fate::InDoubt => format!("Begun{at}, to be sent{target}:"),
            (Some(at), _) => format!("Sent{target}{at}:"),
            (None, _) => format!("To be sent{target}:"),
        };
        out.push_str(&format!("{words}\n\n{}\n", shortened("text", lines(statement), view, step)));
    }
    difference(out, view, step, fate, facts);
    approvals(out, view, step, facts);
    rollback(out, view, step, fate);
}

/// What became of it, in a paragraph; then what went wrong, and what is on record about it.
fn outcome(out: &mut String, step: &StepView, fate: Fate, facts: &Facts<'_>) {
    let undone = step.rollback.as_ref().and_then(|r| r.finished_at);
    let at = undone.map_or_else(String::new, |at| format!(" at {}", utc(at)));
    let words = match fate {
        Fate::InPlace if step.status == StepStatus::Failed => {
            "**Made, and in place**; the step failed all the same".to_owned()
        }
        Fate::InPlace => "**Made, and in place**".to_owned(),
        Fate::PutBack => {
            let proof = facts.restored.get(&step.node).map_or_else(
                || "a capture afterwards equals the state before".to_owned(),
                |at| format!("a capture at {} equals the state before", utc(*at)),
            );
            format!("**Put back{at}, and proved**: {proof}")
        }
        Fate::Unproved => {
            format!("**Undone{at}, without proof** that the state is what it was before")
        }
        Fate::Differs => format!("**Undone{at}, but the state is not what it was before**"),
        Fate::UndoFailed => format!("**Undoing failed{at}; the change may remain**"),
        Fate::Left => format!("**Left in place{at}**"),
        Fate::NothingToUndo => "**Made; there is nothing to undo about it**".to_owned(),
        Fate::GoingBack => "**Made, and to be put back**".to_owned(),
        Fate::MayStand => "**Failed on the way; part of it may remain**".to_owned(),
        Fate::InDoubt => {
            "**In doubt**: nobody knows whether it took effect, or still will".to_owned()
        }
        Fate::Found => "**A person found out what became of it**".to_owned(),
        Fate::UnderWay => "**Under way**".to_owned(),
        Fate::NotMade => "**Not made**".to_owned(),
    };
    out.push_str(&words);
    let why = step.rollback.as_ref().and_then(|r| r.message.as_deref());
    if let Some(why) =
        why.filter(|_| matches!(fate, Fate::Unproved | Fate::UndoFailed | Fate::Left))
    {
        out.push_str(&format!(": {}", inline(why.trim_end_matches('.'))));
    }
    out.push_str(".\n\n");
    if let Some(reason) = &step.reason {
        out.push_str(&format!("On record: {}.\n\n", inline(reason.trim_end_matches('.'))));
    }
    if let Some(fault) = &step.error {
        let message = inline(fault.message.trim_end_matches('.'));
        let words = match fate {
            Fate::InDoubt | Fate::UnderWay => "What is known",
            _ => "Why the step failed",
        };
        out.push_str(&format!("{words}: {} {message}.\n\n", inline(&fault.code)));
    }
    if let Some(detail) = step.error.as_ref().and_then(|f| f.detail.as_deref()) {
        out.push_str(&format!("Found:\n\n{}\n", block("text", &lines(detail))));
    }
}

fn difference(out: &mut String, view: &RunView, step: &StepView, fate: Fate, facts: &Facts<'_>) {
    if let Some(diff) = &step.diff {
        match diff.is_empty() {
            true => out.push_str("It changed nothing: the states before and after are equal.\n\n"),
            false => diff_section(out, "What it changed:", diff, view, step),
        }
        return;
    }
    match facts.doubt.get(&step.node) {
        Some(Ok(diff)) if diff.is_empty() => out.push_str(
            "A capture after the failure equals the state before. While an attempt is in doubt \
             that proves nothing: it may still take effect.\n\n",
        ),
        Some(Ok(diff)) => {
            let words = "A capture after the failure differs from the state before:";
            diff_section(out, words, diff, view, step);
        }
        Some(Err(fault)) => out.push_str(&format!(
            "The state could not be captured after the failure: {}.\n\n",
            inline(fault.message.trim_end_matches('.'))
        )),
        None => {}
    }
    let foretold = match &step.preview {
        Some(diff) if !diff.is_empty() => diff,
        Some(_) => return out.push_str("The preview showed no difference.\n\n"),
        None if facts.doubt.contains_key(&step.node) => return,
        None if view.plan => {
            return out.push_str("What it would change is not known before it runs.\n\n");
        }
        None => return out.push_str("No capture shows what it changed.\n\n"),
    };
    let words = match (view.plan, fate) {
        (true, _) => "What it would change:",
        _ => "What it was foretold to change (no capture shows what it did):",
    };
    diff_section(out, words, foretold, view, step);
}

fn diff_section(out: &mut String, words: &str, diff: &Diff, view: &RunView, step: &StepView) {
    let lines = diff_text::lines(diff, Some(CONTEXT)).into_iter().map(|line| {
        let mark = match line.mark {
            Mark::Before => "- ",
            Mark::After => "+ ",
            Mark::Gap => "",
            Mark::Place | Mark::Same | Mark::Remark => "  ",
        };
        format!("{mark}{}", line.text).trim_end().to_owned()
    });
    let text = shortened("diff", lines.collect(), view, step);
    out.push_str(&format!("{words}\n\n{text}\n"));
}

/// A block, at most so many lines; what is left out is said.
fn shortened(info: &str, mut lines: Vec<String>, view: &RunView, step: &StepView) -> String {
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    let mut text = block(info, &lines);
    if more > 0 {
        let command = match info {
            "diff" => format!("runward diff {}/{}", view.id.short(), step.node),
            _ => format!("runward show {} --json", view.id.short()),
        };
        let rest = count(more, "more line");
        text.push_str(&format!("\n{rest}: {}\n", code(&command)));
    }
    text
}

fn approvals(out: &mut String, view: &RunView, step: &StepView, facts: &Facts<'_>) {
    if view.plan {
        return;
    }
    for approval in &step.approvals {
        out.push_str(&format!("{}\n\n", decision(view, approval, facts)));
    }
    for refusal in &step.refusals {
        out.push_str(&format!("On record: {}.\n\n", inline(refusal.trim_end_matches('.'))));
    }
    if step.approvals.is_empty() && !facts.asked.contains(&step.node) {
        out.push_str("Nobody's approval was asked for.\n\n");
    }
}

/// Who decided, when, for which request, and how that is known.
fn decision(view: &RunView, approval: &Approval, facts: &Facts<'_>) -> String {
    let undo = facts.requests.get(&approval.digest).copied().unwrap_or(false);
    let what = match (approval.decision, undo) {
        (Verdict::Approve, false) => "Approved by",
        (Verdict::Approve, true) => "Undoing approved by",
        (Verdict::Reject, false) => "Rejected by",
        (Verdict::Reject, true) => "Undoing rejected by",
    };
    let key = match &approval.signature {
        Some(_) => format!("key {}", code(&approval.key)),
        None => "unsigned".to_owned(),
    };
    let mut words = format!(
        "{what} {} at {} ({key}, request {})",
        inline(&approval.by),
        utc(approval.at),
        code(&approval.digest.0)
    );
    if !approval.reason.trim().is_empty() {
        words.push_str(&format!(": {}", inline(approval.reason.trim_end_matches('.'))));
    }
    words.push('.');
    let used = facts.used.contains(&approval.digest);
    let over = view.finished_at.is_some();
    if approval.decision == Verdict::Approve && over && !used {
        words.push_str(" No attempt used this approval.");
    }
    words
}

fn rollback(out: &mut String, view: &RunView, step: &StepView, fate: Fate) {
    if let Some(undo) = step.undo.as_deref().filter(|u| !u.trim().is_empty()) {
        let words = match (fate, step.reversible) {
            (_, false) => "It can't be undone:",
            (Fate::PutBack | Fate::Unproved | Fate::Differs, _) => "Undone with:",
            _ => "To undo it:",
        };
        out.push_str(&format!("{words}\n\n{}\n", shortened("text", lines(undo), view, step)));
    }
    let residual = step.rollback.as_ref().and_then(|r| r.residual.as_ref());
    if let Some(residual) = residual.filter(|d| !d.is_empty()) {
        let words = "**What still differs from the state before:**";
        diff_section(out, words, residual, view, step);
    }
}

fn not_made(out: &mut String, view: &RunView, step: &StepView, facts: &Facts<'_>) {
    let status = match step.status {
        StepStatus::Running => "being prepared",
        StepStatus::Waiting => "waiting for approval",
        status => step_words(status),
    };
    out.push_str(&format!("- {}: {status}", named(step)));
    if let Some(reason) = &step.reason {
        out.push_str(&format!(", {}", inline(reason)));
    }
    if let Some(fault) = &step.error {
        out.push_str(&format!("; {} {}", inline(&fault.code), inline(&fault.message)));
    }
    out.push('\n');
    for approval in &step.approvals {
        out.push_str(&format!("  - {}\n", decision(view, approval, facts)));
    }
    for refusal in &step.refusals {
        out.push_str(&format!("  - On record: {}\n", inline(refusal)));
    }
}
