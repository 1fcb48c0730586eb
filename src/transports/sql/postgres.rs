//! PostgreSQL: sessions, transactions, statements.
//!
//! Owns what is particular to this server; values are in `decode` and `encode`. Must not know what
//! a statement is for.

mod decode;
mod encode;

use std::{str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Error, Executor, Row, Statement as _,
    ValueRef,
    postgres::{
        PgArguments, PgConnectOptions, PgConnection, PgRow, PgSslMode, PgStatement, PgTypeInfo,
        types::Oid,
    },
};

use self::{
    decode::{Shape, shape},
    encode::{Parameter, Sent},
};
use super::{
    Engine, Session, Start, distinct, faults, inexact, is_local,
    pool::{Dial, Lease, Pool},
    unreadable, wrong_address,
};
use crate::{
    base::{Map, Secret, Value},
    diagnostics::codes,
    model::{
        Fault,
        target::{SqlAddress, SqlEngine},
    },
    ports::transport::Rows,
    sql::{Filled, Statement},
};

const ENGINE: SqlEngine = SqlEngine::Postgres;

/// Nobody should wait longer than this for a lock while production burns.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// The server ends a transaction whose client has gone silent for this long between statements.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Postgres {
    address: String,
    pool: Arc<Pool<Server>>,
}

impl Postgres {
    pub(super) fn new(address: &SqlAddress, password: Option<&Secret>) -> Result<Self, Fault> {
        let wrong = |e: &Error| wrong_address(&address.url, e);
        let mut options = PgConnectOptions::from_str(&address.url).map_err(|e| wrong(&e))?;
        if let Some(password) = password {
            options = options.password(password.expose());
        }
        let named = address.url.contains("sslmode=") || address.url.contains("ssl-mode=");
        let local = options.get_socket().is_some() || is_local(options.get_host());
        if !named && !local {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        let shown = format!("{}:{}", options.get_host(), options.get_port());
        let options = options.disable_statement_logging();
        Ok(Self { address: shown, pool: Pool::new(Server { options }) })
    }
}

#[async_trait]
impl Engine for Postgres {
    async fn session(&self, _read_only: bool) -> Result<Box<dyn Session>, Fault> {
        match self.pool.lease().await {
            Ok(lease) => Ok(Box::new(PostgresSession(lease))),
            Err(error) => Err(faults::connecting(ENGINE, &self.address, &error)),
        }
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

struct Server {
    options: PgConnectOptions,
}

struct Link {
    connection: PgConnection,
    process: i32,
}

#[async_trait]
impl Dial for Server {
    const ENGINE: SqlEngine = ENGINE;
    type Link = Link;

    async fn dial(&self) -> Result<Link, Error> {
        let mut connection = self.options.connect().await?;
        let process =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        Ok(Link { connection, process })
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
            let cancel = sqlx::query("SELECT pg_cancel_backend($1)").bind(link.process);
            drop(cancel.execute(&mut other).await);
            drop(other.close().await);
        }
        drop(link.connection.close_hard().await);
    }
}

struct PostgresSession(Lease<Server>);

#[async_trait]
impl Session for PostgresSession {
    async fn begin(&mut self, start: &Start<'_>) -> Result<(), Fault> {
        let mode = if start.read_only { "READ ONLY" } else { "READ WRITE" };
        let timeout = start.timeout.as_millis().clamp(1, i32::MAX as u128);
        let lock = (timeout / 2).clamp(1, LOCK_WAIT.as_millis());
        // Text settings end with the transaction, so that no later user of the session sees them.
        // `standard_conforming_strings` is what the parse of the text relies on.
        let text = format!(
            "BEGIN {mode}; SET LOCAL application_name = {name}; \
             SET LOCAL statement_timeout = {timeout}; SET LOCAL lock_timeout = {lock}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle}; \
             SET LOCAL standard_conforming_strings = on; SET LOCAL bytea_output = hex; \
             SET LOCAL IntervalStyle = iso_8601",
            name = quoted(start.session),
            idle = timeout + IDLE.as_millis(),
        );
        // Results of a cached statement may not change shape; a run may wait for hours in between.
        self.connection()?.clear_cached_statements().await.map_err(refused)?;
        self.simple(text).await
    }

