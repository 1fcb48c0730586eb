//! Runs every script of `tests/lua`, each of which attacks the sandbox, and holds it to its
//! `-- expect:` line: a JSON text that the script returns, or a code and words of its fault.
//!
//! Each must end within 1.5 s, and the process must not grow by more than 128 MiB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use runward::lua::{Limits, check, run};

fn memory(key: &str) -> u64 {
    fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok())
        .unwrap()
}

fn expectation(script: &str) -> &str {
    script.lines().find_map(|line| line.strip_prefix("-- expect: ")).expect("an `-- expect:` line")
}

#[tokio::test]
async fn every_attack_ends_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lua");
    let mut scripts: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() > 40, "the corpus is there");
    let before = memory("VmRSS");
    let mut wrong = Vec::new();
    for path in scripts {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let script = fs::read_to_string(&path).unwrap();
        let expected = expectation(&script);
        let started = Instant::now();
        let found = match run(script.clone(), Vec::new(), Limits::default()).await {
            Ok(outcome) => outcome.value.to_plain().to_string(),
            Err(fault) => format!("{}: {}", fault.code, fault.message),
        };
        let took = started.elapsed();
        let right = match expected.split_once(' ') {
            Some((code, words)) if code.starts_with("RW") => {
                found.starts_with(code) && found.contains(words)
            }
            _ if expected.starts_with("RW") => found.starts_with(expected),
            _ => found == expected,
        };
        if !right {
            wrong.push(format!("{name}: expected {expected}, found {found}"));
        }
        if took > Duration::from_millis(1500) {
            wrong.push(format!("{name}: took {took:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let grown = memory("VmHWM").saturating_sub(before) / 1024;
    assert!(grown < 128, "the process grew by {grown} MiB");
    the_caller_is_answered_even_when_no_interrupt_fires().await;
}

/// Without a jump, call or return, no interrupt fires: thousands of comparisons of long texts.
async fn the_caller_is_answered_even_when_no_interrupt_fires() {
    let script = format!(
        "local a = string.rep('x', 2 ^ 23) .. 'a' local b = string.rep('x', 2 ^ 23) .. 'b' \
         local c {}",
        "c = a < b ".repeat(12_000)
    );
    let started = Instant::now();
    let fault = run(script, Vec::new(), Limits::default()).await.unwrap_err();
    assert_eq!(fault.code, "RW0703");
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
}

#[test]
fn deep_nesting_does_not_break_the_parser() {
    for (open, close) in [
        ("(", ")"),
        ("{", "}"),
        ("- ", ""),
        ("f(", ")"),
        ("not ", ""),
        ("function() return ", " end"),
    ] {
        let script = format!("return {}1{}", open.repeat(60_000), close.repeat(60_000));
        let Err(error) = check(&script[..script.len().min(250_000)]) else {
            panic!("`{open}` compiles")
        };
        assert!(!error.message.is_empty(), "{open}");
    }
    let blocks = format!("{}{}", "do ".repeat(40_000), "end ".repeat(20_000));
    assert!(check(&blocks).is_err());
    assert!(check(&"x".repeat(300 << 10)).is_err(), "too long");
}
