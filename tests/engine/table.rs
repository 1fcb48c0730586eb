//! The table of a step's life, held against a list that people read: `arrows.txt`.
//!
//! Every arrow of the table is in the list, and the other way round. Arrows in its first part are
//! gone along by some scenario; the others say why none does.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use runward::{
    base::{Digest, Map, NodeId, Timestamp, Value},
    diagnostics::codes,
    engine::{Plan, life::Life},
    model::{
        Fault,
        approval::{Approval, Verdict},
        diff::{Diff, Difference},
        event::{Event, Moment, Prepared, Snapshot},
        fault::World,
    },
};

use crate::{approvals, behaviour, cancel, crash, failures, rollback};

const LIST: &str = include_str!("arrows.txt");
const LIVES: [Life; 16] = [
    Life::Pending,
    Life::AwaitingApproval,
    Life::Approved,
    Life::Rejected,
    Life::Skipped,
    Life::Running,
    Life::Succeeded,
    Life::SucceededWithError,
    Life::FailedClean,
    Life::FailedDirty,
    Life::InDoubt,
    Life::UndoRunning,
    Life::Undone,
    Life::UndoFailed,
    Life::UndoInDoubt,
    Life::LeftInPlace,
];

thread_local! {
    /// Arrows that were gone along in this thread.
    static GONE: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// An event's name, with what of its content the table looks at.
fn name(event: &Event) -> String {
    let world = |fault: &Fault| match fault.world {
        World::Untouched => "untouched",
        World::Partial => "partial",
        World::Unknown => "unknown",
    };
    let more = match event {
        Event::AttemptFailed { fault, .. } | Event::UndoFailed { fault, .. } => world(fault),
        Event::DecisionMade { applied: true, .. } => "applied",
        Event::DecisionMade { applied: false, .. } => "not applied",
        Event::StateCaptured { moment, difference, .. } => match (moment, difference.is_empty()) {
            (Moment::Doubt, true) => "doubt, same",
            (Moment::Restored, true) => "restored, same",
            (Moment::Doubt, false) => "doubt, other",
            (Moment::Restored, false) => "restored, other",
            (Moment::After, _) => "after",
            (Moment::Left, _) => "left",
        },
        Event::CaptureFailed { moment, .. } => match moment {
            Moment::Doubt => "doubt",
            Moment::Restored => "restored",
            Moment::After => "after",
            Moment::Left => "left",
        },
        Event::UndoSkipped { remains: true, .. } => "remains",
        Event::UndoSkipped { remains: false, .. } => "nothing",
        Event::UndoDecided { retry: true, .. } => "retry",
        Event::UndoDecided { retry: false, .. } => "leave",
        _ => return event.kind(),
    };
    format!("{} ({more})", event.kind())
}

fn arrow(from: Life, event: &Event, to: Life, reads: bool) -> String {
    let kind = if reads { "read" } else { "change" };
    format!("{kind}: {from:?} -- {} -> {to:?}", name(event))
}

/// The lives of a run's steps, followed from outside.
#[derive(Default)]
pub struct Lives {
    lives: BTreeMap<NodeId, Life>,
    required: BTreeMap<NodeId, (u32, BTreeSet<String>)>,
}

impl Lives {
    /// Goes along an event's arrow.
    pub fn take(&mut self, event: &Event, plan: &Plan) {
        let Some(node) = event.node() else { return };
        let reads = !plan.step(&node.step).expect("a step").changes();
        let from = self.lives.get(node).copied().unwrap_or_default();
        let mut to = from.next(event, reads).expect("a legal event");
        GONE.with_borrow_mut(|gone| gone.insert(arrow(from, event, to, reads)));
        match event {
            Event::ApprovalRequested { required, .. } => {
                self.required.insert(node.clone(), (*required, BTreeSet::new()));
            }
            Event::ApprovalGiven { approval, .. } => {
                let (required, by) = self.required.get_mut(node).expect("a request");
                by.insert(approval.by.clone());
                if to == Life::AwaitingApproval && by.len() >= *required as usize {
                    to = Life::Approved;
                }
            }
            _ => {}
        }
        self.lives.insert(node.clone(), to);
    }
}

/// One event of each kind that the table tells apart.
fn samples() -> Vec<Event> {
    let node = || NodeId::new("a");
    let text = || String::from("x");
    let fault = |world| Fault::untouched(codes::RW9901, "x").world(world);
    let digest = || Digest::of(b"");
    let approval = || Approval {
        by: text(),
        key: text(),
        decision: Verdict::Approve,
        at: Timestamp::UNIX_EPOCH,
        reason: text(),
        digest: digest(),
        signature: None,
    };
    let prepared = Prepared {
        arguments: Map::new(),
        arguments_digest: digest(),
        statement: text(),
        target: text(),
        before: None,
        difference: None,
        undo: text(),
        reversible: true,
    };
    let (attempt, message, at) = (1, 1, Timestamp::UNIX_EPOCH);
    let mut samples = vec![
        Event::StepSkipped { node: node(), reason: text() },
        Event::ItemsListed { node: node(), items: Vec::new() },
        Event::ChangePrepared { node: node(), attempt, prepared: Box::new(prepared) },
        Event::ApprovalRequested {
            node: node(),
            request: text(),
            digest: digest(),
            required: 1,
            expires_at: at,
        },
        Event::ApprovalGiven { node: node(), approval: approval(), message },
        Event::ApprovalRejected { node: node(), approval: approval(), message },
        Event::ApprovalRefused { node: node(), by: text(), reason: text(), message },
        Event::ApprovalExpired { node: node() },
        Event::ApprovalVoided { node: node(), field: text(), drift: Diff::default() },
        Event::AttemptStarted { node: node(), attempt, request: None },
        Event::AttemptSucceeded { node: node(), attempt, started_at: at, result: Value::Null },
        Event::AttemptInDoubt { node: node(), attempt, fault: fault(World::Unknown) },
        Event::RetryScheduled { node: node(), attempt, at, reason: text() },
        Event::StepSucceeded { node: node(), outputs: None, findings: Vec::new() },
        Event::StepFailed { node: node(), fault: fault(World::Untouched) },
        Event::StepPlanned { node: node(), unknown: None },
        Event::NoteWritten { node: node(), text: text() },
        Event::AnswerAsked { node: node(), instructions: text() },
        Event::AnswerGiven {
            node: node(),
            by: text(),
            confirmed: true,
            fields: Map::new(),
            message,
        },
        Event::RunStopped { node: node(), succeeded: true, message: text() },
        Event::UndoStarted { node: node(), attempt },
        Event::UndoSucceeded { node: node(), attempt, result: Value::Null },
    ];
    samples.extend(variants());
    samples
}

/// The events of which the table looks at the content too, in each variant.
fn variants() -> Vec<Event> {
    let node = || NodeId::new("a");
    let text = || String::from("x");
    let fault = |world| Fault::untouched(codes::RW9901, "x").world(world);
    let snapshot =
        || Snapshot { state: Value::Null, key: Vec::new(), digest: Digest::of(b""), sealed: None };
    let other = || Diff(vec![Difference { path: text(), before: None, after: None }]);
    let (attempt, message, at) = (1, 1, Timestamp::UNIX_EPOCH);
    let mut samples = Vec::new();
    for world in [World::Untouched, World::Partial, World::Unknown] {
        let fault = fault(world);
        let (node, started_at) = (node(), at);
        samples.push(Event::UndoFailed { node: node.clone(), attempt, fault: fault.clone() });
        samples.push(Event::AttemptFailed { node, attempt, started_at, fault });
    }
    for flag in [true, false] {
        let (by, reason) = (text(), text());
        samples.extend([
            Event::DecisionMade {
                node: node(),
                applied: flag,
                by: by.clone(),
                reason: reason.clone(),
                message,
            },
            Event::UndoSkipped { node: node(), reason: reason.clone(), remains: flag },
            Event::UndoDecided { node: node(), retry: flag, by, reason, message },
        ]);
    }
    for moment in [Moment::After, Moment::Doubt, Moment::Restored, Moment::Left] {
        let fault = fault(World::Untouched);
        samples.push(Event::CaptureFailed { node: node(), moment, fault });
        for difference in [Diff::default(), other()] {
            let snapshot = Box::new(snapshot());
            samples.push(Event::StateCaptured { node: node(), moment, snapshot, difference });
        }
    }
    samples
}

/// Every arrow, from each state that a step without or with an effect can be in.
fn arrows() -> BTreeSet<String> {
    const READS: [Life; 4] = [Life::Pending, Life::Skipped, Life::Succeeded, Life::FailedClean];
    let mut arrows = BTreeSet::new();
    for from in LIVES {
        for event in samples() {
            for reads in [true, false] {
                let Some(to) = from.next(&event, reads) else { continue };
                assert!(!reads || (READS.contains(&from) && READS.contains(&to)), "{from:?}");
                arrows.insert(arrow(from, &event, to, reads));
            }
        }
    }
    arrows
}

/// The arrows of the list: those that are gone along, and the others.
fn listed() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut gone, mut never, mut reason) = (BTreeSet::new(), BTreeSet::new(), None);
    for line in LIST.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(comment) = line.strip_prefix('#') {
            reason = comment.trim().strip_prefix("never:").map(str::trim);
            continue;
        }
        let list = if reason.is_some() { &mut never } else { &mut gone };
        assert!(list.insert(line.to_owned()), "{line} stands twice");
        assert_ne!(reason, Some(""), "{line} has no reason");
    }
    (gone, never)
}

