//! MySQL and MariaDB: sessions, transactions, statements, values.
//!
//! Owns what is particular to these servers. Must not know what a statement is for.
//!
//! A session speaks UTC, in strict mode (a value that does not fit is an error, never a cut one),
//! with backslash escapes and `"` for strings, which the parse of the text relies on. Statements
//! carry the session's name in a comment, for the process list.

use std::{str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bigdecimal::BigDecimal;
use futures_util::TryStreamExt;
use jiff::civil;
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ConnectOptions, Connection, Decode, Encode, Error,
    Executor, Row, SqlSafeStr, Statement as _, Type, TypeInfo,
    encode::IsNull,
    error::BoxDynError,
    mysql::{
        MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode,
        MySqlTypeInfo, MySqlValueRef,
    },
};

use super::{
    Engine, Session, Start, distinct, faults, inexact, is_local,
    pool::{Dial, Lease, Pool},
    unreadable, wrong_address,
};
use crate::{
    base::{Map, Secret, Value, value::Time},
    diagnostics::codes,
    model::{
        Fault,
        target::{SqlAddress, SqlEngine},
    },
    ports::transport::Rows,
    sql::{Filled, Statement, tables},
};

const ENGINE: SqlEngine = SqlEngine::Mysql;

/// Nobody should wait longer than this for a lock while production burns.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// "Some non-transactional changed tables couldn't be rolled back".
const NOT_ROLLED_BACK: u16 = 1196;

pub(super) struct MySql {
    address: String,
    pool: Arc<Pool<Server>>,
}

impl MySql {
    pub(super) fn new(address: &SqlAddress, password: Option<&Secret>) -> Result<Self, Fault> {
        let mut options = MySqlConnectOptions::from_str(&address.url)
            .map_err(|e| wrong_address(&address.url, &e))?;
        if let Some(password) = password {
            options = options.password(password.expose());
        }
        let named = address.url.contains("sslmode=") || address.url.contains("ssl-mode=");
        let local = options.get_socket().is_some() || is_local(options.get_host());
        if !named && !local {
            options = options.ssl_mode(MySqlSslMode::VerifyIdentity);
        }
        let shown = format!("{}:{}", options.get_host(), options.get_port());
        let options = options
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(Some("+00:00".to_owned()))
            .disable_statement_logging();
        Ok(Self { address: shown, pool: Pool::new(Server { options }) })
    }
}

