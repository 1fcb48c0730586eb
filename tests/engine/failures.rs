//! A run of four steps, and each way in which each of them fails.

use runward::model::event::RunStatus;

use crate::{
    people::Honest,
    stage::{End, Stage, on_one_thread},
    world::{Did, Phase, Thing, Trouble},
};

/// A read, a change that knows how to undo itself, a change made of actions, and one for each of
/// three items.
pub const FOUR: &str = r#"
steps:
  - id: look
    toy.read: {thing: pond}
  - id: limit
    toy.set: {thing: limit, to: 7}
    expect: after.value == 7
  - id: tell
    change:
      capture: {toy.read: {thing: tell}}
      apply: {toy.do: {thing: tell, add: 5}}
      rollback: {toy.do: {thing: tell, to: "{{ before.value }}"}}
    expect: after.value == before.value + 5
  - id: workers
    foreach: {in: [1, 2, 3]}
    change:
      capture: {toy.read: {thing: "worker{{ item }}"}}
      apply: {toy.do: {thing: "worker{{ item }}", to: 9}}
      rollback: {toy.do: {thing: "worker{{ item }}", to: "{{ before.value }}"}}
    expect: after.value == 9
"#;

/// Its changes, in order.
pub const CHANGES: [&str; 5] = ["limit", "tell", "workers[0]", "workers[1]", "workers[2]"];

fn tried(environment: &str, step: &str, phase: Phase, nth: u32, trouble: Trouble) -> (Stage, End) {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, environment);
        stage.world.trouble(step, phase, nth, trouble);
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        (stage, end)
    })
}

/// Those before `step`, newest first, after `step` itself if its effect may stand.
fn back_from(step: &str, stands: bool) -> Vec<String> {
    let at = CHANGES.iter().position(|c| *c == step).unwrap();
    let upto = if stands { at + 1 } else { at };
    CHANGES[..upto].iter().rev().map(|c| (*c).to_owned()).collect()
}

#[test]
pub fn a_run_without_trouble_makes_each_change_once() {
    for environment in ["open", "guarded", "paired"] {
        on_one_thread(async {
            let mut stage = Stage::new(FOUR, environment);
            let end = stage.run(&mut Honest::default()).await;
            stage.assert_true(&end);
            assert_eq!((end.status, end.exit as u8), (RunStatus::Succeeded, 0));
            let state = stage.world.state();
            let made: Vec<_> = state.ledger.iter().map(|e| (e.node.to_string(), e.did)).collect();
            let expected: Vec<_> = CHANGES.map(|c| (c.to_owned(), Did::Apply)).into();
            assert_eq!(made, expected);
            assert_eq!(stage.world.thing("tell"), Thing::both(5));
            assert_eq!(stage.world.thing("worker3"), Thing::both(9));
        });
    }
}

#[test]
pub fn a_read_that_fails_changes_nothing() {
    let (stage, end) = tried("open", "look", Phase::Look, 1, Trouble::Clean);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Failed, 1));
    assert!(stage.world.state().ledger.is_empty());
}

#[test]
pub fn a_change_that_fails_takes_all_before_it_back() {
    for environment in ["open", "guarded"] {
        for step in CHANGES {
            for (trouble, stands) in [
                (Trouble::Clean, false),
                (Trouble::Nothing, false),
                (Trouble::LostBefore, false),
                (Trouble::Half, true),
                (Trouble::Lost, true),
            ] {
                let (stage, end) = tried(environment, step, Phase::Apply, 1, trouble);
                let expected = back_from(step, stands);
                let status = match expected.is_empty() {
                    true => RunStatus::Failed,
                    false => RunStatus::RolledBack,
                };
                assert_eq!((end.status, end.exit as u8), (status, 1), "{step}");
                assert_eq!(stage.undone(), expected, "{step}");
                assert!(stage.residues().is_empty());
                assert_eq!(end.view.failed_step.unwrap().to_string(), step);
            }
        }
    }
}

#[test]
pub fn a_change_that_cannot_be_prepared_is_not_begun() {
    for step in CHANGES {
        let (stage, end) = tried("guarded", step, Phase::Look, 1, Trouble::Clean);
        assert_eq!(end.exit as u8, 1);
        assert_eq!(stage.undone(), back_from(step, false));
    }
    let (stage, end) = tried("open", "limit", Phase::Preview, 1, Trouble::Clean);
    assert_eq!(end.status, RunStatus::Failed);
    assert!(stage.world.state().ledger.is_empty());
}

