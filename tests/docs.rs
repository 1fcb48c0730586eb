//! The documentation, held against the program: every command in it parses, every runbook in it
//! validates, every reference is made from what it describes, and the sessions are really played.
//!
//! Needs no server; the sessions need bash and ssh-keygen.
//! `RUNWARD_UPDATE=1 cargo test --test docs` writes generated parts and the sessions' output anew:
//! read the difference before you commit it.

// What fails here fails a test, also outside of the functions marked as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "docs/generated.rs"]
mod generated;
#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/sessions.rs"]
mod sessions;
#[path = "docs/snippets.rs"]
mod snippets;

use std::{fs, path::Path};

use clap::error::ErrorKind;
use markdown::{Page, page, pages, root};
use regex::Regex;
use snippets::Program;

/// Fails with everything that was found.
#[track_caller]
fn hold(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}\n\n{}\n", found.join("\n"));
}

const UPDATE: &str = "The documentation says something else than the program. Read what differs; \
                      `RUNWARD_UPDATE=1 cargo test --test docs` writes it anew:";

#[test]
fn references_are_those_of_the_program() {
    let mut differing = Vec::new();
    for spec in Program::new().catalogue.values() {
        let page = page(&format!("docs/actions/{}.md", spec.name));
        assert!(page.text.starts_with(&format!("# {}\n", spec.name)), "{}: title", page.path);
        page.hold_generated("reference", &generated::action(spec), &mut differing);
    }
    let parts = [
        ("docs/reference/expressions.md", generated::expressions()),
        ("docs/reference/cli.md", generated::command_line()),
        ("docs/reference/events.md", generated::events()),
    ];
    for (path, text) in parts {
        page(path).hold_generated("reference", &text, &mut differing);
    }
    hold(UPDATE, &differing);
}

#[test]
fn every_event_of_the_alphabet_is_documented() {
    // The definition is read as text, so that it is asked whether all of it was seen.
    let docs = generated::event_docs();
    let source = fs::read_to_string(root().join("src/model/event.rs")).unwrap();
    assert_eq!(docs.len(), source.matches("#[serde(rename = \"").count());
    assert!(docs.iter().all(|d| !d.meaning.is_empty()));
    assert!(docs.iter().flat_map(|d| &d.fields).all(|(_, meaning)| !meaning.is_empty()));
    // A session's journal holds no other events than these.
    assert!(docs.iter().any(|d| d.name == "run.created"), "{}", docs.len());
}

#[test]
fn every_runbook_and_project_in_the_documentation_is_good() {
    let program = Program::new();
    let (mut found, mut tried) = (Vec::new(), 0);
    for page in pages() {
        // The pages of errors show what is wrong; `tests/language` holds them.
        let wrong = page.path.starts_with("docs/errors/");
        for block in page.blocks().iter().filter(|b| b.language == "yaml" && !wrong) {
            found.extend(program.check(&format!("{}:{}", page.path, block.line), &block.text));
            tried += 1;
        }
    }
    assert!(tried > 30, "only {tried} blocks were tried");
    hold("A YAML block in the documentation is refused.", &found);
}

#[test]
fn every_example_of_an_action_is_good() {
    let program = Program::new();
    let mut found = Vec::new();
    for spec in program.catalogue.values() {
        assert!(!spec.examples.is_empty(), "{} has no example", spec.name);
        for example in &spec.examples {
            assert!(example.yaml.starts_with("- id: "), "{}: {}", spec.name, example.title);
            found.extend(program.check(&spec.name, &example.yaml));
        }
    }
    hold("An example of an action is refused.", &found);
}

/// The calls of runward in a line of a shell.
fn calls(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" # ").next().unwrap_or_default();
    let ends = Regex::new(r"\s*(\||>|<|;|&&|\|\||&$|2>)\s*").unwrap();
    let commands = ends.split(line).map(str::trim);
    let words = commands.filter_map(|command| {
        let command = command.trim_start_matches("$ ");
        let command = match command.strip_prefix("cargo run --release -- ") {
            Some(rest) => format!("runward {rest}"),
            None => command.to_owned(),
        };
        let command = command.replace("\"$(", "").replace(")\"", "");
        let words = shlex::split(command.trim_end_matches('\\'))?;
        (words.first().map(String::as_str) == Some("runward")).then_some(words)
    });
    words.collect()
}

fn refused(words: &[String], fragment: bool) -> Option<String> {
    // `…`, `[OPTION]` and `COMMAND` stand for something.
    let stands = |w: &String| w.contains('…') || w.starts_with('[') || w == "COMMAND";
    if words.iter().any(stands) || words.len() == 1 {
        return None;
    }
    let error = runward::cli::command().try_get_matches_from(words).err()?;
    let fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        // Prose names a command without all that it needs.
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => fragment,
        _ => false,
    };
    (!fine).then(|| format!("{}\n  {}", words.join(" "), error.to_string().trim()))
}

