//! The statements of an update, with their values apart or written in for people.
//!
//! Owns their text. Values are always bound; the form with values in it is shown, never sent.

use super::table::Table;
use crate::{
    base::{Map, Value, value::Time},
    diagnostics::codes,
    model::{Fault, target::SqlEngine},
};

/// A statement under construction: as it is sent, and as people read it.
pub(super) struct Statement<'t> {
    table: &'t Table,
    text: String,
    shown: String,
    params: Map,
}

impl<'t> Statement<'t> {
    fn new(table: &'t Table, text: &str) -> Self {
        Self { table, text: text.to_owned(), shown: text.to_owned(), params: Map::new() }
    }

    /// `SELECT columns FROM table WHERE `.
    pub(super) fn select(table: &'t Table, columns: &[String]) -> Self {
        let columns: Vec<_> = columns.iter().map(|c| table.quote(c)).collect();
        Self::new(table, &format!("SELECT {} FROM {} WHERE ", columns.join(", "), table.quoted))
    }

    /// `UPDATE table SET … WHERE `.
    pub(super) fn update(table: &'t Table, set: &Map) -> Result<Self, Fault> {
        let mut statement = Self::new(table, &format!("UPDATE {} SET ", table.quoted));
        for (index, (column, value)) in set.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            statement.put(&format!("{comma}{} = ", table.quote(column)));
            statement.bind(one(&fitting(table, column, value)?));
        }
        statement.put(" WHERE ");
        Ok(statement)
    }

    /// Rows that have these values: a list stands for any of its items, null for `IS NULL`.
    pub(super) fn matching(mut self, values: &Map) -> Result<Self, Fault> {
        for (index, (column, value)) in values.iter().enumerate() {
            let and = if index == 0 { "" } else { " AND " };
            self.put(&format!("{and}{}", self.table.quote(column)));
            match value {
                Value::Null => self.put(" IS NULL"),
                Value::List(items) => {
                    if items.is_empty() {
                        return Err(Fault::untouched(
                            codes::RW0711,
                            format!("`where`: the list for `{column}` is empty"),
                        )
                        .help("skip the step with `when:` if there is nothing to change"));
                    }
                    if items.contains(&Value::Null) {
                        return Err(Fault::untouched(
                            codes::RW0711,
                            format!("`where`: the list for `{column}` holds null"),
                        )
                        .help("null equals nothing; write a step of its own for `column: null`"));
                    }
                    let items: Result<Vec<_>, _> =
                        items.iter().map(|item| fitting(self.table, column, item)).collect();
                    self.put(" IN (");
                    self.bind(Value::List(items?));
                    self.put(")");
                }
                value => {
                    self.put(" = ");
                    self.bind(fitting(self.table, column, value)?);
                }
            }
        }
        Ok(self)
    }

    /// These rows and no others, by their keys.
    pub(super) fn rows(mut self, rows: &[&Map], key: &[String]) -> Self {
        let value = |row: &Map, column: &String| row.get(column).cloned().unwrap_or_default();
        if let [column] = key {
            self.put(&format!("{} IN (", self.table.quote(column)));
            self.bind(Value::List(rows.iter().map(|row| value(row, column)).collect()));
            self.put(")");
            return self;
        }
        // Rows as values, and not a chain of OR: a thousand of those is too deep for some parsers.
        let columns: Vec<_> = key.iter().map(|column| self.table.quote(column)).collect();
        let values = if self.table.engine == SqlEngine::Sqlite { "VALUES " } else { "" };
        self.put(&format!("({}) IN ({values}", columns.join(", ")));
        for (index, row) in rows.iter().enumerate() {
            self.put(if index == 0 { "(" } else { ", (" });
            for (index, column) in key.iter().enumerate() {
                self.put(if index == 0 { "" } else { ", " });
                self.bind(one(&value(row, column)));
            }
            self.put(")");
        }
        self.put(")");
        self
    }

    /// In the order of the key; `lock` holds the rows where the engine can.
    pub(super) fn ordered(mut self, key: &[String], lock: bool) -> Self {
        let key: Vec<_> = key.iter().map(|column| self.table.quote(column)).collect();
        self.put(&format!(" ORDER BY {}", key.join(", ")));
        if lock && self.table.engine != SqlEngine::Sqlite {
            self.put(" FOR UPDATE");
        }
        self
    }

    /// The text with `:name`s, and their values.
    pub(super) fn done(self) -> (String, Map) {
        (self.text, self.params)
    }

    /// The text with the values in it, for people.
    pub(super) fn shown(self) -> String {
        self.shown
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.shown.push_str(text);
    }

    fn bind(&mut self, value: Value) {
        let name = format!("v{}", self.params.len() + 1);
        self.text.push_str(&format!(":{name}"));
        self.shown.push_str(&literal(&value));
        self.params.insert(name, value);
    }
}