#[async_trait]
impl Engine for MySql {
    async fn session(&self, _read_only: bool) -> Result<Box<dyn Session>, Fault> {
        match self.pool.lease().await {
            Ok(lease) => {
                Ok(Box::new(MySqlSession { lease, comment: String::new(), writes: false }))
            }
            Err(error) => Err(faults::connecting(ENGINE, &self.address, &error)),
        }
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

struct Server {
    options: MySqlConnectOptions,
}

struct Link {
    connection: MySqlConnection,
    id: u64,
    mariadb: bool,
}

#[async_trait]
impl Dial for Server {
    const ENGINE: SqlEngine = ENGINE;
    type Link = Link;

    async fn dial(&self) -> Result<Link, Error> {
        let mut connection = self.options.connect().await?;
        sqlx::raw_sql(
            "SET SESSION sql_mode = \
             'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', autocommit = 1",
        )
        .execute(&mut connection)
        .await?;
        let (id, version): (u64, String) =
            sqlx::query_as("SELECT CAST(CONNECTION_ID() AS UNSIGNED), CAST(VERSION() AS CHAR)")
                .fetch_one(&mut connection)
                .await?;
        Ok(Link { connection, id, mariadb: version.contains("MariaDB") })
    }

    async fn alive(&self, link: &mut Link) -> bool {
        link.connection.ping().await.is_ok()
    }

    async fn close(&self, link: Link) {
        // A connection that can't even be closed is gone anyway.
        drop(link.connection.close().await);
    }

    async fn cancel(&self, link: Link) {
        if let Ok(mut other) = self.options.connect().await {
            let kill = AssertSqlSafe(format!("KILL {}", link.id));
            drop(sqlx::raw_sql(kill).execute(&mut other).await);
            drop(other.close().await);
        }
        drop(link.connection.close_hard().await);
    }
}

struct MySqlSession {
    lease: Lease<Server>,
    comment: String,
    writes: bool,
}

#[async_trait]
impl Session for MySqlSession {
    async fn begin(&mut self, start: &Start<'_>) -> Result<(), Fault> {
        let name: String = start.session.chars().filter(|c| !matches!(c, '*' | '\0')).collect();
        self.comment = format!("/* {name} */ ");
        self.writes = !start.read_only;
        let millis = start.timeout.as_millis().clamp(1, u32::MAX.into());
        let lock = (start.timeout / 2).clamp(Duration::from_secs(1), LOCK_WAIT).as_secs();
        let mode = if start.read_only { "READ ONLY" } else { "READ WRITE" };
        let link = self.lease.link().map_err(refused)?;
        // MySQL limits the time of SELECT only; what else takes too long, the client kills.
        let limit = match link.mariadb {
            true => format!("max_statement_time = {}.{:03}", millis / 1000, millis % 1000),
            false => format!("max_execution_time = {millis}"),
        };
        link.connection.clear_cached_statements().await.map_err(refused)?;
        self.simple(format!(
            "SET SESSION {limit}, innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}; \
             START TRANSACTION {mode}"
        ))
        .await
    }

    async fn rows(&mut self, text: &str, params: &Map, max_rows: usize) -> Result<Rows, Fault> {
        let statement = Statement::parse(text, ENGINE).map_err(unreadable)?;
        let filled = statement.fill(params)?;
        let (text, arguments) = self.ready(&filled)?;
        let connection = self.connection()?;
        let prepared = connection.prepare(text.into_sql_str()).await.map_err(refused)?;
        let mut columns: Vec<_> = prepared.columns().iter().map(|c| c.name().to_owned()).collect();
        let mut found = Rows::default();
        let mut stream = prepared.query_with(arguments).fetch(connection);
        while let Some(row) = stream.try_next().await.map_err(refused)? {
            if found.rows.is_empty() {
                // Only the rows of some statements (`SHOW …`) say what their columns are.
                columns = row.columns().iter().map(|c| c.name().to_owned()).collect();
                columns = distinct(columns)?;
            }
            if found.rows.len() == max_rows {
                found.cut = true;
                break;
            }
            found.rows.push(decoded(&row)?);
        }
        found.columns = distinct(columns)?;
        Ok(found)
    }

    async fn change(&mut self, text: &str, params: &Map) -> Result<u64, Fault> {
        let statement = Statement::parse(text, ENGINE).map_err(unreadable)?;
        let filled = statement.fill(params)?;
        self.refuse_without_transactions(&statement).await?;
        let (text, arguments) = self.ready(&filled)?;
        let done = sqlx::query_with(text, arguments).execute(self.connection()?).await;
        done.map(|done| done.rows_affected()).map_err(refused)
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        let done = sqlx::raw_sql("COMMIT").execute(self.connection()?).await;
        done.map(|_| ()).map_err(|e| faults::committing(ENGINE, &e))
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        self.simple("ROLLBACK".to_owned()).await?;
        if !self.writes {
            return Ok(());
        }
        let warnings =
            sqlx::raw_sql("SHOW WARNINGS").fetch_all(self.connection()?).await.map_err(refused)?;
        let stays = warnings.iter().any(|w| {
            w.try_get_unchecked::<String, _>(1)
                .is_ok_and(|code| code == NOT_ROLLED_BACK.to_string())
        });
        match stays {
            false => Ok(()),
            true => Err(Fault::partial(
                codes::RW0705,
                "the change could not be taken back: its table has no transactions",
            )
            .help("the table's engine (MyISAM, MEMORY, …) keeps each change at once")),
        }
    }

    async fn identity(&mut self) -> Result<String, Fault> {
        sqlx::query_scalar(
            "SELECT CAST(CONCAT('MySQL database ', COALESCE(DATABASE(), '(none)'), ', server ', \
             @@hostname, ':', @@port, ', version ', @@version) AS CHAR)",
        )
        .fetch_one(self.connection()?)
        .await
        .map_err(refused)
    }

    fn release(self: Box<Self>) {
        self.lease.release();
    }
}

impl MySqlSession {
    fn connection(&mut self) -> Result<&mut MySqlConnection, Fault> {
        Ok(&mut self.lease.link().map_err(refused)?.connection)
    }

    async fn simple(&mut self, text: String) -> Result<(), Fault> {
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(self.connection()?).await;
        done.map(|_| ()).map_err(refused)
    }

    /// A table of MyISAM or the like keeps each change at once: no guard could take it back.
    async fn refuse_without_transactions(
        &mut self,
        statement: &Statement<'_>,
    ) -> Result<(), Fault> {
        let tables = tables(statement, ENGINE).map_err(unreadable)?;
        for (schema, name) in tables {
            let engine: Option<String> = sqlx::query_scalar(
                "SELECT CAST(t.ENGINE AS CHAR) FROM information_schema.TABLES t \
                 JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
                 WHERE t.TABLE_SCHEMA = COALESCE(?, DATABASE()) AND t.TABLE_NAME = ? \
                 AND e.TRANSACTIONS <> 'YES'",
            )
            .bind(schema)
            .bind(&name)
            .fetch_optional(self.connection()?)
            .await
            .map_err(refused)?;
            if let Some(engine) = engine {
                return Err(Fault::untouched(
                    codes::RW0705,
                    format!("the table `{name}` has no transactions ({engine})"),
                )
                .help("its changes can't be counted or compared before they last; use InnoDB"));
            }
        }
        Ok(())
    }

    fn ready(
        &self,
        filled: &Filled<'_, '_>,
    ) -> Result<(AssertSqlSafe<String>, MySqlArguments), Fault> {
        let mut arguments = MySqlArguments::default();
        for slot in filled.order() {
            if let Some(value) = filled.values.get(slot) {
                bind(&mut arguments, value).map_err(|e| refused(Error::Encode(e)))?;
            }
        }
        let text = filled.text(|_| "?".to_owned());
        Ok((AssertSqlSafe(format!("{}{text}", self.comment)), arguments))
    }
}

/// The server does not say which types it expects, so that each value goes as what it is.
fn bind(arguments: &mut MySqlArguments, value: &Value) -> Result<(), BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<String>),
        Value::Bool(b) => arguments.add(*b),
        Value::Int(i) => match (i64::try_from(*i), u64::try_from(*i)) {
            (Ok(signed), _) => arguments.add(signed),
            (_, Ok(unsigned)) => arguments.add(unsigned),
            _ => arguments.add(Exact(i.to_string())),
        },
        Value::Decimal(d) => arguments.add(Exact(d.to_plain_string())),
        Value::Float(f) if f.is_finite() => arguments.add(*f),
        Value::Float(f) => Err(format!("MySQL has no number `{f}`").into()),
        Value::Text(text) => arguments.add(text.as_str()),
        Value::Secret(secret) => arguments.add(secret.expose()),
        Value::Bytes(bytes) => arguments.add(bytes.as_slice()),
        Value::Time(time) => arguments.add(time_text(time)),
        Value::List(_) | Value::Map(_) => arguments.add(value.to_wire().to_string()),
    }
}

