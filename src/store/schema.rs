//! The tables of an SQLite journal, how a connection to one is set up, and what its errors mean.
//!
//! Owns the schema and its check. Must not know what is done with the tables.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::time::Instant;

use crate::ports::store::StoreError;

/// Version of the tables.
const VERSION: i64 = 1;
/// `RUNW`, in the file's header: tells a journal from other SQLite files.
const APPLICATION: i64 = 0x5255_4e57;
/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every object of the schema with the statement that makes it, by name. SQLite keeps the
/// statements as they are written, so that they can be compared.
const OBJECTS: &[(&str, &str)] = &[
    (
        "events",
        "CREATE TABLE events(run TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, \
         body TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY(run, seq)) STRICT, WITHOUT ROWID",
    ),
    (
        "inbox",
        "CREATE TABLE inbox(id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, \
         at TEXT NOT NULL, body TEXT NOT NULL) STRICT",
    ),
    ("inbox_by_run", "CREATE INDEX inbox_by_run ON inbox(run, id)"),
    (
        "leases",
        "CREATE TABLE leases(run TEXT PRIMARY KEY NOT NULL REFERENCES runs(run), holder TEXT, \
         epoch INTEGER NOT NULL, until TEXT) STRICT, WITHOUT ROWID",
    ),
    (
        "locks",
        "CREATE TABLE locks(name TEXT PRIMARY KEY NOT NULL, run TEXT NOT NULL) \
         STRICT, WITHOUT ROWID",
    ),
    (
        "meta",
        "CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) \
         STRICT, WITHOUT ROWID",
    ),
    (
        "runs",
        "CREATE TABLE runs(run TEXT PRIMARY KEY NOT NULL, created TEXT NOT NULL, \
         summary TEXT NOT NULL) STRICT, WITHOUT ROWID",
    ),
    ("runs_by_created", "CREATE INDEX runs_by_created ON runs(created)"),
];

/// A connection with every setting that durability needs, checked.
pub(super) async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(PATIENCE)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging();
    let deadline = Instant::now() + PATIENCE;
    let mut connection = loop {
        match options.connect().await {
            // Switching a new file to WAL does not wait for others who do the same.
            Err(e) if primary_code(&e) == Some(BUSY) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => break other.map_err(|e| failed(path, &e))?,
        }
    };
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await
        .map_err(|e| failed(path, &e))?;
    let synchronous = number(&mut connection, path, "PRAGMA synchronous").await?;
    if journal != "wal" || synchronous != 2 {
        return Err(StoreError::Unusable(format!(
            "the file system of `{}` does not allow a write-ahead log (journal mode `{journal}`, \
             synchronous {synchronous}); keep the journal on a local disk",
            path.display()
        )));
    }
    Ok(connection)
}

/// Makes the tables in an empty file; gives the journal's id.
pub(super) async fn initialise(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<String, StoreError> {
    if number(connection, path, "SELECT count(*) FROM sqlite_schema").await? == 0 {
        create(connection, path).await?;
    }
    check(connection, path).await?;
    let journal: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'journal'")
            .fetch_optional(connection)
            .await
            .map_err(|e| failed(path, &e))?;
    journal
        .ok_or_else(|| StoreError::Damaged(format!("`{}` has lost its identity", path.display())))
}

async fn create(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let fail = |e: sqlx::Error| failed(path, &e);
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fail)?;
    // Another process may have been faster.
    if number(&mut tx, path, "SELECT count(*) FROM sqlite_schema").await? > 0
        || number(&mut tx, path, "PRAGMA application_id").await? != 0
    {
        return Ok(());
    }
    for (_, statement) in OBJECTS {
        sqlx::query(*statement).execute(&mut *tx).await.map_err(fail)?;
    }
    for (key, value) in
        [("schema", VERSION.to_string()), ("journal", uuid::Uuid::now_v7().to_string())]
    {
        sqlx::query("INSERT INTO meta(key, value) VALUES (?, ?)")
            .bind(key)
            .bind(value)
            .execute(&mut *tx)
            .await
            .map_err(fail)?;
    }
    // A pragma takes no parameters: this is `APPLICATION`.
    sqlx::query("PRAGMA application_id = 1381322327").execute(&mut *tx).await.map_err(fail)?;
    tx.commit().await.map_err(fail)
}

