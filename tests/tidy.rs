//! The rules of the repository, as tests. Each says why it exists and how to mend a break of it.
//!
//! Looks at files only. An exception to a rule stands in this file, with its reason; one that is
//! no longer needed fails, so that the lists only ever shrink.

// A test that can't go on panics, and says why.
#![allow(clippy::expect_used)]

#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;

use source::{File, code, files, functions, line_of, root, rust, words};

/// Who may import whom: the table of docs/ARCHITECTURE.md. A layer knows those named with it, and
/// nothing else of the crate, so that what is pure stays testable without a world, and an adapter
/// can be replaced without a search.
const LAYERS: &[(&str, &[&[&str]])] = &[
    ("base", &[]),
    ("diagnostics", &[&["base"]]),
    ("expression", &[&["base", "diagnostics"]]),
    ("model", &[&["base", "diagnostics", "expression"]]),
    ("yaml", &[MODEL]),
    ("language", &[MODEL, &["yaml"]]),
    ("project", &[MODEL, &["yaml", "language"]]),
    ("engine", &[MODEL]),
    ("sql", &[MODEL]),
    ("ports", &[MODEL]),
    ("transports", &[PORTS, &["sql"]]),
    ("actions", &[PORTS, &["sql", "lua"]]),
    ("lua", &[PORTS]),
    ("approvals", &[PORTS]),
    ("store", &[PORTS]),
    ("secrets", &[PORTS]),
    ("report", &[MODEL]),
    ("driver", &[PORTS, &["language", "project", "engine"]]),
    ("cli", &[PORTS, PURE, ADAPTERS]),
];
const MODEL: &[&str] = &["base", "diagnostics", "expression", "model"];
const PORTS: &[&str] = &["base", "diagnostics", "expression", "model", "ports"];
const ADAPTERS: &[&str] =
    &["actions", "transports", "lua", "approvals", "store", "secrets", "report", "driver"];

/// The layers that decide and never act.
const PURE: &[&str] =
    &["base", "diagnostics", "expression", "model", "yaml", "language", "project", "engine", "sql"];

/// Files that break a layer rule for a reason: path, path that is imported, why.
const LAYER_EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Folders in which each file (or folder) stands alone: path below `src`, and the modules on which
/// several of the others stand. Those are no action, no store and no page by themselves, and know
/// none.
const SIBLINGS: &[(&str, &[&str])] = &[
    ("actions", &["commands"]),
    ("store", &["chain", "files", "schema"]),
    ("secrets", &[]),
    ("report", &["fate", "lines", "need", "style", "words"]),
    ("language/checks", &[]),
];

/// Words that a layer must not contain: where, word, what to write instead.
const BANNED: &[(&[&str], &str, &str)] = &[
    (PURE, "SystemTime::now", "take the time as an argument (`Timestamp`)"),
    (PURE, "Instant::now", "take the time as an argument (`Timestamp`)"),
    (PURE, "Timestamp::now", "take the time as an argument"),
    (PURE, "Zoned::now", "take the time as an argument"),
    (PURE, "std::env", "take the value as an argument; `cli` reads the environment"),
    (PURE, "std::fs", "take the text as an argument (`Source`); `cli` reads files"),
    (PURE, "std::process", "leave it to an action"),
    (PURE, "std::thread", "leave it to the driver"),
    (PURE, "tokio::", "return what is to be done; the driver does it"),
    (PURE, "rand::", "take ids and random bytes from `ports`"),
    (PURE, "tracing::", "return an event or a diagnostic; pure layers have nothing to log"),
];

/// Words that no layer must contain but those named: word, where it may stand, what instead.
const BANNED_OUTSIDE: &[(&str, &[&str], &str)] = &[
    ("println!", &["cli"], "return text; only `cli` talks to people"),
    ("eprintln!", &["cli"], "return text; only `cli` talks to people"),
    ("print!", &["cli"], "return text; only `cli` talks to people"),
    ("eprint!", &["cli"], "return text; only `cli` talks to people"),
    (".unwrap()", &[], "return a `Fault` or a `Diagnostic`; a panic loses a run"),
    (".expect(", &[], "return a `Fault` or a `Diagnostic`; a panic loses a run"),
    ("unimplemented!", &[], "write it, or leave it out"),
    ("todo!", &[], "write it, or leave it out"),
];

