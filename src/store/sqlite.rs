//! The journal in SQLite.
//!
//! Owns the statements. Must not know what an event means.
//!
//! One connection writes and one reads, so that showing a long run does not hold up a commit. A
//! connection is put back only when its work ended well: after an error, or when whoever waited
//! went away, it is closed, which takes back what was not committed.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    chain::{self, Row, stamp},
    files, is_over, schema,
};
use crate::{
    base::{Digest, RunId, Seq, Timestamp, time},
    model::{
        event::{Event, Recorded},
        input::Message,
    },
    ports::{
        Store,
        store::{LEASE_TIME, Lease, StoreError, Summary},
    },
};

/// The journal.
pub struct SqliteStore {
    path: PathBuf,
    journal: String,
    /// The schema's version when it was last checked.
    schema: AtomicI64,
    writer: Mutex<Option<SqliteConnection>>,
    reader: Mutex<Option<SqliteConnection>>,
}

/// A connection in use.
struct Taken<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Taken<'_> {
    fn put_back(mut self) {
        *self.slot = Some(self.connection);
    }
}

/// The lease's row: who, which epoch, until when.
type LeaseRow = (Option<String>, i64, Option<String>);

impl SqliteStore {
    /// Opens the journal in this file; makes folder and file when they are missing, for this user
    /// only.
    ///
    /// # Errors
    ///
    /// As `store::open`.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let prepared = path.to_owned();
        tokio::task::spawn_blocking(move || files::prepare(&prepared))
            .await
            .map_err(|_| StoreError::Unusable("opening it was interrupted".into()))??;
        let mut connection = schema::connect(path).await?;
        let journal = schema::initialise(&mut connection, path).await?;
        let version = schema::version(&mut connection, path).await?;
        Ok(Self {
            path: path.to_owned(),
            journal,
            schema: AtomicI64::new(version),
            writer: Mutex::new(Some(connection)),
            reader: Mutex::new(None),
        })
    }

    async fn take<'a>(
        &self,
        slot: &'a Mutex<Option<SqliteConnection>>,
    ) -> Result<Taken<'a>, StoreError> {
        let mut slot = slot.lock().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => schema::connect(&self.path).await?,
        };
        Ok(Taken { slot, connection })
    }

    fn failed(&self, error: &sqlx::Error) -> StoreError {
        schema::failed(&self.path, error)
    }

    /// In a transaction: is the schema still the one that was checked?
    async fn guard(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let version = schema::version(connection, &self.path).await?;
        if version != self.schema.load(Ordering::Relaxed) {
            schema::check(connection, &self.path).await?;
            self.schema.store(version, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn lease_row(
        &self,
        connection: &mut SqliteConnection,
        run: &RunId,
    ) -> Result<LeaseRow, StoreError> {
        sqlx::query_as("SELECT holder, epoch, until FROM leases WHERE run = ?")
            .bind(&run.0)
            .fetch_optional(connection)
            .await
            .map_err(|e| self.failed(&e))?
            .ok_or_else(|| StoreError::NoRun(run.0.clone()))
    }

    async fn check_lease(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let (holder, epoch, _) = self.lease_row(connection, &lease.run).await?;
        if holder.as_deref() == Some(&lease.holder) && u64::try_from(epoch) == Ok(lease.epoch) {
            Ok(())
        } else {
            Err(StoreError::Lost)
        }
    }

    /// Who holds the run at this time.
    fn held(
        &self,
        row: LeaseRow,
        now: Timestamp,
    ) -> Result<Option<(String, Timestamp)>, StoreError> {
        let (Some(holder), _, Some(until)) = row else { return Ok(None) };
        let until = until.parse().map_err(|_| self.unreadable("the time of a lease"))?;
        Ok(Some((holder, until)).filter(|_| until > now))
    }

    fn unreadable(&self, what: &str) -> StoreError {
        StoreError::Damaged(format!("`{}`: {what} can't be read", self.path.display()))
    }

    fn summary(&self, text: &str) -> Result<Summary, StoreError> {
        serde_json::from_str(text).map_err(|_| self.unreadable("the summary of a run"))
    }

    /// Inserts events behind `after`; gives them with the hash of the newest.
    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        run: &RunId,
        (previous, after): (Digest, Seq),
        events: &[(Timestamp, Event)],
    ) -> Result<(Vec<Recorded>, Digest), StoreError> {
        let mut head = previous.clone();
        let mut recorded = Vec::with_capacity(events.len());
        for (row, event) in chain::extend(previous, after, events)? {
            sqlx::query("INSERT INTO events(run, seq, at, body, hash) VALUES (?, ?, ?, ?, ?)")
                .bind(&run.0)
                .bind(signed(row.seq)?)
                .bind(row.at)
                .bind(row.body)
                .bind(row.hash.0)
                .execute(&mut *connection)
                .await
                .map_err(|e| self.failed(&e))?;
            head = event.hash.clone();
            recorded.push(event);
        }
        Ok((recorded, head))
    }

    async fn rows(
        &self,
        connection: &mut SqliteConnection,
        run: &RunId,
    ) -> Result<(Vec<Row>, Summary), StoreError> {
        let summary: Option<String> = sqlx::query_scalar("SELECT summary FROM runs WHERE run = ?")
            .bind(&run.0)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|e| self.failed(&e))?;
        let summary = self.summary(&summary.ok_or_else(|| StoreError::NoRun(run.0.clone()))?)?;
        let rows: Vec<(i64, String, String, String)> =
            sqlx::query_as("SELECT seq, at, body, hash FROM events WHERE run = ? ORDER BY seq")
                .bind(&run.0)
                .fetch_all(connection)
                .await
                .map_err(|e| self.failed(&e))?;
        let row = |(seq, at, body, hash): (i64, String, String, String)| {
            let seq = unsigned(seq, self)?;
            Ok(Row { seq, at, body, hash: Digest(hash) })
        };
        Ok((rows.into_iter().map(row).collect::<Result<_, StoreError>>()?, summary))
    }

    /// The first of these locks that another run holds and keeps.
    async fn locked_by(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<RunId>, StoreError> {
        let owner: Option<String> = sqlx::query_scalar("SELECT run FROM locks WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|e| self.failed(&e))?;
        let Some(owner) = owner.map(RunId).filter(|owner| *owner != lease.run) else {
            return Ok(None);
        };
        let row = match self.lease_row(connection, &owner).await {
            Ok(row) => row,
            Err(StoreError::NoRun(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        if self.held(row, now)?.is_some() {
            return Ok(Some(owner));
        }
        let summary: String = sqlx::query_scalar("SELECT summary FROM runs WHERE run = ?")
            .bind(&owner.0)
            .fetch_one(connection)
            .await
            .map_err(|e| self.failed(&e))?;
        Ok(Some(owner).filter(|_| self.summary(&summary).is_ok_and(|s| !is_over(&s.status))))
    }
}

/// SQLite's integers have a sign.
fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Unusable("a number is too large".into()))
}

fn unsigned(number: i64, store: &SqliteStore) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| store.unreadable("a negative number"))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Unusable(format!("a record can't be written: {e}")))
}

