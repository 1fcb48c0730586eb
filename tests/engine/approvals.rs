//! Protected environments: nothing without agreement, to exactly what then happens.

use std::{sync::Arc, time::Duration};

use runward::{
    base::NodeId,
    engine::{Question, Run},
    model::{
        approval::Verdict,
        event::{Event, Recorded, RunStatus},
        input::Message,
    },
};

use crate::{
    failures::FOUR,
    people::{Honest, Nobody, People, decision},
    stage::{End, Stage, kinds, on_one_thread},
    world::{Phase, Thing, Trouble},
};

/// One change that takes its argument from what it finds.
const RAISE: &str = r#"
steps:
  - id: limit
    toy.set: {thing: limit, to: 7}
  - id: tell
    change:
      capture: {toy.read: {thing: tell}}
      apply: {toy.do: {thing: tell, to: "{{ before.value + 5 }}"}}
      rollback: {toy.do: {thing: tell, to: "{{ before.value }}"}}
"#;

fn run(steps: &str, environment: &str, people: &mut impl People) -> (Stage, End) {
    on_one_thread(async {
        let mut stage = Stage::new(steps, environment);
        let end = stage.run(people).await;
        stage.assert_true(&end);
        (stage, end)
    })
}

fn approve(by: &'static str) -> impl FnMut(&Stage, &Run, &Question) -> Vec<Message> {
    move |_: &Stage, run: &Run, question: &Question| {
        vec![decision(run, question, by, Verdict::Approve)]
    }
}

fn events(stage: &Stage) -> Vec<Recorded> {
    stage.world.tape().events.clone()
}

fn count(stage: &Stage, kind: &str) -> usize {
    kinds(&events(stage)).iter().filter(|k| *k == kind).count()
}

#[test]
fn without_an_approval_nothing_is_changed() {
    for environment in ["guarded", "paired"] {
        let mut nobody = Nobody::default();
        let (stage, end) = run(FOUR, environment, &mut nobody);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Waiting, 4));
        assert_eq!(*nobody.0.lock().unwrap(), [Question::Approval(NodeId::new("limit"))]);
        assert!(stage.world.state().ledger.is_empty());
    }
}

#[test]
fn each_attempt_uses_up_the_approvals_of_its_own_request() {
    let (stage, end) = run(FOUR, "guarded", &mut Honest::default());
    assert_eq!(end.status, RunStatus::Succeeded);
    let mut asked = Vec::new();
    let mut used = Vec::new();
    for recorded in events(&stage) {
        match recorded.event {
            Event::ApprovalRequested { digest, .. } => asked.push(digest),
            Event::AttemptStarted { request, .. } => used.push(request.expect("a request")),
            _ => {}
        }
    }
    assert_eq!(asked.len(), 5);
    assert_eq!(asked, used);
    // Two people answered each request, of whom one was needed.
    assert_eq!(count(&stage, "approval.given"), 10);
}

#[test]
pub fn an_approval_does_not_serve_twice() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        let mut first = None;
        let mut people = move |_: &Stage, run: &Run, question: &Question| match &first {
            None => {
                let message = decision(run, question, "bruno", Verdict::Approve);
                first = Some(message.clone());
                vec![message]
            }
            Some(old) => {
                // The same decision again, for another step.
                let (Message::Decision { request, decision, .. }, Question::Approval(node)) =
                    (old.clone(), question)
                else {
                    panic!("{question:?}")
                };
                vec![Message::Decision { node: node.clone(), request, decision }, old.clone()]
            }
        };
        let runner = stage.start().await;
        let mut asked = 0;
        let mut limited = |stage: &Stage, run: &Run, question: &Question| {
            asked += 1;
            if asked > 2 { Vec::new() } else { people(stage, run, question) }
        };
        let end = stage.go_on(runner, &mut limited).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Waiting);
        assert_eq!(end.questions, [Question::Approval(NodeId::new("tell"))]);
        assert_eq!(count(&stage, "message.ignored"), 2);
        assert_eq!(stage.world.state().ledger.len(), 1);
    });
}

#[test]
pub fn decisions_that_do_not_count_are_on_record() {
    for (by, why) in [
        ("ana", "the operator does not approve their own change"),
        ("eve", "nobody knows eve"),
        ("dora", "dora is in none of the groups"),
    ] {
        let mut asked = 0;
        let mut people = |_: &Stage, run: &Run, question: &Question| {
            asked += 1;
            let message = decision(run, question, by, Verdict::Approve);
            if asked == 1 { vec![message] } else { Vec::new() }
        };
        let (stage, end) = run(FOUR, "guarded", &mut people);
        assert_eq!(end.status, RunStatus::Waiting);
        assert!(stage.world.state().ledger.is_empty());
        let step = end.view.step(&NodeId::new("limit")).unwrap();
        assert_eq!(step.refusals, [format!("a decision of {by} does not count: {why}")]);
        assert!(step.approvals.is_empty());
    }
}

