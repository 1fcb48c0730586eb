//! The timeline: every event in words, with its time in UTC.

use super::{clock, code, count, inline, run_words};
use crate::{
    base::{NodeId, Timestamp},
    model::{
        Fault, World,
        diff::Diff,
        event::{Event, Moment, Phase, Recorded},
    },
};

/// Most lines; a longer one shows its beginning and its end.
const LINES: usize = 400;

/// A line for each event, as a list.
pub(super) fn timeline(events: &[Recorded]) -> String {
    let lines: Vec<_> = events
        .iter()
        .map(|r| format!("- {} {}\n", clock(r.at), in_words(&r.event, r.at)))
        .collect();
    let heading = "All times are UTC.\n\n";
    if lines.len() <= LINES {
        return format!("{heading}{}", lines.concat());
    }
    let half = LINES / 2;
    let left_out = lines.len() - LINES;
    format!(
        "{heading}{}- … {} are not shown here; {} has them …\n{}",
        lines[..half].concat(),
        count(left_out, "event"),
        code("runward audit export RUN"),
        lines[lines.len() - half..].concat()
    )
}

fn in_words(event: &Event, recorded: Timestamp) -> String {
    match event {
        Event::RunCreated(_)
        | Event::RunResumed { .. }
        | Event::RunStopped { .. }
        | Event::RunFinished { .. }
        | Event::CancelRequested { .. }
        | Event::PhaseStarted { .. }
        | Event::RollbackStarted { .. }
        | Event::MessageIgnored { .. } => of_run(event),
        Event::ApprovalRequested { .. }
        | Event::ApprovalGiven { .. }
        | Event::ApprovalRejected { .. }
        | Event::ApprovalRefused { .. }
        | Event::ApprovalExpired { .. }
        | Event::ApprovalVoided { .. }
        | Event::AnswerAsked { .. }
        | Event::AnswerGiven { .. }
        | Event::DecisionMade { .. }
        | Event::UndoDecided { .. } => of_people(event),
        _ => of_step(event, recorded),
    }
}

fn of_run(event: &Event) -> String {
    match event {
        Event::RunCreated(created) => {
            let what = if created.plan { "planned" } else { "started" };
            let name = inline(&created.operator.name);
            format!("{name} {what} the run in {}", inline(&created.environment))
        }
        Event::RunResumed { by } => format!("{} took the run up", inline(by)),
        Event::RunStopped { node, succeeded, message } => {
            let how = if *succeeded { "as a success" } else { "as a failure" };
            format!("{} stopped the run {how}{}", id(node), tail(message))
        }
        Event::RunFinished { status, message } => {
            format!("the run ended: **{}**{}", run_words(*status), tail(message))
        }
        Event::CancelRequested { by, reason, .. } => {
            format!("{} asked to stop{}", inline(by), tail(reason))
        }
        Event::PhaseStarted { phase } => match phase {
            Phase::Main => "the steps began".to_owned(),
            Phase::Rollback => "the rollback began".to_owned(),
            Phase::OnFailure => "the steps of `on_failure` began".to_owned(),
            Phase::Finally => "the steps of `finally` began".to_owned(),
        },
        Event::RollbackStarted { reason, nodes, over_drift, .. } => {
            let count = count(nodes.len(), "change");
            let drift = if *over_drift { ", also where the state has moved on" } else { "" };
            format!("the run turned back, {count} to undo{drift}{}", tail(reason))
        }
        Event::MessageIgnored { reason, .. } => format!("a message was ignored{}", tail(reason)),
        other => code(&other.kind()),
    }
}

fn of_people(event: &Event) -> String {
    match event {
        Event::ApprovalRequested { node, digest, required, expires_at, .. } => format!(
            "{} of {} asked for, until {} (request {})",
            count(*required as usize, "approval"),
            id(node),
            clock(*expires_at),
            code(digest.short())
        ),
        Event::ApprovalGiven { node, approval, .. } => {
            format!("{} approved {}{}", inline(&approval.by), id(node), tail(&approval.reason))
        }
        Event::ApprovalRejected { node, approval, .. } => {
            format!("{} rejected {}{}", inline(&approval.by), id(node), tail(&approval.reason))
        }
        Event::ApprovalRefused { node, by, reason, .. } => {
            format!("a decision of {} on {} did not count{}", inline(by), id(node), tail(reason))
        }
        Event::ApprovalExpired { node } => format!("the request for {} expired", id(node)),
        Event::ApprovalVoided { node, field, drift } => {
            let drift = match drift.0.len() {
                0 => String::new(),
                n => format!(", {}", count(n, "difference")),
            };
            format!("the approval of {} became void: {} changed{drift}", id(node), inline(field))
        }
        Event::AnswerAsked { node, .. } => format!("an answer at {} was asked for", id(node)),
        Event::AnswerGiven { node, by, confirmed, .. } => match confirmed {
            true => format!("{} answered {}", inline(by), id(node)),
            false => format!("{} did not confirm {}", inline(by), id(node)),
        },
        Event::DecisionMade { node, applied, by, reason, .. } => {
            let what = if *applied { "took effect" } else { "did not take effect" };
            format!("{} found that {} {what}{}", inline(by), id(node), tail(reason))
        }
        Event::UndoDecided { node, retry, by, reason, .. } => {
            let what = if *retry { "try undoing it again" } else { "leave it in place" };
            format!("{} decided on {}: {what}{}", inline(by), id(node), tail(reason))
        }
        other => code(&other.kind()),
    }
}

