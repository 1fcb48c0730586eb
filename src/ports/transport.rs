//! What actions need from the wire. Transports know addresses, pooling, timeouts; no policy.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    base::{Map, Value},
    model::{Fault, target::SqlEngine},
};

/// The way to targets, by the names that the environment gives them.
#[async_trait]
pub trait Transports: Send + Sync {
    /// A database.
    async fn sql(&self, target: &str) -> Result<Arc<dyn SqlTarget>, Fault>;
    /// An HTTP service.
    async fn http(&self, target: &str) -> Result<Arc<dyn HttpTarget>, Fault>;
    /// Hosts over SSH.
    async fn ssh(&self, target: &str) -> Result<Arc<dyn SshTarget>, Fault>;
    /// Programs on this machine.
    fn processes(&self) -> Arc<dyn Processes>;
    /// Closes everything; nothing is left open after it returns.
    async fn close(&self);
}

/// A database.
#[async_trait]
pub trait SqlTarget: Send + Sync {
    /// Which engine.
    fn engine(&self) -> SqlEngine;
    /// Which database this is, as it says itself: engine, server identity, database name.
    async fn identity(&self) -> Result<String, Fault>;
    /// One statement in a read-only transaction, by the extended protocol. `:name` in the text is
    /// bound to the parameter of that name; a list binds as several values.
    async fn query(&self, query: &SqlQuery) -> Result<Rows, Fault>;
    /// Closes every connection.
    async fn close(&self);
    /// A transaction that may write. Dropping it without `commit` rolls it back.
    async fn begin(
        &self,
        session: &str,
        timeout: Option<Duration>,
    ) -> Result<Box<dyn SqlTransaction>, Fault>;
}

/// A read.
#[derive(Clone, Debug)]
pub struct SqlQuery {
    /// The statement, with `:name` parameters.
    pub text: String,
    /// Values by name.
    pub params: Map,
    /// Rows after this many are not read, and the result says so.
    pub max_rows: usize,
    /// The session's name on the server.
    pub session: String,
    /// Time for the statement; `None` is the target's own.
    pub timeout: Option<Duration>,
}

/// Rows of a result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Names of the columns, in order.
    pub columns: Vec<String>,
    /// One map a row, in the columns' order.
    pub rows: Vec<Map>,
    /// There were more rows than `max_rows`.
    pub cut: bool,
}

/// A transaction that may write. A fault of `execute` or `query` leaves the world untouched, since
/// the transaction is rolled back; one of `commit` may leave it unknown.
#[async_trait]
pub trait SqlTransaction: Send {
    /// One statement that gives rows.
    async fn query(&mut self, text: &str, params: &Map, max_rows: usize) -> Result<Rows, Fault>;
    /// One statement that changes rows; returns how many it did (on MySQL: matched, not only
    /// those whose value differed).
    async fn execute(&mut self, text: &str, params: &Map) -> Result<u64, Fault>;
    /// Makes it last.
    async fn commit(self: Box<Self>) -> Result<(), Fault>;
    /// Takes it back, and waits until that is done.
    async fn rollback(self: Box<Self>) -> Result<(), Fault>;
}

/// An HTTP service.
#[async_trait]
pub trait HttpTarget: Send + Sync {
    /// The base URL, for identity and messages; without credentials.
    fn base_url(&self) -> String;
    /// One request; redirects are not followed. An answer of any status is `Ok`.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Fault>;
}

/// A request to a service.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, already percent-encoded; put behind the base URL.
    pub path: String,
    /// Query parameters, appended and encoded.
    pub query: Vec<(String, String)>,
    /// Headers, over those of the target.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Option<Vec<u8>>,
    /// Time for the whole exchange; `None` is the target's own.
    pub timeout: Option<Duration>,
    /// Bytes of the answer after this many are refused (`RW0710`).
    pub max_bytes: usize,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Headers with lower-case names, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// From the first byte sent to the last received.
    pub took: Duration,
}

/// Hosts over SSH.
#[async_trait]
pub trait SshTarget: Send + Sync {
    /// The hosts, in order.
    fn hosts(&self) -> Vec<String>;
    /// Connects if need be; the host key's SHA-256 fingerprint as OpenSSH shows it.
    async fn identity(&self, host: &str) -> Result<String, Fault>;
    /// Closes every connection.
    async fn close(&self);
    /// Runs a command line with the host's login shell. Any exit status is `Ok`.
    async fn exec(&self, host: &str, command: Command) -> Result<CommandOutput, Fault>;
}

/// Programs on this machine.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Runs a program in a process group of its own. Any exit status is `Ok`.
    async fn exec(
        &self,
        program: &[String],
        folder: PathBuf,
        command: Command,
    ) -> Result<CommandOutput, Fault>;
}

/// A command to run.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The command line (SSH); empty for a local program, whose words are given apart.
    pub line: String,
    /// Given on standard input.
    pub stdin: Option<Vec<u8>>,
    /// Environment variables; over SSH they are set on the command line.
    pub environment: Vec<(String, String)>,
    /// Time for it; then its whole process group is ended, which is confirmed.
    pub timeout: Option<Duration>,
    /// Bytes kept of each of stdout and stderr; what is over is counted and dropped.
    pub max_bytes: usize,
}

/// How a command ended. A command that was ended for its timeout, or whose connection was lost,
/// is a fault (`RW0703`, `RW0712`) instead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandOutput {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it, such as `TERM`.
    pub signal: Option<String>,
    /// Bytes that were dropped, of both.
    pub dropped: u64,
}

impl CommandOutput {
    /// The result of an action that ran it: text, with bytes that are no UTF-8 replaced.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("stdout", Value::text(String::from_utf8_lossy(&self.stdout))),
            ("stderr", Value::text(String::from_utf8_lossy(&self.stderr))),
            ("status", self.status.map_or(Value::Null, |s| Value::Int(s.into()))),
            ("signal", self.signal.as_ref().map_or(Value::Null, Value::text)),
            ("dropped", Value::Int(self.dropped.into())),
        ])
    }
}