/// Uses of a banned word with a reason: file, word, why.
const BANNED_EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// What may be longer than the limits: file, or file and function as `file::function`; its length;
/// why.
const SIZE_EXCEPTIONS: &[(&str, usize, &str)] =
    &[("tests/language/catalogue.rs::catalogue", 99, "a list: an entry for each action")];

/// Functions of tests that may sleep, each in a bounded loop: `file::function`, and why nothing
/// can be awaited there.
const BOUNDED_POLLS: &[(&str, &str)] = &[
    ("src/transports/process.rs::until", "another's child gives no sign of its end"),
    ("tests/servers/ssh.rs::until", "a process on the host gives no sign of its end"),
    ("tests/servers/sql/bench.rs::until", "the clock of the port: to sleep is its work"),
];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;
const LINE_COLUMNS: usize = 100;

/// Fails with every break of a rule at once, and the rule.
#[track_caller]
fn hold(rule: &str, breaks: &[String]) {
    assert!(breaks.is_empty(), "{rule}\n  {}\n", breaks.join("\n  "));
}

fn sources() -> Vec<File> {
    let sources = rust("src");
    assert!(!sources.is_empty(), "there is no src folder: run the tests from the repository");
    sources
}

/// The layer of a source file; none for `lib.rs` and `main.rs`, which hold the layers together.
fn layer(file: &File) -> Option<&str> {
    let first = *file.module().first()?;
    (!["lib", "main"].contains(&first)).then_some(first)
}

fn allowed(layer: &str) -> Option<Vec<&'static str>> {
    LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, allowed)| allowed.concat())
}

/// Why: see `LAYERS`.
#[test]
fn layers_know_only_those_below() {
    let mut breaks = Vec::new();
    let mut used = Vec::new();
    for file in sources() {
        let Some(layer) = layer(&file) else { continue };
        let Some(allowed) = allowed(layer) else {
            breaks.push(format!("{}: `{layer}` is not in the table of layers", file.path));
            continue;
        };
        for (line, path) in file.crate_paths() {
            let Some(other) = path.first() else { continue };
            if other == layer || allowed.contains(&other.as_str()) || !is_layer(other) {
                continue;
            }
            let path = path.join("::");
            match exception(LAYER_EXCEPTIONS, &file.path, &path) {
                Some(index) => used.push(index),
                None => breaks.push(format!("{}:{line}: `{layer}` uses {path}", file.path)),
            }
        }
    }
    breaks.extend(stale(LAYER_EXCEPTIONS, &used));
    hold(
        "A layer imports only layers below it (LAYERS in tests/tidy.rs). Move the shared noun \
         down, or reach the other layer through a trait of `ports`.",
        &breaks,
    );
}

/// Why: a table that people read and another that is held would part ways.
#[test]
fn layers_are_documented() {
    let page = "docs/ARCHITECTURE.md";
    let text = files("docs").into_iter().find(|f| f.path == page).map(|f| f.text);
    let text = text.expect("the page with the table of layers");
    let row = |name: &str| text.contains(&format!("\n| `{name}` | "));
    let breaks: Vec<String> =
        LAYERS.iter().filter(|(name, _)| !row(name)).map(|(name, _)| (*name).to_owned()).collect();
    hold("Each layer has its row in docs/ARCHITECTURE.md: what it owns, what it may use.", &breaks);
}

fn is_layer(name: &str) -> bool {
    allowed(name).is_some()
}

fn exception(list: &[(&str, &str, &str)], file: &str, what: &str) -> Option<usize> {
    list.iter().position(|(path, word, _)| *path == file && what.starts_with(word))
}

fn stale(list: &[(&str, &str, &str)], used: &[usize]) -> Vec<String> {
    list.iter()
        .enumerate()
        .filter(|(index, _)| !used.contains(index))
        .map(|(_, (path, word, _))| format!("{path}: the exception for {word} is not needed"))
        .collect()
}