fn of_step(event: &Event, recorded: Timestamp) -> String {
    match event {
        Event::StepSkipped { node, reason } => format!("{} was skipped{}", id(node), tail(reason)),
        Event::ItemsListed { node, items } => {
            format!("{} has {}", id(node), count(items.len(), "item"))
        }
        Event::ChangePrepared { node, attempt, .. } => {
            format!("{} was prepared{}", id(node), nth(*attempt))
        }
        Event::AttemptStarted { node, attempt, .. } => {
            format!("{} began{}", id(node), nth(*attempt))
        }
        Event::AttemptSucceeded { node, attempt, started_at, .. } => {
            format!("{} gave its result{}{}", id(node), nth(*attempt), since(*started_at, recorded))
        }
        Event::AttemptFailed { node, attempt, fault, .. } => {
            format!("an attempt of {} failed{}{}", id(node), nth(*attempt), failed(fault))
        }
        Event::AttemptInDoubt { node, attempt, fault } => {
            format!("{} is **in doubt**{}{}", id(node), nth(*attempt), tail(&fault.message))
        }
        Event::StateCaptured { node, moment, difference, .. } => {
            captured(node, *moment, difference)
        }
        Event::CaptureFailed { node, moment, fault } => {
            format!(
                "the state of {} {} could not be captured{}",
                id(node),
                after(*moment),
                tail(&fault.message)
            )
        }
        Event::RetryScheduled { node, attempt, at, reason } => {
            let at = clock(*at);
            format!("{} will be tried again at {at}{}{}", id(node), nth(*attempt), tail(reason))
        }
        Event::StepSucceeded { node, findings, .. } => match findings.len() {
            0 => format!("{} succeeded", id(node)),
            n => format!("{} succeeded with {}", id(node), count(n, "finding")),
        },
        Event::StepFailed { node, fault } => format!("{} **failed**{}", id(node), failed(fault)),
        Event::StepPlanned { node, unknown } => match unknown {
            None => format!("{} was previewed", id(node)),
            Some(why) => format!("{} is not known before the run{}", id(node), tail(why)),
        },
        Event::NoteWritten { node, .. } => format!("{} wrote a note", id(node)),
        Event::UndoStarted { node, attempt } => {
            format!("undoing {} began{}", id(node), nth(*attempt))
        }
        Event::UndoSucceeded { node, .. } => format!("{} was undone", id(node)),
        Event::UndoFailed { node, fault, .. } => {
            format!("undoing {} **failed**{}", id(node), failed(fault))
        }
        Event::UndoSkipped { node, reason, remains } => {
            let what = if *remains { "was **left in place**" } else { "was not undone" };
            format!("{} {what}{}", id(node), tail(reason))
        }
        other => code(&other.kind()),
    }
}

fn captured(node: &NodeId, moment: Moment, difference: &Diff) -> String {
    let n = difference.0.len();
    let (same, differs) = match moment {
        Moment::After => ("equals the state before", "from before"),
        Moment::Doubt | Moment::Restored => ("equals the state before", "from the state before"),
        Moment::Left => ("is what the run left", "from what the run left"),
    };
    let result = match n {
        0 => same.to_owned(),
        n => format!("has {} {differs}", count(n, "difference")),
    };
    format!("the state of {} {} {result}", id(node), after(moment))
}

fn after(moment: Moment) -> &'static str {
    match moment {
        Moment::After => "after the change",
        Moment::Doubt => "after the failure",
        Moment::Restored => "after undoing",
        Moment::Left => "before undoing",
    }
}

fn id(node: &NodeId) -> String {
    code(&node.to_string())
}

/// Which attempt, from the second on.
fn nth(attempt: u32) -> String {
    if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() }
}

/// How long it took, where that is worth saying.
fn since(start: Timestamp, end: Timestamp) -> String {
    let span = crate::base::time::between(start, end);
    if span.as_secs() == 0 {
        return String::new();
    }
    format!(" after {}", crate::base::time::show_duration(span))
}

fn failed(fault: &Fault) -> String {
    let world = match fault.world {
        World::Untouched => "",
        World::Partial => "; part of its effect may stand",
        World::Unknown => "; whether it took effect is not known",
    };
    format!(": {} {}{world}", inline(&fault.code), inline(fault.message.trim_end_matches('.')))
}

fn tail(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!(": {}", inline(text)) }
}
