//! Values in commands, read back by real shells: whatever is in one, it is one word.

#![allow(clippy::expect_used, clippy::panic)]

use std::{borrow::Cow, process::Command};

use runward::{
    base::{Place, Source, Value},
    expression::{Absent, Escape, Scope, Template, Written},
};

struct One(Value);

impl Scope for One {
    fn lookup(&self, path: &[&str]) -> Result<(Cow<'_, Value>, usize), Absent> {
        match path.first() {
            Some(&"x") => Ok((Cow::Borrowed(&self.0), 1)),
            _ => Err(Absent::Undefined { segment: 0, known: vec!["x".into()] }),
        }
    }
}

const HOSTILE: &[&str] = &[
    "",
    " ",
    "; touch pwned",
    "&& touch pwned",
    "| touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "${IFS}touch${IFS}pwned",
    "' ; touch pwned ; '",
    "\" ; touch pwned ; \"",
    "'\"'\"'; touch pwned #",
    "\\'; touch pwned; #",
    "> pwned",
    "< /etc/passwd",
    "2",
    "--help",
    "-e touch pwned",
    "* ? [a-z] {a,b} ~ ~root",
    "$HOME $PATH ${HOME:-x} $((1+1))",
    "!! !1 !$ ^a^b",
    "%s%s%n",
    "line1\nline2\r\nline3\n",
    "tab\tinside",
    " leading and trailing ",
    "{{ x }} {% raw %} {# c #}",
    "ünïcödé 日本語 🏦 \u{a0}\u{2028}\u{202e}",
    "a\"b'c`d$e\\f!g",
    "\u{1b}[31m\u{7f}\u{1}",
    "if",
    "x=1",
];

fn rendered(command: &str, value: &str) -> String {
    let source = Source::new("test.yaml", command);
    let place = Place::new(&source, 0..command.len());
    let template = Template::parse(command, Written::verbatim(place)).expect("a template");
    let scope = One(Value::text(value));
    let value = template.render(&scope, Escape::Shell).expect("a command");
    value.as_text().expect("text").to_owned()
}

/// What the shell hands to a program as arguments, each ended by a NUL.
fn arguments(shell: &str, words: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(shell)
        .args(["-c", &format!("printf '%s\\0' {words}")])
        .current_dir(folder.path())
        .output()
        .unwrap_or_else(|e| panic!("{shell}: {e}"));
    assert!(output.status.success(), "{shell}: {words}: {output:?}");
    assert!(!folder.path().join("pwned").exists(), "{shell}: {words} ran");
    output.stdout
}

#[test]
fn every_value_is_one_word_wherever_it_stands() {
    for shell in ["sh", "bash"] {
        for hostile in HOSTILE {
            for (words, expected) in [
                ("{{ x }}", format!("{hostile}\0")),
                ("a{{ x }}b", format!("a{hostile}b\0")),
                ("--x={{ x }} 'q' {{ x }}", format!("--x={hostile}\0q\0{hostile}\0")),
                ("$nothing{{ x }}", format!("{hostile}\0")),
                ("\"a $(printf '%s.' {{ x }})\"", format!("a {hostile}.\0")),
                ("${nothing:-{{ x }}}", format!("{hostile}\0")),
                ("{{ x }} >&1 # done", format!("{hostile}\0")),
            ] {
                // Command substitution ends what a command prints; `.` keeps its line breaks.
                let command = rendered(words, hostile);
                let found = arguments(shell, &command);
                assert_eq!(
                    String::from_utf8_lossy(&found),
                    expected,
                    "{shell}: {words} with {hostile:?}: {command}"
                );
            }
        }
    }
}

#[test]
fn a_list_is_as_many_words_as_it_has_items() {
    let source = Source::new("test.yaml", "{{ x }}");
    let template =
        Template::parse("{{ x }}", Written::verbatim(Place::new(&source, 0..7))).expect("parses");
    let scope = One(Value::List(HOSTILE.iter().map(|h| Value::text(*h)).collect()));
    let words = template.render(&scope, Escape::Shell).expect("words");
    let expected: String = HOSTILE.iter().map(|h| format!("{h}\0")).collect();
    for shell in ["sh", "bash"] {
        let found = arguments(shell, words.as_text().expect("text"));
        assert_eq!(String::from_utf8_lossy(&found), expected, "{shell}");
    }
}
