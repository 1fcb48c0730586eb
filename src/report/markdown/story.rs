//! "What happened", in a few sentences computed from what is known.

use super::{Facts, Fate, Need, Waiting, code, count, inline, listed, named, utc, waiting};
use crate::{
    diagnostics::codes,
    model::{
        approval::Verdict,
        view::{RunView, StepView},
    },
};

/// Most steps that a sentence names.
const NAMED: usize = 6;

pub(super) fn story(view: &RunView, facts: &Facts<'_>) -> String {
    let mut sentences = vec![begin(view)];
    sentences.extend(made(view, facts));
    sentences.extend(rejections(view));
    sentences.extend(failure(view, facts));
    if let Some((by, reason)) = facts.cancelled {
        sentences.push(format!("{} asked to stop: {}.", inline(by), sentence(reason)));
    }
    if let Some(by) = facts.undone_by {
        sentences.push(format!("Afterwards {} asked to undo it.", inline(by)));
    }
    for (these, words) in FATES {
        sentences.extend(became(view, facts, *these, words));
    }
    sentences.extend(wait(view));
    let findings: usize = view.steps.iter().map(|s| s.findings.len()).sum();
    if findings > 0 {
        let count = count(findings, "expectation");
        sentences.push(format!("{count} that only warn did not hold; see the findings."));
    }
    sentences.join(" ")
}

fn begin(view: &RunView) -> String {
    let (name, place) = (inline(&view.name), inline(&view.environment));
    let who = inline(&view.operator.name);
    let at = utc(view.started_at);
    if view.plan {
        return format!(
            "{who} planned “{name}” in {place} at {at}; a plan only reads and previews."
        );
    }
    let undo =
        view.undoes.as_ref().map_or_else(String::new, |run| format!(", to undo run {}", code(run)));
    format!("{who} ran “{name}” in {place} at {at}{undo}.")
}

/// What was changed, or that nothing was.
fn made(view: &RunView, facts: &Facts<'_>) -> Option<String> {
    let fates: Vec<_> =
        view.steps.iter().filter_map(|s| facts.fate(view, s).map(|fate| (s, fate))).collect();
    let made: Vec<_> = fates.iter().filter(|(_, f)| f.made()).map(|(s, _)| *s).collect();
    let over = view.finished_at.is_some();
    if view.plan {
        let planned: Vec<_> =
            fates.iter().map(|(s, _)| *s).filter(|s| s.statement.is_some()).collect();
        let count = count(planned.len(), "change");
        return (!planned.is_empty())
            .then(|| format!("A run would make {count}: {}.", names(&planned, named)));
    }
    if !made.is_empty() {
        let count = count(made.len(), "change");
        let so_far = if over { "" } else { " so far" };
        return Some(format!("It made {count}{so_far}: {}.", names(&made, named)));
    }
    match (fates.is_empty(), fates.iter().all(|(_, f)| *f == Fate::NotMade), over) {
        (true, ..) => None,
        (_, true, true) => Some("No change was made.".to_owned()),
        (_, true, false) => Some("No change has been made so far.".to_owned()),
        // Something is under way or in doubt: its own sentence says so.
        (_, false, _) => None,
    }
}

fn rejections(view: &RunView) -> Vec<String> {
    let decisions = view.steps.iter().flat_map(|s| s.approvals.iter().map(move |a| (s, a)));
    decisions
        .filter(|(_, a)| a.decision == Verdict::Reject)
        .map(|(s, a)| format!("{} rejected {}: {}.", inline(&a.by), named(s), sentence(&a.reason)))
        .collect()
}

