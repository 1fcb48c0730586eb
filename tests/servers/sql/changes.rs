//! `sql.execute`, and transactions that fail or are dropped.

use std::time::Duration;

use runward::{
    actions::sql_execute,
    base::{Map, Value},
    model::World,
    ports::transport::SqlTarget,
};

use super::bench::{Bench, Mysql, Postgres, arguments, each, map, unique};

async fn locks(bench: &Bench) -> String {
    let table = unique("locks");
    bench
        .outside(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, holder varchar(20)); \
             INSERT INTO {table} VALUES (1, 'a'), (2, 'a'), (3, NULL)"
        ))
        .await;
    table
}

#[tokio::test]
async fn the_guard_is_asked_before_the_commit() {
    each(async |bench| {
        let table = locks(&bench).await;
        let before = bench.all(&table).await;
        let action = sql_execute::new();
        let run = |text: &str, rows: Value| {
            let call = arguments([
                ("on", Value::text("db")),
                ("statement", Value::text(text.replace("TABLE", &table))),
                ("params", Value::Map(map([("holder", Value::text("a"))]))),
                ("rows", rows),
            ]);
            let (bench, action) = (&bench, &action);
            async move { bench.act(&**action, &call).await }
        };
        let delete = "DELETE FROM TABLE WHERE holder = :holder";
        let most = |n: i64| Value::Map(map([("max", Value::from(n))]));
        for guard in [Value::Int(1), Value::Int(3), most(1)] {
            let fault = run(delete, guard).await.unwrap_err();
            assert_eq!((fault.code.as_str(), fault.world), ("RW0706", World::Untouched));
        }
        assert_eq!(bench.all(&table).await, before);
        // What matches counts, also when its value stays the same.
        let same = run("UPDATE TABLE SET holder = :holder WHERE id < 3", Value::Int(2)).await;
        assert_eq!(same.unwrap().get("affected"), Some(&Value::Int(2)));
        let done = run(delete, most(2)).await.unwrap();
        assert_eq!(done.get("affected"), Some(&Value::Int(2)));
        assert_eq!(bench.all(&table).await.len(), 1);
        for (text, code) in [
            ("SELECT :holder", "RW0406"),
            ("TRUNCATE TABLE -- :holder", "RW0406"),
            ("DELETE FROM TABLE; DELETE FROM TABLE", "RW0406"),
            ("DELETE FROM TABLE", "RW0711"),
            ("DELETE FROM TABLE WHERE holder = :holdr", "RW0711"),
            ("INSERT INTO TABLE (id, holder) VALUES (3, :holder)", "RW0705"),
        ] {
            let fault = run(text, most(9)).await.unwrap_err();
            assert_eq!((fault.code.as_str(), fault.world), (code, World::Untouched), "{text}");
        }
        assert_eq!(bench.all(&table).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back() {
    each(async |bench| {
        let table = locks(&bench).await;
        let mut transaction = bench.database.begin("test", None).await.unwrap();
        let delete = format!("DELETE FROM {table}");
        assert_eq!(transaction.execute(&delete, &Map::new()).await, Ok(3));
        drop(transaction);
        bench.database.close().await;
        let again = bench_of(&bench).await;
        assert_eq!(again.all(&table).await.len(), 3);
        again.database.close().await;
    })
    .await;
}

async fn bench_of(bench: &Bench) -> Bench {
    let database =
        runward::transports::sql::connect(&bench.address, bench.password.clone()).await.unwrap();
    Bench {
        engine: bench.engine,
        address: bench.address.clone(),
        password: bench.password.clone(),
        database,
    }
}

#[tokio::test]
async fn a_transaction_with_a_failed_statement_never_commits() {
    each(async |bench| {
        let table = locks(&bench).await;
        let mut transaction = bench.database.begin("test", None).await.unwrap();
        let delete = format!("DELETE FROM {table} WHERE id = 1");
        assert_eq!(transaction.execute(&delete, &Map::new()).await, Ok(1));
        assert!(transaction.execute("DELETE FROM no_such_table", &Map::new()).await.is_err());
        let fault = transaction.commit().await.unwrap_err();
        assert_eq!(fault.world, World::Untouched);
        assert_eq!(bench.all(&table).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_worth_another_try() {
    each(async |bench| {
        let table = locks(&bench).await;
        let mut other = bench.other().await;
        let begin = match bench.engine {
            super::bench::Sqlite => "BEGIN IMMEDIATE",
            _ => "BEGIN",
        };
        other.run(begin).await;
        other.run(&format!("UPDATE {table} SET holder = 'b' WHERE id = 1")).await;
        let attempt = async {
            let wait = Some(Duration::from_secs(3));
            let mut transaction = bench.database.begin("test", wait).await?;
            let update = format!("UPDATE {table} SET holder = 'c' WHERE id = 1");
            transaction.execute(&update, &Map::new()).await
        };
        let fault = attempt.await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.transient), ("RW0705", true), "{fault:?}");
        assert_eq!(fault.world, World::Untouched);
        other.run("ROLLBACK").await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_changed_nothing() {
    let bench = Bench::new(Postgres).await;
    let table = unique("deferred");
    bench
        .outside(&format!(
            "CREATE TABLE {table} (id int UNIQUE DEFERRABLE INITIALLY DEFERRED); \
             INSERT INTO {table} VALUES (1)"
        ))
        .await;
    let mut transaction = bench.database.begin("test", None).await.unwrap();
    let insert = format!("INSERT INTO {table} VALUES (1)");
    assert_eq!(transaction.execute(&insert, &Map::new()).await, Ok(1));
    let fault = transaction.commit().await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0705", World::Untouched), "{fault:?}");
    assert_eq!(bench.all(&table).await.len(), 1);
    bench.database.close().await;
}

#[tokio::test]
async fn a_table_without_transactions_is_refused() {
    let bench = Bench::new(Mysql).await;
    let table = unique("myisam");
    bench
        .outside(&format!(
            "CREATE TABLE {table} (id int) ENGINE=MyISAM; INSERT INTO {table} VALUES (1)"
        ))
        .await;
    let mut transaction = bench.database.begin("test", None).await.unwrap();
    let fault =
        transaction.execute(&format!("DELETE FROM {table}"), &Map::new()).await.unwrap_err();
    assert!(fault.message.contains("MyISAM"), "{}", fault.message);
    transaction.rollback().await.unwrap();
    assert_eq!(bench.all(&table).await.len(), 1);
    // What the text does not show, the rollback does.
    let visible = unique("visible");
    bench
        .outside(&format!(
            "CREATE TABLE {visible} (id int) ENGINE=InnoDB; \
             CREATE TRIGGER tr_{visible} AFTER INSERT ON {visible} FOR EACH ROW DELETE FROM {table}"
        ))
        .await;
    let mut transaction = bench.database.begin("test", None).await.unwrap();
    let insert = format!("INSERT INTO {visible} VALUES (1)");
    assert_eq!(transaction.execute(&insert, &Map::new()).await, Ok(1));
    let fault = transaction.rollback().await.unwrap_err();
    assert_eq!(fault.world, World::Partial, "{fault:?}");
    bench.database.close().await;
}