fn lease_end(now: Timestamp) -> String {
    stamp(time::after(now, LEASE_TIME))
}

const WRITE: &str = "BEGIN IMMEDIATE";

#[async_trait]
impl Store for SqliteStore {
    async fn journal_id(&self) -> Result<String, StoreError> {
        Ok(self.journal.clone())
    }

    async fn create(
        &self,
        run: &RunId,
        holder: &str,
        events: &[(Timestamp, Event)],
        summary: &Summary,
    ) -> Result<(Lease, Vec<Recorded>), StoreError> {
        let at = chain::first_time(events)?;
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        match self.lease_row(&mut tx, run).await {
            Err(StoreError::NoRun(_)) => {}
            Ok(_) => {
                let why = format!("run {run} is in this journal already");
                return Err(StoreError::Unusable(why));
            }
            Err(e) => return Err(e),
        }
        let start = (chain::genesis(&self.journal, run), 0);
        let (recorded, head) = self.insert(&mut tx, run, start, events).await?;
        sqlx::query("INSERT INTO runs(run, created, summary) VALUES (?, ?, ?)")
            .bind(&run.0)
            .bind(stamp(at))
            .bind(json(&Summary { head: Some(head), ..summary.clone() })?)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(&e))?;
        sqlx::query("INSERT INTO leases(run, holder, epoch, until) VALUES (?, ?, 1, ?)")
            .bind(&run.0)
            .bind(holder)
            .bind(lease_end(at))
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        Ok((Lease { run: run.clone(), holder: holder.to_owned(), epoch: 1 }, recorded))
    }

    async fn append(
        &self,
        lease: &Lease,
        after: Seq,
        events: &[(Timestamp, Event)],
        summary: &Summary,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        self.check_lease(&mut tx, lease).await?;
        let newest: Option<(i64, String)> =
            sqlx::query_as("SELECT seq, hash FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1")
                .bind(&lease.run.0)
                .fetch_optional(&mut *tx)
                .await
                .map_err(|e| self.failed(&e))?;
        let start = match newest {
            Some((seq, hash)) if u64::try_from(seq) == Ok(after) => (Digest(hash), after),
            _ => return Err(StoreError::Lost),
        };
        let (recorded, head) = self.insert(&mut tx, &lease.run, start, events).await?;
        sqlx::query("UPDATE runs SET summary = ? WHERE run = ?")
            .bind(json(&Summary { head: Some(head), ..summary.clone() })?)
            .bind(&lease.run.0)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        Ok(recorded)
    }

    async fn read(&self, run: &RunId, from: Seq) -> Result<Vec<Recorded>, StoreError> {
        let mut taken = self.take(&self.reader).await?;
        let mut tx = taken.connection.begin().await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        let (rows, summary) = self.rows(&mut tx, run).await?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        let mut events = chain::verify(&self.journal, run, rows, summary.head.as_ref())?;
        events.retain(|event| event.seq >= from);
        Ok(events)
    }

    async fn claim(
        &self,
        run: &RunId,
        holder: &str,
        dead: Option<&str>,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        let row = self.lease_row(&mut tx, run).await?;
        let epoch = row.1 + 1;
        if let Some((holder, until)) = self.held(row, now)?
            && dead != Some(holder.as_str())
        {
            return Err(StoreError::Held { holder, until });
        }
        sqlx::query("UPDATE leases SET holder = ?, epoch = ?, until = ? WHERE run = ?")
            .bind(holder)
            .bind(epoch)
            .bind(lease_end(now))
            .bind(&run.0)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        let epoch = unsigned(epoch, self)?;
        Ok(Lease { run: run.clone(), holder: holder.to_owned(), epoch })
    }

    async fn renew(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError> {
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        self.check_lease(&mut tx, lease).await?;
        sqlx::query("UPDATE leases SET until = ? WHERE run = ?")
            .bind(lease_end(now))
            .bind(&lease.run.0)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        match self.check_lease(&mut tx, lease).await {
            Ok(()) => {
                sqlx::query("UPDATE leases SET holder = NULL, until = NULL WHERE run = ?")
                    .bind(&lease.run.0)
                    .execute(&mut *tx)
                    .await
                    .map_err(|e| self.failed(&e))?;
            }
            Err(StoreError::Lost) => {}
            Err(e) => return Err(e),
        }
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        Ok(())
    }

    async fn holder(&self, run: &RunId, now: Timestamp) -> Result<Option<String>, StoreError> {
        let mut taken = self.take(&self.reader).await?;
        let row = self.lease_row(&mut taken.connection, run).await?;
        taken.put_back();
        Ok(self.held(row, now)?.map(|(holder, _)| holder))
    }

    async fn post(&self, run: &RunId, at: Timestamp, message: &Message) -> Result<(), StoreError> {
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        self.lease_row(&mut tx, run).await?;
        sqlx::query("INSERT INTO inbox(run, at, body) VALUES (?, ?, ?)")
            .bind(&run.0)
            .bind(stamp(at))
            .bind(json(message)?)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        Ok(())
    }

    async fn inbox(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Message)>, StoreError> {
        let mut taken = self.take(&self.reader).await?;
        let mut tx = taken.connection.begin().await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        self.lease_row(&mut tx, run).await?;
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, body FROM inbox WHERE run = ? AND id > ? ORDER BY id")
                .bind(&run.0)
                .bind(signed(after)?)
                .fetch_all(&mut *tx)
                .await
                .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        rows.into_iter()
            .map(|(id, body)| {
                let message = serde_json::from_str(&body)
                    .map_err(|_| self.unreadable(&format!("message {id} to run {run}")))?;
                Ok((unsigned(id, self)?, message))
            })
            .collect()
    }

    async fn list(&self, limit: usize) -> Result<Vec<(RunId, Summary)>, StoreError> {
        let mut taken = self.take(&self.reader).await?;
        let mut tx = taken.connection.begin().await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT run, summary FROM runs ORDER BY created DESC, run DESC LIMIT ?")
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&mut *tx)
                .await
                .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        rows.into_iter().map(|(run, text)| Ok((RunId(run), self.summary(&text)?))).collect()
    }

    async fn lock(
        &self,
        lease: &Lease,
        names: &[String],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        self.check_lease(&mut tx, lease).await?;
        for name in names {
            if let Some(run) = self.locked_by(&mut tx, lease, name, now).await? {
                return Err(StoreError::Locked { name: name.clone(), run });
            }
            sqlx::query("INSERT OR REPLACE INTO locks(name, run) VALUES (?, ?)")
                .bind(name)
                .bind(&lease.run.0)
                .execute(&mut *tx)
                .await
                .map_err(|e| self.failed(&e))?;
        }
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        Ok(())
    }

    async fn unlock(&self, run: &RunId) -> Result<(), StoreError> {
        let mut taken = self.take(&self.writer).await?;
        let mut tx = taken.connection.begin_with(WRITE).await.map_err(|e| self.failed(&e))?;
        self.guard(&mut tx).await?;
        sqlx::query("DELETE FROM locks WHERE run = ?")
            .bind(&run.0)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(&e))?;
        tx.commit().await.map_err(|e| self.failed(&e))?;
        taken.put_back();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
