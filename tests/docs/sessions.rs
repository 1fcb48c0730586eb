//! Sessions: pages whose commands are really run, in order, and whose output is compared.
//!
//! A page with `<!-- session -->` is one. Its `console` blocks hold commands behind `$ ` with their
//! output; a line `…` stands for any lines. `sh` blocks are run as they are, a block below
//! `<!-- file: PATH -->` is written there, and `<!-- hidden` holds commands that readers need not
//! see. Ids, times, places and people of the machine make no difference.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use regex::Regex;

use crate::markdown::{Block, Page, root, updating};

/// Where readers' folders are said to be.
const HOME: &str = "/home/ana";
/// No page takes as long as this, on the slowest machine.
const LIMIT: &str = "300";

static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}\b", "ID"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)?", "TIME"),
        (r"\b(\d+ms|\d+\.\d+s|\d+m \d\ds)\b", "SPAN"),
        (r"sha256:[0-9a-f]{64}", "DIGEST"),
        (r"SHA256:[A-Za-z0-9+/]+…?", "FINGERPRINT"),
        (r"\b[0-9a-f]{12}\b", "DIGEST"),
        (r"\b\d+ %", "N %"),
        (r"[ \t]+", " "),
    ];
    rules.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).to_vec()
});

/// Who and where the machine of the test is.
static MACHINE: LazyLock<[(Regex, &str); 3]> = LazyLock::new(|| {
    [
        (Regex::new(r"\(login \S+ on [^ )]+").unwrap(), "(login ana on bastion"),
        (Regex::new(r"\S+@\S+, process \d+").unwrap(), "ana@bastion, process 4711"),
        (Regex::new(r"\(started \d+\)").unwrap(), "(started 81234)"),
    ]
});

/// Output as a page may show it: nothing of this machine in it.
pub fn shown(output: &str, folder: &Path) -> String {
    let text = output.replace(&folder.display().to_string(), HOME);
    MACHINE.iter().fold(text, |text, (what, name)| what.replace_all(&text, *name).into_owned())
}

/// A line without what differs from run to run.
pub fn plain(line: &str) -> String {
    let line = line.trim_end().to_owned();
    VARYING.iter().fold(line, |line, (what, name)| what.replace_all(&line, *name).into_owned())
}

/// Is this the output? A line `…` stands for any lines.
pub fn agrees(wanted: &str, found: &str) -> bool {
    let wanted: Vec<String> = wanted.trim_end().lines().map(plain).collect();
    let found: Vec<String> = found.trim_end().lines().map(plain).collect();
    let mut rest = &found[..];
    let parts: Vec<&[String]> = wanted.split(|line| line.trim() == "…").collect();
    let last = parts.len() - 1;
    for (index, part) in parts.iter().enumerate() {
        let at = match (index == 0, index == last) {
            (true, true) => return rest == *part,
            (true, _) => rest.starts_with(part).then_some(0),
            (_, true) => rest.ends_with(part).then_some(0),
            _ => (0..=rest.len()).find(|at| rest[*at..].starts_with(part)),
        };
        let Some(at) = at else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

/// A command of a `console` block, with the output that the page shows.
struct Shown {
    command: String,
    output: String,
}

fn commands(block: &Block) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in block.text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(Shown { command: command.to_owned(), output: String::new() });
        } else {
            let last = commands.last_mut().expect("a session's block begins with `$ `");
            last.output += &format!("{line}\n");
        }
    }
    commands
}

/// One script for the whole page: folder, variables and jobs live on from block to block. Each
/// part's output ends with a mark that holds its number and exit status.
fn script(blocks: &[Block]) -> (String, Vec<String>) {
    let mut script = String::from("exec 2>&1\n");
    let mut parts = Vec::new();
    for block in blocks {
        let mut part = |text: String, what: String| {
            let number = parts.len();
            script += &format!(
                "{text}\nstatus=$?\nprintf '\\n@@ %d %d\\n' {number} $status\n(exit $status)\n"
            );
            parts.push(what);
        };
        let quoted = |text: &str| shlex::try_quote(text).expect("no zeroes").into_owned();
        match (block.language.as_str(), block.note.as_deref()) {
            (_, Some(note)) if note.starts_with("file: ") => {
                let path = quoted(note.trim_start_matches("file: "));
                let write = format!("printf %s {} >{path}", quoted(&block.text));
                part(write, format!("line {}: the file", block.line));
            }
            ("sh" | "hidden", _) => {
                let text = format!("set -e\n{}set +e", block.text);
                part(text, format!("line {}: the script", block.line));
            }
            ("console", _) => {
                for shown in commands(block) {
                    let what = format!("line {}: $ {}", block.line, shown.command);
                    part(shown.command, what);
                }
            }
            _ => {}
        }
    }
    (script, parts)
}

/// What each part wrote, and its exit status.
fn play(page: &Page, folder: &Path) -> Vec<(String, i32)> {
    let (script, parts) = script(&page.blocks());
    fs::write(folder.join(".session"), script).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_runward")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into());
    let output = Command::new("timeout")
        .args(["-k", "5", LIMIT, "bash", "--norc", ".session"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", folder)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .expect("bash and timeout are there");
    let text = shown(&String::from_utf8_lossy(&output.stdout), folder);
    let mark = Regex::new(r"\n@@ (\d+) (\d+)\n").unwrap();
    let mut found = Vec::new();
    let mut start = 0;
    for ending in mark.captures_iter(&text) {
        let whole = ending.get(0).unwrap();
        found.push((text[start..whole.start()].to_owned(), ending[2].parse().unwrap()));
        start = whole.end();
    }
    let stopped = parts.get(found.len()).map_or("", String::as_str);
    assert_eq!(found.len(), parts.len(), "{}: {stopped} stopped:\n{}", page.path, &text[start..]);
    for (part, (output, status)) in parts.iter().zip(&found) {
        let free = part.contains(": $ ");
        assert!(free || *status == 0, "{}: {part} ended with {status}:\n{output}", page.path);
    }
    found
}

/// Plays the page, and says where its output is another; or writes it anew.
pub fn hold(page: &Page, differing: &mut Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let mut found = play(page, &folder).into_iter();
    let mut text = page.text.clone();
    let mut grown = 0_isize;
    for block in page.blocks() {
        let file = block.note.as_ref().is_some_and(|n| n.starts_with("file: "));
        if file || matches!(block.language.as_str(), "sh" | "hidden") {
            found.next();
        } else if block.language == "console" {
            let mut new = String::new();
            for shown in commands(&block) {
                let (output, _) = found.next().expect("one output for each command");
                let good = agrees(&shown.output, &output);
                let kept = if good { shown.output.trim_end() } else { output.trim_end() };
                let separator = if kept.is_empty() { "" } else { "\n" };
                new += &format!("$ {}\n{kept}{separator}", shown.command);
                if !good {
                    differing.push(format!(
                        "{}:{}: $ {}\n--- the page says\n{}--- the program says\n{output}\n",
                        page.path, block.line, shown.command, shown.output
                    ));
                }
            }
            let blanks = " ".repeat(block.indent);
            let new: String = new
                .split_inclusive('\n')
                .map(|line| if line == "\n" { line.to_owned() } else { format!("{blanks}{line}") })
                .collect();
            let move_by = |at: usize| at.checked_add_signed(grown).unwrap();
            text.replace_range(move_by(block.range.start)..move_by(block.range.end), &new);
            grown += new.len() as isize - block.range.len() as isize;
        }
    }
    if updating() && !differing.is_empty() {
        fs::write(root().join(&page.path), text).unwrap();
        differing.clear();
    }
}
