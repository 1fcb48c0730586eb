//! Stopping a run: at each moment it ends what is under way, begins nothing more, and goes back.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use runward::{
    driver::Stop,
    engine::{Question, Run},
    model::{approval::Verdict, event::RunStatus, input::Message},
    ports::Store,
};

use crate::{
    failures::FOUR,
    people::{Honest, Nobody, decision},
    stage::{End, Stage, kinds, on_one_thread},
    world::{Phase, Trouble},
};

/// Somebody presses the key while a phase of a step is under way.
fn interrupted(steps: &str, environment: &str, at: &[(&str, Phase, u32)]) -> (Stage, End) {
    with_troubles(steps, environment, at, &[])
}

fn with_troubles(
    steps: &str,
    environment: &str,
    at: &[(&str, Phase, u32)],
    troubles: &[(&str, Phase, u32, Trouble)],
) -> (Stage, End) {
    on_one_thread(async {
        let mut stage = Stage::new(steps, environment);
        for (step, phase, nth) in at {
            let stop = stage.stop.clone();
            let press = move || stop.send(Stop::Gently("ana".into())).unwrap();
            let meanwhile = Trouble::Meanwhile(Arc::new(press), Duration::from_secs(2));
            stage.world.trouble(step, *phase, *nth, meanwhile);
        }
        for (step, phase, nth, trouble) in troubles {
            stage.world.trouble(step, *phase, *nth, trouble.clone());
        }
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        (stage, end)
    })
}

#[test]
pub fn a_cancelled_run_finishes_what_is_under_way_and_goes_back() {
    for (step, phase, nth, undone) in [
        ("look", Phase::Look, 1, &[][..]),
        ("limit", Phase::Look, 1, &[]),
        ("limit", Phase::Preview, 1, &[]),
        ("limit", Phase::Apply, 1, &["limit"]),
        ("limit", Phase::Look, 2, &["limit"]),
        ("tell", Phase::Look, 1, &["limit"]),
        ("tell", Phase::Apply, 1, &["tell", "limit"]),
        ("workers[1]", Phase::Apply, 1, &["workers[1]", "workers[0]", "tell", "limit"]),
        // Also when nothing comes after it.
        (
            "workers[2]",
            Phase::Apply,
            1,
            &["workers[2]", "workers[1]", "workers[0]", "tell", "limit"],
        ),
        (
            "workers[2]",
            Phase::Look,
            2,
            &["workers[2]", "workers[1]", "workers[0]", "tell", "limit"],
        ),
    ] {
        for environment in ["open", "guarded"] {
            let nth = match (environment, phase) {
                // Looked at twice before it is made.
                ("guarded", Phase::Look) if nth == 2 => 3,
                _ => nth,
            };
            let (stage, end) = interrupted(FOUR, environment, &[(step, phase, nth)]);
            assert_eq!((end.status, end.exit as u8), (RunStatus::Cancelled, 1), "{step} {phase:?}");
            assert_eq!(stage.undone(), undone, "{step} {phase:?} {nth}");
        }
    }
}

#[test]
pub fn a_preparation_that_ends_after_the_cancellation_begins_nothing() {
    // The second look before an approved change, with something to undo meanwhile.
    let slow = Trouble::Meanwhile(Arc::new(|| ()), Duration::from_secs(60));
    let troubles = [("limit", Phase::Undo, 1, slow)];
    let (stage, end) = with_troubles(FOUR, "guarded", &[("tell", Phase::Look, 2)], &troubles);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Cancelled, 1));
    assert_eq!(stage.undone(), ["limit"]);
    let started = kinds(&stage.world.tape().events);
    assert_eq!(started.iter().filter(|k| *k == "attempt.started").count(), 1);
}

#[test]
pub fn a_cancelled_run_whose_change_fails_or_is_in_doubt_still_asks() {
    for (trouble, undone) in [
        (Trouble::Half, &["tell", "limit"][..]),
        (Trouble::Lost, &["tell", "limit"]),
        (Trouble::LostBefore, &["limit"]),
        (Trouble::Clean, &["limit"]),
    ] {
        let troubles = [("tell", Phase::Apply, 1, trouble)];
        let (stage, end) = with_troubles(FOUR, "open", &[("tell", Phase::Apply, 1)], &troubles);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Cancelled, 1));
        assert_eq!(stage.undone(), undone);
    }
}

