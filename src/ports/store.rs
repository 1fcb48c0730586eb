//! The journal, and the box through which other processes speak to a run.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    base::{Digest, RunId, Seq, Timestamp},
    model::event::{Event, Recorded},
    model::input::Message,
};

/// Append-only. There is no update: a run's state is the fold of its events.
#[async_trait]
pub trait Store: Send + Sync {
    /// Identity of this journal: made when it was created, never changed.
    async fn journal_id(&self) -> Result<String, StoreError>;

    /// Creates a run with its first events, each with its time, and takes its lease from the time
    /// of the first.
    async fn create(
        &self,
        run: &RunId,
        holder: &str,
        events: &[(Timestamp, Event)],
        summary: &Summary,
    ) -> Result<(Lease, Vec<Recorded>), StoreError>;

    /// Appends behind `after`. Returns when the events are durable. The summary is what `list`
    /// shows; it is derived, and rewritten in the same transaction.
    async fn append(
        &self,
        lease: &Lease,
        after: Seq,
        events: &[(Timestamp, Event)],
        summary: &Summary,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// Every event of the run, in order, with the chain verified.
    async fn read(&self, run: &RunId, from: Seq) -> Result<Vec<Recorded>, StoreError>;

    /// Takes the run's lease: at once when it is free, given back or past its time, or when `dead`
    /// holds it, of whom the caller knows that it is no more; else `StoreError::Held`.
    async fn claim(
        &self,
        run: &RunId,
        holder: &str,
        dead: Option<&str>,
        now: Timestamp,
    ) -> Result<Lease, StoreError>;

    /// Keeps the lease; `StoreError::Lost` when somebody else has taken it.
    async fn renew(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError>;

    /// Gives the lease back.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Who holds the run now, if somebody does.
    async fn holder(&self, run: &RunId, now: Timestamp) -> Result<Option<String>, StoreError>;

    /// Leaves a message for whoever holds the run, or will.
    async fn post(&self, run: &RunId, at: Timestamp, message: &Message) -> Result<(), StoreError>;

    /// Messages behind number `after`, with their numbers. Messages stay where they are: what the
    /// run did with them is in its events.
    async fn inbox(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Message)>, StoreError>;

    /// Summaries, newest first.
    async fn list(&self, limit: usize) -> Result<Vec<(RunId, Summary)>, StoreError>;

    /// Takes named locks for a run, all or none; who holds the first that is taken otherwise.
    async fn lock(&self, lease: &Lease, names: &[String], now: Timestamp)
    -> Result<(), StoreError>;

    /// Gives all locks of a run back.
    async fn unlock(&self, run: &RunId) -> Result<(), StoreError>;
}

/// How long a lease lasts without being renewed.
pub const LEASE_TIME: Duration = Duration::from_secs(30);

/// The right to append to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// Who: host, process and a random part.
    pub holder: String,
    /// Fencing: grows with each claim; an append with an old one is refused.
    pub epoch: u64,
}

/// A line of `runward runs`, derived from the events.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The runbook's name.
    pub name: String,
    /// Its path.
    pub runbook: String,
    /// Environment.
    pub environment: String,
    /// Who started it.
    pub operator: String,
    /// Run status, as SPEC names it.
    pub status: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it waits for, if it does.
    pub waiting: Option<String>,
    /// Hash of its newest event.
    pub head: Option<Digest>,
}

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such run.
    #[error("there is no run `{0}` in this journal")]
    NoRun(String),
    /// Somebody else holds the run.
    #[error("the run is held by {holder} until {until}")]
    Held {
        /// Who.
        holder: String,
        /// Until when, unless renewed.
        until: Timestamp,
    },
    /// A lock is held by another run.
    #[error("lock `{name}` is held by run {run}")]
    Locked {
        /// The lock.
        name: String,
        /// The run that holds it.
        run: RunId,
    },
    /// Somebody else has taken the run over, or has appended to it.
    #[error("this process no longer holds the run")]
    Lost,
    /// The chain is broken, or the file is not a journal.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// The journal can't be opened or written: disk full, permissions, file system.
    #[error("the journal can't be used: {0}")]
    Unusable(String),
}
