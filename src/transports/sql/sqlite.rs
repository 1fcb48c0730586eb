//! SQLite: sessions, transactions, statements, values.
//!
//! Owns what is particular to this library. Must not know what a statement is for.
//!
//! A value is what SQLite stores: an integer, a float, text or bytes; text stays text. A column
//! declared `DECIMAL` or `NUMERIC` gives decimals where SQLite has stored a number: of a float the
//! shortest decimal that reads back as it, with the declared decimal places. A decimal that no
//! integer or float of SQLite's holds exactly is refused when it is bound, not rounded.

use std::{
    collections::HashMap,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ColumnOrigin, ConnectOptions, Connection, Decode, Error,
    Executor, Row, SqlSafeStr, Statement as _, TypeInfo, ValueRef,
    error::BoxDynError,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow, SqliteStatement},
};

use super::{
    Engine, Session, Start, distinct, faults, inexact,
    pool::{Dial, Lease, Pool},
    unreadable, wrong_address,
};
use crate::{
    base::{Map, Value, value::Time},
    diagnostics::codes,
    model::{
        Fault,
        target::{SqlAddress, SqlEngine},
    },
    ports::transport::Rows,
    sql::{Filled, Statement},
};

const ENGINE: SqlEngine = SqlEngine::Sqlite;

/// Nobody should wait longer than this for a lock while production burns.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Instructions of SQLite's machine between two looks at the clock: some hundred microseconds.
const LOOK: i32 = 10_000;

pub(super) struct Sqlite {
    file: PathBuf,
    readers: Arc<Pool<File>>,
    writers: Arc<Pool<File>>,
}

impl Sqlite {
    pub(super) fn new(address: &SqlAddress) -> Result<Self, Fault> {
        let options = SqliteConnectOptions::from_str(&address.url)
            .map_err(|e| wrong_address(&address.url, &e))?
            .create_if_missing(false)
            .disable_statement_logging();
        let file = options.get_filename().to_owned();
        if address.url.contains(":memory:") || address.url.contains("mode=memory") {
            return Err(Fault::untouched(
                codes::RW0503,
                "a SQLite database in memory can't be a target: nobody else sees it",
            ));
        }
        let readers = options.clone().read_only(true).pragma("query_only", "on");
        Ok(Self {
            file,
            readers: Pool::new(File { options: readers }),
            writers: Pool::new(File { options }),
        })
    }
}

#[async_trait]
impl Engine for Sqlite {
    async fn session(&self, read_only: bool) -> Result<Box<dyn Session>, Fault> {
        let pool = if read_only { &self.readers } else { &self.writers };
        match pool.lease().await {
            Ok(lease) => {
                Ok(Box::new(SqliteSession { lease, file: self.file.clone(), timeout: LOCK_WAIT }))
            }
            Err(error) => Err(faults::connecting(ENGINE, &self.file.display().to_string(), &error)),
        }
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

struct File {
    options: SqliteConnectOptions,
}

impl File {
    /// Which file the path leads to now: device and inode.
    fn file(&self) -> Option<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(self.options.get_filename()).ok()?;
        Some((found.dev(), found.ino()))
    }
}

struct Link {
    connection: SqliteConnection,
    limit: Arc<Limit>,
    /// Device and inode of the file that was opened.
    file: Option<(u64, u64)>,
}

/// When a statement has to stop. SQLite asks every so many instructions.
struct Limit {
    start: Instant,
    /// Milliseconds from `start`.
    end: AtomicU64,
    stopped: AtomicBool,
}

impl Limit {
    fn holds(&self) -> bool {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        !self.stopped.load(Ordering::Relaxed) && passed < self.end.load(Ordering::Relaxed)
    }