#[test]
fn two_people_are_two_people() {
    let mut asked = 0;
    let mut people = |_: &Stage, run: &Run, question: &Question| {
        asked += 1;
        let bruno = decision(run, question, "bruno", Verdict::Approve);
        match asked {
            1 => vec![bruno.clone(), bruno],
            2 => vec![bruno],
            _ => Vec::new(),
        }
    };
    let (stage, end) = run(FOUR, "paired", &mut people);
    assert_eq!(end.status, RunStatus::Waiting);
    assert!(stage.world.state().ledger.is_empty());

    let (stage, end) = run(FOUR, "paired", &mut Honest::default());
    assert_eq!(end.status, RunStatus::Succeeded);
    assert_eq!(stage.world.state().ledger.len(), 5);
}

#[test]
pub fn one_rejection_is_enough() {
    let mut reject = |_: &Stage, run: &Run, question: &Question| {
        vec![
            decision(run, question, "bruno", Verdict::Approve),
            decision(run, question, "carla", Verdict::Reject),
        ]
    };
    for environment in ["guarded", "paired"] {
        let (stage, end) = run(FOUR, environment, &mut reject);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Refused, 5));
        assert!(stage.world.state().ledger.is_empty());
    }
}

#[test]
pub fn a_rejection_in_the_middle_takes_back_what_was_done() {
    let mut people = |_: &Stage, run: &Run, question: &Question| {
        let wanted = *question != Question::Approval(NodeId::new("tell"));
        let verdict = if wanted { Verdict::Approve } else { Verdict::Reject };
        vec![decision(run, question, "bruno", verdict)]
    };
    let (stage, end) = run(FOUR, "guarded", &mut people);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Refused, 5));
    assert_eq!(stage.undone(), ["limit"]);
}

#[test]
pub fn a_request_expires() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        stage.waits = true;
        let end = stage.run(&mut Nobody::default()).await;
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Refused, 5));
        let at = |kind| events(&stage).into_iter().find(|e| e.event.kind() == kind).unwrap().at;
        let waited = at("approval.expired").duration_since(at("approval.requested"));
        assert_eq!(waited.as_secs(), 600);
        assert!(stage.world.state().ledger.is_empty());
    });
}

#[test]
pub fn an_approval_expires_with_its_request() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        // It is approved in time, and looked at again for longer than it counts.
        stage.world.trouble(
            "limit",
            Phase::Look,
            2,
            Trouble::Meanwhile(Arc::new(|| ()), Duration::from_secs(900)),
        );
        let end = stage.run(&mut approve("bruno")).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Refused, 5));
        assert_eq!(count(&stage, "approval.given"), 1);
        assert!(stage.world.state().ledger.is_empty());
    });
}

#[test]
pub fn an_approval_that_comes_too_late_does_not_count() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        let mut late = |stage: &Stage, run: &Run, question: &Question| {
            stage.clock.pass(Duration::from_secs(601));
            vec![decision(run, question, "bruno", Verdict::Approve)]
        };
        let end = stage.run(&mut late).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Refused);
        assert!(stage.world.state().ledger.is_empty());
    });
}

