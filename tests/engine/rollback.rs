//! Going back: undos that fail, that others do not depend on, and runs undone after their end.

use std::{sync::Arc, time::Duration};

use runward::{
    base::NodeId,
    driver::DriverError,
    engine::{Question, Run},
    model::{approval::Verdict, event::RunStatus, input::Message},
};

use crate::{
    failures::{CHANGES, FOUR},
    people::{Honest, Nobody, People, decision},
    stage::{End, Stage, kinds, on_one_thread},
    world::{Phase, Thing, Trouble},
};

/// A finished run.
async fn finished(steps: &str, environment: &str) -> Stage {
    let mut stage = Stage::new(steps, environment);
    let end = stage.run(&mut Honest::default()).await;
    stage.assert_true(&end);
    assert_eq!(end.status, RunStatus::Succeeded);
    stage
}

/// Asks for the rollback of a finished run.
async fn roll_back(
    stage: &mut Stage,
    over_drift: bool,
    people: &mut impl People,
) -> Result<End, DriverError> {
    let mut runner = stage.resume().await;
    match runner.roll_back("ana".into(), None, over_drift).await {
        Ok(()) => {
            let end = stage.go_on(runner, people).await;
            match over_drift {
                // What others did is overwritten, as was asked for.
                true => stage.world.assert_lawful(),
                false => stage.assert_true(&end),
            }
            Ok(end)
        }
        Err(error) => {
            runner.give_back().await.unwrap();
            Err(error)
        }
    }
}

fn backwards() -> Vec<&'static str> {
    CHANGES.into_iter().rev().collect()
}

#[test]
pub fn an_undo_that_fails_is_asked_about_before_earlier_ones() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        stage.world.trouble("workers[1]", Phase::Apply, 1, Trouble::Clean);
        stage.world.trouble("tell", Phase::Undo, 1, Trouble::Clean);
        let end = stage.run(&mut Nobody::default()).await;
        stage.world.assert_fired();
        assert_eq!((end.status, end.exit as u8), (RunStatus::InDoubt, 3));
        assert_eq!(end.questions, [Question::FailedUndo(NodeId::new("tell"))]);
        assert_eq!(stage.undone(), ["workers[0]"]);
        // Tried again, it works, and the earlier one follows.
        let runner = stage.resume().await;
        let end = stage.go_on(runner, &mut Honest::default()).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), ["workers[0]", "tell", "limit"]);
    });
}

#[test]
pub fn a_change_that_is_left_in_place_is_named() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        stage.world.trouble("workers[1]", Phase::Apply, 1, Trouble::Clean);
        stage.world.trouble("tell", Phase::Undo, 0, Trouble::Clean);
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        assert_eq!(stage.residues(), ["tell"]);
        assert_eq!(stage.undone(), ["workers[0]", "limit"]);
        let rollback = end.view.step(&NodeId::new("tell")).unwrap().rollback.clone().unwrap();
        assert_eq!((rollback.status, rollback.message.as_deref()), ("left", Some("ana: decided")));
    });
}

#[test]
pub fn an_independent_undo_does_not_hold_up_the_others() {
    let steps = FOUR.replace("  - id: tell\n", "  - id: tell\n    independent: true\n");
    on_one_thread(async {
        let mut stage = Stage::new(&steps, "open");
        stage.world.trouble("workers[1]", Phase::Apply, 1, Trouble::Clean);
        stage.world.trouble("tell", Phase::Undo, 1, Trouble::Clean);
        let end = stage.run(&mut Nobody::default()).await;
        stage.world.assert_fired();
        // It is asked about, and the earlier one is undone all the same.
        assert_eq!(end.questions, [Question::FailedUndo(NodeId::new("tell"))]);
        assert_eq!(stage.undone(), ["workers[0]", "limit"]);
        let runner = stage.resume().await;
        let end = stage.go_on(runner, &mut Honest::default()).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), ["workers[0]", "limit", "tell"]);
    });
}

#[test]
pub fn a_finished_run_is_undone() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "open").await;
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1));
        assert_eq!(stage.undone(), backwards());
        assert!(stage.residues().is_empty());
        // There is nothing left to undo.
        let again = roll_back(&mut stage, false, &mut Nobody::default()).await;
        assert!(matches!(again, Err(DriverError::Refused(_))));
    });
}