    fn set(&self, span: Duration) {
        let end = (self.start.elapsed() + span).as_millis();
        self.end.store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[async_trait]
impl Dial for File {
    const ENGINE: SqlEngine = ENGINE;
    type Link = Link;

    async fn dial(&self) -> Result<Link, Error> {
        let file = self.file();
        let mut connection = self.options.connect().await?;
        let limit = Arc::new(Limit {
            start: Instant::now(),
            end: AtomicU64::new(u64::MAX),
            stopped: AtomicBool::new(false),
        });
        let asked = Arc::clone(&limit);
        connection.lock_handle().await?.set_progress_handler(LOOK, move || asked.holds());
        Ok(Link { connection, limit, file })
    }

    /// As long as the path still leads to the file that was opened.
    async fn alive(&self, link: &mut Link) -> bool {
        let usable = !link.limit.stopped.load(Ordering::Relaxed);
        link.limit.end.store(u64::MAX, Ordering::Relaxed);
        usable && link.file.is_some() && link.file == self.file()
    }

    async fn close(&self, link: Link) {
        // A connection that can't even be closed is gone anyway.
        drop(link.connection.close().await);
    }

    async fn cancel(&self, link: Link) {
        drop(link.connection.close().await);
    }

    fn interrupt(&self, link: &Link) {
        link.limit.stopped.store(true, Ordering::Relaxed);
    }
}

struct SqliteSession {
    lease: Lease<File>,
    file: PathBuf,
    /// For each statement.
    timeout: Duration,
}

#[async_trait]
impl Session for SqliteSession {
    async fn begin(&mut self, start: &Start<'_>) -> Result<(), Fault> {
        self.timeout = start.timeout;
        let wait = (start.timeout / 2).min(LOCK_WAIT).as_millis();
        // A writer takes its lock at once, so that nothing changes between its look and its write.
        let begin = if start.read_only { "BEGIN" } else { "BEGIN IMMEDIATE" };
        self.simple(format!("PRAGMA busy_timeout = {wait}; {begin}")).await
    }

    async fn rows(&mut self, text: &str, params: &Map, max_rows: usize) -> Result<Rows, Fault> {
        let statement = Statement::parse(text, ENGINE).map_err(unreadable)?;
        let filled = statement.fill(params)?;
        let (text, arguments) = ready(&filled)?;
        let connection = self.connection()?;
        let prepared = (&mut *connection).prepare(text.into_sql_str()).await.map_err(refused)?;
        let names = prepared.columns().iter().map(|c| c.name().to_owned()).collect();
        let mut found = Rows { columns: distinct(names)?, ..Rows::default() };
        let decimals = decimals(connection, &prepared).await?;
        let mut stream = prepared.query_with(arguments).fetch(connection);
        while let Some(row) = stream.try_next().await.map_err(refused)? {
            if found.rows.len() == max_rows {
                found.cut = true;
                break;
            }
            found.rows.push(decoded(&row, &found.columns, &decimals)?);
        }
        Ok(found)
    }

    async fn change(&mut self, text: &str, params: &Map) -> Result<u64, Fault> {
        let statement = Statement::parse(text, ENGINE).map_err(unreadable)?;
        let filled = statement.fill(params)?;
        let (text, arguments) = ready(&filled)?;
        let done = sqlx::query_with(text, arguments).execute(self.connection()?).await;
        done.map(|done| done.rows_affected()).map_err(refused)
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        let done = sqlx::raw_sql("COMMIT").execute(self.connection()?).await;
        done.map(|_| ()).map_err(|e| faults::committing(ENGINE, &e))
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        let done = sqlx::raw_sql("ROLLBACK").execute(self.connection()?).await;
        match done {
            Ok(_) => Ok(()),
            // Some errors have rolled it back already.
            Err(Error::Database(e)) if e.message().contains("no transaction is active") => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    async fn identity(&mut self) -> Result<String, Fault> {
        let path = std::fs::canonicalize(&self.file).map_err(|e| {
            Fault::untouched(codes::RW0701, format!("{} can't be opened", self.file.display()))
                .detail(e.to_string())
        })?;
        Ok(format!("SQLite database {}", path.display()))
    }

    fn release(self: Box<Self>) {
        self.lease.release();
    }
}

impl SqliteSession {
    /// The connection, for one statement from now on.
    fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        let link = self.lease.link().map_err(refused)?;
        link.limit.set(self.timeout);
        Ok(&mut link.connection)
    }

    async fn simple(&mut self, text: String) -> Result<(), Fault> {
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(self.connection()?).await;
        done.map(|_| ()).map_err(refused)
    }
}

fn ready(filled: &Filled<'_, '_>) -> Result<(AssertSqlSafe<String>, SqliteArguments), Fault> {
    let mut arguments = SqliteArguments::default();
    for value in &filled.values {
        bind(&mut arguments, value).map_err(|why| {
            Fault::untouched(codes::RW0711, format!("SQLite can't hold the value: {why}"))
                .help("give it as text: `{{ … | string }}`")
        })?;
    }
    Ok((AssertSqlSafe(filled.text(|slot| format!("?{}", slot + 1))), arguments))
}

fn bind(arguments: &mut SqliteArguments, value: &Value) -> Result<(), BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<String>),
        Value::Bool(b) => arguments.add(i64::from(*b)),
        Value::Int(i) => match i64::try_from(*i) {
            Ok(int) => arguments.add(int),
            Err(_) => Err(format!("{i} is more than 64 bits").into()),
        },
        Value::Decimal(_) => match value.as_int().and_then(|i| i64::try_from(i).ok()) {
            Some(int) => arguments.add(int),
            None => match value.to_string().parse::<f64>() {
                Ok(f) if Value::Float(f) == *value => arguments.add(f),
                _ => Err(format!("{value} is no float, and SQLite has no decimals").into()),
            },
        },
        Value::Float(f) if f.is_nan() => Err("NaN would become NULL".into()),
        Value::Float(f) => arguments.add(*f),
        Value::Text(text) => arguments.add(text.clone()),
        Value::Secret(secret) => arguments.add(secret.expose().to_owned()),
        Value::Bytes(bytes) => arguments.add(bytes.clone()),
        Value::Time(time) => arguments.add(time_text(time)),
        Value::List(_) | Value::Map(_) => arguments.add(value.to_wire().to_string()),
    }
}

/// As SQLite's own functions write it, so that texts compare as times do.
fn time_text(time: &Time) -> String {
    let at = |t: &jiff::civil::DateTime| format!("{} {}", t.date(), t.time());
    match time {
        Time::Instant(t) => at(&t.to_zoned(jiff::tz::TimeZone::UTC).datetime()),
        Time::DateTime(t) => at(t),
        Time::Date(_) | Time::Clock(_) => time.to_string(),
    }
}

/// By column: was it declared a decimal, and with how many places?
async fn decimals(
    connection: &mut SqliteConnection,
    prepared: &SqliteStatement,
) -> Result<Vec<Option<Option<i64>>>, Fault> {
    let mut known: HashMap<String, Vec<(String, String)>> = HashMap::new();
    let mut found = Vec::new();
    for column in prepared.columns() {
        let origin = match column.origin() {
            // sqlx has no type for these declarations.
            ColumnOrigin::Table(origin) if column.type_info().name() == "NULL" => origin,
            _ => {
                found.push(None);
                continue;
            }
        };
        let table = origin.table.to_string();
        if !known.contains_key(&table) {
            let types = sqlx::query_as("SELECT name, type FROM pragma_table_info(?)")
                .bind(&table)
                .fetch_all(&mut *connection)
                .await
                .map_err(refused)?;
            known.insert(table.clone(), types);
        }
        let declared = known
            .get(&table)
            .and_then(|types| types.iter().find(|(name, _)| **name == *origin.name));
        found.push(declared.and_then(|(_, declared)| decimal_places(declared)));
    }
    Ok(found)
}

/// `DECIMAL(10,2)` has two places, `NUMERIC` as many as it has.
fn decimal_places(declared: &str) -> Option<Option<i64>> {
    let declared = declared.to_uppercase();
    if !declared.starts_with("DECIMAL") && !declared.starts_with("NUMERIC") {
        return None;
    }
    let places = declared
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inside, _)| inside.split_once(',').map_or("0", |(_, places)| places));
    Some(places.and_then(|p| p.trim().parse().ok()))
}

