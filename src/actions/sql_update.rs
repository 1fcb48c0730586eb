//! `sql.update`: changes columns of a few rows, and can put them back.
//!
//! Owns the update as a change: what is captured, compared, written and restored. Must not know
//! engines beyond what a statement needs, nor what the run does with the states.
//!
//! All that happens to rows happens in one transaction: they are locked, compared with what was
//! captured, changed by their keys, counted, read again, and only then committed.

mod statement;
mod table;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use self::{
    statement::{Statement, sketch},
    table::Table,
};
use crate::{
    base::{Map, Value},
    diagnostics::{Diagnostic, codes},
    model::{
        ActionSpec, Diff, EffectRule, Fault, World,
        action_spec::{Abilities, ArgumentKind, TargetKind, argument, example, field},
        runbook::{ActionCall, TreeNode},
    },
    ports::{
        Action, Arguments, Captured, Preview, RowGuard, StepContext,
        transport::{SqlTarget, SqlTransaction},
    },
};

/// Rows that one update may change; more is a migration, not a correction.
const MAX_ROWS: usize = 1000;
/// Rows whose undoing is written out for the approver.
const SHOWN_ROWS: usize = 20;

/// The action.
pub fn new() -> Arc<dyn Action> {
    Arc::new(Update { spec: spec() })
}

struct Update {
    spec: ActionSpec,
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "sql.update".into(),
        summary: "Changes columns of a few rows, only if they are as captured, and can put them \
                  back."
            .into(),
        manual: include_str!("../../docs/actions/sql.update.md").into(),
        target: Some(TargetKind::Sql),
        arguments: vec![
            argument("on", ArgumentKind::Target, true, "The database."),
            argument(
                "table",
                ArgumentKind::Identifier,
                true,
                "The table, or `schema.table`, as the database writes it.",
            ),
            argument(
                "where",
                ArgumentKind::Map,
                true,
                "Which rows: a value for each column; a list is any of them, null is NULL.",
            ),
            argument("set", ArgumentKind::Map, true, "New values, by column."),
            argument(
                "rows",
                ArgumentKind::Rows,
                true,
                "How many rows must match: `N`, or `{max: N}`; 1000 at most.",
            ),
            argument(
                "key",
                ArgumentKind::List,
                false,
                "Columns that identify a row; by default the table's primary key.",
            ),
            argument(
                "timeout",
                ArgumentKind::Duration,
                false,
                "Time for each statement; by default the target's `statement_timeout`.",
            ),
        ],
        result: vec![
            field("affected", "integer", "How many rows were changed."),
            field(
                "rows",
                "list of maps",
                "The rows after the change: key, `where` and `set` columns.",
            ),
        ],
        effect: EffectRule::Reversible,
        abilities: Abilities { capture: true, preview: true, undo: true },
        examples: vec![
            example(
                "Raise one limit",
                r#"- id: limit
  sql.update:
    on: config
    table: settings
    where: {service: capture, name: max_retries}
    set: {value: "{{ inputs.limit }}"}
    rows: 1
  expect: after.rows[0].value | int == inputs.limit
"#,
            ),
            example(
                "Release payments that are stuck, a few at a time",
                r#"- id: release
  sql.update:
    on: ledger
    table: payments
    where: {id: [4711, 4712], status: authorised}
    set: {status: pending, locked_by: null}
    rows: {max: 2}
"#,
            ),
        ],
    }
}

#[async_trait]
impl Action for Update {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    fn check(&self, call: &ActionCall) -> Vec<Diagnostic> {
        ["where", "set"]
            .into_iter()
            .filter_map(|name| Some((name, call.arguments.get(name)?)))
            .filter(|(_, tree)| match &tree.node {
                TreeNode::Map(map) => map.is_empty(),
                TreeNode::Constant(Value::Map(map)) => map.is_empty(),
                _ => false,
            })
            .map(|(name, tree)| {
                Diagnostic::error(codes::RW0204, tree.place.clone(), format!("`{name}` is empty"))
                    .help(match name {
                        "where" => "say which rows; a whole table is not updated by hand",
                        _ => "say what to change: `column: value`",
                    })
            })
            .collect()
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        let before = self.capture(cx, arguments).await?;
        self.apply(cx, arguments, &before).await
    }

    async fn capture(&self, cx: &StepContext, arguments: &Arguments) -> Result<Captured, Fault> {
        let plan = Plan::new(cx, arguments).await?;
        let (text, params) = plan.matching(false)?.done();
        let query = crate::ports::transport::SqlQuery {
            text,
            params,
            max_rows: MAX_ROWS,
            session: plan.session.clone(),
            timeout: plan.timeout,
        };
        let found = plan.target.query(&query).await?;
        plan.count(found.rows.len(), found.cut)?;
        plan.identified(&found.rows)?;
        plan.captured(found.rows).await
    }