#[test]
pub fn a_run_that_is_not_finished_is_not_undone() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        stage.run(&mut Nobody::default()).await;
        let refused = roll_back(&mut stage, false, &mut Nobody::default()).await;
        assert!(matches!(refused, Err(DriverError::Refused(_))));
    });
}

#[test]
pub fn what_others_changed_since_is_not_overwritten_unless_asked() {
    for (step, thing) in [("limit", "limit"), ("tell", "tell")] {
        on_one_thread(async {
            let mut stage = finished(FOUR, "open").await;
            stage.world.outsider(thing, 50);
            let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
            assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
            assert_eq!(stage.world.thing(thing), Thing::both(50));
            let others: Vec<_> = backwards().into_iter().filter(|c| *c != step).collect();
            assert_eq!(stage.undone(), others);
            let view = end.view.step(&NodeId::new(step)).unwrap().rollback.clone().unwrap();
            assert_eq!(view.message.as_deref(), Some("the state is no longer what the run left"));
            // Having seen that, somebody wants it back all the same.
            let end = roll_back(&mut stage, true, &mut Nobody::default()).await.unwrap();
            assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1), "{step}");
            assert_eq!(stage.world.thing(thing), Thing::both(0));
        });
    }
}

#[test]
fn undoing_a_finished_run_is_approved_step_by_step() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "guarded").await;
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        assert_eq!((end.status, end.exit as u8), (RunStatus::Waiting, 4));
        assert!(stage.undone().is_empty());
        let runner = stage.resume().await;
        let end = stage.go_on(runner, &mut Honest::default()).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), backwards());
    });
}

#[test]
pub fn a_rejected_undo_may_be_asked_for_again() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "guarded").await;
        let mut reject = |_: &Stage, run: &Run, question: &Question| {
            let wanted = *question != Question::Approval(NodeId::new("tell"));
            let verdict = if wanted { Verdict::Approve } else { Verdict::Reject };
            vec![decision(run, question, "bruno", verdict)]
        };
        let end = roll_back(&mut stage, false, &mut reject).await.unwrap();
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        assert_eq!(stage.residues(), ["tell"]);
        let end = roll_back(&mut stage, false, &mut Honest::default()).await.unwrap();
        assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1));
        assert!(stage.residues().is_empty());
        // What the first one did is still told.
        let view = end.view.step(&NodeId::new("limit")).unwrap().rollback.clone();
        assert_eq!(view.unwrap().status, "proved");
    });
}

#[test]
pub fn an_undo_that_nobody_approves_in_time_is_left() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "guarded").await;
        stage.waits = true;
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        assert!(stage.undone().is_empty());
        assert_eq!(end.run.remaining().len(), 5);
    });
}

#[test]
pub fn decisions_on_an_undo_that_do_not_count_are_on_record() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "guarded").await;
        let mut people = |_: &Stage, run: &Run, question: &Question| {
            ["eve", "ana", "bruno"].map(|by| decision(run, question, by, Verdict::Approve)).into()
        };
        let end = roll_back(&mut stage, false, &mut people).await.unwrap();
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(end.view.step(&NodeId::new("limit")).unwrap().refusals.len(), 2);
    });
}

#[test]
pub fn an_undo_is_not_begun_where_nobody_can_look() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "open").await;
        // Prepared, and after the change; then before the undo.
        stage.world.trouble("limit", Phase::Look, 3, Trouble::Clean);
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        stage.world.assert_fired();
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        assert_eq!(stage.residues(), ["limit"]);
        // Tried again later, it works.
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        assert_eq!(end.status, RunStatus::RolledBack);
    });
}

#[test]
pub fn what_changed_after_the_approval_of_an_undo_is_seen() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "guarded").await;
        let mut people = |stage: &Stage, run: &Run, question: &Question| {
            if *question == Question::Approval(NodeId::new("tell")) {
                stage.world.outsider("tell", 50);
            }
            vec![decision(run, question, "bruno", Verdict::Approve)]
        };
        let end = roll_back(&mut stage, false, &mut people).await.unwrap();
        assert_eq!(end.status, RunStatus::RollbackIncomplete);
        assert_eq!(stage.world.thing("tell"), Thing::both(50));
    });
}

