//! What the keys of a step and of a runbook do: retry, when, foreach, groups, on_error, expect,
//! outputs, manual, stop, finally, on_failure, plan, timeouts.

use std::{sync::Arc, time::Duration};

use runward::{
    base::NodeId,
    engine::{Question, Run},
    model::{
        event::{Event, RunStatus, StepStatus},
        input::Message,
    },
};

use crate::{
    failures::FOUR,
    people::{Honest, Nobody},
    stage::{End, Stage, begin, kinds, on_one_thread},
    world::{Phase, Thing, Trouble},
};

/// Runs with honest people and these troubles, all of which come.
fn run(steps: &str, environment: &str, troubles: &[(&str, Phase, u32, Trouble)]) -> (Stage, End) {
    on_one_thread(async {
        let mut stage = Stage::new(steps, environment);
        for (step, phase, nth, trouble) in troubles {
            stage.world.trouble(step, *phase, *nth, trouble.clone());
        }
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        stage.assert_true(&end);
        (stage, end)
    })
}

fn status(end: &End, step: &str) -> StepStatus {
    end.view.step(&NodeId::parse(step).unwrap()).unwrap_or_else(|| panic!("no {step}")).status
}

fn kinds_of(stage: &Stage) -> Vec<String> {
    kinds(&stage.world.tape().events)
}

fn count(stage: &Stage, kind: &str) -> usize {
    kinds_of(stage).iter().filter(|k| *k == kind).count()
}

#[test]
pub fn a_read_is_tried_again_later_and_later() {
    let steps = r#"
steps:
  - id: look
    toy.read: {thing: pond}
    retry: {attempts: 4, delay: 2s, backoff: 2}
"#;
    let troubles = [1, 2, 3].map(|nth| ("look", Phase::Look, nth, Trouble::Clean));
    let (stage, end) = run(steps, "open", &troubles);
    assert_eq!(end.status, RunStatus::Succeeded);
    let begun: Vec<_> = stage
        .world
        .tape()
        .events
        .iter()
        .filter_map(|e| match &e.event {
            Event::AttemptFailed { started_at, .. }
            | Event::AttemptSucceeded { started_at, .. } => {
                Some(started_at.duration_since(begin()).as_secs())
            }
            _ => None,
        })
        .collect();
    assert_eq!(begun, [0, 2, 6, 14]);
    let (_, end) = run(steps, "open", &[("look", Phase::Look, 0, Trouble::Clean)]);
    assert_eq!(end.status, RunStatus::Failed);
    assert_eq!(end.view.steps[0].attempts, 4);
}

#[test]
pub fn a_read_is_repeated_until_a_condition_holds() {
    let steps = r#"
steps:
  - id: look
    toy.read: {thing: pond}
    retry: {attempts: 5, delay: 1s, until: result.value == 4}
"#;
    let unread = ("look", Phase::Look, 2, Trouble::Clean);
    let (_, end) = run(steps, "open", &[unread, ("look", Phase::Look, 4, Trouble::Outsider(4))]);
    assert_eq!(end.status, RunStatus::Succeeded);
    assert_eq!(end.view.steps[0].attempts, 4);
}

#[test]
pub fn a_change_is_tried_again_only_when_nothing_of_it_stands() {
    let steps = r#"
steps:
  - id: limit
    toy.set: {thing: limit, to: 7}
    retry: {attempts: 2, delay: 1s}
"#;
    for (trouble, again) in [
        (Trouble::Clean, true),
        (Trouble::Nothing, true),
        (Trouble::LostBefore, true),
        (Trouble::Half, false),
        (Trouble::Lost, false),
    ] {
        let (stage, end) = run(steps, "open", &[("limit", Phase::Apply, 1, trouble)]);
        let expected = if again { RunStatus::Succeeded } else { RunStatus::RolledBack };
        assert_eq!(end.status, expected);
        assert_eq!(count(&stage, "attempt.started"), if again { 2 } else { 1 });
    }
    // What was found after the first attempt is no proof about the second.
    let (stage, end) = run(
        steps,
        "open",
        &[
            ("limit", Phase::Apply, 1, Trouble::Nothing),
            ("limit", Phase::Apply, 2, Trouble::Nothing),
        ],
    );
    assert_eq!(end.status, RunStatus::Failed);
    assert_eq!(count(&stage, "state.captured"), 2);
    assert!(stage.undone().is_empty());
}