#[test]
fn cancelling_while_it_goes_back_or_ends_changes_nothing() {
    let steps = format!("{FOUR}finally:\n  - {{id: tidy, toy.do: {{thing: free, add: 1}}}}\n");
    let troubles = [("workers[0]", Phase::Apply, 1, Trouble::Clean)];
    let (stage, end) = with_troubles(&steps, "open", &[("tell", Phase::Undo, 1)], &troubles);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["tell", "limit"]);
    // The work is done; what comes now is only tidying up.
    let (stage, end) = interrupted(&steps, "open", &[("tidy", Phase::Apply, 1)]);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Succeeded, 0));
    assert!(stage.undone().is_empty());
}

#[test]
pub fn a_run_that_waits_is_cancelled_by_a_message() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: ask, manual: sure?}
"#;
    let cancel = || vec![Message::Cancel { by: "ana".into(), reason: "no".into() }];
    on_one_thread(async {
        let mut stage = Stage::new(steps, "open");
        let end = stage.run(&mut |_: &Stage, _: &Run, _: &Question| cancel()).await;
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Cancelled, 1));
        assert_eq!(stage.undone(), ["first"]);

        let mut stage = Stage::new(steps, "guarded");
        let mut people = |_: &Stage, run: &Run, question: &Question| match question {
            Question::Approval(_) => vec![decision(run, question, "bruno", Verdict::Approve)],
            _ => Vec::new(),
        };
        let end = stage.run(&mut people).await;
        assert_eq!(end.status, RunStatus::Waiting);
        // The message lies there when the run is taken up.
        stage.post(cancel().remove(0)).await;
        let runner = stage.resume().await;
        let end = stage.go_on(runner, &mut Nobody::default()).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Cancelled);
        assert_eq!(stage.undone(), ["first"]);
    });
}

#[test]
pub fn a_retry_that_waits_is_cancelled() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: second, toy.set: {thing: b, to: 1}, retry: {attempts: 3, delay: 1h}}
"#;
    on_one_thread(async {
        let mut stage = Stage::new(steps, "open");
        let (store, id) = (Arc::clone(&stage.store), stage.id.clone());
        let message = Message::Cancel { by: "ana".into(), reason: "no".into() };
        stage.posted.push(message.clone());
        let post = move || {
            let at = crate::stage::begin();
            store.post(&id, at, &message).now_or_never().unwrap().unwrap();
        };
        let meanwhile = Trouble::Meanwhile(Arc::new(post), Duration::ZERO);
        stage.world.trouble("second", Phase::Apply, 1, meanwhile);
        stage.world.trouble("second", Phase::Apply, 1, Trouble::Clean);
        let end = stage.run(&mut Nobody::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Cancelled);
        assert_eq!(stage.undone(), ["first"]);
        assert_eq!(end.view.steps[1].status.as_str(), "failed");
        let took = end.view.finished_at.unwrap().duration_since(end.view.started_at);
        assert!(took.as_secs() < 60, "{took:?}");
    });
}

#[test]
fn steps_that_were_never_begun_do_not_look_begun() {
    let (_, end) = interrupted(FOUR, "guarded", &[("tell", Phase::Look, 1)]);
    for id in ["tell", "workers"] {
        let step = end.view.steps.iter().find(|s| s.node.step == id).unwrap();
        assert_eq!(step.status.as_str(), "pending", "{id}");
        assert!(step.request.is_none());
    }
}

#[test]
pub fn stopping_at_once_leaves_a_doubt_that_a_person_settles() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        let stop = stage.stop.clone();
        let press = move || stop.send(Stop::Now).unwrap();
        let meanwhile = Trouble::Meanwhile(Arc::new(press), Duration::from_secs(2));
        stage.world.trouble("tell", Phase::Apply, 1, meanwhile);
        let end = stage.run(&mut Nobody::default()).await;
        stage.world.assert_fired();
        assert_eq!((end.status, end.exit as u8), (RunStatus::InDoubt, 3));
        let runner = stage.resume().await;
        let end = stage.go_on(runner, &mut Honest::default()).await;
        stage.assert_true(&end);
        assert_eq!((end.status, stage.undone()), (RunStatus::RolledBack, vec!["limit".to_owned()]));
    });
}