/// Why: an action, a store or a check is added, read and removed as one file. What two of them
/// need lives in their folder's `mod.rs`, in a module that is named in `SIBLINGS`, or below.
#[test]
fn siblings_do_not_know_each_other() {
    let mut breaks = Vec::new();
    let sources = sources();
    for (folder, shared) in SIBLINGS {
        let parent: Vec<&str> = folder.split('/').collect();
        let unit = |module: &[&str]| -> Option<String> {
            (module.len() > parent.len() && module[..parent.len()] == parent[..])
                .then(|| module[parent.len()].to_owned())
        };
        let units: Vec<String> = sources.iter().filter_map(|f| unit(&f.module())).collect();
        let is_shared = |name: &str| shared.contains(&name);
        for name in shared.iter().filter(|name| !units.iter().any(|unit| unit == *name)) {
            breaks.push(format!("src/{folder} has no {name}: take it from the list"));
        }
        for file in &sources {
            let Some(own) = unit(&file.module()) else { continue };
            for (line, path) in file.crate_paths() {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let other = unit(&path)
                    .filter(|other| *other != own && units.contains(other) && !is_shared(other));
                if let Some(other) = other {
                    breaks.push(format!("{}:{line}: `{own}` uses its sibling {other}", file.path));
                }
            }
        }
    }
    hold("Siblings do not import each other: move what they share to their mod.rs.", &breaks);
}

/// Why: pure layers can be replayed, simulated and tested; output and panics belong to no library.
#[test]
fn banned_words_stay_out() {
    let mut breaks = Vec::new();
    let mut used = Vec::new();
    for file in sources() {
        let layer = layer(&file);
        let shipped = file.shipped();
        let in_layers = BANNED
            .iter()
            .filter(|(layers, ..)| layer.is_some_and(|l| layers.contains(&l)))
            .map(|(_, word, instead)| (*word, *instead));
        let elsewhere = BANNED_OUTSIDE
            .iter()
            .filter(|(_, layers, _)| layer.is_some_and(|l| !layers.contains(&l)))
            .map(|(word, _, instead)| (*word, *instead));
        for (word, instead) in in_layers.chain(elsewhere) {
            for at in words(&shipped, word) {
                match exception(BANNED_EXCEPTIONS, &file.path, word) {
                    Some(index) => used.push(index),
                    None => breaks.push(format!(
                        "{}:{}: {word} — {instead}",
                        file.path,
                        line_of(&shipped, at)
                    )),
                }
            }
        }
    }
    breaks.extend(stale(BANNED_EXCEPTIONS, &used));
    hold("A word stands where it must not.", &breaks);
}

/// Why: they turn a precise "unknown key `x` at line 7" into "did not match any variant", and
/// silently accept what an old reader should refuse.
#[test]
fn the_model_has_no_untagged_or_flattened_serde() {
    let mut breaks = Vec::new();
    for file in sources().into_iter().filter(|f| layer(f) == Some("model")) {
        let shipped = file.shipped();
        for attribute in shipped.match_indices("serde(").map(|(at, _)| at) {
            let end = shipped[attribute..].find(']').map_or(shipped.len(), |i| attribute + i);
            for word in ["untagged", "flatten"] {
                if !words(&shipped[attribute..end], word).is_empty() {
                    let line = line_of(&shipped, attribute);
                    breaks.push(format!("{}:{line}: serde({word})", file.path));
                }
            }
        }
    }
    hold("Write the enum with a tag, and the fields where they are.", &breaks);
}

/// Why: whoever opens a file should know in ten seconds what it owns and what it must not know.
#[test]
fn every_file_says_what_it_owns() {
    let breaks: Vec<String> = sources()
        .into_iter()
        .chain(rust("tests"))
        .chain(rust("benches"))
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();
    hold("Begin the file with `//!`: what it owns, what it must not know.", &breaks);
}

