//! Databases: PostgreSQL, MySQL and MariaDB, SQLite, each through its own typed driver.
//!
//! Owns connections, parameters, exact values, time limits and transactions. Must not know what a
//! statement is for, nor who may run it.
//!
//! A read is fenced twice: its text is parsed, and it runs as exactly one statement, by the
//! extended protocol, in a transaction that the database itself keeps read-only and that is always
//! rolled back. Whatever is dropped before its end is cancelled on the server and rolled back.

mod faults;
mod mysql;
mod pool;
mod postgres;
mod sqlite;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    base::{Map, Secret},
    diagnostics::codes,
    model::{
        Fault,
        target::{SqlAddress, SqlEngine},
    },
    ports::transport::{Rows, SqlQuery, SqlTarget, SqlTransaction},
    sql::check_read_only,
};

/// How long the server has to cancel an overdue statement by itself before we do.
const GRACE: Duration = Duration::from_secs(2);
/// For ending a transaction.
const ENDING: Duration = Duration::from_secs(30);

/// Prepares the way to a database. Nothing is sent yet: the first use connects.
///
/// The login is verified by TLS with the host's name, unless the host is this machine or the
/// address says otherwise (`sslmode=`, `ssl-mode=`). Faults: `RW0503`, an address that can't be
/// read. Faults of the first use: `RW0701` (unreachable, worth trying again), `RW0702` (refused).
pub async fn connect(
    address: &SqlAddress,
    password: Option<Secret>,
) -> Result<Arc<Database>, Fault> {
    let engine: Box<dyn Engine> = match address.engine {
        SqlEngine::Postgres => Box::new(postgres::Postgres::new(address, password.as_ref())?),
        SqlEngine::Mysql => Box::new(mysql::MySql::new(address, password.as_ref())?),
        SqlEngine::Sqlite => Box::new(sqlite::Sqlite::new(address)?),
    };
    Ok(Arc::new(Database { kind: address.engine, engine, timeout: address.statement_timeout }))
}

/// A database, and the connections to it.
pub struct Database {
    kind: SqlEngine,
    engine: Box<dyn Engine>,
    timeout: Duration,
}

#[async_trait]
impl SqlTarget for Database {
    fn engine(&self) -> SqlEngine {
        self.kind
    }

    /// Closes every connection, and waits until statements that were dropped are cancelled.
    async fn close(&self) {
        self.engine.close().await;
    }

    async fn identity(&self) -> Result<String, Fault> {
        let mut session = self.engine.session(true).await?;
        let identity = within(self.timeout + GRACE, session.identity()).await?;
        session.release();
        Ok(identity)
    }

    async fn query(&self, query: &SqlQuery) -> Result<Rows, Fault> {
        check_read_only(&query.text, self.kind).map_err(|why| {
            Fault::untouched(codes::RW0406, format!("the query is refused: {why}"))
                .help("a query is one statement that only reads")
        })?;
        let timeout = query.timeout.unwrap_or(self.timeout);
        let mut session = self.engine.session(true).await?;
        let start = Start { read_only: true, session: &query.session, timeout };
        let read = async {
            session.begin(&start).await?;
            session.rows(&query.text, &query.params, query.max_rows).await
        };
        let rows = within(timeout + GRACE, read).await;
        // Rows that nobody wants would have to be read before the session can go on: dropping it
        // is cheaper. So it is after a fault that may have left it in the middle of something.
        let clean = rows.as_ref().is_ok_and(|rows| !rows.cut);
        if clean && within(ENDING, session.rollback()).await.is_ok() {
            session.release();
        }
        rows
    }

    async fn begin(
        &self,
        session: &str,
        timeout: Option<Duration>,
    ) -> Result<Box<dyn SqlTransaction>, Fault> {
        let timeout = timeout.unwrap_or(self.timeout);
        let mut opened = self.engine.session(false).await?;
        let start = Start { read_only: false, session, timeout };
        within(timeout + GRACE, opened.begin(&start)).await?;
        Ok(Box::new(Transaction { session: opened, timeout, failed: false }))
    }
}

