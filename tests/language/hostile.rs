//! Files that were made to hurt: each is answered in time, with the right code.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use super::catalogue::catalogue;
use runward::{diagnostics::Diagnostic, language, project, yaml};

/// What is said of a text, by both readers, within a second each.
fn said(what: &str, text: &str) -> Vec<Diagnostic> {
    let none = |_: &str| Err("no files".to_owned());
    let loaded = in_time(what, || language::load("hostile.yaml", text, &catalogue(), &none));
    assert!(loaded.runbook.is_none(), "{what} was accepted");
    let (accepted, _) = in_time(what, || project::load("hostile.yaml", "/p".into(), text));
    assert!(accepted.is_none(), "{what} was accepted as a project");
    loaded.diagnostics
}

/// Runs it, and it ends: far later than it does, so that a busy machine is no failure, and far
/// earlier than what grows without bounds.
fn in_time<T>(what: &str, run: impl Fn() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(30), "{what}: {took:?}");
    result
}

fn refused(what: &str, text: &str, code: &str) {
    let found = said(what, text);
    let codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
    assert!(codes.contains(&code), "{what}: {codes:?}");
    assert!(found.len() <= yaml::MAX_DIAGNOSTICS + 1, "{what}: {}", found.len());
}

#[test]
fn nesting_is_bounded() {
    refused("deep flow", &"[".repeat(100_000), "RW0104");
    refused("deep flow maps", &"{a: ".repeat(100_000), "RW0104");
    let mut block = String::new();
    for depth in 0..1000 {
        let _ = writeln!(block, "{}a:", " ".repeat(depth));
    }
    refused("deep block", &block, "RW0104");
    refused("deep block lists", &"- ".repeat(100_000), "RW0104");
    let mixed: String = "- [".repeat(100);
    assert!(!said("mixed", &mixed).is_empty());
}

#[test]
fn aliases_are_bounded() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let previous = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(laughs, "a{level}: &a{level} [{previous}]");
    }
    refused("billion laughs", &laughs, "RW0104");

    let mut chain = String::from("k0: &a0 [v]\n");
    for level in 1..5000 {
        let _ = writeln!(chain, "k{level}: &a{level} [*a{}]", level - 1);
    }
    refused("alias chain", &chain, "RW0104");

    refused("recursive alias", "a: &a [*a]\n", "RW0104");
    refused("recursive alias in a map", "a: &a {b: {c: *a}}\n", "RW0104");
    refused("unknown alias", "a: *b\n", "RW0101");

    let big = format!("a: &a '{}'\nb: [{}]\n", "x".repeat(500_000), ["*a"; 50_000].join(", "));
    refused("one large text, many times", &big, "RW0104");
    let pairs = "? *a\n: *a\n".repeat(20_000);
    refused("aliases as keys", &format!("x: &a y\n{pairs}"), "RW0103");
}

#[test]
fn size_is_bounded() {
    refused("more than 1 MiB", &"#".repeat(yaml::MAX_BYTES + 1), "RW0104");
    let scalar = format!("version: 1\nnmae: {}\n", "x".repeat(1_000_000));
    refused("a plain megabyte", &scalar, "RW0201");
    let quoted = format!("nmae: \"{}\"\n", "\\x41".repeat(250_000));
    refused("a quoted megabyte", &quoted, "RW0201");
    let block = format!("nmae: |\n{}", "  text\n".repeat(140_000));
    refused("a block of a megabyte", &block, "RW0201");
    let folded = format!("nmae: >\n{}", "  text\n\n".repeat(120_000));
    refused("a folded megabyte", &folded, "RW0201");
    refused("quote bomb", &format!("a: {}", "'".repeat(1_000_001)), "RW0101");
    refused("double quote bomb", &format!("a: {}", "\"\" ".repeat(300_000)), "RW0101");
    refused("many values", &format!("a: [{}]", "1,".repeat(500_000)), "RW0104");
    let mut keys = String::new();
    for key in 0..60_000 {
        let _ = writeln!(keys, "k{key}: 1");
    }
    refused("many unknown keys", &keys, "RW0201");
    refused("one key many times", &"a: 1\n".repeat(150_000), "RW0103");
    refused("comments", &"# x\n".repeat(250_000), "RW0101");
    refused("blank lines", &"\n".repeat(1_000_000), "RW0101");
    refused("a million colons", &":".repeat(1_000_000), "RW0101");
    refused("question marks", &"? ".repeat(100_000), "RW0104");
}

#[test]
fn what_can_mislead_is_refused() {
    for (text, code) in [
        ("name: first\nsteps: []\n---\nname: second\n", "RW0102"),
        ("%YAML 1.1\n---\nname: x\n", "RW0102"),
        ("name: !!python/object/apply:os.system [id]\n", "RW0102"),
        ("name: !env HOME\n", "RW0102"),
        ("inc: !include /etc/passwd\n", "RW0102"),
        ("a: !<tag:x,2000:y> z\n", "RW0102"),
        ("a: &d {b: c}\nd:\n  <<: *d\n", "RW0102"),
        ("name: a\nname: b\n", "RW0103"),
        ("name: a\n'name': b\n", "RW0103"),
        ("name: \"a\0b\"\n", "RW0105"),
        ("name: a # \u{202e} not what it seems\n", "RW0105"),
        ("name: pay\u{200b}ments\n", "RW0105"),
        ("name: \"\\u202e\"\n", "RW0105"),
        ("name: \"\\0\"\n", "RW0105"),
        ("name: \"\\e[2J\"\n", "RW0105"),
        ("n\0a\0m\0e\0:\0 \0x\0", "RW0105"),
        ("name: x\rversion: 1\n", "RW0105"),
        ("[a, b]: c\n", "RW0203"),
        ("{a: b}: c\n", "RW0203"),
        (": x\n", "RW0203"),
        ("just text\n", "RW0203"),
        ("- a\n- b\n", "RW0203"),
        ("", "RW0101"),
        ("---\n", "RW0203"),
        ("a:\n\t- b\n", "RW0101"),
        ("a: b: c\n", "RW0101"),
        ("a: @b\n", "RW0101"),
    ] {
        refused(text, text, code);
    }
}

#[test]
fn includes_stay_inside() {
    for path in [
        "../../../../etc/passwd",
        "/etc/passwd",
        "./sub/../../outside.lua",
        "file:///etc/passwd",
        "https://attacker.invalid/x.lua",
        "/proc/self/environ",
        "%2e%2e/%2e%2e/etc/passwd",
        "..\\\\..\\\\windows\\\\win.ini",
        "~/x.lua",
    ] {
        let text =
            format!("version: 1\nname: x\nsteps:\n  - {{id: a, lua: {{file: \"{path}\"}}}}\n");
        let asked = |name: &str| -> Result<String, String> { panic!("asked for {name}") };
        let loaded = language::load("r/x.yaml", &text, &catalogue(), &asked);
        assert!(loaded.diagnostics.iter().any(|d| d.code.as_str() == "RW0106"), "{path}");
    }
}
