//! Reads an environment's policy, and says when it can't work.
//!
//! Owns the defaults of protected environments. Must not know how a policy is enforced.

use std::time::Duration;

use indexmap::IndexMap;
use regex::Regex;

use super::Reader;
use crate::{
    base::Timestamp,
    diagnostics::{Diagnostic, codes, suggest},
    model::{
        project::Person,
        target::{ApprovalPolicy, Environment, Freeze, Identity, Irreversible, Policy},
    },
    yaml::{
        Node, Shape,
        shape::{self, Fields, Findings},
    },
};

/// How long a request waits when the policy does not say.
const EXPIRES: Duration = Duration::from_secs(30 * 60);

impl Reader {
    /// The policy; what is not written has the default of the environment's kind.
    pub(super) fn policy(&mut self, node: Option<&Node>, protected: bool) -> Policy {
        let mut policy = defaults(protected);
        let out = &mut self.out;
        let Some(mut fields) = node.and_then(|node| Fields::of(node, "a policy", out)) else {
            return policy;
        };
        if let Some(entry) = fields.get("approvals")
            && let Some(approvals) = approvals(&entry.value, out)
        {
            policy.approvals = Some(approvals);
        }
        if let Some(entry) = fields.get("identity") {
            let table = [("key", Identity::Key), ("login", Identity::Login)];
            policy.identity =
                shape::choice(&entry.value, "`identity`", &table, out).unwrap_or(policy.identity);
        }
        if let Some(entry) = fields.get("irreversible") {
            policy.irreversible = irreversible(&entry.value, out).unwrap_or(policy.irreversible);
        }
        if let Some(entry) = fields.get("read_only_commands") {
            policy.read_only_commands = commands(&entry.value, out);
        }
        if let Some(entry) = fields.get("freeze") {
            let items = shape::list(&entry.value, "`freeze`", out).unwrap_or_default();
            policy.freeze = items.iter().filter_map(|item| freeze(item, out)).collect();
        }
        fields.not_yet(&["break_glass"], out);
        fields.finish(out);
        policy
    }
}

fn defaults(protected: bool) -> Policy {
    if !protected {
        return Policy::default();
    }
    Policy {
        approvals: Some(ApprovalPolicy { required: 1, from: Vec::new(), expires: EXPIRES }),
        irreversible: Irreversible::Forbid,
        identity: Identity::Key,
        ..Policy::default()
    }
}

fn approvals(node: &Node, out: &mut Findings) -> Option<ApprovalPolicy> {
    let mut fields = Fields::of(node, "`approvals`", out)?;
    let required = match fields.get("required") {
        Some(e) => shape::whole(&e.value, "`required`", 1..=100, out),
        None => Some(1),
    };
    let from =
        fields.get("from").map(|e| shape::texts(&e.value, "`from`", out)).unwrap_or_default();
    let expires = match fields.get("expires") {
        Some(e) => shape::duration(&e.value, "`expires`", out),
        None => Some(EXPIRES),
    };
    if let Some(e) = node.get("self") {
        let _ = fields.get("self");
        let message = "`self` does not exist: nobody approves a change of their own";
        out.push(
            Diagnostic::error(codes::RW0504, e.place.clone(), message)
                .help("remove it; an unprotected environment needs no approval"),
        );
    }
    fields.finish(out);
    Some(ApprovalPolicy {
        required: required.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        from: from.into_iter().map(|(group, _)| group).collect(),
        expires: expires.unwrap_or(EXPIRES),
    })
}

fn irreversible(node: &Node, out: &mut Findings) -> Option<Irreversible> {
    if let Shape::Map(_) = &node.shape {
        let mut fields = Fields::of(node, "`irreversible`", out)?;
        let extra =
            fields.need("extra", out).and_then(|e| shape::whole(&e.value, "`extra`", 1..=100, out));
        fields.finish(out);
        return u32::try_from(extra?).ok().map(Irreversible::Extra);
    }
    let table = [("forbid", Irreversible::Forbid), ("allow", Irreversible::Allow)];
    let before = out.len();
    let found = shape::choice(node, "`irreversible`", &table, out);
    if out.len() > before
        && let Some(last) = out.last_mut()
    {
        last.help = Some("write `forbid`, `allow`, or `{extra: N}` for N more approvals".into());
    }
    found
}