#[test]
pub fn a_change_that_cannot_be_prepared_is_tried_so_often_and_no_more() {
    let steps = r#"
steps:
  - id: limit
    toy.set: {thing: limit, to: 7}
    retry: {attempts: 3, delay: 1s}
"#;
    let (stage, end) = run(steps, "open", &[("limit", Phase::Look, 0, Trouble::Clean)]);
    assert_eq!(end.status, RunStatus::Failed);
    assert_eq!(count(&stage, "retry.scheduled"), 2);
    let (stage, end) = run(steps, "open", &[("limit", Phase::Look, 1, Trouble::Clean)]);
    assert_eq!(end.status, RunStatus::Succeeded);
    assert_eq!(count(&stage, "retry.scheduled"), 1);
}

#[test]
pub fn conditions_leave_steps_out() {
    let steps = r#"
steps:
  - {id: look, toy.read: {thing: pond}}
  - {id: out, when: steps.look.value > 0, toy.set: {thing: a, to: 1}}
  - {id: done, when: steps.look.value == 0, toy.set: {thing: b, to: 1}}
  - id: group
    when: steps.look.value > 0
    steps:
      - {id: inner, toy.set: {thing: c, to: 1}}
  - {id: each, when: "false", foreach: {in: [1, 2]}, toy.set: {thing: "d{{ item }}", to: 1}}
"#;
    let (stage, end) = run(steps, "open", &[]);
    assert_eq!(end.status, RunStatus::Succeeded);
    for skipped in ["out", "group", "each"] {
        assert_eq!(status(&end, skipped), StepStatus::Skipped, "{skipped}");
    }
    let ledger = stage.world.state().ledger;
    assert_eq!(ledger.iter().map(|e| e.thing.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
pub fn a_result_that_is_not_there_fails_the_step_that_needs_it() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: look, when: "false", toy.read: {thing: pond}}
  - {id: use, when: steps.look.value > 0, toy.set: {thing: b, to: 1}}
"#;
    let (stage, end) = run(steps, "open", &[]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["first"]);
    let error = end.view.step(&NodeId::new("use")).unwrap().error.clone().unwrap();
    assert!(error.message.contains("skipped"), "{error:?}");
}

#[test]
pub fn items_come_from_a_list_or_from_a_result() {
    let steps = r#"
steps:
  - id: list
    toy.read: {thing: pond}
    outputs: {names: "['x', 'y']", none: "[]"}
  - {id: each, foreach: {in: steps.list.names, as: name}, toy.set: {thing: "t{{ name }}", to: 2}}
  - {id: never, foreach: {in: steps.list.none}, toy.set: {thing: "n{{ item }}", to: 2}}
  - id: nested
    foreach: {in: [1, 2], as: outer}
    steps:
      - id: pair
        foreach: {in: [3, 4], as: inner}
        toy.set: {thing: "p{{ outer }}{{ inner }}", to: "{{ outer * 10 + inner }}"}
  - id: sum
    check: true
    expect:
      - steps.each.items | length == 2
      - steps.never.items | length == 0
      - steps.each.items[1].changed
"#;
    let (stage, end) = run(steps, "guarded", &[]);
    assert_eq!(end.status, RunStatus::Succeeded, "{:?}", end.view.message);
    assert_eq!(stage.world.thing("p24"), Thing::both(24));
    assert_eq!(stage.world.state().ledger.len(), 6);
    assert_eq!(status(&end, "pair[1][0]"), StepStatus::Succeeded);
    let (stage, end) = run(steps, "open", &[("pair[1][0]", Phase::Apply, 1, Trouble::Half)]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["pair[1][0]", "pair[0][1]", "pair[0][0]", "each[1]", "each[0]"]);
}

#[test]
pub fn a_failure_that_may_be_ignored_is_noted_and_ignored() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: shaky, on_error: continue, toy.set: {thing: b, to: 1}}
  - {id: each, on_error: continue, foreach: {in: [1, 2, 3]}, toy.set: {thing: "c{{ item }}", to: 1}}
  - id: group
    on_error: continue
    steps:
      - {id: inner, toy.set: {thing: d, to: 1}}
      - {id: after, toy.set: {thing: e, to: 1}}
  - {id: last, toy.set: {thing: f, to: 1}}