fn lines<'a>(lines: impl IntoIterator<Item = &'a String>) -> String {
    lines.into_iter().map(|l| format!("{l}\n")).collect()
}

#[test]
fn the_table_has_these_arrows_and_no_others() {
    let (gone, never) = listed();
    let listed: BTreeSet<String> = gone.union(&never).cloned().collect();
    let found = arrows();
    let (new, lost) = (lines(found.difference(&listed)), lines(listed.difference(&found)));
    assert!(new.is_empty() && lost.is_empty(), "not in the list:\n{new}not in the table:\n{lost}");
}

#[test]
fn every_arrow_is_gone_along_or_says_why_not() {
    GONE.with_borrow_mut(BTreeSet::clear);
    let scenarios: [fn(); 38] = [
        failures::a_change_that_fails_takes_all_before_it_back,
        failures::a_change_that_cannot_be_prepared_is_not_begun,
        failures::a_change_whose_result_cannot_be_seen_is_taken_back,
        failures::an_undo_that_cannot_be_proved_is_not_called_one,
        failures::what_only_half_came_back_is_named,
        failures::an_undo_in_doubt_is_looked_at,
        failures::where_nobody_can_look_nothing_is_taken_for_granted,
        failures::a_rollback_that_does_not_bring_the_state_back_is_not_called_one,
        approvals::one_rejection_is_enough,
        approvals::decisions_that_do_not_count_are_on_record,
        approvals::an_approval_expires_with_its_request,
        approvals::an_approval_that_comes_too_late_does_not_count,
        approvals::an_approval_is_void_when_what_it_covers_changed,
        approvals::a_second_attempt_needs_a_second_approval,
        behaviour::a_read_is_repeated_until_a_condition_holds,
        behaviour::a_read_is_tried_again_later_and_later,
        behaviour::a_change_that_cannot_be_prepared_is_tried_so_often_and_no_more,
        behaviour::a_change_is_tried_again_only_when_nothing_of_it_stands,
        behaviour::conditions_leave_steps_out,
        behaviour::a_person_confirms_or_does_not,
        behaviour::a_run_may_end_early,
        behaviour::what_is_done_at_the_end_is_always_done,
        behaviour::what_has_nothing_to_undo_is_not_called_undone,
        behaviour::what_cannot_be_undone_is_named,
        behaviour::what_failed_and_cannot_be_undone_is_named_too,
        behaviour::a_plan_changes_nothing_and_says_what_it_cannot_know,
        approvals::a_second_look_that_fails_ends_the_step,
        approvals::a_freeze_that_begins_while_people_are_asked_ends_it,
        approvals::one_more_agrees_while_it_is_prepared,
        behaviour::items_come_from_a_list_or_from_a_result,
        rollback::an_undo_that_nobody_approves_in_time_is_left,
        rollback::decisions_on_an_undo_that_do_not_count_are_on_record,
        rollback::an_undo_is_not_begun_where_nobody_can_look,
        cancel::stopping_at_once_leaves_a_doubt_that_a_person_settles,
        rollback::what_others_changed_since_is_not_overwritten_unless_asked,
        rollback::a_rejected_undo_may_be_asked_for_again,
        rollback::what_was_left_half_done_can_be_undone_later,
        crash::a_run_whose_undo_fails,
    ];
    scenarios.iter().for_each(|scenario| scenario());
    let (gone, never) = listed();
    let visited = GONE.with_borrow(BTreeSet::clone);
    let missed = lines(gone.difference(&visited));
    let surprising = lines(never.intersection(&visited));
    assert!(missed.is_empty(), "no scenario goes along:\n{missed}");
    assert!(surprising.is_empty(), "some scenario does go along:\n{surprising}");
}