/// A decimal in its digits, which the server reads exactly.
struct Exact(String);

impl Type<sqlx::MySql> for Exact {
    fn type_info() -> MySqlTypeInfo {
        <BigDecimal as Type<sqlx::MySql>>::type_info()
    }
}

impl Encode<'_, sqlx::MySql> for Exact {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'_, sqlx::MySql>>::encode_by_ref(&self.0.as_str(), buffer)
    }
}

/// As MySQL reads it; a point in time in UTC, which is the session's zone.
fn time_text(time: &Time) -> String {
    let at = |t: &civil::DateTime| format!("{} {}", t.date(), t.time());
    match time {
        Time::Instant(t) => at(&t.to_zoned(jiff::tz::TimeZone::UTC).datetime()),
        Time::DateTime(t) => at(t),
        Time::Date(_) | Time::Clock(_) => time.to_string(),
    }
}

fn decoded(row: &MySqlRow) -> Result<Map, Fault> {
    let mut map = Map::with_capacity(row.columns().len());
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index).map_err(refused)?;
        let value = value(raw, column.type_info()).map_err(|why| inexact(column.name(), &why))?;
        map.insert(column.name().to_owned(), value);
    }
    Ok(map)
}

/// One value, from the binary protocol. sqlx takes dates of zeros for NULL, which they are not;
/// so the bytes are read here.
fn value(raw: MySqlValueRef<'_>, info: &MySqlTypeInfo) -> Result<Value, String> {
    // The only fault of this conversion is NULL.
    let Ok(bytes) = <&[u8] as Decode<sqlx::MySql>>::decode(raw) else { return Ok(Value::Null) };
    let unsigned = <u64 as Type<sqlx::MySql>>::compatible(info);
    let text = || std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
    Ok(match info.name() {
        "DECIMAL" => {
            Value::Decimal(text()?.parse().map_err(|_| "it is not a decimal number".to_owned())?)
        }
        "FLOAT" => {
            let small = f32::from_le_bytes(exact(bytes)?);
            // The float whose shortest decimal is the same: what the server shows.
            Value::Float(small.to_string().parse().unwrap_or_else(|_| small.into()))
        }
        "DOUBLE" => Value::Float(f64::from_le_bytes(exact(bytes)?)),
        "YEAR" => Value::Int(u16::from_le_bytes(exact(bytes)?).into()),
        "BIT" => Value::Int(bytes.iter().fold(0, |sum, byte| sum << 8 | i128::from(*byte))),
        "DATE" => date(bytes)?,
        "DATETIME" => datetime(bytes, false)?,
        "TIMESTAMP" => datetime(bytes, true)?,
        "TIME" => clock(bytes)?,
        "NULL" => Value::Null,
        "JSON" | "ENUM" | "SET" => Value::text(text()?),
        name if name == "BOOLEAN" || name.contains("INT") => integer(bytes, unsigned)?,
        _ if <str as Type<sqlx::MySql>>::compatible(info) => Value::text(text()?),
        _ => Value::Bytes(bytes.to_vec()),
    })
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("it has {} bytes instead of {N}", bytes.len()))
}

