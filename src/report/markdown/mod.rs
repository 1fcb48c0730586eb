//! `runward report`: the run as an incident record in Markdown, to be pasted into the ticket.
//!
//! Owns the order and the words. Must not know where the report goes. It says what the journal
//! proves: a change is "put back and proved" only when a capture says so.

mod changes;
mod story;
mod text;
mod timeline;

use std::collections::{HashMap, HashSet};

use super::{
    Fate, Need, Waiting, clock, count, fate_of, listed, login, result_in_brief, run_words,
    step_words, title_of, utc, waiting,
};
use crate::{
    base::{Digest, NodeId, Timestamp, time},
    model::{
        Fault,
        approval::Verdict,
        diff::Diff,
        event::{Event, Moment, Recorded, RunStatus, StepStatus},
        view::{RunView, StepView},
    },
};
use text::{block, cell, cell_code, code, inline, lines};

/// The report, ending with a line break.
///
/// `events` are the run's, in order; what they hold beyond the view (the timeline, who asked for
/// what, what a look at a doubtful state showed) is taken from them.
pub fn markdown(view: &RunView, events: &[Recorded]) -> String {
    let facts = Facts::of(events);
    let status = match (view.plan, view.status) {
        (true, RunStatus::Succeeded) => "plan".to_owned(),
        (true, status) => format!("plan {}", run_words(status)),
        (false, status) => run_words(status).to_owned(),
    };
    let mut out = format!("# {}: {status}\n\n", inline(&view.name));
    if view.finished_at.is_none() {
        let at = facts.newest.unwrap_or(view.started_at);
        out.push_str(&format!("The run is not over. This is how it stood at {}.\n\n", utc(at)));
    }
    summary(&mut out, view, &facts);
    section(&mut out, "What happened", &story::story(view, &facts));
    changes::changes(&mut out, view, &facts);
    section(&mut out, "Checks", &checks(view));
    section(&mut out, "Findings", &findings(view));
    section(&mut out, "Notes", &notes(view));
    section(&mut out, "Timeline", &timeline::timeline(events));
    record(&mut out, view, &facts);
    out
}

/// What the events know besides the view.
#[derive(Default)]
struct Facts<'a> {
    /// Requests: are they for undoing?
    requests: HashMap<&'a Digest, bool>,
    /// Requests whose approvals were used up by an attempt.
    used: HashSet<&'a Digest>,
    /// The newest request of each step.
    latest: HashMap<&'a NodeId, &'a Digest>,
    /// Steps that somebody was asked to approve.
    asked: HashSet<&'a NodeId>,
    /// When an attempt last began.
    begun: HashMap<&'a NodeId, Timestamp>,
    /// When a capture after undoing was made.
    restored: HashMap<&'a NodeId, Timestamp>,
    /// What a look at a state in doubt showed.
    doubt: HashMap<&'a NodeId, Result<&'a Diff, &'a Fault>>,
    /// Who asked to stop, and why.
    cancelled: Option<(&'a str, &'a str)>,
    /// Who asked to undo the finished run.
    undone_by: Option<&'a str>,
    /// The program that started the run.
    version: Option<&'a str>,
    /// When the newest event was recorded.
    newest: Option<Timestamp>,
}

impl<'a> Facts<'a> {
    fn of(events: &'a [Recorded]) -> Self {
        let mut facts = Self::default();
        for recorded in events {
            facts.newest = Some(recorded.at);
            facts.take(&recorded.event, recorded.at);
        }
        facts
    }

    /// What became of the step's change. The events tell a change that is being prepared from one
    /// that is being made.
    fn fate(&self, view: &RunView, step: &StepView) -> Option<Fate> {
        match fate_of(view, step)? {
            Fate::UnderWay if self.newest.is_some() && !self.begun.contains_key(&step.node) => {
                Some(Fate::NotMade)
            }
            fate => Some(fate),
        }
    }

    fn take(&mut self, event: &'a Event, at: Timestamp) {
        match event {
            Event::RunCreated(created) => self.version = Some(&created.version),
            Event::ApprovalRequested { node, request, digest, .. } => {
                let json: serde_json::Value = serde_json::from_str(request).unwrap_or_default();
                let undo = json["action"].as_str().is_some_and(|a| a.starts_with("undo "));
                self.requests.insert(digest, undo);
                self.asked.insert(node);
                self.latest.insert(node, digest);
            }
            // An undo does not name its request; a gated one uses the newest.
            Event::UndoStarted { node, .. } => {
                let latest = self.latest.get(node).copied();
                self.used.extend(latest.filter(|d| self.requests.get(d) == Some(&true)));
            }
            Event::AttemptStarted { node, request, .. } => {
                self.used.extend(request);
                self.begun.insert(node, at);
            }
            Event::StateCaptured { node, moment: Moment::Doubt, difference, .. } => {
                self.doubt.insert(node, Ok(difference));
            }
            Event::CaptureFailed { node, moment: Moment::Doubt, fault } => {
                self.doubt.insert(node, Err(fault));
            }
            Event::StateCaptured { node, moment: Moment::Restored, .. } => {
                self.restored.insert(node, at);
            }
            Event::CancelRequested { by, reason, .. } => self.cancelled = Some((by, reason)),
            Event::RollbackStarted { requested_by: Some(by), .. } => self.undone_by = Some(by),
            _ => {}
        }
    }
}

