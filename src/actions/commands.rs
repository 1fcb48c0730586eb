//! What actions that run a command have in common: its arguments, and when it failed.
//!
//! Owns the reading of those arguments and the verdict on an outcome. Must not know where the
//! command runs.

use std::time::Duration;

use crate::{
    base::{Map, Value},
    diagnostics::codes,
    model::{
        EffectRule, Fault, World,
        action_spec::{Argument, ArgumentKind, Field, argument, field},
    },
    ports::{
        Arguments, StepContext,
        transport::{Command, CommandOutput},
    },
};

/// Bytes kept of each of stdout and stderr, unless the step says otherwise.
const MAX_OUTPUT: usize = 1 << 20;
/// The most that a step may ask for: it is held in memory and journalled.
const MOST_OUTPUT: usize = 256 << 20;

/// Reads when the runbook says `reads: true`; a protected environment checks that word.
pub(super) const EFFECT: EffectRule =
    EffectRule::ReadsWhen { argument: "reads", values: &["true"], default: "false" };

/// Arguments of every command.
pub(super) fn arguments() -> Vec<Argument> {
    use ArgumentKind::{Duration, Flag, Integer, List, Map, Text};
    vec![
        argument("stdin", Text, false, "Given on standard input; may hold secrets. Default: empty"),
        argument("env", Map, false, "Environment variables; values may be secrets"),
        argument(
            "timeout",
            Duration,
            false,
            "Then the whole process group is ended. Default: the step's",
        ),
        argument("reads", Flag, false, "The command changes nothing. Default: false"),
        argument("allow", List, false, "Exit statuses that are no failure. Default: [0]"),
        argument("max_output", Integer, false, "Bytes kept of each stream. Default: 1048576"),
    ]
}

/// Fields of every command's result.
pub(super) fn fields() -> Vec<Field> {
    vec![
        field("stdout", "text", "Standard output, as UTF-8; other bytes are replaced"),
        field("stderr", "text", "Standard error"),
        field("status", "integer", "Exit status; null when a signal ended the command"),
        field("signal", "text", "The signal that ended the command, such as `TERM`; else null"),
        field("dropped", "integer", "Bytes over `max_output`, of both streams"),
    ]
}

/// The common arguments, read.
pub(super) struct Common {
    stdin: Option<Vec<u8>>,
    environment: Vec<(String, String)>,
    /// When nobody will wait any more.
    timeout: Option<Duration>,
    pub(super) reads: bool,
    allow: Vec<i128>,
    max_bytes: usize,
}

impl Common {
    /// Reads them; faults are `RW0711`.
    pub(super) fn read(cx: &StepContext, arguments: &Arguments) -> Result<Self, Fault> {
        let stdin = match arguments.get("stdin") {
            Some(Value::Bytes(bytes)) => Some(bytes.clone()),
            _ => arguments.text("stdin")?.map(String::into_bytes),
        };
        Ok(Self {
            stdin,
            environment: environment(&arguments.map("env")?)?,
            timeout: limit(arguments.duration("timeout")?, cx.timeout),
            reads: arguments.flag("reads")?,
            allow: allowed(arguments)?,
            max_bytes: max_bytes(arguments)?,
        })
    }

    /// The command to hand to a transport.
    pub(super) fn command(&self, line: &str) -> Command {
        Command {
            line: line.to_owned(),
            stdin: self.stdin.clone(),
            environment: self.environment.clone(),
            timeout: self.timeout,
            max_bytes: self.max_bytes,
        }
    }

