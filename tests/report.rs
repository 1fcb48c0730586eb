//! Whole outputs, compared with the files of `tests/report`. `RUNWARD_UPDATE=1` writes them anew;
//! read what changed before it is committed.

// A test that can't go on panics, and says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "report/build.rs"]
mod build;
#[path = "report/cases.rs"]
mod cases;
#[path = "report/hostile.rs"]
mod hostile;

use std::{fs, path::PathBuf};

use build::Story;
use runward::{
    base::{NodeId, Value},
    diagnostics::codes,
    model::{Fault, World, event::StepStatus, view::StepView},
    report::{Need, Style, lines, markdown::markdown, plan::plan, show::show, waiting},
};

/// Compares with a file, or writes it.
fn same(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/report").join(name);
    if std::env::var_os("RUNWARD_UPDATE").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; RUNWARD_UPDATE=1 writes it", path.display()));
    if text != expected {
        let diff = similar::TextDiff::from_lines(expected.as_str(), text);
        panic!("{name} differs; RUNWARD_UPDATE=1 writes it anew\n{}", diff.unified_diff());
    }
}

fn whole(name: &str, story: &Story) {
    same(&format!("{name}.md"), &markdown(&story.view, &story.events));
    same(&format!("{name}.txt"), &show(&story.view, &Style::PLAIN));
}

#[test]
fn a_success_with_approval() {
    whole("succeeded", &cases::succeeded());
}

#[test]
fn a_failure_that_was_put_back() {
    whole("rolled_back", &cases::rolled_back());
}

#[test]
fn a_rollback_that_is_incomplete() {
    whole("rollback_incomplete", &cases::rollback_incomplete());
}

#[test]
fn an_outcome_that_nobody_knows() {
    let story = cases::in_doubt();
    whole("in_doubt", &story);
    let text = markdown(&story.view, &story.events);
    assert!(!text.contains("changes were made") && !text.contains("No change"), "{text}");
}

#[test]
fn a_run_that_waits_for_approval() {
    let story = cases::waiting_for_approval();
    whole("waiting", &story);
    let lines = lines::waiting_lines(&story.view, &Style::PLAIN);
    assert_eq!(lines.last().unwrap(), "  runward approve 0198f9a2-1111");
}

#[test]
fn a_plan() {
    let story = cases::planned();
    let environment = build::environment();
    same("plan.txt", &plan(&story.view, &environment, &Style::PLAIN));
    same("plan.md", &markdown(&story.view, &story.events));
}

#[test]
fn several_requests_are_told_apart_by_their_step() {
    let mut story = cases::waiting_for_approval();
    let mut other = story.view.steps[1].clone();
    other.node = NodeId::new("workers").with_item(1);
    story.view.steps.push(other);
    let commands: Vec<_> =
        waiting(&story.view).into_iter().flat_map(|w| w.commands).map(|(c, _)| c).collect();
    // Brackets would be a pattern to the shell.
    assert_eq!(
        commands,
        ["runward approve 0198f9a2-1111/limit", "runward approve '0198f9a2-1111/workers[1]'"]
    );
}

#[test]
fn a_request_with_enough_approvals_waits_for_nobody() {
    let mut story = cases::waiting_for_approval();
    let digest = story.view.steps[1].request.as_ref().unwrap().digest.clone();
    story.view.steps[1].approvals = vec![
        build::approval("bruno@example.com", 70, &digest),
        build::approval("bruno@example.com", 75, &digest),
    ];
    assert_eq!(waiting(&story.view).len(), 1, "one person counts once");
    story.view.steps[1].approvals.push(build::approval("carla@example.com", 80, &digest));
    assert_eq!(waiting(&story.view).len(), 0);
}

#[test]
fn a_request_that_cannot_be_read_is_shown_all_the_same() {
    let mut story = cases::waiting_for_approval();
    story.view.steps[1].request.as_mut().unwrap().bytes = "{".to_owned();
    let text = lines::waiting_lines(&story.view, &Style::PLAIN).join("\n");
    assert!(text.contains("needs    2 people known to the project"), "{text}");
}

#[test]
fn a_manual_step_waits_for_an_answer() {
    let story = cases::waiting_for_answer();
    assert_eq!(waiting(&story.view)[0].need, Need::Answer);
    same("answer.txt", &show(&story.view, &Style::PLAIN));
}

#[test]
fn a_finished_run_waits_for_nobody() {
    let mut story = cases::in_doubt();
    assert!(!waiting(&story.view).is_empty());
    story.view.finished_at = Some(build::at(500));
    assert!(waiting(&story.view).is_empty());
}

#[test]
fn colours_change_no_words() {
    let codes = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    for story in [cases::rolled_back(), cases::in_doubt(), cases::succeeded()] {
        let coloured = show(&story.view, &Style { colour: true });
        assert!(coloured.contains("\u{1b}["));
        assert_eq!(codes.replace_all(&coloured, ""), show(&story.view, &Style::PLAIN));
    }
}

#[test]
fn a_live_line_says_what_the_mark_does_not() {
    let story = cases::rolled_back();
    let line = |id: &str| {
        let node = NodeId::parse(id).unwrap();
        lines::step_line(story.view.step(&node).unwrap(), &Style::PLAIN)
    };
    assert_eq!(line("stuck"), "✓ stuck        How many captures are stuck                340ms");
    assert!(line("limit").ends_with("rolled back"), "{}", line("limit"));
    let failed = line("workers[1]");
    assert!(failed.contains("\n    RW0708 expected"), "{failed}");
}

#[test]
fn a_failed_change_says_what_it_left() {
    let mut step = build::step("limit", "Raise the limit", "sql.update", Some("change"));
    step.status = StepStatus::Failed;
    step.error = Some(Fault::untouched(codes::RW0706, "3 rows match, but `rows` allows 1"));
    let line = |step: &StepView| lines::step_line(step, &Style::PLAIN);
    assert_eq!(
        line(&step),
        "✗ limit        Raise the limit                                   failed\n    \
         RW0706 3 rows match, but `rows` allows 1\n      nothing was changed by this step"
    );
    step.error = step.error.map(|fault| fault.world(World::Partial));
    assert!(line(&step).ends_with("part of its effect may stand"), "{}", line(&step));
    // Here the fault alone would not be believed.
    step.error = step.error.map(|fault| fault.world(World::Untouched));
    step.after = Some(Value::Null);
    assert!(!line(&step).contains("nothing was changed"), "{}", line(&step));
}
