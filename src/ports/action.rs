//! What an action is to the driver.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Clock, Transports};
use crate::{
    base::{Map, NodeId, RunId, Value},
    diagnostics::{Diagnostic, codes},
    model::{ActionSpec, Fault, runbook::ActionCall},
};

/// The catalogue: every action by name.
pub type Actions = BTreeMap<String, Arc<dyn Action>>;

/// An action. It is stateless: all it needs comes with the call.
#[async_trait]
pub trait Action: Send + Sync {
    /// What it is.
    fn spec(&self) -> &ActionSpec;

    /// Checks of the written call beyond names and types, which the language has checked. No I/O.
    fn check(&self, call: &ActionCall) -> Vec<Diagnostic> {
        let _ = call;
        Vec::new()
    }

    /// Runs it: reads, or applies a change that the action can't capture by itself. The value
    /// holds the fields that the spec declares.
    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault>;

    /// Looks at the state that `apply` is about to change. Reads only.
    async fn capture(&self, cx: &StepContext, arguments: &Arguments) -> Result<Captured, Fault> {
        let _ = (cx, arguments);
        Err(Fault::untouched(codes::RW9901, format!("{} can't capture", self.spec().name)))
    }

    /// Looks again at what `before` holds, after `apply` or `undo`. It differs from `capture` where
    /// the change itself moves things out of sight: rows that the `where` of an update no longer
    /// finds are looked for by their keys.
    async fn recapture(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Captured, Fault> {
        let _ = before;
        self.capture(cx, arguments).await
    }

    /// Says what will differ. Leaves nothing behind.
    async fn preview(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Preview, Fault> {
        let _ = (cx, arguments, before);
        Err(Fault::untouched(codes::RW9901, format!("{} can't preview", self.spec().name)))
    }

    /// Changes what was captured, and only if it still is what was captured.
    async fn apply(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Value, Fault> {
        let _ = before;
        self.run(cx, arguments).await
    }

    /// Puts back what was captured, and only over what `apply` left. `after` is the state captured
    /// after `apply`; `None` when it was never captured (a crash, a failure half-way).
    async fn undo(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
        after: Option<&Captured>,
    ) -> Result<Value, Fault> {
        let _ = (cx, arguments, before, after);
        Err(Fault::untouched(codes::RW9901, format!("{} can't undo", self.spec().name)))
    }
}

/// The state of what a step changes, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    /// The state. Equal states are equal values.
    pub state: Value,
    /// Columns that identify a row where the state has `rows`; empty otherwise.
    pub key: Vec<String>,
    /// Who the target turned out to be: host-key fingerprint, database and server identity.
    pub identity: String,
}

/// What will differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The state expected after the change.
    pub after: Value,
    /// What will be sent, in full: the statement with its values, the request.
    pub statement: String,
    /// What undoing would do.
    pub undo: String,
}

/// How many rows a change may touch. It is checked before the change is made to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowGuard {
    /// This many.
    Exactly(u64),
    /// This many or fewer.
    AtMost(u64),
}

impl RowGuard {
    /// Is this a number that it allows?
    pub fn holds(self, rows: u64) -> bool {
        match self {
            Self::Exactly(n) => rows == n,
            Self::AtMost(n) => rows <= n,
        }
    }
}

impl std::fmt::Display for RowGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(n) => write!(f, "{n}"),
            Self::AtMost(n) => write!(f, "at most {n}"),
        }
    }
}

/// Arguments with every template filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    values: Map,
}

impl Arguments {
    /// From rendered values.
    pub fn new(values: Map) -> Self {
        Self { values }
    }

    /// All of them.
    pub fn values(&self) -> &Map {
        &self.values
    }

    /// One, if it was given and is not null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|v| !matches!(v, Value::Null))
    }

    /// The clear text of a text or secret; numbers and booleans as they are written.
    pub fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Secret(s)) => Ok(Some(s.expose().to_owned())),
            Some(
                v @ (Value::Text(_)
                | Value::Int(_)
                | Value::Decimal(_)
                | Value::Bool(_)
                | Value::Time(_)),
            ) => Ok(Some(v.to_string())),
            Some(other) => Err(wrong(name, "text", other)),
        }
    }

    /// The same, which must be there.
    pub fn required_text(&self, name: &str) -> Result<String, Fault> {
        self.text(name)?
            .ok_or_else(|| Fault::untouched(codes::RW0711, format!("`{name}` is missing or null")))
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<Option<i128>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(v) => v
                .as_int()
                .or_else(|| v.as_text().and_then(|t| t.trim().parse().ok()))
                .map(Some)
                .ok_or_else(|| wrong(name, "a whole number", v)),
        }
    }

    /// True or false; absent is false.
    pub fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(other) => Err(wrong(name, "true or false", other)),
        }
    }

    /// A span of time.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Fault> {
        self.text(name)?
            .map(|text| {
                crate::base::time::parse_duration(&text)
                    .map_err(|why| Fault::untouched(codes::RW0711, format!("`{name}`: {why}")))
            })
            .transpose()
    }

    /// A map; absent is empty.
    pub fn map(&self, name: &str) -> Result<Map, Fault> {
        match self.get(name) {
            None => Ok(Map::new()),
            Some(Value::Map(map)) => Ok(map.clone()),
            Some(other) => Err(wrong(name, "a map", other)),
        }
    }

    /// How many rows may be changed: `N`, or `{max: N}`.
    pub fn rows(&self, name: &str) -> Result<Option<RowGuard>, Fault> {
        let count = |v: &Value| v.as_int().and_then(|n| u64::try_from(n).ok());
        let Some(value) = self.get(name) else { return Ok(None) };
        let guard = match value {
            Value::Map(map) if map.len() == 1 => {
                map.get("max").and_then(count).map(RowGuard::AtMost)
            }
            other => count(other).map(RowGuard::Exactly),
        };
        guard.map(Some).ok_or_else(|| wrong(name, "a number or `{max: N}`", value))
    }

    /// A list; absent is empty, one value is a list of one.
    pub fn list(&self, name: &str) -> Result<Vec<Value>, Fault> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => Ok(items.clone()),
            Some(other) => Ok(vec![other.clone()]),
        }
    }
}

fn wrong(name: &str, expected: &str, found: &Value) -> Fault {
    Fault::untouched(codes::RW0711, format!("`{name}` must be {expected}, but is {}", found.kind()))
}

/// What an action may use: no store, no engine.
#[derive(Clone)]
pub struct StepContext {
    /// The run, for marking sessions on the servers.
    pub run: RunId,
    /// The step.
    pub node: NodeId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When the driver will give up; actions and transports should end before.
    pub timeout: Option<Duration>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The way to targets.
    pub transports: Arc<dyn Transports>,
    /// The project's folder: relative paths of local commands and files start here.
    pub folder: std::path::PathBuf,
}

impl StepContext {
    /// How a session of this attempt is named on servers that show names of sessions.
    pub fn session_name(&self) -> String {
        format!("runward/{}/{}/{}", self.run.short(), self.node, self.attempt)
    }
}
