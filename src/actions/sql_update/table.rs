//! A table as its database describes it.
//!
//! Owns the questions to the catalogues: does the table exist, which columns has it, which of them
//! are its primary key. A name that is not in the catalogue never gets into a statement.

use std::time::Duration;

use crate::{
    base::{Map, Value},
    diagnostics::{codes, suggest},
    model::{Fault, target::SqlEngine},
    ports::transport::{SqlQuery, SqlTarget},
};

/// Columns and tables that are looked at; more have no table that a person would update by hand.
const MAX: usize = 5000;

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) engine: SqlEngine,
    /// As statements write it.
    pub(super) quoted: String,
    /// Columns with their declared types.
    columns: Vec<(String, String)>,
    /// The primary key's columns, in its order.
    pub(super) primary_key: Vec<String>,
}

impl Table {
    /// Looks it up. Faults are `RW0705`: no such table, or not one that can be updated by key.
    pub(super) async fn find(
        target: &dyn SqlTarget,
        session: &str,
        timeout: Option<Duration>,
        name: &str,
    ) -> Result<Self, Fault> {
        let engine = target.engine();
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, name),
        };
        let catalogue = Catalogue { target, session, timeout };
        let params = params(engine, schema, table);
        let found = catalogue.ask(table_query(engine), &params).await?;
        let Some(row) = found.first() else {
            return Err(catalogue.unknown(name, schema).await?);
        };
        if text(row, "kind") != "table" {
            return Err(refused(format!("`{name}` is not a table but {}", text(row, "kind")))
                .help("update the table behind it"));
        }
        let columns = catalogue.ask(columns_query(engine), &params).await?;
        let mut key: Vec<_> = columns
            .iter()
            .filter_map(|c| Some((c.get("key_position")?.as_int()?, text(c, "name"))))
            .collect();
        key.sort();
        Ok(Self {
            engine,
            quoted: match schema {
                Some(schema) => format!("{}.{}", quote(engine, schema), quote(engine, table)),
                None => quote(engine, table),
            },
            columns: columns.iter().map(|c| (text(c, "name"), text(c, "type"))).collect(),
            primary_key: key.into_iter().map(|(_, name)| name).collect(),
        })
    }

    /// The column's declared type. The fault is `RW0705`, with a name that is near.
    pub(super) fn column(&self, name: &str) -> Result<&str, Fault> {
        let known = || self.columns.iter().map(|(name, _)| name.as_str());
        self.columns.iter().find(|(n, _)| n == name).map(|(_, kind)| kind.as_str()).ok_or_else(
            || {
                let help = suggest(name, known()).unwrap_or_else(|| {
                    format!("its columns are {}", known().collect::<Vec<_>>().join(", "))
                });
                refused(format!("the table {} has no column `{name}`", self.quoted)).help(help)
            },
        )
    }

    /// The name as statements write it.
    pub(super) fn quote(&self, name: &str) -> String {
        quote(self.engine, name)
    }
}

struct Catalogue<'a> {
    target: &'a dyn SqlTarget,
    session: &'a str,
    timeout: Option<Duration>,
}

impl Catalogue<'_> {
    async fn ask(&self, text: &str, params: &Map) -> Result<Vec<Map>, Fault> {
        let used = |name: &str| text.contains(&format!(":{name}"));
        let params = params.iter().filter(|(name, _)| used(name));
        let query = SqlQuery {
            text: text.to_owned(),
            params: params.map(|(k, v)| (k.clone(), v.clone())).collect(),
            max_rows: MAX,
            session: self.session.to_owned(),
            timeout: self.timeout,
        };
        Ok(self.target.query(&query).await?.rows)
    }

    async fn unknown(&self, name: &str, schema: Option<&str>) -> Result<Fault, Fault> {
        let engine = self.target.engine();
        let tables = self.ask(tables_query(engine), &params(engine, schema, "")).await?;
        let names: Vec<_> = tables
            .iter()
            .map(|row| match schema {
                Some(schema) => format!("{schema}.{}", text(row, "name")),
                None => text(row, "name"),
            })
            .collect();
        let fault = refused(format!("there is no table `{name}`"));
        Ok(match suggest(name, names.iter().map(String::as_str)) {
            Some(help) => fault.help(help),
            None => fault.help("write it as the database does, with its schema: `schema.table`"),
        })
    }
}