/// A list as one value (an array, JSON), where a list would become several.
fn one(value: &Value) -> Value {
    match value {
        Value::List(_) => Value::List(vec![value.clone()]),
        other => other.clone(),
    }
}

/// The value as the column's type wants it, where the engine does not say so by itself: MySQL
/// would compare a number with `'abc'` as with 0, SQLite would keep `1.50` in a text as `1.5`.
fn fitting(table: &Table, column: &str, value: &Value) -> Result<Value, Fault> {
    let kind = table.column(column)?.to_lowercase();
    let is = |names: &[&str]| names.iter().any(|name| kind.contains(name));
    let fitted = match (table.engine, value) {
        (SqlEngine::Postgres, _) => None,
        (_, Value::Int(_) | Value::Decimal(_) | Value::Bool(_))
            if is(&["char", "text", "clob"]) =>
        {
            Some(Value::text(value.to_string()))
        }
        (SqlEngine::Mysql, Value::Int(_) | Value::Decimal(_)) if is(&["enum", "set"]) => {
            Some(Value::text(value.to_string()))
        }
        (SqlEngine::Mysql, Value::Text(text)) => return from_text(column, &kind, text),
        _ => None,
    };
    Ok(fitted.unwrap_or_else(|| value.clone()))
}

/// Text for one of MySQL's columns.
fn from_text(column: &str, kind: &str, text: &str) -> Result<Value, Fault> {
    let wrong = || {
        Fault::untouched(
            codes::RW0711,
            format!("the column `{column}` is `{kind}`, and `{text}` is no value of it"),
        )
    };
    let trimmed = text.trim();
    match kind {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "bit" | "year" => {
            trimmed.parse().map(Value::Int).map_err(|_| wrong())
        }
        "decimal" => trimmed.parse().map(Value::Decimal).map_err(|_| wrong()),
        "float" | "double" => trimmed.parse().map(Value::Float).map_err(|_| wrong()),
        "datetime" | "timestamp" => {
            Ok(trimmed.parse::<Time>().map_or_else(|_| Value::text(text), Value::Time))
        }
        _ => Ok(Value::text(text)),
    }
}

/// A value as people write it in SQL.
fn literal(value: &Value) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::Decimal(_) | Value::Float(_) => value.to_string(),
        Value::Secret(secret) => secret.shown().to_owned(),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            format!("X'{hex}'")
        }
        Value::List(items) => items.iter().map(literal).collect::<Vec<_>>().join(", "),
        Value::Text(_) | Value::Time(_) | Value::Map(_) => quoted(&value.to_string()),
    }
}

/// `UPDATE …` in words for people, when the table is known by its written name only.
pub(super) fn sketch(table: &str, set: &Map, row: &Map, key: &[String]) -> String {
    let pairs = |map: &Map, by: &str, pick: &dyn Fn(&str) -> bool| {
        let parts: Vec<_> = map
            .iter()
            .filter(|(column, _)| pick(column))
            .map(|(column, value)| format!("{column} = {}", literal(value)))
            .collect();
        parts.join(by)
    };
    let changed = pairs(row, ", ", &|column| set.contains_key(column));
    let by = pairs(row, " AND ", &|column| key.iter().any(|k| k == column));
    format!("UPDATE {table} SET {changed} WHERE {by}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    #[test]
    fn text_for_a_number_must_be_one() {
        assert_eq!(from_text("n", "int", " 5 ").unwrap(), Value::Int(5));
        assert_eq!(from_text("n", "int", "abc").unwrap_err().code, "RW0711");
        assert_eq!(from_text("n", "varchar", " 5 ").unwrap(), Value::text(" 5 "));
        assert!(matches!(
            from_text("n", "datetime", "2026-01-02T03:04:05Z").unwrap(),
            Value::Time(Time::Instant(_))
        ));
    }

    #[test]
    fn values_are_shown_as_sql_and_secrets_by_name() {
        let secret = Value::Secret(Secret::new("token", "ab", "clear".into()));
        assert_eq!(literal(&secret), "‹secret token@ab›");
        assert_eq!(literal(&Value::text("it's")), "'it''s'");
        assert_eq!(literal(&Value::Bytes(vec![0, 255])), "X'00ff'");
        let row: Map = [
            ("id".to_owned(), Value::Int(7)),
            ("status".to_owned(), Value::text("failed")),
            ("note".to_owned(), Value::Null),
        ]
        .into_iter()
        .collect();
        let set: Map = [("status".to_owned(), Value::Null)].into_iter().collect();
        assert_eq!(
            sketch("payments", &set, &row, &["id".into()]),
            "UPDATE payments SET status = 'failed' WHERE id = 7"
        );
    }
}
