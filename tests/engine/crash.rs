//! A process that dies after any of its events: what another one makes of it.
//!
//! Every prefix of a journal is tried, also those that no crash could leave, since events that are
//! appended together stay together; an effect that was under way has happened, or has not.

use std::{sync::Arc, time::Duration};

use runward::{
    base::NodeId,
    driver::{Stop, open},
    engine::{Question, Run},
    model::{
        approval::Verdict,
        event::{Event, RunStatus},
    },
};

use crate::{
    failures::FOUR,
    people::{Honest, People, decision},
    stage::{Stage, kinds, on_one_thread, shown},
    world::{Did, Phase, Trouble},
};

/// Lets the process die everywhere in what `stage` did, and gives the statuses of the ends.
async fn everywhere(stage: &Stage) -> Vec<RunStatus> {
    let (events, count) = {
        let tape = stage.world.tape();
        (tape.events.clone(), tape.events.len())
    };
    let mut ends = Vec::new();
    for length in 1..=count {
        let prefix = &events[..length];
        // The whole way from texts, and the short one, give the same run.
        let (run, _) = open::fold(&stage.id, prefix, &stage.catalogue).expect("a legal journal");
        let now = prefix.last().unwrap().at;
        let (pending, again) = (run.pending(now), stage.fold(prefix).pending(now));
        assert_eq!((&pending.tasks, &pending.questions), (&again.tasks, &again.questions));
        assert_eq!(run.settle(now), stage.fold(prefix).settle(now));
        let worlds = stage.world.tape().worlds_after(length);
        for world in worlds {
            let made = world.ledger.len();
            let mut next = stage.found_by_another(prefix, &world).await;
            let runner = next.resume().await;
            let end = next.go_on(runner, &mut Honest { retries: 3, ..Honest::default() }).await;
            next.assert_true(&end);
            assert!(end.run.is_finished(), "after {length}: {}", shown(prefix));
            assert_continues(&next, length, made);
            ends.push(end.status);
        }
    }
    ends
}

/// Nothing that the first process did is done again.
fn assert_continues(next: &Stage, length: usize, made: usize) {
    let state = next.world.state();
    let events = next.world.tape().events.clone();
    assert_eq!(length, events.len().min(length));
    for entry in &state.ledger[made..] {
        let intent = events[length..].iter().any(|e| match &e.event {
            Event::AttemptStarted { node, attempt, .. } => {
                (node, *attempt, Did::Apply) == (&entry.node, entry.attempt, entry.did)
            }
            Event::UndoStarted { node, attempt } => {
                (node, *attempt, Did::Undo) == (&entry.node, entry.attempt, entry.did)
            }
            _ => false,
        });
        let outsider = entry.did == Did::Outsider;
        assert!(outsider || intent, "{entry:?} on an old intent:\n{}", shown(&events));
    }
}

fn tried(environment: &str, troubles: &[(&str, Phase, u32, Trouble)]) -> Vec<RunStatus> {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, environment);
        for (step, phase, nth, trouble) in troubles {
            stage.world.trouble(step, *phase, *nth, trouble.clone());
        }
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        everywhere(&stage).await
    })
}

fn only(ends: &[RunStatus], allowed: &[RunStatus]) {
    assert!(ends.iter().all(|end| allowed.contains(end)), "{ends:?}");
    assert!(allowed.iter().all(|status| ends.contains(status)), "{ends:?}");
}

#[test]
pub fn a_run_that_succeeds() {
    // Killed in a change, it goes back; killed anywhere else, it goes on.
    let ends = tried("open", &[]);
    only(&ends, &[RunStatus::Succeeded, RunStatus::RolledBack, RunStatus::Failed]);
    let ends = tried("paired", &[]);
    only(&ends, &[RunStatus::Succeeded, RunStatus::RolledBack, RunStatus::Failed]);
}

#[test]
pub fn a_run_that_fails_and_goes_back() {
    for trouble in [Trouble::Clean, Trouble::Half, Trouble::Lost, Trouble::LostBefore] {
        let ends = tried("open", &[("workers[1]", Phase::Apply, 1, trouble)]);
        only(&ends, &[RunStatus::RolledBack, RunStatus::Failed]);
    }
}

#[test]
pub fn a_run_whose_undo_fails() {
    for trouble in [Trouble::Clean, Trouble::Half, Trouble::Lost, Trouble::LostBefore] {
        let ends = tried(
            "open",
            &[("workers[0]", Phase::Apply, 1, Trouble::Half), ("tell", Phase::Undo, 1, trouble)],
        );
        only(&ends, &[RunStatus::RolledBack, RunStatus::Failed]);
    }
    let left = ("tell", Phase::Undo, 0, Trouble::Clean);
    let ends = tried("open", &[("workers[0]", Phase::Apply, 1, Trouble::Half), left]);
    only(&ends, &[RunStatus::RollbackIncomplete, RunStatus::RolledBack, RunStatus::Failed]);
}