    async fn recapture(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Captured, Fault> {
        let plan = Plan::new(cx, arguments).await?;
        let rows = rows_of(before)?;
        if rows.is_empty() {
            return plan.captured(Vec::new()).await;
        }
        let (text, params) = plan.by_key(&rows, false).done();
        let query = crate::ports::transport::SqlQuery {
            text,
            params,
            max_rows: MAX_ROWS,
            session: plan.session.clone(),
            timeout: plan.timeout,
        };
        let found = plan.target.query(&query).await?;
        plan.captured(found.rows).await
    }

    async fn preview(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Preview, Fault> {
        let plan = Plan::new(cx, arguments).await?;
        let mut transaction = plan.begin().await?;
        let after = plan.change(&mut *transaction, before).await;
        let after = ended(transaction, after).await?;
        let rows = rows_of(before)?;
        let statement = match rows.is_empty() {
            true => "no row matches; nothing is changed".to_owned(),
            false => Statement::update(&plan.table, &plan.set)?.rows(&rows, &plan.key).shown(),
        };
        let undo = describe_undo(arguments, before);
        Ok(Preview { after: state(after), statement, undo })
    }

    async fn apply(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Value, Fault> {
        let plan = Plan::new(cx, arguments).await?;
        let mut transaction = plan.begin().await?;
        let rows = match plan.change(&mut *transaction, before).await {
            Ok(rows) => rows,
            Err(fault) => return ended(transaction, Err(fault)).await,
        };
        let affected = Value::Int(rows.len() as i128);
        transaction.commit().await?;
        let rows = Value::List(rows.into_iter().map(Value::Map).collect());
        Ok(Value::map([("affected", affected), ("rows", rows)]))
    }

    async fn undo(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
        after: Option<&Captured>,
    ) -> Result<Value, Fault> {
        let plan = Plan::new(cx, arguments).await?;
        let mut transaction = plan.begin().await?;
        let restored = match plan.restore(&mut *transaction, before, after).await {
            Ok(restored) => restored,
            Err(fault) => return ended(transaction, Err(fault)).await,
        };
        transaction.commit().await?;
        Ok(Value::map([("affected", Value::Int(restored as i128))]))
    }
}

/// Rolls back, and gives what was found; that something stays would be the worse news.
async fn ended<T>(
    transaction: Box<dyn SqlTransaction>,
    found: Result<T, Fault>,
) -> Result<T, Fault> {
    match transaction.rollback().await {
        Err(worse) if found.is_ok() || worse.world != World::Untouched => Err(worse),
        _ => found,
    }
}

/// The arguments, checked against the catalogue.
struct Plan {
    target: Arc<dyn SqlTarget>,
    table: Table,
    matching: Map,
    set: Map,
    guard: RowGuard,
    key: Vec<String>,
    /// Key, `where` and `set` columns, each once.
    columns: Vec<String>,
    session: String,
    timeout: Option<Duration>,
}

impl Plan {
    async fn new(cx: &StepContext, arguments: &Arguments) -> Result<Self, Fault> {
        let wrong = |message: String| Fault::untouched(codes::RW0711, message);
        let (matching, set) = (arguments.map("where")?, arguments.map("set")?);
        for (name, map) in [("where", &matching), ("set", &set)] {
            if map.is_empty() {
                return Err(wrong(format!("`{name}` is empty")));
            }
        }
        let guard = arguments.rows("rows")?.ok_or_else(|| {
            wrong("`rows` is missing or null".to_owned())
                .help("say how many rows may change: `rows: 1` or `rows: {max: 10}`")
        })?;
        let timeout = arguments
            .duration("timeout")?
            .map(|asked| cx.timeout.map_or(asked, |limit| asked.min(limit)));
        let session = cx.session_name();
        let target = cx.transports.sql(&arguments.required_text("on")?).await?;
        let name = arguments.required_text("table")?;
        let table = Table::find(&*target, &session, timeout, &name).await?;
        let asked: Vec<_> = arguments.list("key")?.iter().map(ToString::to_string).collect();
        let key = if asked.is_empty() { table.primary_key.clone() } else { asked };
        if key.is_empty() {
            return Err(wrong(format!("the table `{name}` has no primary key"))
                .help("name columns that identify a row: `key: [column, …]`"));
        }
        let mut columns: Vec<String> = Vec::new();
        for column in key.iter().chain(matching.keys()).chain(set.keys()) {
            table.column(column)?;
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        if let Some(column) = set.keys().find(|column| key.contains(column)) {
            return Err(wrong(format!("`set` changes `{column}`, which identifies the row"))
                .help("a row with another key is another row; it could not be found again"));
        }
        Ok(Self { target, table, matching, set, guard, key, columns, session, timeout })
    }

    async fn begin(&self) -> Result<Box<dyn SqlTransaction>, Fault> {
        self.target.begin(&self.session, self.timeout).await
    }

    /// The rows that `where` finds.
    fn matching(&self, lock: bool) -> Result<Statement<'_>, Fault> {
        let select = Statement::select(&self.table, &self.columns).matching(&self.matching)?;
        Ok(select.ordered(&self.key, lock))
    }

    /// These rows, wherever they are now.
    fn by_key(&self, rows: &[&Map], lock: bool) -> Statement<'_> {
        Statement::select(&self.table, &self.columns).rows(rows, &self.key).ordered(&self.key, lock)
    }

    async fn captured(&self, rows: Vec<Map>) -> Result<Captured, Fault> {
        let identity = self.target.identity().await?;
        Ok(Captured { state: state(rows), key: self.key.clone(), identity })
    }

    /// Is this a number of rows that the guard allows?
    fn count(&self, rows: usize, more: bool) -> Result<(), Fault> {
        if !more && self.guard.holds(rows as u64) {
            return Ok(());
        }
        let more = if more { "more than " } else { "" };
        Err(Fault::untouched(
            codes::RW0706,
            format!("{more}{rows} rows match, but `rows` allows {}", self.guard),
        )
        .detail("nothing was changed")
        .help("look with `sql.query` which rows match, then correct `where` or `rows`"))
    }

    /// Does the key tell each row from the others?
    fn identified(&self, rows: &[Map]) -> Result<(), Fault> {
        let keys: Vec<Vec<_>> =
            rows.iter().map(|row| self.key.iter().map(|k| row.get(k)).collect()).collect();
        let twice = keys.iter().enumerate().any(|(i, key)| keys[..i].contains(key));
        let null = keys.iter().flatten().any(|v| matches!(v, None | Some(Value::Null)));
        match twice || null {
            false => Ok(()),
            true => Err(Fault::untouched(
                codes::RW0711,
                format!("the key ({}) does not tell the rows apart", self.key.join(", ")),
            )
            .help("name columns under `key:` that are unique and never NULL")),
        }
    }

    /// Locks the rows, compares them, changes them; gives them as they are then.
    async fn change(
        &self,
        transaction: &mut dyn SqlTransaction,
        before: &Captured,
    ) -> Result<Vec<Map>, Fault> {
        let (text, params) = self.matching(true)?.done();
        let found = transaction.query(&text, &params, MAX_ROWS).await?;
        let drift = Diff::between(&before.state, &state(found.rows.clone()), &self.key);
        if !drift.is_empty() {
            return Err(drifted(&drift, "since they were captured"));
        }
        self.count(found.rows.len(), found.cut)?;
        self.identified(&found.rows)?;
        let rows: Vec<_> = found.rows.iter().collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.set(transaction, &rows, &self.set).await?;
        self.current(transaction, &rows).await
    }

    /// Puts back the rows that are as `after` says, leaves those that are as `before`, and refuses
    /// when one is neither. Gives how many were put back.
    async fn restore(
        &self,
        transaction: &mut dyn SqlTransaction,
        before: &Captured,
        after: Option<&Captured>,
    ) -> Result<usize, Fault> {
        let old = rows_of(before)?;
        if old.is_empty() {
            return Ok(0);
        }
        let now = self.current(transaction, &old).await?;
        let differing: Vec<&Map> =
            old.iter().copied().filter(|row| self.same(&now, row) != Some(*row)).collect();
        if differing.is_empty() {
            return Ok(0);
        }
        let ours: Vec<Map> = match after {
            Some(after) => rows_of(after)?.into_iter().cloned().collect(),
            None => self.as_set(transaction, &differing, &now).await?,
        };
        let expected = |row: &Map| self.same(&ours, row).cloned();
        let there = |row: &Map| self.same(&now, row).cloned();
        let wanted = state(differing.iter().filter_map(|row| expected(row)).collect());
        let found = state(differing.iter().filter_map(|row| there(row)).collect());
        let drift = Diff::between(&wanted, &found, &self.key);
        if !drift.is_empty() || differing.iter().any(|row| there(row).is_none()) {
            return Err(drifted(&drift, "since the change"));
        }
        for row in &differing {
            let old: Map = row
                .iter()
                .filter(|(column, _)| self.set.contains_key(*column))
                .map(|(column, value)| (column.clone(), value.clone()))
                .collect();
            self.set(transaction, &[row], &old).await?;
        }
        Ok(differing.len())
    }

    /// What the rows would be if the change had been made to what was captured. The database
    /// itself says so: it makes the change once more, and what is ours stays as it is.
    async fn as_set(
        &self,
        transaction: &mut dyn SqlTransaction,
        before: &[&Map],
        now: &[Map],
    ) -> Result<Vec<Map>, Fault> {
        let there: Vec<_> =
            before.iter().copied().filter(|r| self.same(now, r).is_some()).collect();
        if there.is_empty() {
            return Ok(Vec::new());
        }
        self.set(transaction, &there, &self.set).await?;
        let mut rows = self.current(transaction, &there).await?;
        for row in &mut rows {
            let Some(old) = before.iter().find(|old| self.is(old, row)) else { continue };
            for (column, value) in row.iter_mut() {
                if !self.set.contains_key(column)
                    && let Some(old) = old.get(column)
                {
                    *value = old.clone();
                }
            }
        }
        Ok(rows)
    }

    /// Changes exactly these rows.
    async fn set(
        &self,
        transaction: &mut dyn SqlTransaction,
        rows: &[&Map],
        values: &Map,
    ) -> Result<(), Fault> {
        let (text, params) = Statement::update(&self.table, values)?.rows(rows, &self.key).done();
        let affected = transaction.execute(&text, &params).await?;
        match affected == rows.len() as u64 {
            true => Ok(()),
            false => Err(Fault::untouched(
                codes::RW0706,
                format!("{affected} rows would change instead of {}", rows.len()),
            )
            .detail("it was rolled back")
            .help("a trigger or a key that is not unique may be the reason")),
        }
    }

    /// The rows of these keys as they are now, locked.
    async fn current(
        &self,
        transaction: &mut dyn SqlTransaction,
        rows: &[&Map],
    ) -> Result<Vec<Map>, Fault> {
        let (text, params) = self.by_key(rows, true).done();
        Ok(transaction.query(&text, &params, MAX_ROWS).await?.rows)
    }

    /// The row of the same key.
    fn same<'r>(&self, rows: &'r [Map], row: &Map) -> Option<&'r Map> {
        rows.iter().find(|other| self.is(other, row))
    }

