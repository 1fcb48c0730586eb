//! `sql.update`: captured, previewed, applied, put back, and never over somebody else's change.

use runward::{
    actions::sql_update,
    base::{Map, Secret, Value},
    model::World,
    ports::{Action, Arguments, Captured, transport::SqlTarget},
};

use super::bench::{Bench, Mysql, Postgres, Sqlite, arguments, decimal, each, list, map, unique};

async fn settings(bench: &Bench) -> String {
    let table = unique("settings");
    bench
        .outside(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, service varchar(20) NOT NULL, \
             name varchar(30) NOT NULL, value varchar(30), fee decimal(12,4)); \
             INSERT INTO {table} VALUES (1, 'capture', 'max_retries', '3', 0.5), \
             (2, 'capture', 'timeout', NULL, 1.25), (3, 'refund', 'max_retries', '', NULL)"
        ))
        .await;
    table
}

fn update<const N: usize, const M: usize>(
    table: &str,
    matching: [(&str, Value); N],
    set: [(&str, Value); M],
    rows: i64,
) -> Arguments {
    arguments([
        ("on", Value::text("db")),
        ("table", Value::text(table)),
        ("where", Value::Map(map(matching))),
        ("set", Value::Map(map(set))),
        ("rows", Value::from(rows)),
    ])
}

fn raise(table: &str) -> Arguments {
    update(
        table,
        [("service", Value::text("capture")), ("name", Value::text("max_retries"))],
        [("value", Value::Int(5)), ("fee", decimal("0.75"))],
        1,
    )
}

fn rows(captured: &Captured) -> Vec<Map> {
    let rows = captured.state.get("rows").and_then(Value::as_list).unwrap();
    rows.iter().map(|row| row.as_map().unwrap().clone()).collect()
}

struct Under<'b> {
    bench: &'b Bench,
    action: std::sync::Arc<dyn Action>,
}

impl<'b> Under<'b> {
    fn new(bench: &'b Bench) -> Self {
        Self { bench, action: sql_update::new() }
    }
    async fn capture(&self, call: &Arguments) -> Captured {
        self.action.capture(&self.bench.context(), call).await.unwrap()
    }
    async fn recapture(&self, call: &Arguments, before: &Captured) -> Captured {
        self.action.recapture(&self.bench.context(), call, before).await.unwrap()
    }
    async fn apply(&self, call: &Arguments, b: &Captured) -> Result<Value, runward::model::Fault> {
        self.action.apply(&self.bench.context(), call, b).await
    }
    async fn undo(
        &self,
        call: &Arguments,
        before: &Captured,
        after: Option<&Captured>,
    ) -> Result<Value, runward::model::Fault> {
        self.action.undo(&self.bench.context(), call, before, after).await
    }
}

#[tokio::test]
async fn a_change_is_captured_previewed_applied_and_put_back() {
    each(async |bench| {
        let table = settings(&bench).await;
        let start = bench.all(&table).await;
        let under = Under::new(&bench);
        let call = raise(&table);
        let before = under.capture(&call).await;
        assert_eq!(before.key, ["id"]);
        assert!(before.identity.contains("database"));
        let row = &rows(&before)[0];
        assert_eq!(row.keys().collect::<Vec<_>>(), ["id", "service", "name", "value", "fee"]);
        assert_eq!(row["fee"], decimal("0.5"));

        let preview = under.action.preview(&bench.context(), &call, &before).await.unwrap();
        assert_eq!(bench.all(&table).await, start);
        assert!(preview.statement.starts_with("UPDATE "), "{}", preview.statement);
        assert!(preview.statement.contains("0.75"), "{}", preview.statement);
        assert!(preview.undo.contains("value = '3', fee = 0.5"), "{}", preview.undo);

        let result = under.apply(&call, &before).await.unwrap();
        assert_eq!(result.get("affected"), Some(&Value::Int(1)));
        let after = under.recapture(&call, &before).await;
        assert_eq!(after.state, preview.after);
        assert_eq!(rows(&after)[0]["value"], Value::text("5"));
        assert_eq!(rows(&after)[0]["fee"], decimal("0.75"));
        assert_eq!(bench.all(&table).await[1..], start[1..]);

        let undone = under.undo(&call, &before, Some(&after)).await.unwrap();
        assert_eq!(undone.get("affected"), Some(&Value::Int(1)));
        assert_eq!(bench.all(&table).await, start);
        assert_eq!(under.recapture(&call, &before).await, before);
        let again = under.undo(&call, &before, Some(&after)).await.unwrap();
        assert_eq!(again.get("affected"), Some(&Value::Int(0)));
    })
    .await;
}