/// A transaction that may write. Dropped: the session is cancelled and closed, which rolls back.
struct Transaction {
    session: Box<dyn Session>,
    timeout: Duration,
    failed: bool,
}

#[async_trait]
impl SqlTransaction for Transaction {
    async fn query(&mut self, text: &str, params: &Map, max_rows: usize) -> Result<Rows, Fault> {
        let rows = within(self.timeout + GRACE, self.session.rows(text, params, max_rows)).await;
        self.failed |= rows.is_err();
        rows
    }

    async fn execute(&mut self, text: &str, params: &Map) -> Result<u64, Fault> {
        let count = within(self.timeout + GRACE, self.session.change(text, params)).await;
        self.failed |= count.is_err();
        count
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Fault> {
        if self.failed {
            self.rollback().await?;
            return Err(Fault::untouched(
                codes::RW0705,
                "a statement of the transaction failed, so that it was rolled back",
            ));
        }
        let committed = tokio::time::timeout(ENDING, self.session.commit()).await;
        committed.unwrap_or_else(|_| {
            Err(Fault::unknown(codes::RW0712, "the database did not answer to COMMIT in time"))
        })?;
        self.session.release();
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), Fault> {
        within(ENDING, self.session.rollback()).await?;
        self.session.release();
        Ok(())
    }
}

/// Ends it after that time. What is ended so was not committed.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Fault>> + Send,
) -> Result<T, Fault> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Fault::untouched(codes::RW0703, "the statement was cancelled: out of time")
            .help("give it more with `timeout:`, or make it cheaper"))
    })
}

/// How a transaction starts.
struct Start<'a> {
    read_only: bool,
    session: &'a str,
    timeout: Duration,
}

/// One engine's connections.
#[async_trait]
trait Engine: Send + Sync {
    /// A connection on which nothing is open.
    async fn session(&self, read_only: bool) -> Result<Box<dyn Session>, Fault>;
    /// Closes them.
    async fn close(&self);
}

/// A connection in use. Dropping it without `release` cancels and closes it.
#[async_trait]
trait Session: Send {
    /// Opens the transaction, names the session, sets the server's time limits.
    async fn begin(&mut self, start: &Start<'_>) -> Result<(), Fault>;
    /// One statement that gives rows; one row more than `max_rows` is looked for.
    async fn rows(&mut self, text: &str, params: &Map, max_rows: usize) -> Result<Rows, Fault>;
    /// One statement that changes rows.
    async fn change(&mut self, text: &str, params: &Map) -> Result<u64, Fault>;
    /// The fault says what is known of the world.
    async fn commit(&mut self) -> Result<(), Fault>;
    /// The fault says whether something stays.
    async fn rollback(&mut self) -> Result<(), Fault>;
    /// Which server and database this is.
    async fn identity(&mut self) -> Result<String, Fault>;
    /// Gives the connection back: nothing is open on it.
    fn release(self: Box<Self>);
}

/// A text that can't be cut into a statement.
fn unreadable(why: String) -> Fault {
    Fault::untouched(codes::RW0406, why)
}

/// A value that can't be read or bound exactly.
fn inexact(column: &str, why: &str) -> Fault {
    Fault::untouched(codes::RW0709, format!("the value of `{column}` can't be read: {why}"))
        .help("convert it in the query, for instance with `CAST(… AS char)`")
}

/// The names of the columns, if no two are equal: a row is a map, and one value would be lost.
fn distinct(names: Vec<String>) -> Result<Vec<String>, Fault> {
    match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        None => Ok(names),
        Some((_, name)) => Err(Fault::untouched(
            codes::RW0709,
            format!("two columns of the result are named `{name}`"),
        )
        .help("name one of them otherwise: `… AS other_name`")),
    }
}

/// Is this host the machine we are on, so that the network can't be listened to?
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.starts_with('/')
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn wrong_address(url: &str, error: &sqlx::Error) -> Fault {
    Fault::untouched(codes::RW0503, format!("`{url}` is not an address of a database"))
        .detail(error.to_string())
}