/// Refuses a file that is no journal, or whose schema is not exactly ours: a trigger could change
/// what is written after it was hashed, a view could stand for a table.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(), StoreError> {
    let fail = |e: sqlx::Error| failed(path, &e);
    let damaged = |why: String| StoreError::Damaged(format!("`{}` {why}", path.display()));
    if number(connection, path, "PRAGMA application_id").await? != APPLICATION {
        return Err(damaged("is a database, but not a journal of runward".into()));
    }
    let found: Vec<(String, String, Option<String>)> =
        sqlx::query_as("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
            .fetch_all(&mut *connection)
            .await
            .map_err(fail)?;
    if found.iter().any(|(_, name, _)| name == "meta") {
        let version: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'schema'")
                .fetch_optional(&mut *connection)
                .await
                .map_err(fail)?;
        let version = version.and_then(|v| v.parse::<i64>().ok());
        match version {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                return Err(StoreError::Unusable(format!(
                    "`{}` was made by a newer version of runward (tables of version {newer}, this \
                     one knows {VERSION}); use that version",
                    path.display()
                )));
            }
            _ => return Err(damaged("does not say which version its tables have".into())),
        }
    }
    // SQLite's own, for AUTOINCREMENT.
    let ours = found.iter().filter(|(_, name, _)| name != "sqlite_sequence");
    let ours: Vec<_> =
        ours.map(|(kind, name, sql)| (kind, name.as_str(), sql.as_deref())).collect();
    for (name, sql) in OBJECTS {
        match ours.iter().find(|(_, found, _)| found == name) {
            None => return Err(damaged(format!("has lost its table or index `{name}`"))),
            Some((_, _, found)) if *found != Some(*sql) => {
                return Err(damaged(format!("has another definition of `{name}`")));
            }
            Some(_) => {}
        }
    }
    match ours.iter().find(|(_, name, _)| !OBJECTS.iter().any(|(known, _)| known == name)) {
        Some((kind, name, _)) => {
            Err(damaged(format!("has a {kind} `{name}` that runward did not make")))
        }
        None => Ok(()),
    }
}

/// The number that SQLite raises with every change of the schema.
pub(super) async fn version(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<i64, StoreError> {
    number(connection, path, "PRAGMA schema_version").await
}

async fn number(
    connection: &mut SqliteConnection,
    path: &Path,
    query: &'static str,
) -> Result<i64, StoreError> {
    sqlx::query_scalar(query).fetch_one(connection).await.map_err(|e| failed(path, &e))
}

const BUSY: i32 = 5;

/// SQLite's result code without its extension: <https://sqlite.org/rescode.html>.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

/// What an error of SQLite means for the person who runs runward.
pub(super) fn failed(path: &Path, error: &sqlx::Error) -> StoreError {
    let shown = path.display();
    let unusable = |why: &str| StoreError::Unusable(format!("`{shown}`: {why}"));
    let damaged = |why: &str| StoreError::Damaged(format!("`{shown}` {why} ({error})"));
    match (primary_code(error), error) {
        (Some(13), _) => unusable("the disk is full; nothing of this step was recorded"),
        (Some(8), _) => unusable("it is read-only: look at its permissions and its file system"),
        (Some(BUSY | 6), _) => {
            unusable("another process keeps it locked for longer than 5 seconds")
        }
        (Some(3 | 23), _) => unusable("permission denied"),
        (Some(14), _) => unusable(
            "it can't be opened: look at its path, permissions and the number of open files",
        ),
        (Some(10), _) => {
            unusable(&format!("the disk reports an error; look at the system's log ({error})"))
        }
        (Some(11), _) => damaged("is damaged: its pages don't fit together"),
        (Some(26), _) => damaged("is not an SQLite file"),
        (_, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            damaged("holds a value of the wrong type")
        }
        _ => unusable(&format!("it can't be used ({error})")),
    }
}