fn commands(node: &Node, out: &mut Findings) -> Vec<String> {
    let mut patterns = Vec::new();
    for item in shape::list(node, "`read_only_commands`", out).unwrap_or_default() {
        let Some(pattern) = shape::regex(item, "an entry of `read_only_commands`", out) else {
            continue;
        };
        if !pattern.starts_with('^') {
            let message = "this pattern may match in the middle of a command";
            out.push(
                Diagnostic::warning(codes::RW0504, item.place.clone(), message)
                    .help("begin it with `^`, or `rm cat` counts as reading where `cat` does"),
            );
        } else if ["", "rm -rf /", "x"]
            .iter()
            .all(|c| Regex::new(&pattern).is_ok_and(|r| r.is_match(c)))
        {
            let message = "this pattern lets every command count as reading";
            out.push(Diagnostic::error(codes::RW0504, item.place.clone(), message));
        }
        patterns.push(pattern);
    }
    patterns
}

fn freeze(node: &Node, out: &mut Findings) -> Option<Freeze> {
    let mut fields = Fields::of(node, "a freeze", out)?;
    if node.get("weekly").is_some() {
        fields.not_yet(&["weekly"], out);
        let _ = (fields.get("timezone"), fields.get("reason"));
        fields.finish(out);
        return None;
    }
    let mut time = |key: &str, out: &mut Findings| {
        let entry = fields.need(key, out)?;
        let text = shape::filled(&entry.value, &format!("`{key}`"), out)?;
        let time = text.parse::<Timestamp>().ok();
        if time.is_none() {
            let message = format!("`{key}` is not a point in time");
            out.push(
                Diagnostic::error(codes::RW0203, entry.value.place.clone(), message)
                    .help("write it with its offset from UTC: `2026-11-27T00:00:00-03:00`"),
            );
        }
        time
    };
    let (from, until) = (time("from", out), time("until", out));
    let reason = fields.need("reason", out).and_then(|e| shape::filled(&e.value, "`reason`", out));
    fields.finish(out);
    let (from, until) = (from?, until?);
    if until <= from {
        let message = "this freeze ends before it begins";
        out.push(Diagnostic::error(codes::RW0504, node.place.clone(), message));
    }
    Some(Freeze { from, until, reason: reason? })
}

/// What makes a policy impossible to satisfy with these people.
pub(super) fn check(
    environment: &Environment,
    people: &IndexMap<String, Person>,
    out: &mut Findings,
) {
    let Some(approvals) = &environment.policy.approvals else { return };
    for group in &approvals.from {
        if !people.values().any(|p| p.groups.contains(group)) {
            let known = people.values().flat_map(|p| &p.groups).map(String::as_str);
            let message = format!(
                "the policy of `{}` asks group `{group}`, in which is nobody",
                environment.name
            );
            out.push(
                Diagnostic::error(codes::RW0504, environment.place.clone(), message).help(
                    suggest(group, known)
                        .unwrap_or_else(|| format!("add `groups: [{group}]` to somebody")),
                ),
            );
        }
    }
    // Who has no key can't sign.
    let able = people
        .values()
        .filter(|p| !p.keys.is_empty())
        .filter(|p| {
            approvals.from.is_empty() || p.groups.iter().any(|g| approvals.from.contains(g))
        })
        .count();
    let required = usize::try_from(approvals.required).unwrap_or(usize::MAX);
    if required > able {
        let able = match able {
            0 => "nobody".to_owned(),
            1 => "only one person".to_owned(),
            _ => format!("only {able} people"),
        };
        let message = format!(
            "`{}` needs {required} approvals, but {able} with a key may give one",
            environment.name
        );
        out.push(
            Diagnostic::warning(codes::RW0504, environment.place.clone(), message)
                .help("add people with `keys` and the groups that the policy asks for"),
        );
    }
}
