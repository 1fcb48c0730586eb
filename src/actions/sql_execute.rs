//! `sql.execute`: one statement that changes rows, counted before it is committed.
//!
//! Owns the action's arguments, guard and result. Must not know engines or connections.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    base::Value,
    diagnostics::{Diagnostic, codes},
    model::{
        ActionSpec, EffectRule, Fault, World,
        action_spec::{ArgumentKind, TargetKind, argument, example, field},
        runbook::ActionCall,
    },
    ports::{Action, Arguments, StepContext},
    sql::{check_call, check_change},
};

/// The action.
pub fn new() -> Arc<dyn Action> {
    Arc::new(Execute { spec: spec() })
}

struct Execute {
    spec: ActionSpec,
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "sql.execute".into(),
        summary: "Runs one statement that changes rows, and commits if it changed as many as said."
            .into(),
        manual: include_str!("../../docs/actions/sql.execute.md").into(),
        target: Some(TargetKind::Sql),
        arguments: vec![
            argument("on", ArgumentKind::Target, true, "The database."),
            argument(
                "statement",
                ArgumentKind::Sql,
                true,
                "One INSERT, UPDATE, DELETE or MERGE; values as `:name`.",
            ),
            argument(
                "params",
                ArgumentKind::Map,
                false,
                "A value for each `:name`; a list fills `IN (:name)`.",
            ),
            argument(
                "rows",
                ArgumentKind::Rows,
                true,
                "How many rows it must change: `N`, or `{max: N}`.",
            ),
            argument(
                "timeout",
                ArgumentKind::Duration,
                false,
                "Time for the statement; by default the target's `statement_timeout`.",
            ),
        ],
        result: vec![field("affected", "integer", "How many rows were changed.")],
        effect: EffectRule::Change,
        examples: vec![example(
            "Release one lock, with the statement that takes it back",
            r#"- id: unlock
  change:
    capture:
      sql.query:
        on: ledger
        query: SELECT name, holder FROM job_locks WHERE name = 'settlement'
    apply:
      sql.execute:
        on: ledger
        statement: DELETE FROM job_locks WHERE name = 'settlement' AND holder = :holder
        params: {holder: "{{ before.rows[0].holder }}"}
        rows: 1
    rollback:
      sql.execute:
        on: ledger
        statement: INSERT INTO job_locks (name, holder) VALUES ('settlement', :holder)
        params: {holder: "{{ before.rows[0].holder }}"}
        rows: 1
"#,
        )],
        ..ActionSpec::default()
    }
}

#[async_trait]
impl Action for Execute {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    fn check(&self, call: &ActionCall) -> Vec<Diagnostic> {
        check_call(call, "statement", check_change)
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        let statement = arguments.required_text("statement")?;
        let params = arguments.map("params")?;
        let guard = arguments.rows("rows")?.ok_or_else(|| {
            Fault::untouched(codes::RW0711, "`rows` is missing or null")
                .help("say how many rows may change: `rows: 1` or `rows: {max: 10}`")
        })?;
        let timeout = arguments
            .duration("timeout")?
            .map(|asked| cx.timeout.map_or(asked, |limit| asked.min(limit)));
        let target = cx.transports.sql(&arguments.required_text("on")?).await?;
        check_change(&statement, target.engine()).map_err(|why| {
            Fault::untouched(codes::RW0406, format!("the statement is refused: {why}"))
        })?;
        let mut transaction = target.begin(&cx.session_name(), timeout).await?;
        let affected = match transaction.execute(&statement, &params).await {
            Ok(affected) => affected,
            Err(fault) => {
                // Waited for, so that nothing is held any more when the fault is seen. That
                // something stays would be the worse news; a lost connection takes all back.
                return Err(match transaction.rollback().await {
                    Err(worse) if worse.world != World::Untouched => worse,
                    _ => fault,
                });
            }
        };
        if !guard.holds(affected) {
            transaction.rollback().await?;
            return Err(Fault::untouched(
                codes::RW0706,
                format!("the statement would change {affected} rows, but `rows` allows {guard}"),
            )
            .detail("it was rolled back")
            .help("look with `sql.query` which rows match, then correct the statement or `rows`"));
        }
        transaction.commit().await?;
        Ok(Value::map([("affected", Value::Int(affected.into()))]))
    }
}