fn decoded(
    row: &SqliteRow,
    columns: &[String],
    decimals: &[Option<Option<i64>>],
) -> Result<Map, Fault> {
    let mut map = Map::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let value = value(row, index).map_err(|why| inexact(column, &why.to_string()))?;
        let value = match decimals.get(index) {
            Some(Some(places)) => as_decimal(value, *places),
            _ => value,
        };
        map.insert(column.clone(), value);
    }
    Ok(map)
}

fn value(row: &SqliteRow, index: usize) -> Result<Value, BoxDynError> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let class = raw.type_info().name().to_owned();
    Ok(match class.as_str() {
        "INTEGER" => Value::Int(<i64 as Decode<sqlx::Sqlite>>::decode(raw)?.into()),
        "REAL" => Value::Float(<f64 as Decode<sqlx::Sqlite>>::decode(raw)?),
        "BLOB" => Value::Bytes(<Vec<u8> as Decode<sqlx::Sqlite>>::decode(raw)?),
        "TEXT" => match <String as Decode<sqlx::Sqlite>>::decode(raw) {
            Ok(text) => Value::Text(text),
            // SQLite takes any bytes for text.
            Err(_) => {
                Value::Bytes(<Vec<u8> as Decode<sqlx::Sqlite>>::decode(row.try_get_raw(index)?)?)
            }
        },
        other => return Err(format!("storage class {other}").into()),
    })
}

fn as_decimal(value: Value, places: Option<i64>) -> Value {
    match (&value, value.as_decimal()) {
        (Value::Int(_) | Value::Float(_), Some(exact)) => {
            let shown = places.map(|p| exact.with_scale(p)).filter(|shown| *shown == exact);
            Value::Decimal(shown.unwrap_or(exact))
        }
        _ => value,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(error: Error) -> Fault {
    faults::statement(ENGINE, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_decimals_have_places() {
        assert_eq!(decimal_places("DECIMAL(10, 2)"), Some(Some(2)));
        assert_eq!(decimal_places("numeric"), Some(None));
        assert_eq!(decimal_places("DECIMAL(10)"), Some(Some(0)));
        assert_eq!(decimal_places("TEXT"), None);
        assert_eq!(as_decimal(Value::Float(10.1), Some(2)).to_string(), "10.10");
        assert_eq!(as_decimal(Value::Float(10.125), Some(2)).to_string(), "10.125");
        assert_eq!(as_decimal(Value::text("x"), Some(2)), Value::text("x"));
    }

    #[test]
    fn a_decimal_is_bound_exactly_or_not_at_all() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let mut arguments = SqliteArguments::default();
        for exact in ["10.10", "0.1", "-5.00", "9007199254740993"] {
            assert!(bind(&mut arguments, &decimal(exact)).is_ok(), "{exact}");
        }
        for inexact in ["0.12345678901234567890", "12345678901234567890.12"] {
            assert!(bind(&mut arguments, &decimal(inexact)).is_err(), "{inexact}");
        }
        assert!(bind(&mut arguments, &Value::Int(i128::from(i64::MAX) + 1)).is_err());
    }
}