    /// The result, or the fault that it is. `whose` begins the message.
    pub(super) fn judge(&self, whose: &str, output: &CommandOutput) -> Result<Value, Fault> {
        let value = output.to_value();
        let how = match (output.status, &output.signal) {
            (Some(status), _) if self.allow.contains(&status.into()) => return Ok(value),
            (Some(status), _) => format!("ended with status {status}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended without a status".to_owned(),
        };
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        let mut fault = Fault::partial(codes::RW0704, format!("{whose} {how}")).result(value);
        fault.detail = Some(last_lines(said)).filter(|d| !d.is_empty());
        Err(self.world_of(fault))
    }

    /// A command that reads leaves nothing behind, however it ends.
    pub(super) fn world_of(&self, fault: Fault) -> Fault {
        if self.reads { fault.world(World::Untouched) } else { fault }
    }
}

/// The text of an argument that becomes part of an argument list, where every user of the machine
/// can read it: a secret is refused.
pub(super) fn open_text(arguments: &Arguments, name: &str) -> Result<Option<String>, Fault> {
    if let Some(value) = arguments.get(name) {
        refuse_secret(name, value)?;
    }
    arguments.text(name)
}

/// Refuses a secret, for the same reason.
pub(super) fn refuse_secret(name: &str, value: &Value) -> Result<(), Fault> {
    let Value::Secret(secret) = value else { return Ok(()) };
    let what = format!("`{name}` holds a secret: {}", secret.shown());
    Err(Fault::untouched(codes::RW0410, what).help(
        "Everybody on the machine can see a running program's arguments. Give the secret in `env` \
         (and write `\"$NAME\"` in the command) or in `stdin`.",
    ))
}

/// The step's own limit, kept below the time at which the driver gives up, so that the processes
/// can be ended and that be confirmed while somebody still listens.
fn limit(own: Option<Duration>, step: Option<Duration>) -> Option<Duration> {
    let margin = |t: Duration| t - (t / 4).min(Duration::from_secs(5));
    match (own, step.map(margin)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn environment(map: &Map) -> Result<Vec<(String, String)>, Fault> {
    let mut found = Vec::new();
    for (name, value) in map {
        let text = match value {
            Value::Secret(secret) => secret.expose().to_owned(),
            Value::Null => continue,
            Value::List(_) | Value::Map(_) | Value::Bytes(_) => {
                let what = format!("`env`: {name} must be text, but is {}", value.kind());
                return Err(Fault::untouched(codes::RW0711, what));
            }
            simple => simple.to_string(),
        };
        let fine = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fine || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            let what = format!("`{}` can't be the name of a variable", name.escape_debug());
            return Err(Fault::untouched(codes::RW0711, what)
                .help("Use letters, digits and `_`, and begin with a letter."));
        }
        found.push((name.clone(), text));
    }
    Ok(found)
}

fn allowed(arguments: &Arguments) -> Result<Vec<i128>, Fault> {
    let given = arguments.list("allow")?;
    if given.is_empty() {
        return Ok(vec![0]);
    }
    given
        .iter()
        .map(|v| {
            v.as_int().filter(|s| (0..=255).contains(s)).ok_or_else(|| {
                let what = format!("`allow` holds {v}, which is no exit status");
                Fault::untouched(codes::RW0711, what).help("Exit statuses are 0 to 255.")
            })
        })
        .collect()
}

fn max_bytes(arguments: &Arguments) -> Result<usize, Fault> {
    let Some(given) = arguments.int("max_output")? else { return Ok(MAX_OUTPUT) };
    usize::try_from(given).ok().filter(|n| *n <= MOST_OUTPUT).ok_or_else(|| {
        let what = format!("`max_output` is {given}");
        Fault::untouched(codes::RW0711, what)
            .help(format!("Give a number of bytes from 0 to {MOST_OUTPUT}; write more to a file."))
    })
}

/// The end of what the command said, which mostly holds the reason.
fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(20);
    let last: Vec<String> = lines[from..]
        .iter()
        .map(|line| match line.char_indices().nth(400) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => (*line).to_owned(),
        })
        .collect();
    last.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn arguments(pairs: &[(&str, Value)]) -> Arguments {
        Arguments::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    }

    #[test]
    fn a_secret_does_not_become_an_argument() {
        let secret = Value::Secret(Secret::new("token", "1a", "clear".into()));
        let fault = open_text(&arguments(&[("command", secret.clone())]), "command").unwrap_err();
        assert_eq!((fault.code.as_str(), fault.world), ("RW0410", World::Untouched));
        assert!(!format!("{fault:?}").contains("clear"));
        let map = Map::from_iter([("TOKEN".to_owned(), secret), ("N".to_owned(), Value::Int(1))]);
        let expected = [("TOKEN".to_owned(), "clear".to_owned()), ("N".into(), "1".into())];
        assert_eq!(environment(&map).unwrap(), expected);
    }

    #[test]
    fn names_of_variables_are_checked() {
        for name in ["", "A B", "A=B", "1A", "A;id"] {
            let map = Map::from_iter([(name.to_owned(), Value::text("x"))]);
            assert_eq!(environment(&map).unwrap_err().code, "RW0711", "{name}");
        }
    }

    #[test]
    fn the_limit_leaves_time_for_ending() {
        let s = Duration::from_secs;
        assert_eq!(limit(None, None), None);
        assert_eq!(limit(Some(s(3)), None), Some(s(3)));
        assert_eq!(limit(None, Some(s(60))), Some(s(55)));
        assert_eq!(limit(Some(s(60)), Some(s(8))), Some(s(6)));
    }

    #[test]
    fn statuses_and_caps_are_checked() {
        let given = arguments(&[("allow", Value::List(vec![Value::Int(0), Value::Int(3)]))]);
        assert_eq!(allowed(&given).unwrap(), [0, 3]);
        assert_eq!(allowed(&arguments(&[])).unwrap(), [0]);
        assert!(allowed(&arguments(&[("allow", Value::Int(256))])).is_err());
        assert!(max_bytes(&arguments(&[("max_output", Value::Int(-1))])).is_err());
        assert_eq!(max_bytes(&arguments(&[])).unwrap(), MAX_OUTPUT);
    }

    #[test]
    fn the_end_of_what_was_said_is_shown() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let shown = last_lines(text.as_bytes());
        assert!(shown.starts_with("line 80\n") && shown.ends_with("line 99"));
        assert_eq!(last_lines("é".repeat(500).as_bytes()).chars().count(), 401);
    }
}