"#;
    let clean = |step| (step, Phase::Apply, 1, Trouble::Clean);
    let (stage, end) = run(steps, "open", &[clean("shaky"), clean("each[1]"), clean("inner")]);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Succeeded, 0), "{:?}", end.view.message);
    let made: Vec<_> = stage.world.state().ledger.iter().map(|e| e.node.to_string()).collect();
    assert_eq!(made, ["first", "each[0]", "each[2]", "last"]);
    for failed in ["shaky", "each[1]", "inner"] {
        assert_eq!(status(&end, failed), StepStatus::Failed);
    }
    assert_eq!(status(&end, "after"), StepStatus::Pending);
    // It is taken back with the rest, where something of it stands.
    let troubles = [("shaky", Phase::Apply, 1, Trouble::Half), clean("last")];
    let (stage, end) = run(steps, "open", &troubles);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert!(stage.undone().contains(&"shaky".to_owned()));
}

#[test]
pub fn a_failure_may_stop_the_run_where_it_is() {
    for steps in [
        r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: second, on_error: stop, toy.set: {thing: b, to: 1}}
"#,
        r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - id: group
    on_error: stop
    steps:
      - {id: second, toy.set: {thing: b, to: 1}}
"#,
    ] {
        let (stage, end) = run(steps, "open", &[("second", Phase::Apply, 1, Trouble::Clean)]);
        assert_eq!((end.status, end.exit as u8), (RunStatus::Failed, 3));
        assert!(stage.undone().is_empty());
        assert_eq!(stage.residues(), ["first"]);
    }
}

#[test]
fn expectations_fail_or_only_warn() {
    let steps = r#"
steps:
  - id: limit
    toy.set: {thing: limit, to: 7}
    expect:
      - {that: after.value == 8, severity: warn, message: "it is {{ after.value }}"}
      - before.value == 0
    outputs: {was: before.value, now: after.value}
  - id: look
    toy.read: {thing: limit}
    expect: {that: result.value == steps.limit.now + 1, message: not yet}
"#;
    let (stage, end) = run(steps, "open", &[]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["limit"]);
    let step = |id: &str| end.view.step(&NodeId::new(id)).unwrap().clone();
    assert_eq!(step("limit").findings, ["it is 7"]);
    assert_eq!(step("look").error.unwrap().message, "not yet");
    let wrong = r#"
steps:
  - {id: limit, toy.set: {thing: limit, to: 7}, expect: after.value == 8}
"#;
    let (stage, end) = run(wrong, "open", &[]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["limit"]);
    assert_eq!(end.view.steps[0].error.as_ref().unwrap().world, runward::model::World::Partial);
}

#[test]
pub fn an_output_that_fails_does_not_hide_the_change() {
    let steps = r#"
steps:
  - {id: limit, toy.set: {thing: limit, to: 7}, outputs: {half: "after.value / 0"}}
"#;
    let (stage, end) = run(steps, "open", &[]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["limit"]);
    assert_eq!(end.view.steps[0].error.as_ref().unwrap().world, runward::model::World::Partial);
}