#[test]
pub fn what_was_left_half_done_can_be_undone_later() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: second, on_error: stop, toy.set: {thing: b, to: 1}, expect: after.value == 1}
"#;
    let half = (Phase::Apply, Trouble::Half);
    // It is done, but not what was expected: somebody else was there.
    let wrong = (Phase::Look, Trouble::Outsider(5));
    for (environment, (phase, trouble)) in
        [("open", half.clone()), ("guarded", half), ("open", wrong.clone()), ("guarded", wrong)]
    {
        on_one_thread(async {
            let mut stage = Stage::new(steps, environment);
            // In a protected environment it is looked at once more before it is made.
            let guarded = environment == "guarded";
            let nth = if phase == Phase::Look { 2 + u32::from(guarded) } else { 1 };
            stage.world.trouble("second", phase, nth, trouble);
            let end = stage.run(&mut Honest::default()).await;
            stage.world.assert_fired();
            stage.assert_true(&end);
            assert_eq!((end.status, end.exit as u8), (RunStatus::Failed, 3));
            assert!(stage.residues().contains(&"first".to_owned()));
            let end = roll_back(&mut stage, false, &mut Honest::default()).await.unwrap();
            assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1));
            assert_eq!(stage.undone(), ["second", "first"]);
        });
    }
}

#[test]
pub fn a_change_left_in_place_can_be_undone_later() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        stage.world.trouble("workers[1]", Phase::Apply, 1, Trouble::Clean);
        stage.world.trouble("tell", Phase::Undo, 1, Trouble::Clean);
        let end = stage.run(&mut Honest { retries: 0, ..Honest::default() }).await;
        stage.world.assert_fired();
        assert_eq!(end.status, RunStatus::RollbackIncomplete);
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1));
        assert!(stage.residues().is_empty());
    });
}

#[test]
pub fn what_was_done_at_the_end_of_a_run_stays() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
finally:
  - {id: tidy, toy.set: {thing: free_tidied, to: 1}}
"#;
    on_one_thread(async {
        let mut stage = finished(steps, "open").await;
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), ["first"]);
        assert_eq!(stage.world.thing("free_tidied"), Thing::both(1));
    });
}

#[test]
pub fn an_undo_of_a_finished_run_that_fails_is_asked_about() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "open").await;
        stage.world.trouble("tell", Phase::Undo, 1, Trouble::Lost);
        stage.world.trouble("limit", Phase::Undo, 1, Trouble::Clean);
        let end = roll_back(&mut stage, false, &mut Honest::default()).await.unwrap();
        stage.world.assert_fired();
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), backwards());
    });
}

#[test]
pub fn a_killed_rollback_of_a_finished_run_goes_on() {
    on_one_thread(async {
        let mut stage = finished(FOUR, "open").await;
        let stop = stage.stop.clone();
        let press = move || stop.send(runward::driver::Stop::Now).unwrap();
        let meanwhile = Trouble::Meanwhile(Arc::new(press), Duration::from_secs(2));
        stage.world.trouble("tell", Phase::Undo, 1, meanwhile);
        let end = roll_back(&mut stage, false, &mut Nobody::default()).await.unwrap();
        stage.world.assert_fired();
        assert!(!end.run.is_finished());
        let runner = stage.resume().await;
        let end = stage.go_on(runner, &mut Honest::default()).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), backwards());
        assert!(kinds(&stage.world.tape().events).contains(&"undo.decided".to_owned()));
    });
}

#[test]
pub fn a_message_that_nothing_waits_for_is_kept_and_ignored() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        let mut first = true;
        let mut people = |_: &Stage, run: &Run, question: &Question| {
            let node = NodeId::new("look");
            let (reason, by) = (String::from("?"), String::from("ana"));
            let mut messages = vec![decision(run, question, "bruno", Verdict::Approve)];
            if std::mem::take(&mut first) {
                messages.extend([
                    Message::Resolve {
                        node: node.clone(),
                        applied: true,
                        reason: reason.clone(),
                        by: by.clone(),
                    },
                    Message::Undo { node: node.clone(), retry: true, reason, by: by.clone() },
                    Message::Answer { node, fields: Default::default(), by, confirmed: true },
                ]);
            }
            messages
        };
        let end = stage.run(&mut people).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Succeeded);
        let ignored = kinds(&stage.world.tape().events);
        assert_eq!(ignored.iter().filter(|k| *k == "message.ignored").count(), 3);
    });
}