    async fn rows(&mut self, text: &str, params: &Map, max_rows: usize) -> Result<Rows, Fault> {
        let statement = Statement::parse(text, ENGINE).map_err(unreadable)?;
        let filled = statement.fill(params)?;
        let connection = self.connection()?;
        let ready = Ready::prepare(connection, &filled).await?;
        let names: Vec<_> = ready.statement.columns().iter().map(|c| c.name().to_owned()).collect();
        let columns = distinct(names)?;
        let shapes: Vec<_> =
            ready.statement.columns().iter().map(|c| shape(c.type_info())).collect();
        let ready = match shapes.contains(&Shape::Unknown) {
            true => ready.into_text(connection, &shapes).await?,
            false => ready,
        };
        let shapes: Vec<_> =
            ready.statement.columns().iter().map(|c| shape(c.type_info())).collect();
        let mut found = Rows { columns, ..Rows::default() };
        let mut stream = ready.statement.query_with(ready.arguments).fetch(connection);
        while let Some(row) = stream.try_next().await.map_err(refused)? {
            if found.rows.len() == max_rows {
                found.cut = true;
                break;
            }
            found.rows.push(decoded(&row, &found.columns, &shapes)?);
        }
        Ok(found)
    }

    async fn change(&mut self, text: &str, params: &Map) -> Result<u64, Fault> {
        let statement = Statement::parse(text, ENGINE).map_err(unreadable)?;
        let filled = statement.fill(params)?;
        let connection = self.connection()?;
        let ready = Ready::prepare(connection, &filled).await?;
        let done = ready.statement.query_with(ready.arguments).execute(connection).await;
        done.map(|done| done.rows_affected()).map_err(refused)
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        let connection = self.connection()?;
        let done = sqlx::raw_sql("COMMIT").execute(connection).await;
        done.map(|_| ()).map_err(|e| faults::committing(ENGINE, &e))
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        self.simple("ROLLBACK".to_owned()).await
    }

    async fn identity(&mut self) -> Result<String, Fault> {
        let connection = self.connection()?;
        let database: String = sqlx::query_scalar("SELECT current_database()::text")
            .fetch_one(&mut *connection)
            .await
            .map_err(refused)?;
        // The same for a server and its replicas; it needs a privilege that may be missing.
        let system = "SELECT system_identifier::text FROM pg_control_system()";
        let server = match sqlx::query_scalar::<_, String>(system).fetch_one(&mut *connection).await
        {
            Ok(system) => format!("system {system}"),
            Err(Error::Database(_)) => sqlx::query_scalar(
                "SELECT coalesce(host(inet_server_addr()), 'socket') || ':' \
                 || current_setting('port') || ', version ' || current_setting('server_version')",
            )
            .fetch_one(&mut *connection)
            .await
            .map_err(refused)?,
            Err(error) => return Err(refused(error)),
        };
        Ok(format!("PostgreSQL database {database}, {server}"))
    }

    fn release(self: Box<Self>) {
        self.0.release();
    }
}

impl PostgresSession {
    fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        Ok(&mut self.0.link().map_err(refused)?.connection)
    }

    async fn simple(&mut self, text: String) -> Result<(), Fault> {
        let connection = self.connection()?;
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
        done.map(|_| ()).map_err(refused)
    }
}

/// A statement that the server has parsed, with its values.
struct Ready {
    statement: PgStatement,
    arguments: PgArguments,
}

impl Ready {
    async fn prepare(
        connection: &mut PgConnection,
        filled: &Filled<'_, '_>,
    ) -> Result<Self, Fault> {
        let asked = prepare(connection, filled.text(|slot| format!("${}", slot + 1))).await?;
        let infos = parameter_types(&asked);
        let sent: Vec<Sent> =
            filled.values.iter().zip(&infos).map(|(v, i)| encode::send(v, oid(i))).collect();
        let mut arguments = PgArguments::default();
        let text = <str as sqlx::Type<sqlx::Postgres>>::type_info();
        for (sent, info) in sent.iter().zip(&infos) {
            let (info, bytes) = match sent {
                Sent::Binary(bytes) => (info, Some(bytes.clone())),
                Sent::Text(value) => (&text, Some(value.clone().into_bytes())),
                Sent::Null => (info, None),
            };
            sqlx::Arguments::add(&mut arguments, Parameter { info: info.clone(), bytes })
                .map_err(|e| refused(Error::Encode(e)))?;
        }
        if !sent.iter().any(|s| matches!(s, Sent::Text(_))) {
            return Ok(Self { statement: asked, arguments });
        }
        let names = type_names(connection, &infos).await?;
        let converted = filled.text(|slot| match sent.get(slot) {
            Some(Sent::Text(_)) => format!("CAST(${}::text AS {})", slot + 1, names[slot]),
            _ => format!("${}", slot + 1),
        });
        let statement = prepare(connection, converted).await?;
        Ok(Self { statement, arguments })
    }