/// A change, and what is done after it.
const ENDS: &str = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: second, toy.set: {thing: b, to: 1}}
on_failure:
  - {id: tell, toy.do: {thing: free_told, add: 1}}
  - {id: tell2, note: "{{ run.status }} after {{ run.failed_step }}"}
finally:
  - {id: tidy, toy.do: {thing: free_tidied, add: 1}}
  - {id: tidy2, note: "{{ run.status }}"}
"#;

#[test]
pub fn what_is_done_at_the_end_is_always_done() {
    let note = |end: &End, id: &str| end.view.step(&NodeId::new(id)).unwrap().note.clone();
    let (stage, end) = run(ENDS, "open", &[]);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Succeeded, 0));
    assert_eq!(
        (stage.world.thing("free_told").value, stage.world.thing("free_tidied").value),
        (0, 1)
    );
    assert_eq!((note(&end, "tell2"), note(&end, "tidy2")), (None, Some("succeeded".into())));

    let (stage, end) = run(ENDS, "open", &[("second", Phase::Apply, 1, Trouble::Half)]);
    assert_eq!(
        (stage.world.thing("free_told").value, stage.world.thing("free_tidied").value),
        (1, 1)
    );
    assert_eq!(stage.undone(), ["second", "first"]);
    assert_eq!(note(&end, "tell2"), Some("rolled\\_back after second".into()));
    assert_eq!(note(&end, "tidy2"), Some("rolled\\_back".into()));
    // What is done at the end is meant to stay.
    assert_eq!(end.status, RunStatus::RolledBack);

    let clean = |step| (step, Phase::Apply, 1, Trouble::Clean);
    let (stage, end) = run(ENDS, "open", &[clean("second"), clean("tell"), clean("tidy")]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["first"]);
    assert_eq!(note(&end, "tidy2"), Some("rolled\\_back".into()));
}

#[test]
pub fn a_failure_at_the_very_end_takes_nothing_back() {
    let (stage, end) = run(ENDS, "open", &[("tidy", Phase::Apply, 1, Trouble::Clean)]);
    // The changes stand, as they should; the run has failed, and somebody looks.
    assert_eq!((end.status, end.exit as u8), (RunStatus::Failed, 3));
    assert!(stage.undone().is_empty());
    assert_eq!(stage.residues(), ["first", "second"]);
}

#[test]
pub fn a_person_confirms_or_does_not() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}, outputs: {now: after.value}}
  - id: ask
    manual:
      instructions: "is {{ steps.first.now }} right?"
      fields: {seen: {type: integer}}
    expect: result.seen == 3
    outputs: {seen: result.seen}
  - {id: second, toy.set: {thing: b, to: "{{ steps.ask.seen }}"}}
"#;
    let (stage, end) = run(steps, "open", &[]);
    assert_eq!(end.status, RunStatus::Succeeded);
    assert_eq!(stage.world.thing("b"), Thing::both(3));
    on_one_thread(async {
        let mut stage = Stage::new(steps, "open");
        let mut deny = |_: &Stage, run: &Run, question: &Question| {
            let Question::Answer(node) = question else { panic!("{question:?}") };
            assert_eq!(
                run.view(begin()).step(node).unwrap().question.as_deref(),
                Some("is 1 right?")
            );
            let (node, by) = (node.clone(), "ana".into());
            vec![Message::Answer { node, fields: Default::default(), by, confirmed: false }]
        };
        let end = stage.run(&mut deny).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), ["first"]);

        let mut stage = Stage::new(steps, "open");
        let end = stage.run(&mut Nobody::default()).await;
        assert_eq!((end.status, end.exit as u8), (RunStatus::Waiting, 4));
        assert_eq!(status(&end, "ask"), StepStatus::Waiting);
    });
}

