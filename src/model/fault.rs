//! What went wrong while something was done, and what the world looks like since.

use serde::{Deserialize, Serialize};

use crate::{base::Value, diagnostics::Code};

/// What a failed attempt left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// Nothing happened, and there is proof: refused before the first byte of the effect left, or
    /// a transaction that was rolled back.
    Untouched,
    /// The attempt ended, and some of its effect may have happened: a command's non-zero exit.
    Partial,
    /// Nobody knows whether it happened, or whether it still will: a lost connection, a timeout.
    Unknown,
}

/// A failure of an action, a transport or an expectation. It is recorded in the journal, so it is
/// plain data, and redacted before it gets there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Which kind; `runward explain CODE` has the long form.
    pub code: String,
    /// What went wrong, in one line.
    pub message: String,
    /// What was found: the end of stderr, the server's words, the two values compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What the world looks like now.
    pub world: World,
    /// `path:line:column` in the runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What the attempt gave before it failed, for `show`: a command's whole outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Trying the very same thing again may help: refused connections, 429, lock timeouts.
    #[serde(default)]
    pub transient: bool,
}

impl Fault {
    /// A failure that left nothing behind, with proof.
    pub fn untouched(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code.as_str().to_owned(),
            message: message.into(),
            detail: None,
            help: None,
            world: World::Untouched,
            place: None,
            result: None,
            transient: false,
        }
    }

    /// A failure after which part of the effect may stand.
    pub fn partial(code: Code, message: impl Into<String>) -> Self {
        Self { world: World::Partial, ..Self::untouched(code, message) }
    }

    /// A failure after which nobody knows.
    pub fn unknown(code: Code, message: impl Into<String>) -> Self {
        Self { world: World::Unknown, ..Self::untouched(code, message) }
    }

    /// The same, with what was found.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same, with what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with what the attempt gave.
    pub fn result(mut self, result: Value) -> Self {
        self.result = Some(result);
        self
    }

    /// The same, worth trying again.
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// The same, with another judgement of the world.
    pub fn world(mut self, world: World) -> Self {
        self.world = world;
        self
    }
}