#[test]
fn every_command_in_the_documentation_exists() {
    let (mut found, mut tried) = (Vec::new(), 0);
    let mut hold_line = |page: &Page, line: &str, fragment: bool| {
        for words in calls(line) {
            tried += 1;
            found.extend(refused(&words, fragment).map(|why| format!("{}: {why}", page.path)));
        }
    };
    for page in pages() {
        for block in page.blocks() {
            let commands: Vec<&str> = match block.language.as_str() {
                "sh" | "hidden" => block.text.lines().collect(),
                "console" | "text" => {
                    block.text.lines().filter(|l| l.contains("$ runward")).collect()
                }
                _ => continue,
            };
            for line in commands {
                let at = line.find("$ runward").map_or(0, |at| at + 2);
                hold_line(&page, line[at..].trim(), false);
            }
        }
        page.spans().iter().for_each(|span| hold_line(&page, span, true));
    }
    assert!(tried > 100, "only {tried} commands were tried");
    hold("A command in the documentation is not one of the program.", &found);
}

#[test]
fn sessions_are_played_as_they_are_written() {
    let sessions: Vec<Page> =
        pages().into_iter().filter(|p| p.text.contains("\n<!-- session -->\n")).collect();
    assert!(sessions.iter().any(|p| p.path == "docs/tutorial.md"), "the tutorial is a session");
    let mut differing = Vec::new();
    for page in &sessions {
        let mut here = Vec::new();
        sessions::hold(page, &mut here);
        differing.append(&mut here);
    }
    hold(UPDATE, &differing);
}

#[test]
fn the_readme_shows_what_the_demo_really_does() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runward"))
        .args(["demo", "--yes"])
        .current_dir(&folder)
        .env_remove("RUNWARD_PROJECT")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let text = sessions::shown(&text, &folder.path().canonicalize().unwrap());
    let readme = page("README.md");
    let blocks = readme.blocks();
    let session = blocks.iter().find(|b| b.language == "text").expect("a session in the README");
    // Trimmed, but each line of it in this order.
    let mut lines = text.lines().map(|l| sessions::plain(l.trim()));
    for wanted in session.text.lines().map(|l| sessions::plain(l.trim())) {
        if !wanted.is_empty() && wanted != "…" {
            assert!(lines.any(|line| line == wanted), "the demo does not say: {wanted}\n{text}");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let mut found = Vec::new();
    for page in pages() {
        let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = if file.is_empty() { page.path.clone().into() } else { folder.join(file) };
            if !root().join(&path).exists() {
                found.push(format!("{}: {link} is not there", page.path));
                continue;
            }
            if !anchor.is_empty() {
                let text = fs::read_to_string(root().join(&path)).unwrap();
                let anchors = Page { path: path.display().to_string(), text }.anchors();
                if !anchors.contains(&anchor.to_owned()) {
                    found.push(format!("{}: {link} has no such heading", page.path));
                }
            }
        }
    }
    hold("A link leads nowhere.", &found);
}

#[test]
fn every_page_is_on_the_map() {
    let map = page("docs/README.md").text;
    let found: Vec<String> = pages()
        .into_iter()
        .filter_map(|p| p.path.strip_prefix("docs/").map(str::to_owned))
        .filter(|path| path != "README.md" && !path.starts_with("errors/"))
        .filter(|path| !map.contains(&format!("({path})")))
        .collect();
    hold("docs/README.md does not lead to a page.", &found);
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = page("README.md");
    let start = readme.text.find("\n## Two commands\n").expect("## Two commands");
    let commands: Vec<String> = readme
        .blocks()
        .into_iter()
        .filter(|b| b.range.start > start && b.language == "sh")
        .take(1)
        .flat_map(|b| b.text.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|l| l.split(" # ").next().unwrap_or_default().trim().to_owned())
        .collect();
    assert_eq!(commands, ["cargo run --release -- demo --yes", "tests/run"]);
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.contains("step bash tests/run "), "CI runs the second");
}

#[test]
fn guarantees_name_tests_that_exist() {
    let page = page("docs/guarantees.md");
    let named = Regex::new(r"`((?:tests|src)/[a-z_/]+\.rs)`: `([a-z_0-9]+)`").unwrap();
    let mut count = 0;
    let mut found = Vec::new();
    for name in named.captures_iter(&page.text) {
        count += 1;
        let text = fs::read_to_string(root().join(&name[1])).unwrap_or_default();
        let function = Regex::new(&format!(r"\bfn {}(<.*>)?\(", &name[2])).unwrap();
        if !function.is_match(&text) {
            found.push(format!("{}: {}", &name[1], &name[2]));
        }
    }
    assert!(count > 20, "only {count} tests are named");
    hold("docs/guarantees.md names a test that is not there.", &found);
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let source = fs::read_to_string(root().join("src/cli/exit.rs")).unwrap();
    let number = Regex::new(r"(?m)^    [A-Z][a-z]+ = (\d),$").unwrap();
    let codes: Vec<_> = number.captures_iter(&source).map(|c| c[1].to_owned()).collect();
    assert_eq!(codes.len(), 7);
    let row = Regex::new(r"(?m)^\| \*\*(\d)\*\* \|").unwrap();
    let page = page("docs/reference/exit-codes.md");
    let rows: Vec<_> = row.captures_iter(&page.text).map(|c| c[1].to_owned()).collect();
    assert_eq!(rows, codes);
    let help = runward::cli::command().render_long_help().to_string();
    for code in codes {
        assert!(help.contains(&format!("\n  {code}  ")), "`runward --help` lacks exit code {code}");
    }
}
