//! The language, seen from outside: files in `tests/language`, and what is said of them.
//!
//! `ok/*.yaml` are clean. `err/*.yaml` and `warn/*.yaml` stand beside a `.err` file with exactly
//! what is drawn for them. `project/` holds project files likewise, `environments/` runbooks that
//! are checked against the project file there. `RUNWARD_UPDATE=1` writes the `.err` files anew.

// A test that can't go on panics, and says why; so do the functions that tests share.
#![allow(clippy::unwrap_used)]

#[path = "language/catalogue.rs"]
mod catalogue;
#[path = "language/hostile.rs"]
mod hostile;
#[path = "language/pages.rs"]
mod pages;

use std::{
    fs,
    path::{Path, PathBuf},
};

use runward::{
    base::Value,
    diagnostics::{Diagnostic, has_errors, render},
    language::{self, Given, Loaded},
    model::{Effect, runbook::Body},
    project,
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language").join(name)
}

/// The YAML files of a folder, in order.
fn cases(name: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no cases in {name}");
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn load(path: &Path) -> Loaded {
    let folder = path.parent().unwrap().to_owned();
    let files = move |name: &str| fs::read_to_string(folder.join(name)).map_err(|e| e.to_string());
    let text = fs::read_to_string(path).unwrap();
    language::load(&file_name(path), &text, &catalogue::catalogue(), &files)
}

fn load_project(path: &Path) -> (Option<runward::model::project::Project>, Vec<Diagnostic>) {
    project::load(&file_name(path), "/project".into(), &fs::read_to_string(path).unwrap())
}

fn drawn(diagnostics: &[Diagnostic]) -> String {
    let mut text: String = diagnostics.iter().map(|d| render::human(d, false) + "\n\n").collect();
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Compares with the file beside the case, or writes it.
fn compare(path: &Path, diagnostics: &[Diagnostic], failures: &mut Vec<String>) {
    let expected = path.with_extension("err");
    let found = drawn(diagnostics);
    if std::env::var_os("RUNWARD_UPDATE").is_some() {
        fs::write(expected, found).unwrap();
        return;
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    if found != wanted {
        failures.push(format!("{}: wanted\n{wanted}\nfound\n{found}", file_name(path)));
    }
}

fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{} cases differ\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn clean_runbooks_are_read_without_a_word() {
    for path in cases("ok") {
        let loaded = load(&path);
        assert!(loaded.diagnostics.is_empty(), "{}", drawn(&loaded.diagnostics));
        assert!(loaded.runbook.is_some(), "{}", path.display());
    }
}

#[test]
fn wrong_runbooks_are_refused_with_these_words() {
    let mut failures = Vec::new();
    for path in cases("err") {
        let loaded = load(&path);
        assert!(has_errors(&loaded.diagnostics), "{}", path.display());
        assert!(loaded.runbook.is_none(), "{}", path.display());
        compare(&path, &loaded.diagnostics, &mut failures);
    }
    report(&failures);
}

#[test]
fn doubtful_runbooks_are_read_with_these_words() {
    let mut failures = Vec::new();
    for path in cases("warn") {
        let loaded = load(&path);
        assert!(!has_errors(&loaded.diagnostics), "{}", drawn(&loaded.diagnostics));
        assert!(loaded.runbook.is_some() && !loaded.diagnostics.is_empty(), "{}", path.display());
        compare(&path, &loaded.diagnostics, &mut failures);
    }
    report(&failures);
}

#[test]
fn project_files_are_refused_with_these_words() {
    let mut failures = Vec::new();
    for path in cases("project") {
        let (project, diagnostics) = load_project(&path);
        assert_eq!(project.is_some(), !has_errors(&diagnostics), "{}", path.display());
        assert!(!diagnostics.is_empty(), "{}", path.display());
        compare(&path, &diagnostics, &mut failures);
    }
    report(&failures);
}

#[test]
fn a_secret_in_a_project_file_is_never_drawn() {
    let (_, diagnostics) = load_project(&folder("project/secrets_in_clear.yaml"));
    let drawn = drawn(&diagnostics);
    assert!(drawn.contains("RW0505"), "{drawn}");
    assert!(!drawn.to_lowercase().contains("hunter2"), "{drawn}");
}

#[test]
fn runbooks_are_held_against_the_project() {
    let mut failures = Vec::new();
    let (project, faults) = load_project(&folder("environments/runward.yaml"));
    assert!(faults.is_empty(), "{}", drawn(&faults));
    let project = project.unwrap();
    for path in cases("environments").into_iter().filter(|p| !p.ends_with("runward.yaml")) {
        let runbook = load(&path).runbook.unwrap();
        let found = language::check_in_project(&runbook, &project, &catalogue::catalogue());
        compare(&path, &found, &mut failures);
    }
    report(&failures);
}

#[test]
fn one_file_with_six_mistakes_tells_all_six() {
    let loaded = load(&folder("err/six_mistakes.yaml"));
    let mut codes: Vec<_> = loaded.diagnostics.iter().map(|d| d.code.as_str()).collect();
    let places: Vec<_> =
        loaded.diagnostics.iter().map(|d| d.place.as_ref().unwrap().start().0).collect();
    assert!(places.is_sorted(), "{places:?}");
    codes.sort_unstable();
    assert_eq!(codes, ["RW0201", "RW0203", "RW0205", "RW0302", "RW0401", "RW0407"]);
}

#[test]
fn the_tree_says_what_was_written() {
    let runbook = load(&folder("ok/raise_limit.yaml")).runbook.unwrap();
    assert_eq!(runbook.name, "Raise the capture retry limit");
    let ids: Vec<_> = runbook.all_steps().iter().map(|s| s.id.clone()).collect();
    assert_eq!(ids, ["stuck", "gateway", "limit", "workers", "tell", "note"]);
    let effect = |index: usize| match &runbook.steps[index].body {
        Body::Action(call) => call.effect,
        Body::Change(change) => change.apply.effect,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [effect(0), effect(1), effect(2), effect(3)],
        [Effect::Read, Effect::Read, Effect::Reversible, Effect::Change]
    );
    let retry = runbook.steps[1].retry.as_ref().unwrap();
    assert_eq!((retry.attempts, retry.delay.as_secs(), retry.backoff), (5, 2, 2.0));
    assert_eq!(runbook.steps[3].foreach.as_ref().unwrap().name, "host");
}

#[test]
fn the_digest_covers_every_file() {
    let text = "version: 1\nname: x\nsteps:\n  - {id: a, lua: {file: a.lua}}\n";
    let load = |path: &str, script: &'static str| {
        let files = move |_: &str| Ok(script.to_owned());
        language::load(path, text, &catalogue::catalogue(), &files).runbook.unwrap()
    };
    let one = load("runbooks/x.yaml", "return 1");
    assert_eq!(one.files.len(), 2);
    assert_eq!(one.files[1].path, "runbooks/a.lua");
    assert_ne!(one.digest, load("runbooks/x.yaml", "return 2").digest);
    assert_eq!(one.digest, load("x.yaml", "return 1").digest, "the folder does not count");
}

#[test]
fn inputs_are_converted_and_every_fault_is_told() {
    let runbook = load(&folder("ok/inputs.yaml")).runbook.unwrap();
    let text = |name: &str, value: &str| (name.to_owned(), Given::Text(value.to_owned()));
    let good = [
        text("count", "7"),
        text("amount", "10.50"),
        text("note", "two\nlines"),
        text("hosts", "[a, b]"),
        text("day", "2026-01-31"),
        text("token", "abc"),
    ];
    let values = language::inputs(&runbook, &good).unwrap();
    assert!(matches!(values["count"], Value::Int(7)));
    assert_eq!(values["amount"].to_string(), "10.50");
    assert_eq!(values["note"].as_text(), Some("two\nlines"));
    assert_eq!(values["hosts"].as_list().map(<[Value]>::len), Some(2));
    assert!(matches!(values["wait"], Value::Text(ref t) if t == "30s"));
    assert!(matches!(values["optional"], Value::Null));

    let bad = [
        text("count", "5.5"),
        text("amount", "1e9"),
        text("cuont", "5"),
        text("day", "yesterday"),
        text("hosts", "[a"),
        text("token", "s3cret token"),
        text("wait", "9m"),
        text("wait", "2m"),
    ];
    let faults = language::inputs(&runbook, &bad).unwrap_err();
    let mut said: Vec<_> = faults.iter().map(|f| f.message.as_str()).collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            "the input `amount` must be a decimal such as `12.50`, but is `1e9`",
            "the input `count` must be a whole number, but is `5.5`",
            "the input `day` must be a date such as `2026-01-31`, but is `yesterday`",
            "the input `hosts` must be YAML or JSON: `[` is never closed",
            "the input `note` (string) is missing: Why it is done",
            "the input `token` is not of the form `[a-z]+`",
            "the input `wait` is `9m`, more than the maximum 5m",
            "the input `wait` is given twice",
            "there is no input `cuont`",
        ]
    );
    assert!(!drawn(&faults).contains("s3cret"), "{}", drawn(&faults));
}

#[test]
fn a_file_of_inputs_is_data() {
    let text = "count: 3\namount: 0.10\nnote: \"{{ not a template }}\"\n";
    let given = language::given_from_yaml("inputs.yaml", text).unwrap();
    assert_eq!(given.len(), 3);
    assert!(matches!(&given[2].1, Given::Value(Value::Text(t)) if t == "{{ not a template }}"));
    let faults = language::given_from_yaml("inputs.yaml", "count: no\n").unwrap_err();
    assert_eq!(faults[0].code.as_str(), "RW0205");
}
