//! `sql.query`: reads rows from a database.
//!
//! Owns the action's arguments and result. Must not know engines or connections.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    base::Value,
    diagnostics::{Diagnostic, codes},
    model::{
        ActionSpec, EffectRule, Fault,
        action_spec::{ArgumentKind, TargetKind, argument, example, field},
        runbook::ActionCall,
    },
    ports::{Action, Arguments, StepContext, transport::SqlQuery},
    sql::{check_call, check_read_only},
};

/// Rows that are read when nothing else is said.
const MAX_ROWS: usize = 1000;

/// The action.
pub fn new() -> Arc<dyn Action> {
    Arc::new(Query { spec: spec() })
}

struct Query {
    spec: ActionSpec,
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "sql.query".into(),
        summary: "Reads rows from a database, and can't change anything in it.".into(),
        manual: include_str!("../../docs/actions/sql.query.md").into(),
        target: Some(TargetKind::Sql),
        arguments: vec![
            argument("on", ArgumentKind::Target, true, "The database."),
            argument(
                "query",
                ArgumentKind::Sql,
                true,
                "One statement that reads; values as `:name`.",
            ),
            argument(
                "params",
                ArgumentKind::Map,
                false,
                "A value for each `:name`; a list fills `IN (:name)`.",
            ),
            argument(
                "max_rows",
                ArgumentKind::Integer,
                false,
                "Rows to read at most; 1000 by default.",
            ),
            argument(
                "timeout",
                ArgumentKind::Duration,
                false,
                "Time for the statement; by default the target's `statement_timeout`.",
            ),
        ],
        result: vec![
            field("rows", "list of maps", "The rows, each a map from column to value."),
            field("columns", "list of text", "Names of the columns, in order."),
            field("count", "integer", "How many rows were read."),
            field("cut", "boolean", "True: there are more rows than `max_rows`."),
        ],
        effect: EffectRule::Read,
        examples: vec![
            example(
                "Count what is stuck, and fail above a threshold",
                r#"- id: stuck
  sql.query:
    on: ledger
    query: |
      SELECT count(*) AS n FROM payments WHERE status = 'authorised' AND created_at < :cutoff
    params: {cutoff: "{{ run.started_at | minus('15m') }}"}
  expect: result.rows[0].n < 500
"#,
            ),
            example(
                "Look several payments up at once",
                r#"- id: payments
  sql.query:
    on: ledger
    query: SELECT id, status, amount FROM payments WHERE id IN (:ids) ORDER BY id
    params: {ids: [4711, 4712, 4713]}
  expect: result.count == 3
"#,
            ),
        ],
        ..ActionSpec::default()
    }
}

#[async_trait]
impl Action for Query {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    fn check(&self, call: &ActionCall) -> Vec<Diagnostic> {
        check_call(call, "query", check_read_only)
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        let max_rows = match arguments.int("max_rows")? {
            None => MAX_ROWS,
            Some(n) => usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                Fault::untouched(codes::RW0711, format!("`max_rows` is {n}; it must be 1 or more"))
            })?,
        };
        let query = SqlQuery {
            text: arguments.required_text("query")?,
            params: arguments.map("params")?,
            max_rows,
            session: cx.session_name(),
            timeout: arguments
                .duration("timeout")?
                .map(|asked| cx.timeout.map_or(asked, |limit| asked.min(limit))),
        };
        let target = cx.transports.sql(&arguments.required_text("on")?).await?;
        let found = target.query(&query).await?;
        let count = i64::try_from(found.rows.len()).unwrap_or(i64::MAX);
        Ok(Value::map([
            ("rows", Value::List(found.rows.into_iter().map(Value::Map).collect())),
            ("columns", Value::List(found.columns.into_iter().map(Value::Text).collect())),
            ("count", Value::from(count)),
            ("cut", Value::Bool(found.cut)),
        ]))
    }
}