/// Little-endian, of 1, 2, 4 or 8 bytes.
fn integer(bytes: &[u8], unsigned: bool) -> Result<Value, String> {
    Ok(Value::Int(match (bytes.len(), unsigned) {
        (1, true) => u8::from_le_bytes(exact(bytes)?).into(),
        (2, true) => u16::from_le_bytes(exact(bytes)?).into(),
        (4, true) => u32::from_le_bytes(exact(bytes)?).into(),
        (8, true) => u64::from_le_bytes(exact(bytes)?).into(),
        (1, false) => i8::from_le_bytes(exact(bytes)?).into(),
        (2, false) => i16::from_le_bytes(exact(bytes)?).into(),
        (4, false) => i32::from_le_bytes(exact(bytes)?).into(),
        (8, false) => i64::from_le_bytes(exact(bytes)?).into(),
        (other, _) => return Err(format!("an integer of {other} bytes")),
    }))
}

/// Year, month and day; dates of zeros are shown as the server shows them.
fn ymd(bytes: &[u8]) -> (u16, u8, u8) {
    match bytes {
        [low, high, month, day, ..] => (u16::from_le_bytes([*low, *high]), *month, *day),
        _ => (0, 0, 0),
    }
}

fn civil_date((year, month, day): (u16, u8, u8)) -> Result<civil::Date, String> {
    let part = |n: u8| i8::try_from(n).unwrap_or(0);
    let year = i16::try_from(year).unwrap_or(0);
    match year {
        0 => Err("no date".to_owned()),
        _ => civil::Date::new(year, part(month), part(day)).map_err(|e| e.to_string()),
    }
}

fn date(bytes: &[u8]) -> Result<Value, String> {
    let (_, bytes) = bytes.split_first().ok_or("it is empty")?;
    let (year, month, day) = ymd(bytes);
    Ok(match civil_date((year, month, day)) {
        Ok(date) => Value::Time(Time::Date(date)),
        Err(_) => Value::text(format!("{year:04}-{month:02}-{day:02}")),
    })
}

