//! `ssh.exec`: a command on one host or all hosts of a target.
//!
//! Owns the fan-out over hosts, and what a failure on some of them means. Must not know SSH.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::commands::{self, Common, open_text};
use crate::{
    base::{Map, Value},
    diagnostics::codes,
    model::{
        ActionSpec, Fault, World,
        action_spec::{ArgumentKind, TargetKind, argument, example, field},
    },
    ports::{Action, Arguments, StepContext, transport::SshTarget},
};

/// The action.
pub fn new() -> Arc<dyn Action> {
    Arc::new(SshExec { spec: spec() })
}

struct SshExec {
    spec: ActionSpec,
}

fn spec() -> ActionSpec {
    use ArgumentKind::{Command, Flag, Integer, Target, Text};
    let mut arguments = vec![
        argument("on", Target, true, "The hosts"),
        argument(
            "command",
            Command,
            true,
            "Command line for a POSIX shell; a template is one word",
        ),
        argument("host", Text, false, "One of the target's hosts. Default: all of them"),
        argument("sudo", Flag, false, "Run it as root, by `sudo -n`. Default: false"),
    ];
    arguments.extend(commands::arguments());
    arguments.extend([
        argument("parallel", Integer, false, "Hosts at once. Default: 5 for reads, else 1"),
        argument(
            "max_failures",
            Integer,
            false,
            "No further host is begun after more failures. Default: 0 for changes",
        ),
    ]);
    let mut result = vec![field("host", "text", "The host, when there is one")];
    result.extend(commands::fields());
    result.extend([
        field("hosts", "list of maps", "The same for each host, when there are several"),
        field("failed", "integer", "How many hosts failed, when there are several"),
    ]);
    ActionSpec {
        name: "ssh.exec".into(),
        summary: "Runs a command over SSH, on one host or all hosts of a target.".into(),
        manual: include_str!("../../docs/actions/ssh.exec.md").into(),
        target: Some(TargetKind::Ssh),
        arguments,
        result,
        effect: commands::EFFECT,
        examples: vec![
            example(
                "Look at a service on every host",
                "- id: workers\n  ssh.exec:\n    on: app\n    \
                 command: systemctl is-active capture\n    reads: true\n    allow: [0, 3]\n",
            ),
            example(
                "Restart it on one host, as root",
                "- id: restart\n  ssh.exec:\n    on: app\n    host: app1\n    \
                 command: systemctl restart capture\n    sudo: true\n    timeout: 1m\n",
            ),
        ],
        ..ActionSpec::default()
    }
}

#[async_trait]
impl Action for SshExec {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        let common = Common::read(cx, arguments)?;
        let line = command_line(arguments)?;
        let target = cx.transports.ssh(&arguments.required_text("on")?).await?;
        let hosts = target.hosts();
        if let Some(host) = arguments.text("host")? {
            if !hosts.contains(&host) {
                return Err(no_such_host(&host, &hosts));
            }
            return one(target.as_ref(), &host, &common, &line).await;
        }
        if let [host] = hosts.as_slice() {
            return one(target.as_ref(), host, &common, &line).await;
        }
        let plan = Plan::read(arguments, common.reads)?;
        all(target.as_ref(), &hosts, &common, &line, &plan).await
    }
}

fn command_line(arguments: &Arguments) -> Result<String, Fault> {
    let line = open_text(arguments, "command")?.unwrap_or_default();
    if line.trim().is_empty() {
        return Err(Fault::untouched(codes::RW0711, "`command` is empty"));
    }
    Ok(if arguments.flag("sudo")? { with_sudo(&line) } else { line })
}

/// One command keeps its form, so that rules of sudoers for just this command hold; what only a
/// shell understands gets a shell.
fn with_sudo(line: &str) -> String {
    if is_one_command(line) {
        return format!("sudo -n -- {}", line.trim());
    }
    format!("sudo -n -- /bin/sh -c '{}'", line.replace('\'', r"'\''"))
}

