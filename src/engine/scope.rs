//! What names mean in the expressions of a run.

use std::{borrow::Cow, collections::HashMap};

use super::run::{Over, Run};
use crate::{
    base::{Map, NodeId, Secret, Value},
    expression::{Absent, Scope},
    model::{event::Phase, target::Address},
};

/// Names as one step sees them.
pub struct RunScope<'a> {
    run: &'a Run,
    node: Option<&'a NodeId>,
    local: Map,
    secrets: Option<&'a HashMap<String, Secret>>,
}

/// Names that exist everywhere.
const ROOTS: [&str; 6] = ["inputs", "vars", "run", "env", "targets", "steps"];

impl<'a> RunScope<'a> {
    /// The run's own names.
    pub fn new(run: &'a Run) -> Self {
        Self { run, node: None, local: Map::new(), secrets: None }
    }

    /// With the items of the loops around this node.
    pub fn at(run: &'a Run, node: &'a NodeId) -> Self {
        Self { node: Some(node), ..Self::new(run) }
    }

    /// With a local name such as `result` or `before`.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.local.insert(name.to_owned(), value);
        self
    }

    /// With `before`, `after` and `diff` of the node, as far as they are known.
    pub fn with_states(self) -> Self {
        let Some(node) = self.node.and_then(|id| self.run.node(id)) else { return self };
        let before = node.prepared.as_ref().and_then(|p| p.before.as_ref());
        let states = [
            ("before", before.map(|s| s.state.clone())),
            ("after", node.after.as_ref().map(|s| s.state.clone())),
            ("diff", node.diff.as_ref().map(super::finish::diff_value)),
        ];
        states.into_iter().fold(self, |scope, (name, value)| match value {
            Some(value) => scope.with(name, value),
            None => scope,
        })
    }

    /// With the secrets that an action's arguments may use.
    pub fn with_secrets(mut self, secrets: &'a HashMap<String, Secret>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// The item of an enclosing loop whose name this is.
    fn item(&self, name: &str) -> Option<&'a Value> {
        let id = self.node?;
        let loops = &self.run.plan.location(&id.step)?.loops;
        // Inner loops hide outer ones of the same name.
        for (depth, step) in loops.iter().enumerate().rev() {
            let foreach = self.run.plan.step(step)?.foreach.as_ref()?;
            if foreach.name == name {
                let holder = NodeId { step: step.clone(), items: id.items.get(..depth)?.to_vec() };
                return self.run.items.get(&holder)?.get(*id.items.get(depth)?);
            }
        }
        None
    }

    fn step(&self, path: &[&str]) -> Result<(Cow<'_, Value>, usize), Absent> {
        let plan = &self.run.plan;
        let known = || plan.runbook.all_steps().iter().map(|s| s.id.clone()).collect();
        let Some(id) = path.get(1) else {
            return Err(Absent::Missing("`steps` alone has no value; name a step".into()));
        };
        let Some(location) = plan.location(id) else {
            return Err(Absent::Undefined { segment: 1, known: known() });
        };
        // A step of the same loop is seen for the same item; a loop seen from outside is a list.
        let here = self.node.map_or(&[][..], |n| n.items.as_slice());
        let here_loops =
            self.node.and_then(|n| plan.location(&n.step)).map_or(&[][..], |l| l.loops.as_slice());
        let shared = location.loops.iter().zip(here_loops).take_while(|(a, b)| a == b).count();
        let node =
            NodeId { step: (*id).to_owned(), items: here[..shared.min(here.len())].to_vec() };
        if shared == location.loops.len() {
            return self.result_of(&node).map(|v| (Cow::Borrowed(v), 2));
        }
        let list = self.results_below(&node, location.loops.len() - shared)?;
        Ok((Cow::Owned(Value::map([("items", list)])), 2))
    }

    fn results_below(&self, node: &NodeId, levels: usize) -> Result<Value, Absent> {
        if levels == 0 {
            return match self.result_of(node) {
                Ok(value) => Ok(value.clone()),
                Err(Absent::Missing(_)) => Ok(Value::Null),
                Err(other) => Err(other),
            };
        }
        let loops = &self
            .run
            .plan
            .location(&node.step)
            .ok_or_else(|| Absent::Missing("unknown step".into()))?
            .loops;
        let holder =
            NodeId { step: loops[loops.len() - levels].clone(), items: node.items.clone() };
        let Some(items) = self.run.items.get(&holder) else {
            return Err(self.why_absent(&holder));
        };
        (0..items.len())
            .map(|i| self.results_below(&node.with_item(i), levels - 1))
            .collect::<Result<_, _>>()
            .map(Value::List)
    }

    fn result_of(&self, id: &NodeId) -> Result<&'a Value, Absent> {
        match self.run.node(id) {
            Some(node) if node.over == Some(Over::Planned) => Err(Absent::NotYetKnown(format!(
                "the result of `{id}` is known once its change is made"
            ))),
            Some(node) if node.over == Some(Over::Succeeded) => node
                .exposed
                .as_ref()
                .ok_or_else(|| Absent::Missing(format!("step `{id}` gives no result"))),
            _ => Err(self.why_absent(id)),
        }
    }

    fn why_absent(&self, id: &NodeId) -> Absent {
        Absent::Missing(match self.run.node(id).and_then(|n| n.over) {
            Some(Over::Skipped) => format!("step `{id}` was skipped"),
            Some(Over::Failed) => format!("step `{id}` failed"),
            Some(Over::Planned) => {
                return Absent::NotYetKnown(format!("`{id}` depends on a change not made yet"));
            }
            _ => format!("step `{id}` has not run"),
        })
    }

    fn run_value(&self, name: &str) -> Option<Value> {
        let run = self.run;
        Some(match name {
            "id" => Value::text(&run.id.0),
            "name" => Value::text(&run.created.name),
            "runbook" => Value::text(&run.created.runbook),
            "started_at" => Value::Time(crate::base::value::Time::Instant(run.started_at)),
            "operator" => Value::text(&run.created.operator.name),
            "environment" => Value::text(&run.created.environment),
            "failed_step" => match &run.failure {
                Some((node, _)) => Value::text(node.to_string()),
                None => Value::Null,
            },
            "error" => match &run.failure {
                Some((_, fault)) => Value::text(&fault.message),
                None => Value::Null,
            },
            "status" => Value::text(match (run.phase, &run.failure) {
                (Phase::Main, _) => "running",
                (_, None) => "succeeded",
                _ => run.verdict().0.as_str(),
            }),
            _ => return None,
        })
    }

    fn target(&self, path: &[&str]) -> Result<(Cow<'_, Value>, usize), Absent> {
        let targets = &self.run.plan.environment.targets;
        let Some(target) = path.get(1).and_then(|name| targets.get(*name)) else {
            let known = targets.keys().cloned().collect();
            return Err(Absent::Undefined { segment: path.len().min(2) - 1, known });
        };
        let mut fields = Map::new();
        fields.insert("name".into(), Value::text(&target.name));
        match &target.address {
            Address::Ssh(ssh) => {
                let hosts = ssh.hosts.iter().map(Value::text).collect();
                fields.insert("hosts".into(), Value::List(hosts));
            }
            Address::Sql(sql) => {
                fields.insert("url".into(), Value::text(&sql.url));
            }
            Address::Http(http) => {
                fields.insert("url".into(), Value::text(&http.url));
            }
        }
        Ok((Cow::Owned(Value::Map(fields)), 2))
    }
}