fn datetime(bytes: &[u8], utc: bool) -> Result<Value, String> {
    let (_, bytes) = bytes.split_first().ok_or("it is empty")?;
    let (year, month, day) = ymd(bytes);
    let [hour, minute, second] = match bytes.get(4..7) {
        Some(clock) => exact(clock)?,
        None => [0; 3],
    };
    let micros = match bytes.get(7..11) {
        Some(micros) => u32::from_le_bytes(exact(micros)?),
        None => 0,
    };
    let part = |n: u8| i8::try_from(n).unwrap_or(-1);
    let nanos = i32::try_from(u64::from(micros) * 1000).unwrap_or(-1);
    let found = civil_date((year, month, day)).ok().and_then(|date| {
        civil::Time::new(part(hour), part(minute), part(second), nanos).ok().map(|t| (date, t))
    });
    Ok(match found {
        Some((date, time)) if utc => Value::Time(Time::Instant(
            date.to_datetime(time)
                .to_zoned(jiff::tz::TimeZone::UTC)
                .map_err(|e| e.to_string())?
                .timestamp(),
        )),
        Some((date, time)) => Value::Time(Time::DateTime(date.to_datetime(time))),
        None => {
            Value::text(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
        }
    })
}

/// A time of day where it is one; MySQL's reach from -838:59:59 to 838:59:59.
fn clock(bytes: &[u8]) -> Result<Value, String> {
    let (length, bytes) = bytes.split_first().ok_or("it is empty")?;
    if *length == 0 {
        return Ok(Value::Time(Time::Clock(civil::Time::MIN)));
    }
    let [negative, d0, d1, d2, d3, hour, minute, second] =
        exact::<8>(bytes.get(..8).unwrap_or_default())?;
    let days = u32::from_le_bytes([d0, d1, d2, d3]);
    let micros = match bytes.get(8..12) {
        Some(micros) => u32::from_le_bytes(exact(micros)?),
        None => 0,
    };
    let part = |n: u8| i8::try_from(n).unwrap_or(-1);
    let nanos = i32::try_from(u64::from(micros) * 1000).unwrap_or(-1);
    match civil::Time::new(part(hour), part(minute), part(second), nanos) {
        Ok(time) if negative == 0 && days == 0 => Ok(Value::Time(Time::Clock(time))),
        _ => {
            let sign = if negative == 0 { "" } else { "-" };
            let hours = u64::from(days) * 24 + u64::from(hour);
            let rest = if micros == 0 { String::new() } else { format!(".{micros:06}") };
            Ok(Value::text(format!("{sign}{hours:02}:{minute:02}:{second:02}{rest}")))
        }
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
    fn dates_of_zeros_are_not_null() {
        assert_eq!(date(&[0]), Ok(Value::text("0000-00-00")));
        assert_eq!(datetime(&[0], true), Ok(Value::text("0000-00-00 00:00:00")));
        assert_eq!(date(&[4, 0xEA, 7, 2, 0]), Ok(Value::text("2026-02-00")));
        assert_eq!(date(&[4, 0xEA, 7, 2, 3]).unwrap().to_string(), "2026-02-03");
    }

    #[test]
    fn times_reach_further_than_a_day() {
        assert_eq!(clock(&[0]).unwrap().to_string(), "00:00:00");
        assert_eq!(clock(&[8, 0, 0, 0, 0, 0, 1, 2, 3]).unwrap().to_string(), "01:02:03");
        assert_eq!(clock(&[8, 1, 34, 0, 0, 0, 22, 59, 59]), Ok(Value::text("-838:59:59")));
        assert!(clock(&[8, 1]).is_err());
    }

    #[test]
    fn integers_keep_their_sign() {
        assert_eq!(integer(&[200], true), Ok(Value::Int(200)));
        assert_eq!(integer(&[200], false), Ok(Value::Int(-56)));
        assert_eq!(integer(&[255; 8], true), Ok(Value::Int(u64::MAX.into())));
        assert!(integer(&[1, 2, 3], true).is_err());
    }
}