#[test]
pub fn a_run_that_tries_again() {
    let steps =
        FOUR.replace("  - id: tell\n", "  - id: tell\n    retry: {attempts: 3, delay: 200ms}\n");
    for environment in ["open", "guarded"] {
        on_one_thread(async {
            let mut stage = Stage::new(&steps, environment);
            stage.world.trouble("tell", Phase::Apply, 1, Trouble::Nothing);
            stage.world.trouble("tell", Phase::Apply, 2, Trouble::LostBefore);
            let end = stage.run(&mut Honest::default()).await;
            stage.world.assert_fired();
            assert_eq!(end.status, RunStatus::Succeeded);
            let ends = everywhere(&stage).await;
            only(&ends, &[RunStatus::Succeeded, RunStatus::RolledBack, RunStatus::Failed]);
        });
    }
}

#[test]
pub fn a_run_whose_approval_becomes_void() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "paired");
        let mut drifted = false;
        let mut honest = Honest::default();
        let mut people = |stage: &Stage, run: &Run, question: &Question| {
            if *question == Question::Approval(NodeId::new("tell")) && !drifted {
                drifted = true;
                stage.world.outsider("tell", 3);
            }
            honest.asked(stage, run, question)
        };
        let end = stage.run(&mut people).await;
        assert_eq!(end.status, RunStatus::Succeeded);
        assert!(kinds(&stage.world.tape().events).contains(&"approval.voided".to_owned()));
        let ends = everywhere(&stage).await;
        only(&ends, &[RunStatus::Succeeded, RunStatus::RolledBack, RunStatus::Failed]);
    });
}

#[test]
pub fn a_run_that_is_rejected() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "guarded");
        let mut people = |_: &Stage, run: &Run, question: &Question| {
            let wanted = *question != Question::Approval(NodeId::new("tell"));
            let verdict = if wanted { Verdict::Approve } else { Verdict::Reject };
            vec![decision(run, question, "bruno", verdict)]
        };
        let end = stage.run(&mut people).await;
        assert_eq!(end.status, RunStatus::Refused);
        let ends = everywhere(&stage).await;
        // Before the rejection was on record, everybody agrees the next time.
        assert!(ends.contains(&RunStatus::Succeeded) && ends.contains(&RunStatus::Refused));
    });
}

#[test]
pub fn a_run_that_is_cancelled() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        let stop = stage.stop.clone();
        let press = move || {
            let _ = stop.send(Stop::Gently("ana".into()));
        };
        let meanwhile = Trouble::Meanwhile(Arc::new(press), Duration::from_secs(2));
        stage.world.trouble("tell", Phase::Apply, 1, meanwhile);
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        assert_eq!(end.status, RunStatus::Cancelled);
        let ends = everywhere(&stage).await;
        assert!(ends.contains(&RunStatus::Cancelled));
    });
}

#[test]
pub fn a_run_with_an_end_of_its_own() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: ask, manual: sure?}
  - {id: end, stop: {outcome: failed, message: not today}}
on_failure:
  - {id: tell, toy.do: {thing: free_told, add: 1}}
finally:
  - {id: tidy, toy.do: {thing: free_tidied, add: 1}}
"#;
    on_one_thread(async {
        let mut stage = Stage::new(steps, "open");
        let end = stage.run(&mut Honest::default()).await;
        assert_eq!(end.status, RunStatus::RolledBack);
        let ends = everywhere(&stage).await;
        only(&ends, &[RunStatus::RolledBack, RunStatus::Failed]);
        let succeeds = steps.replace("failed", "succeeded");
        let mut stage = Stage::new(&succeeds, "open");
        let end = stage.run(&mut Honest::default()).await;
        assert_eq!(end.status, RunStatus::Succeeded);
        let ends = everywhere(&stage).await;
        assert!(ends.contains(&RunStatus::Succeeded));
    });
}

#[test]
pub fn a_finished_run_that_is_undone() {
    for environment in ["open", "guarded"] {
        on_one_thread(async {
            let mut stage = Stage::new(FOUR, environment);
            let end = stage.run(&mut Honest::default()).await;
            assert_eq!(end.status, RunStatus::Succeeded);
            let before = stage.world.tape().events.len();
            let mut runner = stage.resume().await;
            runner.roll_back("ana".into(), None, false).await.unwrap();
            let end = stage.go_on(runner, &mut Honest::default()).await;
            assert_eq!(end.status, RunStatus::RolledBack);
            let ends = everywhere(&stage).await;
            assert_eq!(
                ends[before * 2..].iter().filter(|e| **e != RunStatus::RolledBack).count(),
                0
            );
        });
    }
}