fn failure(view: &RunView, facts: &Facts<'_>) -> Option<String> {
    let node = view.failed_step.as_ref()?;
    let Some(step) = view.step(node) else {
        return Some(format!("Step {} failed.", code(&node.to_string())));
    };
    let made = facts.fate(view, step).is_some_and(Fate::made);
    let name = if made { id(step) } else { named(step) };
    let Some(fault) = &step.error else { return Some(format!("Step {name} failed.")) };
    let message = sentence(&fault.message);
    let is = |code: codes::Code| fault.code == code.as_str();
    Some(if is(codes::RW0708) {
        format!("Verification failed at step {name}: {message}.")
    } else if is(codes::RW0603) || is(codes::RW0604) {
        format!("Step {name} was not permitted: {message}.")
    } else if is(codes::RW0605) {
        format!("Step {name} was not approved: {message}.")
    } else {
        format!("Step {name} failed: {message}.")
    })
}

/// What is said of changes by what became of them: of one, of several. `{}` are their names.
const FATES: &[(Fate, [&str; 2])] = &[
    (Fate::PutBack, ["1 change was put back and proved.", "# changes were put back and proved."]),
    (
        Fate::Unproved,
        [
            "1 change was undone **without proof** that the state is what it was before: {}.",
            "# changes were undone **without proof** that the state is what it was before: {}.",
        ],
    ),
    (
        Fate::Differs,
        [
            "1 change was undone, but **the state is not what it was before**: {}.",
            "# changes were undone, but **the state is not what it was before**: {}.",
        ],
    ),
    (
        Fate::UndoFailed,
        [
            "Undoing {} **failed**; its change may remain.",
            "Undoing {} **failed**; their changes may remain.",
        ],
    ),
    (Fate::Left, ["1 change was **left in place**: {}.", "# changes were **left in place**: {}."]),
    (
        Fate::MayStand,
        [
            "{} failed on the way, and **part of its change may remain**.",
            "{} failed on the way, and **parts of their changes may remain**.",
        ],
    ),
    (
        Fate::InDoubt,
        ["**Whether {} took effect is not known.**", "**Whether {} took effect is not known.**"],
    ),
    (
        Fate::Found,
        [
            "What became of {} a person found out; their words are with the change.",
            "What became of {} a person found out; their words are with the changes.",
        ],
    ),
    (Fate::UnderWay, ["{} is under way.", "{} are under way."]),
    (Fate::GoingBack, ["1 change is to be put back: {}.", "# changes are to be put back: {}."]),
    (Fate::NothingToUndo, ["{} left nothing to undo.", "{} left nothing to undo."]),
];

fn became(view: &RunView, facts: &Facts<'_>, these: Fate, words: &[&str; 2]) -> Option<String> {
    let steps: Vec<_> = view.steps.iter().filter(|s| facts.fate(view, s) == Some(these)).collect();
    let template = match steps.len() {
        0 => return None,
        1 => words[0],
        _ => words[1],
    };
    // Names are put in last: they may hold anything.
    // What was made has been named in full already.
    let names = names(&steps, if these.made() { id } else { named });
    Some(template.replacen('#', &steps.len().to_string(), 1).replacen("{}", &names, 1))
}

fn wait(view: &RunView) -> Vec<String> {
    let sentence = |one: &Waiting<'_>| {
        let name = id(one.step);
        match one.need {
            Need::Approval => format!("It waits for approval of {name}."),
            Need::UndoApproval => format!("It waits for approval to undo {name}."),
            Need::Answer => format!("It waits for an answer at {name}."),
            Need::Doubt => format!("It waits for somebody to find out what became of {name}."),
            Need::FailedUndo => format!("It waits for a decision on undoing {name}."),
        }
    };
    waiting(view).iter().map(sentence).collect()
}

fn id(step: &StepView) -> String {
    code(&step.node.to_string())
}

fn names(steps: &[&StepView], name: fn(&StepView) -> String) -> String {
    let mut names: Vec<_> = steps.iter().take(NAMED).map(|s| name(s)).collect();
    if steps.len() > NAMED {
        names.push(format!("{} more", steps.len() - NAMED));
    }
    listed(&names, "and")
}

/// Text from outside as the end of a sentence: without its own full stop.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() { "no reason given".to_owned() } else { inline(text) }
}