#[tokio::test]
async fn rows_are_found_again_when_where_no_longer_finds_them() {
    each(async |bench| {
        let table = settings(&bench).await;
        let start = bench.all(&table).await;
        let under = Under::new(&bench);
        let call = update(
            &table,
            [("name", list([Value::text("max_retries"), Value::text("x")]))],
            [("name", Value::text("retries")), ("value", Value::Null)],
            2,
        );
        let before = under.capture(&call).await;
        under.apply(&call, &before).await.unwrap();
        let after = under.recapture(&call, &before).await;
        assert_eq!(rows(&after).len(), 2);
        assert!(rows(&after).iter().all(|r| r["value"] == Value::Null));
        under.undo(&call, &before, Some(&after)).await.unwrap();
        // NULL, '' and '3' are three different things.
        assert_eq!(bench.all(&table).await, start);
        let none = update(&table, [("value", Value::Null)], [("value", Value::text("1"))], 1);
        assert_eq!(rows(&under.capture(&none).await)[0]["id"], Value::Int(2));
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_change_before_apply_stops_it() {
    each(async |bench| {
        let table = settings(&bench).await;
        let under = Under::new(&bench);
        let call = raise(&table);
        let before = under.capture(&call).await;
        bench.outside(&format!("UPDATE {table} SET value = '4' WHERE id = 1")).await;
        let there = bench.all(&table).await;
        let fault = under.apply(&call, &before).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.world), ("RW0707", World::Untouched));
        let detail = fault.detail.unwrap();
        assert!(detail.contains("rows[id=1].value: expected 3, found 4"), "{detail}");
        let preview = under.action.preview(&bench.context(), &call, &before).await;
        assert_eq!(preview.unwrap_err().code, "RW0707");
        assert_eq!(bench.all(&table).await, there);

        bench.outside(&format!("DELETE FROM {table} WHERE id = 1")).await;
        assert_eq!(under.apply(&call, &before).await.unwrap_err().code, "RW0707");
        assert_eq!(bench.all(&table).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_change_before_undo_stops_it() {
    each(async |bench| {
        let table = settings(&bench).await;
        let under = Under::new(&bench);
        let call = raise(&table);
        let before = under.capture(&call).await;
        under.apply(&call, &before).await.unwrap();
        let after = under.recapture(&call, &before).await;
        bench.outside(&format!("UPDATE {table} SET value = '9' WHERE id = 1")).await;
        let there = bench.all(&table).await;
        for after in [Some(&after), None] {
            let fault = under.undo(&call, &before, after).await.unwrap_err();
            assert_eq!((fault.code.as_str(), fault.world), ("RW0707", World::Untouched));
            let detail = fault.detail.unwrap();
            assert!(detail.contains("rows[id=1].value: expected 5, found 9"), "{detail}");
            assert_eq!(bench.all(&table).await, there);
        }
        // A column that the change did not touch, but that told which rows to take.
        bench.outside(&format!("UPDATE {table} SET value = '5', service = 'x' WHERE id = 1")).await;
        for after in [Some(&after), None] {
            assert_eq!(under.undo(&call, &before, after).await.unwrap_err().code, "RW0707");
        }
        bench.outside(&format!("DELETE FROM {table} WHERE id = 1")).await;
        for after in [Some(&after), None] {
            assert_eq!(under.undo(&call, &before, after).await.unwrap_err().code, "RW0707");
        }
    })
    .await;
}

#[tokio::test]
async fn undo_knows_by_itself_whether_it_happened() {
    each(async |bench| {
        let table = settings(&bench).await;
        let start = bench.all(&table).await;
        let under = Under::new(&bench);
        let call = raise(&table);
        let before = under.capture(&call).await;
        let nothing = under.undo(&call, &before, None).await.unwrap();
        assert_eq!(nothing.get("affected"), Some(&Value::Int(0)));
        under.apply(&call, &before).await.unwrap();
        let undone = under.undo(&call, &before, None).await.unwrap();
        assert_eq!(undone.get("affected"), Some(&Value::Int(1)));
        assert_eq!(bench.all(&table).await, start);
    })
    .await;
}

#[tokio::test]
async fn guards_and_names_are_checked_before_anything_changes() {
    each(async |bench| {
        let table = settings(&bench).await;
        let start = bench.all(&table).await;
        let under = Under::new(&bench);
        let five = || [("value", Value::text("5"))];
        let capture = ("service", Value::text("capture"));
        let hostile = format!("{table}\"; DROP TABLE {table}; --");
        let near = format!("{table}x");
        for (call, code, help) in [
            (update(&table, [capture.clone()], five(), 1), "RW0706", ""),
            (update(&table, [("service", Value::text("none"))], five(), 1), "RW0706", ""),
            (update(&table, [("servic", Value::Int(1))], five(), 1), "RW0705", "`service`"),
            (update(&table, [capture.clone()], [("valu", Value::Null)], 2), "RW0705", "`value`"),
            (update(&table, [capture.clone()], [("id", Value::Int(9))], 2), "RW0711", ""),
            (update(&table, [("id", list([]))], five(), 2), "RW0711", ""),
            (update(&table, [("id", list([Value::Null]))], five(), 2), "RW0711", ""),
            (update(&near, [capture.clone()], five(), 2), "RW0705", &table),
            (update(&hostile, [capture.clone()], five(), 2), "RW0705", ""),
            (update("pg_catalog.pg_authid", [capture.clone()], five(), 2), "RW0705", ""),
        ] {
            let fault = under.action.capture(&bench.context(), &call).await.unwrap_err();
            assert_eq!(fault.code, code, "{fault:?}");
            assert_eq!(fault.world, World::Untouched);
            assert!(fault.help.unwrap_or_default().contains(help), "{help}");
        }
        assert_eq!(bench.all(&table).await, start);
        // The guard holds for what is found when it is applied, not only when it was captured.
        let call = update(&table, [capture], five(), 2);
        let before = under.capture(&call).await;
        bench
            .outside(&format!("INSERT INTO {table} VALUES (4, 'capture', 'new', '1', NULL)"))
            .await;
        assert_eq!(under.apply(&call, &before).await.unwrap_err().code, "RW0707");
    })
    .await;
}

#[tokio::test]
async fn keys_of_several_columns_and_keys_that_are_named() {
    each(async |bench| {
        let table = unique("fees");
        bench
            .outside(&format!(
                "CREATE TABLE {table} (brand varchar(10), region varchar(10), fee int, note \
                 varchar(10), PRIMARY KEY (region, brand)); INSERT INTO {table} VALUES \
                 ('visa', 'br', 1, 'x'), ('visa', 'us', 2, 'x'), ('elo', 'br', 3, 'x')"
            ))
            .await;
        let under = Under::new(&bench);
        let start = bench.read(&format!("SELECT * FROM {table} ORDER BY 1, 2"), Map::new()).await;
        let call = update(&table, [("note", Value::text("x"))], [("fee", Value::Int(9))], 3);
        let before = under.capture(&call).await;
        assert_eq!(before.key, ["region", "brand"]);
        under.apply(&call, &before).await.unwrap();
        let after = under.recapture(&call, &before).await;
        assert!(rows(&after).iter().all(|r| r["fee"] == Value::Int(9)));
        under.undo(&call, &before, Some(&after)).await.unwrap();
        let end = bench.read(&format!("SELECT * FROM {table} ORDER BY 1, 2"), Map::new()).await;
        assert_eq!(start, end);

        let loose = unique("loose");
        bench
            .outside(&format!(
                "CREATE TABLE {loose} (code int, v int); INSERT INTO {loose} VALUES (1, 1), (1, 2)"
            ))
            .await;
        let call = update(&loose, [("v", Value::Int(1))], [("v", Value::Int(5))], 1);
        let fault = under.action.capture(&bench.context(), &call).await.unwrap_err();
        assert!(fault.message.contains("no primary key"), "{}", fault.message);
        let keyed = |v: Value, rows: i64| {
            let mut values = update(&loose, [("v", v)], [("v", Value::Int(5))], rows);
            values = Arguments::new(
                values
                    .values()
                    .clone()
                    .into_iter()
                    .chain([("key".to_owned(), list([Value::text("code")]))])
                    .collect(),
            );
            values
        };
        let both = keyed(list([Value::Int(1), Value::Int(2)]), 2);
        let fault = under.action.capture(&bench.context(), &both).await.unwrap_err();
        assert!(fault.message.contains("tell the rows apart"), "{}", fault.message);
        // The key finds a row that `where` did not: seen when it would be changed.
        let one = keyed(Value::Int(1), 1);
        let before = under.capture(&one).await;
        assert_eq!(under.apply(&one, &before).await.unwrap_err().code, "RW0706");
        assert_eq!(
            bench
                .read(&format!("SELECT v FROM {loose} WHERE v = 5"), Map::new())
                .await
                .unwrap()
                .rows
                .len(),
            0
        );
    })
    .await;
}

#[tokio::test]
async fn two_at_once_never_both_win() {
    each(async |bench| {
        let table = settings(&bench).await;
        let under = Under::new(&bench);
        let call = raise(&table);
        let before = under.capture(&call).await;
        let (one, two) = tokio::join!(under.apply(&call, &before), under.apply(&call, &before));
        let won = [one.is_ok(), two.is_ok()].into_iter().filter(|ok| *ok).count();
        assert_eq!(won, 1, "{one:?} {two:?}");
        let lost = one.err().or(two.err()).unwrap();
        assert_eq!(lost.world, World::Untouched);
        assert!(lost.code == "RW0707" || lost.transient, "{lost:?}");
    })
    .await;
}

#[tokio::test]
async fn every_engine_restores_its_own_types() {
    for (engine, kind, literal, new) in [
        (Postgres, "text[]", "'{a,NULL,\"b,c\"}'", list([Value::text("z")])),
        (Postgres, "jsonb", "'{\"a\": [1, null]}'", Value::Map(map([("a", decimal("1.50"))]))),
        (Postgres, "json", "'{ \"a\":  1 }'", list([Value::Int(1)])),
        (
            Postgres,
            "timestamptz",
            "'2026-01-02 03:04:05.123456+00'",
            Value::text("2027-01-01T00:00:00Z"),
        ),
        (Postgres, "inet", "'10.0.0.1'", Value::text("10.0.0.2")),
        (Postgres, "interval", "'1 day 02:03'", Value::text("PT5M")),
        (Postgres, "float4", "0.1", Value::Float(0.7)),
        (Postgres, "bytea", "'\\x00ff'", Value::Bytes(vec![1])),
        (Mysql, "bigint unsigned", "18446744073709551615", Value::text("7")),
        (Mysql, "float", "0.1", Value::Float(0.7)),
        (
            Mysql,
            "timestamp(6) null",
            "'2026-01-02 03:04:05.123456'",
            Value::text("2027-01-01T00:00:00Z"),
        ),
        (Mysql, "enum('a','1')", "'a'", Value::Int(1)),
        (Mysql, "bit(8)", "b'10000001'", Value::Int(3)),
        (Mysql, "json", "'{\"a\": 1}'", Value::Map(map([("a", decimal("1.50"))]))),
        (Sqlite, "TEXT", "'1.50'", decimal("2.50")),
        (Sqlite, "DECIMAL(10,2)", "1.5", decimal("2.50")),
        (Sqlite, "BLOB", "x'00ff'", Value::Bytes(vec![1])),
    ] {
        let bench = Bench::new(engine).await;
        let table = unique("own");
        bench
            .outside(&format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, v {kind}); \
                 INSERT INTO {table} VALUES (1, {literal}), (2, NULL)"
            ))
            .await;
        let start = bench.all(&table).await;
        let under = Under::new(&bench);
        let ids = list([Value::Int(1), Value::Int(2)]);
        let call = update(&table, [("id", ids)], [("v", new)], 2);
        let before = under.capture(&call).await;
        under.apply(&call, &before).await.unwrap_or_else(|e| panic!("{engine:?} {kind}: {e:?}"));
        let after = under.recapture(&call, &before).await;
        assert_ne!(after.state, before.state, "{kind}");
        under.undo(&call, &before, None).await.unwrap();
        assert_eq!(bench.all(&table).await, start, "{engine:?} {kind}");
        bench.database.close().await;
    }
}

#[tokio::test]
async fn mysql_does_not_compare_words_with_zero() {
    let bench = Bench::new(Mysql).await;
    let table = settings(&bench).await;
    let under = Under::new(&bench);
    let call = update(&table, [("id", Value::text("abc"))], [("value", Value::text("x"))], 1);
    let fault = under.action.capture(&bench.context(), &call).await.unwrap_err();
    assert_eq!(fault.code, "RW0711", "{fault:?}");
    let zero = update(&table, [("service", Value::Int(0))], [("value", Value::text("x"))], 1);
    let fault = under.action.capture(&bench.context(), &zero).await.unwrap_err();
    assert_eq!(fault.code, "RW0706", "{fault:?}");
    bench.database.close().await;
}

#[tokio::test]
async fn a_secret_is_written_in_clear_and_shown_by_name() {
    each(async |bench| {
        let table = settings(&bench).await;
        let under = Under::new(&bench);
        let secret = Value::Secret(Secret::new("token", "1", "in-clear".into()));
        let call = update(&table, [("id", Value::Int(1))], [("value", secret)], 1);
        let before = under.capture(&call).await;
        let preview = under.action.preview(&bench.context(), &call, &before).await.unwrap();
        assert!(preview.statement.contains("token@1"), "{}", preview.statement);
        assert!(!preview.statement.contains("in-clear"));
        under.apply(&call, &before).await.unwrap();
        assert_eq!(bench.all(&table).await[0]["value"], Value::text("in-clear"));
    })
    .await;
}

#[tokio::test]
async fn a_view_is_refused() {
    each(async |bench| {
        let table = settings(&bench).await;
        bench.outside(&format!("CREATE VIEW v_{table} AS SELECT * FROM {table}")).await;
        let under = Under::new(&bench);
        let call = raise(&format!("v_{table}"));
        let fault = under.action.capture(&bench.context(), &call).await.unwrap_err();
        assert!(fault.message.contains("view"), "{}", fault.message);
    })
    .await;
}

#[tokio::test]
async fn schemas_are_followed() {
    let bench = Bench::new(Postgres).await;
    let (schema, table) = (unique("Team"), unique("Settings"));
    bench
        .outside(&format!(
            "CREATE SCHEMA \"{schema}\"; CREATE TABLE \"{schema}\".\"{table}\" \
             (id int PRIMARY KEY, \"Value\" text); \
             INSERT INTO \"{schema}\".\"{table}\" VALUES (1, 'a')"
        ))
        .await;
    let under = Under::new(&bench);
    let name = format!("{schema}.{table}");
    let call = update(&name, [("id", Value::Int(1))], [("Value", Value::text("b"))], 1);
    let before = under.capture(&call).await;
    under.apply(&call, &before).await.unwrap();
    under.undo(&call, &before, None).await.unwrap();
    assert_eq!(under.recapture(&call, &before).await, before);
    bench.outside(&format!("DROP SCHEMA \"{schema}\" CASCADE")).await;
    bench.database.close().await;
}