/// Words alone: nothing outside of quotes that a shell would act upon.
fn is_one_command(line: &str) -> bool {
    let mut quote = None;
    let mut chars = line.trim().chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('"') | None, '$' | '`') => return false,
            (Some('"') | None, '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if "\n;|&<>(){}*?[]~#!".contains(c) => return false,
            (None, _) => {}
        }
    }
    // `A=b command`: the shell would set a variable.
    let assigns = line.split_whitespace().next().is_some_and(|word| word.contains('='));
    quote.is_none() && !assigns
}

fn no_such_host(host: &str, hosts: &[String]) -> Fault {
    let what = format!("the target has no host `{}`", host.escape_debug());
    Fault::untouched(codes::RW0711, what).help(format!("Its hosts are: {}.", hosts.join(", ")))
}

async fn one(
    target: &dyn SshTarget,
    host: &str,
    common: &Common,
    line: &str,
) -> Result<Value, Fault> {
    let result = match target.exec(host, common.command(line)).await {
        Ok(output) => common.judge(&format!("the command on `{host}`"), &output),
        Err(fault) => Err(common.world_of(fault)),
    };
    result.map(|value| with_host(host, &value)).map_err(|mut fault| {
        fault.result = fault.result.map(|value| with_host(host, &value));
        fault
    })
}

fn with_host(host: &str, value: &Value) -> Value {
    let mut map = Map::from_iter([("host".to_owned(), Value::text(host))]);
    map.extend(value.as_map().cloned().unwrap_or_default());
    Value::Map(map)
}

/// How several hosts are gone through.
struct Plan {
    parallel: usize,
    max_failures: usize,
}

impl Plan {
    fn read(arguments: &Arguments, reads: bool) -> Result<Self, Fault> {
        let number = |name: &str, least: i128, default: usize| match arguments.int(name)? {
            None => Ok(default),
            Some(n) if n >= least => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            Some(n) => {
                let what = format!("`{name}` is {n}, but must be {least} or more");
                Err(Fault::untouched(codes::RW0711, what))
            }
        };
        Ok(Self {
            parallel: number("parallel", 1, if reads { 5 } else { 1 })?.min(100),
            max_failures: number("max_failures", 0, if reads { usize::MAX } else { 0 })?,
        })
    }
}

/// What became of one host of several; `None`: not begun, since others had failed.
type Outcome = Option<Result<Value, Fault>>;

async fn all(
    target: &dyn SshTarget,
    hosts: &[String],
    common: &Common,
    line: &str,
    plan: &Plan,
) -> Result<Value, Fault> {
    let failures = AtomicUsize::new(0);
    let mut runs = Vec::with_capacity(hosts.len());
    for host in hosts {
        runs.push(unless_failed(target, host, common, line, plan, &failures));
    }
    let outcomes: Vec<Outcome> = stream::iter(runs).buffered(plan.parallel).collect().await;
    together(hosts, &outcomes, common.reads)
}

async fn unless_failed(
    target: &dyn SshTarget,
    host: &str,
    common: &Common,
    line: &str,
    plan: &Plan,
    failures: &AtomicUsize,
) -> Outcome {
    if failures.load(Ordering::SeqCst) > plan.max_failures {
        return None;
    }
    let outcome = one(target, host, common, line).await;
    if outcome.is_err() {
        failures.fetch_add(1, Ordering::SeqCst);
    }
    Some(outcome)
}

fn together(hosts: &[String], outcomes: &[Outcome], reads: bool) -> Result<Value, Fault> {
    let faults: Vec<(&String, &Fault)> = hosts
        .iter()
        .zip(outcomes)
        .filter_map(|(host, outcome)| match outcome {
            Some(Err(fault)) => Some((host, fault)),
            _ => None,
        })
        .collect();
    let entries = hosts.iter().zip(outcomes).map(|(host, outcome)| entry(host, outcome)).collect();
    let value =
        Value::map([("hosts", Value::List(entries)), ("failed", Value::Int(faults.len() as i128))]);
    let Some((_, first)) = faults.first() else { return Ok(value) };
    let done = outcomes.iter().filter(|o| matches!(o, Some(Ok(_)))).count();
    let lines: Vec<String> = faults.iter().map(|(h, f)| describe(h, f)).collect();
    let skipped = outcomes.iter().filter(|o| o.is_none()).count();
    let rest = if skipped > 0 { format!("; {skipped} not begun") } else { String::new() };
    Err(Fault {
        code: first.code.clone(),
        message: format!(
            "{} of {} hosts failed{rest}: {}",
            faults.len(),
            hosts.len(),
            first.message
        ),
        detail: Some(lines.join("\n")),
        help: first.help.clone(),
        world: world(&faults, done, reads),
        place: None,
        result: Some(value),
        // Trying again would repeat the command where it was done.
        transient: (reads || done == 0) && faults.iter().all(|(_, f)| f.transient),
    })
}

