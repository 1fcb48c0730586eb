//! What a run waits for, and what to type about it.

use serde_json::Value as Json;

use crate::{
    base::{NodeId, Timestamp},
    model::{
        approval::Verdict,
        event::StepStatus,
        view::{RequestView, RunView, StepView},
    },
};

/// What is needed of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To approve or reject a change.
    Approval,
    /// To approve or reject undoing a finished run's change.
    UndoApproval,
    /// To answer a manual step.
    Answer,
    /// To find out whether a change happened.
    Doubt,
    /// To say what to do about an undo that failed.
    FailedUndo,
}

/// One thing that a run waits for.
#[derive(Clone, Debug)]
pub struct Waiting<'a> {
    /// The step.
    pub step: &'a StepView,
    /// What is needed.
    pub need: Need,
    /// What to type, with what it says where there is a choice.
    pub commands: Vec<(String, &'static str)>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// How many people must agree.
    pub required: u32,
    /// Who has agreed already; not escaped.
    pub agreed: Vec<&'a str>,
    /// Out of which groups; empty: any known person. Not escaped.
    pub from: Vec<String>,
}

/// All that a run waits for, in the order of its steps; nothing when it is over.
pub fn waiting(view: &RunView) -> Vec<Waiting<'_>> {
    if view.finished_at.is_some() {
        return Vec::new();
    }
    let alone = view.steps.iter().filter(|s| open_request(s).is_some()).count() == 1;
    view.steps.iter().filter_map(|step| of_step(view, step, alone)).collect()
}

fn of_step<'a>(view: &RunView, step: &'a StepView, alone: bool) -> Option<Waiting<'a>> {
    let place = address(view, &step.node);
    let blank = |need, commands| Waiting {
        step,
        need,
        commands,
        since: step.started_at,
        until: None,
        required: 0,
        agreed: Vec::new(),
        from: Vec::new(),
    };
    if let Some((request, agreed)) = open_request(step) {
        let json: Json = serde_json::from_str(&request.bytes).unwrap_or_default();
        let undo = json["action"].as_str().is_some_and(|a| a.starts_with("undo "));
        let from = json["from"].as_array().map_or(&[][..], Vec::as_slice);
        let run = view.id.short().to_owned();
        let command = format!("runward approve {}", if alone { run } else { place });
        return Some(Waiting {
            since: Some(request.asked_at),
            until: Some(request.expires_at),
            required: request.required,
            agreed,
            from: from.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            ..blank(if undo { Need::UndoApproval } else { Need::Approval }, vec![(command, "")])
        });
    }
    if step.status == StepStatus::InDoubt {
        let command = |flag| format!("runward resolve {place} {flag} --reason 'HOW YOU KNOW'");
        let commands = vec![
            (command("--applied"), "if it happened"),
            (command("--not-applied"), "if it did not"),
        ];
        return Some(blank(Need::Doubt, commands));
    }
    if step.rollback.as_ref().is_some_and(|r| r.status == "failed") {
        let command = |flag| format!("runward resolve {place} {flag} --reason 'WHY'");
        let commands = vec![
            (command("--retry-undo"), "to try it again"),
            (command("--leave"), "to leave the change in place"),
        ];
        return Some(blank(Need::FailedUndo, commands));
    }
    if step.status == StepStatus::Waiting && step.question.is_some() && step.result.is_none() {
        return Some(blank(Need::Answer, vec![(format!("runward answer {place}"), "")]));
    }
    None
}

/// The request that still lacks somebody's word, and who has agreed to it.
fn open_request(step: &StepView) -> Option<(&RequestView, Vec<&str>)> {
    let request = step.request.as_ref()?;
    let mut agreed: Vec<&str> = Vec::new();
    for approval in &step.approvals {
        let counts = approval.decision == Verdict::Approve && approval.digest == request.digest;
        if counts && !agreed.contains(&approval.by.as_str()) {
            agreed.push(&approval.by);
        }
    }
    let missing = (agreed.len() as u64) < u64::from(request.required);
    missing.then_some((request, agreed))
}

/// `RUN/STEP` as it is typed: the brackets of an item would be a pattern to most shells.
fn address(view: &RunView, node: &NodeId) -> String {
    let address = format!("{}/{node}", view.id.short());
    shlex::try_quote(&address).map_or_else(|_| address.clone(), Into::into)
}