    fn is(&self, one: &Map, other: &Map) -> bool {
        self.key.iter().all(|column| one.get(column) == other.get(column))
    }
}

fn state(rows: Vec<Map>) -> Value {
    Value::map([("rows", Value::List(rows.into_iter().map(Value::Map).collect()))])
}

fn rows_of(captured: &Captured) -> Result<Vec<&Map>, Fault> {
    let rows = captured.state.get("rows").and_then(Value::as_list);
    rows.and_then(|rows| rows.iter().map(Value::as_map).collect()).ok_or_else(|| {
        Fault::untouched(codes::RW9901, "the captured state of an update holds no rows")
    })
}

/// Somebody else was there: says where, and what was expected.
fn drifted(drift: &Diff, since: &str) -> Fault {
    let shown = |value: &Option<Value>| match value {
        None => "absent".to_owned(),
        Some(value) => value.to_string(),
    };
    let lines: Vec<_> = drift
        .0
        .iter()
        .map(|d| format!("{}: expected {}, found {}", d.path, shown(&d.before), shown(&d.after)))
        .collect();
    let detail = if lines.is_empty() { "rows are gone".to_owned() } else { lines.join("\n") };
    Fault::untouched(codes::RW0707, format!("the rows have changed {since}; nothing was touched"))
        .detail(detail)
        .help("find out who changed them before you go on")
}

/// What undoing would do, in statements, for the approver.
fn describe_undo(arguments: &Arguments, before: &Captured) -> String {
    let table = arguments.text("table").ok().flatten().unwrap_or_default();
    let set = arguments.map("set").unwrap_or_default();
    let rows = rows_of(before).unwrap_or_default();
    let mut lines: Vec<_> = rows
        .iter()
        .take(SHOWN_ROWS)
        .map(|row| sketch(&table, &set, row, &before.key))
        .collect();
    if rows.len() > SHOWN_ROWS {
        lines.push(format!("… and {} rows more", rows.len() - SHOWN_ROWS));
    }
    lines.join(";\n")
}
