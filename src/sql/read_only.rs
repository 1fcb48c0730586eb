//! What a statement's text gives away: does it only read, is it one plain change?
//!
//! Owns the check of the text. It is the first of two fences: the second is the database's own
//! read-only transaction, which also holds for what no text shows (functions, triggers, rules).
//! Must not know connections.

use std::ops::ControlFlow;

use sqlparser::{
    ast::{Query, Select, SetExpr, Statement as Ast, Visit, Visitor, visit_relations},
    parser::Parser,
    tokenizer::Token,
};

use super::params::{Statement, dialect, engine_name};
use crate::model::target::SqlEngine;

/// Is this one statement that only reads? The fault says in words what was found.
///
/// Allowed are `SELECT`, `WITH` without changes in it, `VALUES`, `SHOW`, `DESCRIBE` and `EXPLAIN`
/// of these. Refused is what takes locks, writes files or sends messages, also where a
/// read-only transaction would let it pass.
pub fn check_read_only(text: &str, engine: SqlEngine) -> Result<(), String> {
    let statement = Statement::parse(text, engine)?;
    let ast = parse(&statement, engine)?;
    match ast.visit(&mut Reads) {
        ControlFlow::Break(found) => Err(found),
        ControlFlow::Continue(()) => calls(&statement, engine),
    }
}

/// Is this one `INSERT`, `UPDATE`, `DELETE` or `MERGE` (or `REPLACE`), so that the rows that it
/// changes can be counted before they are committed? The fault says in words what was found.
pub fn check_change(text: &str, engine: SqlEngine) -> Result<(), String> {
    let statement = Statement::parse(text, engine)?;
    let ast = parse(&statement, engine)?;
    let with = match &ast {
        Ast::Insert(_) | Ast::Update(_) | Ast::Delete(_) | Ast::Merge(_) => None,
        Ast::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                query.with.as_ref()
            }
            _ => return Err("this only reads; use `sql.query`".to_owned()),
        },
        Ast::Explain { .. } | Ast::ExplainTable { .. } => {
            return Err("this only reads; use `sql.query`".to_owned());
        }
        _ => {
            return Err(format!(
                "`{}` is not allowed: only INSERT, UPDATE, DELETE and MERGE, since their rows are \
                 counted before they are committed (MySQL commits others by itself)",
                keyword(&statement)
            ));
        }
    };
    let nested = with.is_some_and(|with| with.cte_tables.iter().any(|t| changes(&t.query)));
    if nested {
        return Err("a change inside of WITH is not counted; write it as a step of its own".into());
    }
    Ok(())
}