#[test]
pub fn a_change_whose_result_cannot_be_seen_is_taken_back() {
    for step in CHANGES {
        let (stage, end) = tried("open", step, Phase::Look, 2, Trouble::Clean);
        assert_eq!(end.status, RunStatus::RolledBack, "{step}");
        assert_eq!(stage.undone(), back_from(step, true));
        let error = end.view.steps.iter().find_map(|s| s.error.clone()).unwrap();
        assert!(error.message.contains("after the change can't be captured"), "{error:?}");
    }
}

#[test]
pub fn an_undo_that_cannot_be_proved_is_not_called_one() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        stage.world.trouble("workers[0]", Phase::Apply, 1, Trouble::Clean);
        // Prepared, after the change, and then after the undo.
        stage.world.trouble("limit", Phase::Look, 3, Trouble::Clean);
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        assert_eq!(end.run.remaining()[0].to_string(), "limit");
    });
}

#[test]
pub fn what_only_half_came_back_is_named() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        stage.world.trouble("workers[1]", Phase::Apply, 1, Trouble::Clean);
        stage.world.trouble("tell", Phase::Undo, 0, Trouble::Half);
        let end = stage.run(&mut Honest { retries: 0, ..Honest::default() }).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        assert_eq!(stage.residues(), ["tell"]);
        // What came before it was taken back all the same, once the person had decided.
        assert_eq!(stage.undone(), ["workers[0]", "tell", "limit"]);
    });
}

#[test]
pub fn where_nobody_can_look_nothing_is_taken_for_granted() {
    for trouble in [Trouble::Half, Trouble::Nothing, Trouble::Lost, Trouble::LostBefore] {
        on_one_thread(async {
            let mut stage = Stage::new(FOUR, "open");
            stage.world.trouble("tell", Phase::Apply, 1, trouble.clone());
            stage.world.trouble("tell", Phase::Look, 2, Trouble::Clean);
            let end = stage.run(&mut Honest::default()).await;
            stage.world.assert_fired();
            stage.assert_true(&end);
            assert_eq!(end.status, RunStatus::RolledBack);
        });
    }
    for (trouble, retries, status) in [
        (Trouble::Clean, 1, RunStatus::RolledBack),
        (Trouble::LostBefore, 1, RunStatus::RolledBack),
        (Trouble::LostBefore, 0, RunStatus::RollbackIncomplete),
        (Trouble::Lost, 0, RunStatus::RollbackIncomplete),
    ] {
        on_one_thread(async {
            let mut stage = Stage::new(FOUR, "open");
            stage.world.trouble("tell", Phase::Apply, 1, Trouble::Clean);
            stage.world.trouble("limit", Phase::Undo, 1, trouble);
            stage.world.trouble("limit", Phase::Look, 3, Trouble::Clean);
            let end = stage.run(&mut Honest { retries, ..Honest::default() }).await;
            stage.world.assert_fired();
            stage.assert_true(&end);
            assert_eq!(end.status, status);
        });
    }
}

#[test]
pub fn a_rollback_that_does_not_bring_the_state_back_is_not_called_one() {
    let steps = r#"
steps:
  - id: tell
    change:
      capture: {toy.read: {thing: tell}}
      apply: {toy.do: {thing: tell, add: 5}}
      rollback: {toy.do: {thing: tell, add: -4}}
    expect: after.value == 6
"#;
    on_one_thread(async {
        let mut stage = Stage::new(steps, "open");
        let end = stage.run(&mut Honest::default()).await;
        stage.assert_true(&end);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        let rollback = end.view.steps[0].rollback.clone().unwrap();
        assert_eq!((rollback.status, rollback.residual.unwrap().0.len()), ("unproved", 2));
        assert_eq!(end.view.steps[0].status.as_str(), "rollback_failed");
    });
}

#[test]
pub fn an_undo_in_doubt_is_looked_at() {
    for (trouble, asked) in
        [(Trouble::Lost, 0), (Trouble::Whole, 0), (Trouble::LostBefore, 1), (Trouble::Clean, 1)]
    {
        on_one_thread(async {
            let mut stage = Stage::new(FOUR, "open");
            stage.world.trouble("tell", Phase::Apply, 1, Trouble::Clean);
            stage.world.trouble("limit", Phase::Undo, 1, trouble);
            let mut people = Honest::default();
            let end = stage.run(&mut people).await;
            stage.world.assert_fired();
            stage.assert_true(&end);
            // Equal states prove it; else a person says that it is tried again.
            assert_eq!(1 - people.retries, asked);
            assert_eq!(end.status, RunStatus::RolledBack);
            assert_eq!(stage.undone(), ["limit"]);
        });
    }
}