#[test]
pub fn a_run_may_end_early() {
    let steps = |stop: &str| {
        format!(
            "
steps:
  - {{id: first, toy.set: {{thing: a, to: 1}}}}
  - {{id: end, {stop}}}
  - {{id: second, toy.set: {{thing: b, to: 1}}}}
finally:
  - {{id: tidy, note: done}}
"
        )
    };
    let (stage, end) = run(&steps("stop: {outcome: succeeded, message: enough}"), "open", &[]);
    assert_eq!((end.status, end.view.message.as_deref()), (RunStatus::Succeeded, Some("enough")));
    assert_eq!(stage.world.state().ledger.len(), 1);
    assert_eq!(status(&end, "tidy"), StepStatus::Succeeded);
    for more in ["", ", on_error: continue"] {
        let stop = format!("stop: {{outcome: failed, message: not today}}{more}");
        let (stage, end) = run(&steps(&stop), "open", &[]);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1), "{more}");
        assert_eq!(stage.undone(), ["first"]);
        assert_eq!(status(&end, "tidy"), StepStatus::Succeeded);
    }
}

#[test]
pub fn what_has_nothing_to_undo_is_not_called_undone() {
    let steps = r#"
steps:
  - id: free
    change:
      apply: {toy.do: {thing: free, add: 1}}
      no_rollback: it only warms a cache
  - {id: last, toy.set: {thing: b, to: 1}}
"#;
    let (stage, end) = run(steps, "open", &[("last", Phase::Apply, 1, Trouble::Clean)]);
    assert_eq!((end.status, end.exit as u8), (RunStatus::Failed, 1));
    assert!(!end.view.message.unwrap().contains("proved"));
    assert_eq!(stage.world.thing("free").value, 1);
}

#[test]
pub fn what_cannot_be_undone_is_named() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: plain, toy.do: {thing: p, add: 1}}
  - id: gone
    change:
      apply: {toy.do: {thing: g, add: 1}}
      irreversible: the mail is sent
  - {id: last, toy.set: {thing: b, to: 1}}
"#;
    let (stage, end) = run(steps, "open", &[("last", Phase::Apply, 1, Trouble::Clean)]);
    assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
    assert_eq!(stage.undone(), ["first"]);
    let remaining: Vec<_> = end.run.remaining().iter().map(ToString::to_string).collect();
    assert_eq!(remaining, ["plain", "gone"]);
}

#[test]
pub fn what_failed_and_cannot_be_undone_is_named_too() {
    let steps = |more: &str| {
        format!(
            "
steps:
  - {{id: first, toy.set: {{thing: a, to: 1}}}}
  - {{id: gone, {more}, change: {{apply: {{toy.do: {{thing: g, add: 1}}}}, irreversible: sent}}}}
"
        )
    };
    let half = [("gone", Phase::Apply, 1, Trouble::Half)];
    for (more, troubles) in [("expect: 1 == 2", &[][..]), ("timeout: 1m", &half)] {
        let (stage, end) = run(&steps(more), "open", troubles);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RollbackIncomplete, 3));
        assert_eq!((stage.undone(), stage.residues()), (vec!["first".into()], vec!["gone".into()]));
        let free =
            steps(more).replace("irreversible", "no_rollback").replace("thing: g", "thing: free");
        let (stage, end) = run(&free, "open", troubles);
        assert_eq!((end.status, end.exit as u8), (RunStatus::RolledBack, 1));
        assert_eq!(stage.undone(), ["first"]);
    }
}