/// Schema (where one is written) and name of every table in a statement.
pub fn tables(
    statement: &Statement<'_>,
    engine: SqlEngine,
) -> Result<Vec<(Option<String>, String)>, String> {
    let ast = parse(statement, engine)?;
    let mut found = Vec::new();
    let _ = visit_relations(&ast, |name| {
        let mut parts =
            name.0.iter().rev().filter_map(|part| part.as_ident().map(|i| i.value.clone()));
        if let Some(table) = parts.next() {
            found.push((parts.next(), table));
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(found)
}

fn parse(statement: &Statement<'_>, engine: SqlEngine) -> Result<Ast, String> {
    let unread =
        |why: String| format!("the statement can't be read as {}: {why}", engine_name(engine));
    let mut parsed = Parser::new(dialect(engine))
        .try_with_sql(&statement.with_marks(engine))
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|e| unread(e.to_string()))?;
    match (parsed.pop(), parsed.is_empty()) {
        (Some(ast), true) => Ok(ast),
        _ => Err(unread("it is not one statement".to_owned())),
    }
}

fn changes(query: &Query) -> bool {
    query.visit(&mut Reads).is_break()
}

fn keyword(statement: &Statement<'_>) -> String {
    match statement.tokens.first() {
        Some(Token::Word(word)) => word.value.to_uppercase(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Stops at the first thing that does more than read.
struct Reads;

impl Visitor for Reads {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &Ast) -> ControlFlow<String> {
        match statement {
            Ast::Query(_)
            | Ast::Explain { .. }
            | Ast::ExplainTable { .. }
            | Ast::ShowFunctions { .. }
            | Ast::ShowVariable { .. }
            | Ast::ShowStatus { .. }
            | Ast::ShowVariables { .. }
            | Ast::ShowCreate { .. }
            | Ast::ShowColumns { .. }
            | Ast::ShowDatabases { .. }
            | Ast::ShowProcessList { .. }
            | Ast::ShowSchemas { .. }
            | Ast::ShowCharset(_)
            | Ast::ShowTables { .. }
            | Ast::ShowViews { .. }
            | Ast::ShowCollation { .. } => ControlFlow::Continue(()),
            other => {
                let shown = other.to_string();
                let word = shown.split_whitespace().next().unwrap_or("this").to_uppercase();
                ControlFlow::Break(format!("`{word}` does more than read"))
            }
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if query.locks.is_empty() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break("`FOR UPDATE` and `FOR SHARE` take locks".to_owned())
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        match select.into {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break("`SELECT … INTO` writes".to_owned()),
        }
    }
}

/// Functions that act outside of the transaction, so that its being read-only does not stop them.
/// A name that ends in `*` stands for all that begin so.
const POSTGRES: &[&str] = &[
    "brin_summarize_*",
    "dblink*",
    "gin_clean_pending_list",
    "lo_*",
    "loread",
    "lowrite",
    "nextval",
    "pg_advisory_*",
    "pg_backup_*",
    "pg_cancel_backend",
    "pg_clear_*",
    "pg_copy_*",
    "pg_create_*",
    "pg_current_logfile",
    "pg_drop_replication_slot",
    "pg_export_snapshot",
    "pg_file_*",
    "pg_import_system_collations",
    "pg_log_*",
    "pg_logical_*",
    "pg_ls_*",
    "pg_notify",
    "pg_prewarm",
    "pg_promote",
    "pg_read_*",
    "pg_reload_conf",
    "pg_replication_*",
    "pg_restore_*",
    "pg_rotate_logfile*",
    "pg_start_backup",
    "pg_stat_clear_snapshot",
    "pg_stat_file",
    "pg_stat_reset*",
    "pg_stat_statements_reset",
    "pg_stop_backup",
    "pg_switch_wal",
    "pg_sync_replication_slots",
    "pg_terminate_backend",
    "pg_try_advisory_*",
    "pg_wal_replay_*",
    "query_to_xml*",
    "set_config",
    "setseed",
    "setval",
];
const MYSQL: &[&str] = &[
    "benchmark",
    "get_lock",
    "last_insert_id",
    "lastval",
    "load_file",
    "master_pos_wait",
    "nextval",
    "release_all_locks",
    "release_lock",
    "setval",
    "source_pos_wait",
    "sys_eval",
    "sys_exec",
    "wait_for_executed_gtid_set",
];
const SQLITE: &[&str] = &["edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"];

fn calls(statement: &Statement<'_>, engine: SqlEngine) -> Result<(), String> {
    let refused = match engine {
        SqlEngine::Postgres => POSTGRES,
        SqlEngine::Mysql => MYSQL,
        SqlEngine::Sqlite => SQLITE,
    };
    for pair in statement.tokens.windows(2) {
        if let [Token::Word(word), Token::LParen] = pair {
            let name = word.value.to_lowercase();
            let known = refused.iter().any(|entry| match entry.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == *entry,
            });
            if known {
                return Err(format!("`{name}()` does more than read"));
            }
        }
        // MariaDB's and the standard's way to draw from a sequence.
        if let [Token::Word(a), Token::Word(b)] = pair
            && a.value.eq_ignore_ascii_case("next")
            && b.value.eq_ignore_ascii_case("value")
        {
            return Err("`NEXT VALUE FOR` draws from a sequence".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use SqlEngine::{Mysql, Postgres, Sqlite};

    #[test]
    fn reads_are_reads() {
        for (text, engine) in [
            ("SELECT count(*) AS n FROM payments WHERE created_at < :cutoff", Postgres),
            ("WITH a AS (SELECT 1 AS x) SELECT * FROM a WHERE x IN (:ids)", Sqlite),
            ("VALUES (1, 'delete from t')", Postgres),
            ("SHOW server_version", Postgres),
            ("SHOW TABLES", Mysql),
            ("SHOW CREATE TABLE t", Mysql),
            ("DESCRIBE t", Mysql),
            ("EXPLAIN SELECT 1", Sqlite),
            ("EXPLAIN (ANALYZE, BUFFERS) SELECT 1", Postgres),
            ("SELECT payload->>'a', d::date, $$drop$$ FROM t -- delete\n", Postgres),
            ("SELECT pg_sleep(0), set_config FROM t", Postgres),
            ("SELECT `delete`, \"update\" FROM t LIMIT 1, 2", Mysql),
            ("SELECT * FROM pragma_table_info('t')", Sqlite),
            ("SELECT id, sum(x) OVER (PARTITION BY y) FROM t UNION ALL SELECT 1, 2", Postgres),
        ] {
            assert_eq!(check_read_only(text, engine), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_does_more_is_refused() {
        for (text, engine) in [
            ("select 1; delete from limits", Postgres),
            ("with d as (delete from limits returning *) select * from d", Postgres),
            ("with d as (select 1) insert into t select * from d", Postgres),
            ("select setval('s', 1)", Postgres),
            ("select \"setval\" /* */ ('s', 1)", Postgres),
            ("select pg_catalog.pg_terminate_backend(1)", Postgres),
            ("select * from dblink('x', 'delete from t') as t(a int)", Postgres),
            ("explain analyze delete from limits", Postgres),
            ("select lo_unlink(1)", Postgres),
            ("do $$ begin delete from limits; end $$", Postgres),
            ("call p_delete()", Postgres),
            ("commit; delete from limits", Postgres),
            ("set transaction read write; delete from limits", Postgres),
            ("set transaction read write", Postgres),
            ("set default_transaction_read_only = off", Postgres),
            ("copy limits to program 'id'", Postgres),
            ("create temp table x as select 1", Postgres),
            ("select * into x from limits", Postgres),
            ("select * from limits for update", Postgres),
            ("select * from (select * from limits for share) x", Postgres),
            ("prepare transaction 'x'", Postgres),
            ("listen x", Postgres),
            ("notify x", Postgres),
            ("lock table limits", Postgres),
            ("vacuum", Postgres),
            ("truncate limits", Postgres),
            ("select * from limits into outfile '/tmp/x'", Mysql),
            ("select * from limits lock in share mode", Mysql),
            ("select get_lock('x', 1)", Mysql),
            ("select 1 /*! into outfile '/tmp/x' */", Mysql),
            ("select next value for s", Mysql),
            ("handler limits open", Mysql),
            ("load data infile 'x' into table limits", Mysql),
            ("do sleep(1)", Mysql),
            ("kill 1", Mysql),
            ("pragma query_only = off", Sqlite),
            ("attach 'x' as y", Sqlite),
            ("select load_extension('x')", Sqlite),
            ("vacuum into 'x'", Sqlite),
            ("replace into t values (1)", Sqlite),
        ] {
            assert!(check_read_only(text, engine).is_err(), "{text}");
        }
    }

    #[test]
    fn a_counted_change_is_one_statement_that_changes_rows() {
        for (text, engine) in [
            ("INSERT INTO t (a) VALUES (:a)", Postgres),
            ("UPDATE t SET a = 1 FROM u WHERE t.id = u.id RETURNING t.id", Postgres),
            ("WITH u AS (SELECT 1 AS id) DELETE FROM t USING u WHERE t.id = u.id", Postgres),
            ("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE", Postgres),
            ("REPLACE INTO t VALUES (1)", Mysql),
            ("DELETE FROM t WHERE a = :a", Sqlite),
        ] {
            assert_eq!(check_change(text, engine), Ok(()), "{text}");
        }
        for (text, engine) in [
            ("SELECT 1", Postgres),
            ("ALTER TABLE t ADD x int", Mysql),
            ("CREATE TABLE t (a int)", Sqlite),
            ("TRUNCATE t", Postgres),
            ("CALL p()", Mysql),
            ("COMMIT", Postgres),
            ("DELETE FROM t; DELETE FROM u", Sqlite),
            ("WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", Postgres),
            ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", Postgres),
        ] {
            assert!(check_change(text, engine).is_err(), "{text}");
        }
    }
}