    /// The same rows, with the columns that can't be read here as the server's own text.
    async fn into_text(
        self,
        connection: &mut PgConnection,
        shapes: &[Shape],
    ) -> Result<Self, Fault> {
        let names: Vec<_> = (1..=shapes.len()).map(|i| format!("c{i}")).collect();
        let columns: Vec<_> = names
            .iter()
            .zip(shapes)
            .map(|(name, shape)| match shape {
                Shape::Unknown => format!("CAST({name} AS text) AS {name}"),
                _ => name.clone(),
            })
            .collect();
        let text = format!(
            "SELECT {} FROM (\n{}\n) AS rows_into_text({})",
            columns.join(", "),
            self.statement.sql().as_str(),
            names.join(", ")
        );
        let before = parameter_types(&self.statement);
        let statement = prepare(connection, text).await?;
        let same = parameter_types(&statement).iter().map(oid).eq(before.iter().map(oid));
        if !same {
            return Err(Fault::untouched(
                codes::RW0709,
                "the types of the query's parameters depend on where it stands",
            )
            .help("write each type behind its parameter, as in `:name::text`"));
        }
        Ok(Self { statement, ..self })
    }
}

async fn prepare(connection: &mut PgConnection, text: String) -> Result<PgStatement, Fault> {
    connection.prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(text))).await.map_err(refused)
}

fn parameter_types(statement: &PgStatement) -> Vec<PgTypeInfo> {
    match statement.parameters() {
        Some(sqlx::Either::Left(types)) => types.to_vec(),
        _ => Vec::new(),
    }
}

fn oid(info: &PgTypeInfo) -> u32 {
    info.oid().map_or(0, |oid| oid.0)
}

/// The types' names as SQL writes them. The modifier -1 says "of any length": without it `bit`
/// and `char` would mean one bit and one character.
async fn type_names(
    connection: &mut PgConnection,
    infos: &[PgTypeInfo],
) -> Result<Vec<String>, Fault> {
    let oids: Vec<Oid> = infos.iter().map(|info| Oid(oid(info))).collect();
    sqlx::query_scalar(
        "SELECT format_type(o, -1) FROM unnest($1::oid[]) WITH ORDINALITY AS t(o, i) ORDER BY i",
    )
    .bind(oids)
    .fetch_all(connection)
    .await
    .map_err(refused)
}

fn decoded(row: &PgRow, columns: &[String], shapes: &[Shape]) -> Result<Map, Fault> {
    let mut map = Map::with_capacity(columns.len());
    for (index, (column, shape)) in columns.iter().zip(shapes).enumerate() {
        let raw = row.try_get_raw(index).map_err(refused)?;
        let value = match raw.is_null() {
            true => Value::Null,
            false => raw
                .as_bytes()
                .map_err(|e| e.to_string())
                .and_then(|bytes| decode::value(bytes, shape))
                .map_err(|why| inexact(column, &why))?,
        };
        map.insert(column.clone(), value);
    }
    Ok(map)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(error: Error) -> Fault {
    faults::statement(ENGINE, &error)
}

/// A string in a statement; `standard_conforming_strings` does not matter, since backslashes go.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|c| *c != '\\' && *c != '\0').collect();
    format!("'{}'", plain.replace('\'', "''"))
}
