//! The pages of `docs/errors`: each example of a text's fault causes that fault.

use super::{catalogue::catalogue, folder, load_project};
use runward::{diagnostics::codes, language, project};

/// Faults that show only when something is run, or that somebody else finds.
const ELSEWHERE: [&str; 3] = ["RW0405", "RW0406", "RW0501"];

#[test]
fn every_example_causes_its_code() {
    let mut tried = 0;
    for (code, page) in codes::ALL {
        let code = code.as_str();
        let early = ["RW01", "RW02", "RW04", "RW05"].iter().any(|a| code.starts_with(a));
        if !early || ELSEWHERE.contains(&code) {
            continue;
        }
        let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        let example = example.unwrap_or_else(|| panic!("{code}: no example"));
        let found = codes_of(example, code.starts_with("RW05"));
        assert!(found.contains(&code.to_owned()), "{code}: the example gives {found:?}\n{example}");
        tried += 1;
    }
    assert!(tried > 25, "only {tried} examples were tried");
}

fn codes_of(example: &str, of_project: bool) -> Vec<String> {
    let mut diagnostics;
    if of_project {
        let mut text = format!("version: 1\n{example}");
        if !example.contains("environments:") {
            text += "environments: {}\n";
        }
        diagnostics = project::load("runward.yaml", "/p".into(), &text).1;
    } else {
        let none = |_: &str| Err("there is no such file".to_owned());
        let loaded = language::load("x.yaml", &whole(example), &catalogue(), &none);
        diagnostics = loaded.diagnostics;
        if let Some(runbook) = loaded.runbook {
            let (project, _) = load_project(&folder("environments/runward.yaml"));
            let project = project.unwrap();
            diagnostics.extend(language::check_in_project(&runbook, &project, &catalogue()));
        }
    }
    diagnostics.iter().map(|d| d.code.as_str().to_owned()).collect()
}

/// A runbook around steps or keys of one.
fn whole(example: &str) -> String {
    let mut text = String::from("version: 1\nname: Example\n");
    if example.starts_with("- ") {
        if example.contains("vars.options") {
            text += "vars: {options: -l}\n";
        }
        text += "steps:\n";
        text.extend(example.lines().map(|line| format!("  {line}\n")));
        return text;
    }
    text += example;
    if !example.contains("steps:") {
        text += "steps:\n  - {id: end, note: The end}\n";
    }
    text
}