#[test]
pub fn an_approval_is_void_when_what_it_covers_changed() {
    for (step, thing, field) in [("limit", "limit", "state before"), ("tell", "tell", "arguments")]
    {
        on_one_thread(async {
            let mut stage = Stage::new(RAISE, "guarded");
            let mut drifted = false;
            let mut people = |stage: &Stage, run: &Run, question: &Question| {
                if *question == Question::Approval(NodeId::new(step)) && !drifted {
                    drifted = true;
                    stage.world.outsider(thing, 3);
                }
                vec![decision(run, question, "bruno", Verdict::Approve)]
            };
            let end = stage.run(&mut people).await;
            stage.assert_true(&end);
            assert!(drifted);
            assert_eq!(end.status, RunStatus::Succeeded);
            let all = events(&stage);
            let voided: Vec<_> = all
                .iter()
                .filter_map(|e| match &e.event {
                    Event::ApprovalVoided { node, field, drift } => {
                        Some((node.to_string(), field.as_str(), drift.0.len()))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(voided, [(step.to_owned(), field, 2)]);
            // Nothing was begun on the first word: two requests, one attempt.
            assert_eq!(count(&stage, "approval.requested"), 3);
            assert_eq!(count(&stage, "attempt.started"), 2);
            let expected = if step == "tell" { 8 } else { 5 };
            assert_eq!(stage.world.thing("tell"), Thing::both(expected));
            assert_eq!(stage.world.thing("limit"), Thing::both(7));
            let refusals = &end.view.step(&NodeId::new(step)).unwrap().refusals;
            assert_eq!(*refusals, [format!("the approval became void: {field} changed")]);
        });
    }
}

#[test]
pub fn a_second_attempt_needs_a_second_approval() {
    let steps = r#"
steps:
  - id: limit
    toy.set: {thing: limit, to: 7}
    retry: {attempts: 3, delay: 5s}
"#;
    on_one_thread(async {
        let mut stage = Stage::new(steps, "guarded");
        stage.world.trouble("limit", Phase::Apply, 1, Trouble::Clean);
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Succeeded);
        assert_eq!(count(&stage, "approval.requested"), 2);
        assert_eq!(count(&stage, "attempt.started"), 2);
    });
}

#[test]
pub fn what_cannot_be_undone_needs_more() {
    let steps = r#"
steps:
  - {id: plain, toy.do: {thing: a, add: 1}}
  - {id: limit, toy.set: {thing: limit, to: 7}}
"#;
    let mut asked = 0;
    let mut once = |_: &Stage, run: &Run, question: &Question| {
        asked += 1;
        let message = decision(run, question, "bruno", Verdict::Approve);
        if asked == 1 { vec![message] } else { Vec::new() }
    };
    let (stage, end) = run(steps, "extra", &mut once);
    assert_eq!(end.status, RunStatus::Waiting);
    assert!(stage.world.state().ledger.is_empty());
    let (stage, end) = run(steps, "extra", &mut Honest::default());
    assert_eq!(end.status, RunStatus::Succeeded);
    let required: Vec<_> = events(&stage)
        .iter()
        .filter_map(|e| match &e.event {
            Event::ApprovalRequested { required, .. } => Some(*required),
            _ => None,
        })
        .collect();
    assert_eq!(required, [2, 1]);
    // Where it is forbidden, nobody is asked.
    let (stage, end) = run(steps, "paired", &mut Honest::default());
    assert_eq!((end.status, end.exit as u8), (RunStatus::Refused, 5));
    assert!(stage.world.state().ledger.is_empty());
}

#[test]
pub fn a_second_look_that_fails_ends_the_step() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        stage.world.trouble("tell", Phase::Look, 2, Trouble::Clean);
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1));
        assert_eq!(stage.undone(), ["limit"]);
    });
}

#[test]
pub fn one_more_agrees_while_it_is_prepared() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        // The second look takes its time; meanwhile decisions come in.
        let slow = Trouble::Meanwhile(Arc::new(|| ()), Duration::from_secs(5));
        stage.world.trouble("limit", Phase::Look, 2, slow);
        let mut people = |_: &Stage, run: &Run, question: &Question| {
            let mut messages = vec![decision(run, question, "bruno", Verdict::Approve)];
            let others = ["carla", "eve"].map(|by| decision(run, question, by, Verdict::Approve));
            messages.extend(others);
            messages
        };
        let end = stage.run(&mut people).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Succeeded);
        let step = end.view.step(&NodeId::new("limit")).unwrap();
        assert_eq!(step.approvals.len(), 2);
        assert_eq!(step.refusals, ["a decision of eve does not count: nobody knows eve"]);
    });
}

#[test]
pub fn a_freeze_that_begins_while_people_are_asked_ends_it() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "closing");
        stage.waits = true;
        let end = stage.run(&mut Nobody::default()).await;
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Refused, 5));
        assert!(end.view.message.unwrap().contains("month end"));
        assert!(stage.world.state().ledger.is_empty());
    });
}

#[test]
pub fn a_change_reached_in_a_freeze_is_refused() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "frozen");
        let slow = Trouble::Meanwhile(Arc::new(|| ()), Duration::from_secs(660));
        stage.world.trouble("tell", Phase::Look, 1, slow);
        let end = stage.run(&mut Nobody::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Refused, 5));
        assert_eq!(stage.undone(), ["limit"]);
    });
}

#[test]
pub fn a_decision_after_the_end_of_its_request_changes_nothing() {
    // Somebody cancels, and somebody else approves in the same moment.
    let mut people = |_: &Stage, run: &Run, question: &Question| match question {
        Question::Approval(node) if node.step == "limit" => {
            vec![decision(run, question, "bruno", Verdict::Approve)]
        }
        _ => vec![
            Message::Cancel { by: "ana".into(), reason: "no".into() },
            decision(run, question, "bruno", Verdict::Approve),
        ],
    };
    let (stage, end) = run(FOUR, "guarded", &mut people);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Cancelled, 1));
    assert_eq!(stage.undone(), ["limit"]);
    assert_eq!(count(&stage, "attempt.started"), 1);
    assert!(end.view.waiting_for_approval().next().is_none());
}