#[test]
pub fn a_plan_changes_nothing_and_says_what_it_cannot_know() {
    let steps = r#"
steps:
  - {id: look, toy.read: {thing: pond}, expect: result.value == 0}
  - id: limit
    toy.set: {thing: limit, to: 7}
    expect: after.value == 7
    outputs: {now: after.value}
  - {id: use, when: steps.limit.now == 7, toy.set: {thing: a, to: 1}}
  - {id: arg, toy.set: {thing: b, to: "{{ steps.limit.now }}"}}
  - {id: reads, toy.read: {thing: "r{{ steps.limit.now }}"}}
  - {id: each, foreach: {in: "[steps.limit.now]"}, toy.set: {thing: "c{{ item }}", to: 1}}
  - {id: again, toy.read: {thing: limit}, expect: result.value == 7}
  - {id: ask, manual: sure?}
  - {id: last, toy.set: {thing: d, to: 1}}
"#;
    for environment in ["open", "paired"] {
        on_one_thread(async {
            let mut stage = Stage::planned(steps, environment);
            let end = stage.run(&mut Nobody::default()).await;
            stage.assert_true(&end);
            assert_eq!(
                (end.status, end.exit as u8),
                (RunStatus::Succeeded, 0),
                "{:?}",
                end.view.message
            );
            assert!(stage.world.state().ledger.is_empty());
            let known = |id: &str| end.view.step(&NodeId::new(id)).unwrap().reason.is_none();
            for id in ["look", "limit", "last"] {
                assert!(known(id), "{id}");
            }
            for id in ["use", "arg", "reads", "each", "again", "ask"] {
                assert!(!known(id), "{id}");
            }
            let preview = end.view.step(&NodeId::new("limit")).unwrap().preview.clone().unwrap();
            assert_eq!(preview.0.len(), 2);
            assert_eq!(count(&stage, "attempt.started"), 0);
        });
    }
    // What fails before any change is made fails the plan.
    on_one_thread(async {
        let mut stage = Stage::planned(&steps.replacen("== 0}", "== 1}", 1), "open");
        let end = stage.run(&mut Nobody::default()).await;
        assert_eq!(end.status, RunStatus::Failed);
    });
}

#[test]
pub fn a_run_that_takes_too_long_goes_back() {
    let steps = format!("timeout: 1m{FOUR}");
    let slow = Trouble::Meanwhile(Arc::new(|| ()), Duration::from_secs(90));
    let (stage, end) = run(&steps, "open", &[("tell", Phase::Apply, 1, slow)]);
    assert_eq!(end.exit as u8, 1);
    assert_eq!(stage.undone(), ["tell", "limit"]);
    assert!(end.view.message.unwrap().contains("timeout"));
    // Waiting for people does not count.
    on_one_thread(async {
        let mut stage = Stage::new(&steps, "guarded");
        let mut slow = Honest::default();
        let mut people = |stage: &Stage, run: &Run, question: &Question| {
            stage.clock.pass(Duration::from_secs(120));
            crate::people::People::asked(&mut slow, stage, run, question)
        };
        let end = stage.run(&mut people).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::Succeeded);
    });
}

#[test]
pub fn what_does_not_end_is_given_up() {
    let steps = r#"
steps:
  - {id: first, toy.set: {thing: a, to: 1}}
  - {id: look, toy.read: {thing: pond}, timeout: 30s}
  - {id: second, toy.set: {thing: b, to: 1}, timeout: 30s}
"#;
    let (stage, end) = run(steps, "open", &[("look", Phase::Look, 1, Trouble::Hang)]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(stage.undone(), ["first"]);
    // A change that is given up is in doubt.
    let (stage, end) = run(steps, "open", &[("second", Phase::Apply, 1, Trouble::Hang)]);
    assert_eq!(end.status, RunStatus::RolledBack);
    assert_eq!(count(&stage, "attempt.in_doubt"), 1);
    assert_eq!(stage.undone(), ["first"]);
}

#[test]
pub fn an_action_that_panics_leaves_a_doubt() {
    on_one_thread(async {
        let mut stage = Stage::new(FOUR, "open");
        stage.world.trouble("tell", Phase::Apply, 1, Trouble::Panic);
        let end = stage.run(&mut Honest::default()).await;
        stage.world.assert_fired();
        assert_eq!((end.status, end.exit as u8), (RunStatus::InDoubt, 3));
        let runner = stage.resume().await;
        let end = stage.go_on(runner, &mut Honest::default()).await;
        stage.assert_true(&end);
        assert_eq!(end.status, RunStatus::RolledBack);
        assert_eq!(stage.undone(), ["limit"]);
    });
}