/// Why: what is too long to be read is not reviewed.
#[test]
fn sizes_stay_readable() {
    let mut breaks = Vec::new();
    let mut seen = BTreeSet::new();
    let mut check = |name: String, place: String, size: usize, limit: usize| {
        let granted = SIZE_EXCEPTIONS.iter().find(|(path, ..)| *path == name);
        seen.insert(name);
        match granted {
            Some((_, granted, _)) if size > *granted => {
                breaks.push(format!("{place}: {size} lines, has grown from {granted}"));
            }
            Some(_) if size <= limit => {
                breaks.push(format!("{place}: {size} lines, its exception is not needed"));
            }
            None if size > limit => breaks.push(format!("{place}: {size} lines of {limit}")),
            _ => {}
        }
    };
    for file in sources().into_iter().chain(rust("tests")).chain(rust("benches")) {
        check(file.path.clone(), file.path.clone(), file.lines_without_tests(), FILE_LINES);
        for function in functions(&code(&file.text)) {
            let name = format!("{}::{}", file.path, function.name);
            let place = format!("{}:{}: {}", file.path, function.line, function.name);
            check(name, place, function.lines, FUNCTION_LINES);
        }
    }
    for (name, ..) in SIZE_EXCEPTIONS.iter().filter(|(name, ..)| !seen.contains(*name)) {
        breaks.push(format!("{name}: there is no such thing; its exception is not needed"));
    }
    hold("Files <= 600 lines without tests, functions <= 80: part them along a noun.", &breaks);
}

/// Why: two files side by side on a laptop.
#[test]
fn lines_stay_narrow() {
    let mut breaks = Vec::new();
    for file in sources().into_iter().chain(rust("tests")).chain(rust("benches")) {
        for (index, line) in file.text.lines().enumerate() {
            if line.chars().count() > LINE_COLUMNS && !line.contains("://") {
                breaks.push(format!("{}:{}", file.path, index + 1));
            }
        }
    }
    hold("Lines have at most 100 columns; only a URL may pass them.", &breaks);
}

/// Every `RW0000` in a text.
fn codes_in(text: &str) -> Vec<&str> {
    text.match_indices("RW")
        .filter_map(|(at, _)| text.get(at..at + 6))
        .filter(|code| code[2..].bytes().all(|b| b.is_ascii_digit()))
        .collect()
}

/// Why: a code that people meet must be explained, and one that nobody can meet is noise.
#[test]
fn every_error_code_has_a_page_and_a_use() {
    let list = "src/diagnostics/codes.rs";
    let sources = sources();
    let Some(codes) = sources.iter().find(|file| file.path == list) else { return };
    let shipped = codes.shipped();
    let known = codes_in(&shipped);
    assert!(!known.is_empty(), "{list} has no codes");
    let used: String = sources.iter().filter(|file| file.path != list).map(File::shipped).collect();
    let mut breaks = Vec::new();
    for code in &known {
        if !root().join(format!("docs/errors/{code}.md")).is_file() {
            breaks.push(format!("{code} has no page docs/errors/{code}.md"));
        }
        if words(&used, code).is_empty() {
            breaks.push(format!("{code} is used nowhere: take it out, or say what it is for"));
        }
    }
    for page in files("docs/errors") {
        for part in ["## Example\n", "## What to do\n"] {
            let written = page.text.split(part).nth(1).is_some_and(|rest| {
                let body = rest.split("\n## ").next().unwrap_or("");
                !body.trim().is_empty()
            });
            if !written {
                breaks.push(format!("{}: nothing under `{}`", page.path, part.trim()));
            }
        }
        let code = page.path.trim_start_matches("docs/errors/").trim_end_matches(".md");
        if !known.contains(&code) {
            breaks.push(format!("{} explains a code that does not exist", page.path));
        }
    }
    hold("Every code has a page that says what to do, and a place that gives it.", &breaks);
}

/// The names in `name: "family.verb"`, as an action's spec is written.
fn action_names(text: &str) -> Vec<&str> {
    text.match_indices("name: \"")
        .filter_map(|(at, start)| text[at + start.len()..].split('"').next())
        .filter(|name| {
            let mut parts = name.split('.');
            let word = |p: Option<&str>| {
                p.is_some_and(|p| {
                    !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                })
            };
            word(parts.next()) && word(parts.next()) && parts.next().is_none()
        })
        .collect()
}