fn section(out: &mut String, heading: &str, body: &str) {
    if !body.is_empty() {
        out.push_str(&format!("## {heading}\n\n{}\n", body.trim_end()));
        out.push('\n');
    }
}

/// A two-column table; the cells are Markdown already.
fn table(rows: &[(&str, String)]) -> String {
    let mut out = "| | |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        out.push_str(&format!("| {name} | {value} |\n"));
    }
    out
}

fn summary(out: &mut String, view: &RunView, facts: &Facts<'_>) {
    let status = run_words(view.status);
    let outcome = match view.message.as_deref().filter(|m| !m.trim().is_empty()) {
        Some(message) => format!("**{status}**: {}", cell(message)),
        None => format!("**{status}**"),
    };
    let login = login(view).map_or_else(String::new, |l| format!(" ({})", cell(&l)));
    let mut rows = vec![
        ("Outcome", outcome),
        ("What", format!("{} ({})", cell(&view.name), cell_code(&view.runbook))),
        ("Where", cell(&view.environment)),
        ("Who", format!("{}{login}", cell(&view.operator.name))),
    ];
    let approvers = approvers(view, facts);
    if !approvers.is_empty() {
        rows.push(("Approved by", listed(&approvers, "and")));
    }
    rows.push(("Started", utc(view.started_at)));
    if let Some(end) = view.finished_at {
        rows.push(("Ended", utc(end)));
        rows.push(("Duration", time::show_duration(time::between(view.started_at, end))));
    }
    if let Some(undone) = &view.undoes {
        rows.push(("Undoes run", cell_code(undone)));
    }
    out.push_str(&table(&rows));
    out.push('\n');
}

/// Everybody whose approval was used.
fn approvers(view: &RunView, facts: &Facts<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for approval in view.steps.iter().flat_map(|s| &s.approvals) {
        let used = approval.decision == Verdict::Approve && facts.used.contains(&approval.digest);
        let name = cell(&approval.by);
        if used && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A step by id and title, within a sentence.
fn named(step: &StepView) -> String {
    let title = title_of(step);
    let id = code(&step.node.to_string());
    if title.is_empty() { id } else { format!("{id} ({})", inline(&title)) }
}

/// Everything that was read, checked or answered, a line each.
fn checks(view: &RunView) -> String {
    let mut out = String::new();
    let mut missed = 0;
    for step in &view.steps {
        let checks = step.effect == Some("read")
            || matches!(step.action.as_str(), "check" | "manual" | "stop" | "steps");
        if !checks {
            continue;
        }
        let words = match step.status {
            StepStatus::Pending => {
                missed += 1;
                continue;
            }
            StepStatus::Succeeded if view.plan && step.reason.is_some() => "not known yet",
            StepStatus::Succeeded if step.action == "manual" => "answered",
            StepStatus::Succeeded => "passed",
            status => step_words(status),
        };
        let words = if step.status == StepStatus::Failed { "**failed**" } else { words };
        out.push_str(&format!("- {}: {words}", named(step)));
        if step.attempts > 1 {
            out.push_str(&format!(" after {} attempts", step.attempts));
        }
        if let Some(reason) = &step.reason {
            out.push_str(&format!(", {}", inline(reason)));
        }
        if let Some(result) = result_in_brief(step) {
            out.push_str(&format!(": {}", code(&result)));
        }
        if let Some(fault) = &step.error {
            out.push_str(&format!("; {} {}", inline(&fault.code), inline(&fault.message)));
        }
        out.push('\n');
    }
    if missed > 0 {
        out.push_str(&format!("- not reached: {}\n", count(missed, "check")));
    }
    out
}

fn findings(view: &RunView) -> String {
    let found = view.steps.iter().flat_map(|s| s.findings.iter().map(move |f| (s, f)));
    found.map(|(step, finding)| format!("- {}: {}\n", named(step), inline(finding))).collect()
}

/// Notes as their authors wrote them, in Markdown; captured values in them were escaped when the
/// note was written.
fn notes(view: &RunView) -> String {
    let noted = view.steps.iter().filter_map(|s| s.note.as_deref());
    let quoted = |note: &str| -> String {
        let shown = crate::base::visible::escape(note.trim_end());
        shown.lines().map(|line| format!("> {line}").trim_end().to_owned() + "\n").collect()
    };
    noted.filter(|note| !note.trim().is_empty()).map(|note| quoted(note) + "\n").collect()
}

/// What an auditor needs to find the run again and to check this report against it.
fn record(out: &mut String, view: &RunView, facts: &Facts<'_>) {
    let mut rows = vec![
        ("Run", cell_code(&view.id.0)),
        ("Runbook", cell_code(&view.runbook)),
        ("Runbook digest", cell_code(&view.digest.0)),
        ("Journal head", cell_code(&view.head.0)),
        ("Events", view.events.to_string()),
    ];
    if let Some(key) = &view.operator.key {
        rows.push(("Start signed with", cell_code(key)));
    }
    if let Some(version) = facts.version {
        rows.push(("Started by", cell_code(&format!("runward {version}"))));
    }
    for (name, value) in &view.inputs {
        let value = crate::model::diff_text::shown(value);
        rows.push(("Input", cell_code(&format!("{name} = {value}"))));
    }
    let verify = code(&format!("runward audit verify {}", view.id.short()));
    let words = format!("{}\n{verify} checks the journal against this head.", table(&rows));
    section(out, "For the record", &words);
    while out.ends_with("\n\n") {
        out.pop();
    }
}
