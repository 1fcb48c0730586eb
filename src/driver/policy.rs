//! Reads that are only reads because the author says so, held against the policy.

use regex::Regex;

use crate::{
    diagnostics::codes,
    model::{Effect, Fault, runbook::ActionCall, target::Environment},
    ports::Arguments,
};

/// In a protected environment a command with `reads: true` must be one that the policy lists.
pub(super) fn read_permitted(
    environment: &Environment,
    call: &ActionCall,
    arguments: &Arguments,
) -> Result<(), Fault> {
    if !environment.protected || call.effect != Effect::Read || !call.flag("reads") {
        return Ok(());
    }
    let refused = |message: String| {
        Err(Fault::untouched(codes::RW0604, message).help(format!(
            "let `environments.{}.policy.read_only_commands` list it, or make the step a change",
            environment.name
        )))
    };
    let Some(command) = arguments.text("command")? else {
        return refused("only a plain `command` counts as a read here, no script".into());
    };
    let words = match plain_words(&command) {
        Ok(words) => words.join(" "),
        Err(why) => return refused(format!("`{command}` does not count as a read: {why}")),
    };
    let listed = environment
        .policy
        .read_only_commands
        .iter()
        .any(|pattern| Regex::new(pattern).is_ok_and(|p| p.is_match(&words)));
    if listed {
        return Ok(());
    }
    refused(format!("`{command}` is not among the read-only commands of `{}`", environment.name))
}

/// The words of a command that is one simple command and nothing else.
fn plain_words(command: &str) -> Result<Vec<String>, String> {
    let mut quote = None;
    let mut escaped = false;
    for c in command.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('\''), '\'') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => escaped = true,
            (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (_, '$' | '`') => return Err(format!("it holds `{c}`")),
            (None, ';' | '|' | '&' | '<' | '>' | '(' | ')' | '{' | '}' | '#' | '\n' | '\r') => {
                return Err(format!("it holds `{}`", c.escape_default()));
            }
            _ => {}
        }
    }
    let words = shlex::split(command).ok_or("its quotes are not closed")?;
    match words.first() {
        Some(first) if first.contains('=') => Err("it sets a variable".into()),
        Some(_) => Ok(words),
        None => Err("it is empty".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_simple_command_is_words() {
        assert_eq!(plain_words("grep 'a;b' \"c d\"").unwrap(), ["grep", "a;b", "c d"]);
        assert_eq!(plain_words("ls a\\ b").unwrap(), ["ls", "a b"]);
    }

    #[test]
    fn anything_that_runs_more_or_writes_is_refused() {
        for command in [
            "cat x; rm y",
            "cat x | sh",
            "cat $(id)",
            "cat `id`",
            "cat \"$(id)\"",
            "cat x > y",
            "cat < x",
            "cat x & rm y",
            "cat x\nrm y",
            "cat x && rm y",
            "(rm y)",
            "{ rm y; }",
            "cat $HOME",
            "A=b cat x",
            "cat 'x",
            "",
            "cat x\rrm y",
        ] {
            assert!(plain_words(command).is_err(), "{command}");
        }
    }
}