/// Why: an action without a manual page is used wrongly at three in the morning.
#[test]
fn every_action_has_a_page() {
    let mut breaks = Vec::new();
    let actions: Vec<File> = sources()
        .into_iter()
        .filter(|file| layer(file) == Some("actions") && !file.path.ends_with("/mod.rs"))
        .collect();
    let mut found = 0;
    for file in &actions {
        for name in action_names(&file.text) {
            found += 1;
            if !root().join(format!("docs/actions/{name}.md")).is_file() {
                breaks.push(format!("{}: docs/actions/{name}.md is missing", file.path));
            }
        }
    }
    assert!(
        actions.is_empty() || found > 0,
        "src/actions has files, but this rule finds no `name: \"family.verb\"` in them"
    );
    hold("Every action has a page in docs/actions.", &breaks);
}

/// Why: such a file has no subject, so everything ends up in it.
#[test]
fn files_are_called_by_their_noun() {
    let vague = ["util", "utils", "helper", "helpers", "common", "manager", "misc"];
    let breaks: Vec<String> = sources()
        .into_iter()
        .chain(rust("tests"))
        .chain(rust("benches"))
        .filter(|file| file.module().iter().any(|part| vague.contains(part)))
        .map(|file| file.path)
        .collect();
    hold("Name the file after the noun that it owns.", &breaks);
}

/// Why: each dependency is code that runs with production's credentials; somebody must be able to
/// say why it is there.
#[test]
fn every_dependency_has_a_reason() {
    let manifest = files("").into_iter().find(|file| file.path == "Cargo.toml");
    let manifest = manifest.expect("there is a Cargo.toml").text;
    let mut breaks = Vec::new();
    let mut inside = false;
    let mut before = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies]");
        } else if inside && line.contains('=') && !line.starts_with([' ', ']', '#', '"']) {
            let own = line.rsplit_once('#').is_some_and(|(_, reason)| !reason.trim().is_empty());
            if !own && !before.trim_start().starts_with('#') {
                breaks.push(line.to_owned());
            }
        }
        before = line;
    }
    hold("Say on its line, or on the one above, what the dependency is for.", &breaks);
}

/// Why: the repository is read on other machines, by people who don't know this one.
#[test]
fn no_text_names_a_machine() {
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp", "/wt")];
    let mut breaks = Vec::new();
    for file in files("") {
        for path in paths {
            if let Some(at) = file.text.find(path) {
                breaks.push(format!("{}:{}: {path}", file.path, line_of(&file.text, at)));
            }
        }
    }
    hold("Paths of a machine don't belong in the repository.", &breaks);
}

/// Why: an ignored test guards nothing; a sleep makes a test slow on a good day and wrong on a bad
/// one. Wait for the event itself, with a limit.
#[test]
fn tests_neither_skip_nor_sleep() {
    let mut breaks = Vec::new();
    let mut used = Vec::new();
    for file in sources().into_iter().chain(rust("tests")).chain(rust("benches")) {
        let tests = file.tests();
        let functions = functions(&tests);
        for at in tests.match_indices("#[ignore").map(|(at, _)| at) {
            breaks.push(format!("{}:{}: #[ignore]", file.path, line_of(&tests, at)));
        }
        for at in words(&tests, "sleep(") {
            let polls = functions
                .iter()
                .filter(|f| f.range.contains(&at))
                .map(|f| format!("{}::{}", file.path, f.name))
                .find_map(|name| BOUNDED_POLLS.iter().position(|(poll, _)| *poll == name));
            match polls {
                Some(index) => used.push(index),
                None => breaks.push(format!("{}:{}: sleep", file.path, line_of(&tests, at))),
            }
        }
    }
    for (index, (poll, _)) in BOUNDED_POLLS.iter().enumerate() {
        if !used.contains(&index) {
            breaks.push(format!("{poll}: its exception is not needed"));
        }
    }
    hold("Mend the test instead of ignoring it, and await what it waits for.", &breaks);
}