fn params(engine: SqlEngine, schema: Option<&str>, table: &str) -> Map {
    let schema = schema.map(|s| match engine {
        SqlEngine::Postgres | SqlEngine::Mysql => Value::text(s),
        SqlEngine::Sqlite => Value::text(s.to_lowercase()),
    });
    [("schema".to_owned(), schema.unwrap_or(Value::Null)), ("name".to_owned(), Value::text(table))]
        .into_iter()
        .collect()
}

/// Exactly one table of this name: without a schema the one that a statement would find.
fn table_query(engine: SqlEngine) -> &'static str {
    match engine {
        SqlEngine::Postgres => {
            "SELECT CASE WHEN c.relkind IN ('r', 'p') THEN 'table' WHEN c.relkind = 'f' \
             THEN 'a foreign table' WHEN c.relkind IN ('v', 'm') THEN 'a view' \
             ELSE 'something else' END AS kind \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname = :name::text AND (n.nspname = :schema::text OR :schema::text IS NULL \
             AND pg_catalog.pg_table_is_visible(c.oid))"
        }
        SqlEngine::Mysql => {
            "SELECT CASE WHEN t.TABLE_TYPE = 'BASE TABLE' THEN 'table' ELSE 'a view' END AS kind \
             FROM information_schema.TABLES t \
             WHERE t.TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND t.TABLE_NAME = :name"
        }
        SqlEngine::Sqlite => {
            "SELECT CASE type WHEN 'table' THEN 'table' ELSE 'a ' || type END AS kind \
             FROM sqlite_schema WHERE name = :name AND type IN ('table', 'view') \
             AND COALESCE(:schema, 'main') = 'main'"
        }
    }
}

fn columns_query(engine: SqlEngine) -> &'static str {
    match engine {
        SqlEngine::Postgres => {
            "SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, \
             array_position(i.indkey::int2[], a.attnum) AS key_position \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
             LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary \
             WHERE c.relname = :name::text AND (n.nspname = :schema::text OR :schema::text IS NULL \
             AND pg_catalog.pg_table_is_visible(c.oid)) \
             AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        }
        SqlEngine::Mysql => {
            "SELECT CAST(c.COLUMN_NAME AS CHAR) AS name, CAST(c.DATA_TYPE AS CHAR) AS type, \
             k.ORDINAL_POSITION AS key_position FROM information_schema.COLUMNS c \
             LEFT JOIN information_schema.KEY_COLUMN_USAGE k ON k.TABLE_SCHEMA = c.TABLE_SCHEMA \
             AND k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME \
             AND k.CONSTRAINT_NAME = 'PRIMARY' \
             WHERE c.TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND c.TABLE_NAME = :name \
             ORDER BY c.ORDINAL_POSITION"
        }
        SqlEngine::Sqlite => {
            "SELECT name, type, CASE WHEN pk > 0 THEN pk END AS key_position \
             FROM pragma_table_info(:name)"
        }
    }
}

fn tables_query(engine: SqlEngine) -> &'static str {
    match engine {
        SqlEngine::Postgres => {
            "SELECT c.relname AS name \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND (n.nspname = :schema::text \
             OR :schema::text IS NULL AND pg_catalog.pg_table_is_visible(c.oid))"
        }
        SqlEngine::Mysql => {
            "SELECT CAST(t.TABLE_NAME AS CHAR) AS name FROM information_schema.TABLES t \
             WHERE t.TABLE_SCHEMA = COALESCE(:schema, DATABASE())"
        }
        SqlEngine::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table'",
    }
}

fn quote(engine: SqlEngine, name: &str) -> String {
    let mark = if engine == SqlEngine::Mysql { '`' } else { '"' };
    format!("{mark}{}{mark}", name.replace(mark, &format!("{mark}{mark}")))
}

fn text(row: &Map, column: &str) -> String {
    row.get(column).map(ToString::to_string).unwrap_or_default()
}

fn refused(message: String) -> Fault {
    Fault::untouched(codes::RW0705, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quote(SqlEngine::Postgres, "a\" b"), "\"a\"\" b\"");
        assert_eq!(quote(SqlEngine::Mysql, "a` b"), "`a`` b`");
    }
}