fn describe(host: &str, fault: &Fault) -> String {
    let detail = fault.detail.as_deref().unwrap_or_default();
    let last = detail.lines().last().map(|l| format!(": {l}")).unwrap_or_default();
    format!("{host}: {} {}{last}", fault.code, fault.message)
}

fn world(faults: &[(&String, &Fault)], done: usize, reads: bool) -> World {
    let any = |world: World| faults.iter().any(|(_, f)| f.world == world);
    if reads {
        World::Untouched
    } else if any(World::Unknown) {
        World::Unknown
    } else if done > 0 || any(World::Partial) {
        World::Partial
    } else {
        World::Untouched
    }
}

fn entry(host: &str, outcome: &Outcome) -> Value {
    let error = |value: &Value, text: &str| {
        let mut map = with_host(host, value).as_map().cloned().unwrap_or_default();
        map.insert("error".to_owned(), Value::text(text));
        Value::Map(map)
    };
    match outcome {
        Some(Ok(value)) => value.clone(),
        Some(Err(fault)) => error(fault.result.as_ref().unwrap_or(&Value::Null), &fault.message),
        None => error(&Value::Null, "not begun, since other hosts had failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_keeps_one_command_and_gives_a_shell_to_more() {
        for (line, expected) in [
            ("systemctl restart capture", "sudo -n -- systemctl restart capture"),
            ("grep 'a;b' \"c d\" x", "sudo -n -- grep 'a;b' \"c d\" x"),
            ("a && b", "sudo -n -- /bin/sh -c 'a && b'"),
            ("echo 'x' > /etc/y", "sudo -n -- /bin/sh -c 'echo '\\''x'\\'' > /etc/y'"),
            ("echo \"$HOME\"", "sudo -n -- /bin/sh -c 'echo \"$HOME\"'"),
            ("A=1 cmd", "sudo -n -- /bin/sh -c 'A=1 cmd'"),
            ("a\nb", "sudo -n -- /bin/sh -c 'a\nb'"),
        ] {
            assert_eq!(with_sudo(line), expected);
        }
    }

    #[test]
    fn hosts_are_judged_together() {
        let hosts: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let fine = || Some(Ok(Value::map([("host", Value::text("a"))])));
        let lost = Fault::unknown(codes::RW0712, "lost").transient();
        let refused = Fault::untouched(codes::RW0701, "refused").transient();

        let value = together(&hosts, &[fine(), fine(), fine()], false).unwrap();
        assert_eq!(value.get("failed"), Some(&Value::Int(0)));

        let outcomes = [fine(), Some(Err(refused.clone())), None];
        let fault = together(&hosts, &outcomes, false).unwrap_err();
        assert_eq!((fault.world, fault.transient), (World::Partial, false));
        assert_eq!(fault.message, "1 of 3 hosts failed; 1 not begun: refused");
        let entries = fault.result.unwrap();
        let entries = entries.get("hosts").unwrap().as_list().unwrap();
        assert_eq!(entries[1].get("error"), Some(&Value::text("refused")));

        let outcomes = [Some(Err(refused.clone())), Some(Err(lost)), None];
        assert_eq!(together(&hosts, &outcomes, false).unwrap_err().world, World::Unknown);
        let outcomes = [Some(Err(refused.clone())), None, None];
        let fault = together(&hosts, &outcomes, false).unwrap_err();
        assert_eq!((fault.world, fault.transient), (World::Untouched, true));
        let outcomes = [fine(), Some(Err(refused)), fine()];
        assert_eq!(together(&hosts, &outcomes, true).unwrap_err().world, World::Untouched);
    }
}