impl Scope for RunScope<'_> {
    fn lookup(&self, path: &[&str]) -> Result<(Cow<'_, Value>, usize), Absent> {
        let root = path.first().copied().unwrap_or_default();
        if let Some(value) = self.local.get(root) {
            return Ok((Cow::Borrowed(value), 1));
        }
        if let Some(value) = self.item(root) {
            return Ok((Cow::Borrowed(value), 1));
        }
        let second = path.get(1).copied();
        match (root, second) {
            ("inputs" | "vars", _) => {
                let map = if root == "inputs" { &self.run.created.inputs } else { &self.run.vars };
                let undefined =
                    |_| Absent::Undefined { segment: 1, known: map.keys().cloned().collect() };
                let Some(name) = second else {
                    return Ok((Cow::Owned(Value::Map(map.clone())), 1));
                };
                map.get(name).map(|v| (Cow::Borrowed(v), 2)).ok_or(()).map_err(undefined)
            }
            ("run", Some(name)) => {
                self.run_value(name).map(|v| (Cow::Owned(v), 2)).ok_or_else(|| Absent::Undefined {
                    segment: 1,
                    known: RUN_FIELDS.map(str::to_owned).to_vec(),
                })
            }
            ("env", Some("name")) => {
                Ok((Cow::Owned(Value::text(&self.run.plan.environment.name)), 2))
            }
            ("env", Some("protected")) => {
                Ok((Cow::Owned(Value::Bool(self.run.plan.environment.protected)), 2))
            }
            ("env", Some(_)) => Err(Absent::Undefined {
                segment: 1,
                known: vec!["name".into(), "protected".into()],
            }),
            ("targets", Some(_)) => self.target(path),
            ("steps", _) => self.step(path),
            ("secrets", Some(name)) => match self.secrets.and_then(|s| s.get(name)) {
                Some(secret) => Ok((Cow::Owned(Value::Secret(secret.clone())), 2)),
                None => Err(Absent::Missing("a secret can't be used here".into())),
            },
            ("before" | "after" | "diff" | "result", _) => {
                Err(Absent::Missing(format!("`{root}` is not known here")))
            }
            ("run" | "env" | "targets" | "secrets", None) => {
                Err(Absent::Missing(format!("`{root}` alone has no value")))
            }
            _ => Err(Absent::Undefined {
                segment: 0,
                known: ROOTS
                    .iter()
                    .map(|r| (*r).to_owned())
                    .chain(self.local.keys().cloned())
                    .collect(),
            }),
        }
    }
}

/// What `run.` offers.
pub const RUN_FIELDS: [&str; 9] = [
    "id",
    "name",
    "runbook",
    "started_at",
    "operator",
    "environment",
    "failed_step",
    "error",
    "status",
];
