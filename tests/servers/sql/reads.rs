//! Reads change nothing, whatever they say, and end when they should.

use std::time::{Duration, Instant};

use runward::{
    actions::sql_query,
    base::{Map, Secret, Value},
    model::World,
    ports::transport::{SqlQuery, SqlTarget},
    transports::sql::connect,
};

use super::bench::{Bench, Mysql, Postgres, Sqlite, arguments, each, list, map, query, unique};

async fn limits(bench: &Bench) -> String {
    let table = unique("limits");
    bench
        .outside(&format!(
            "CREATE TABLE {table} (name varchar(200) PRIMARY KEY, v int); \
             INSERT INTO {table} VALUES ('a', 1), ('b', 2)"
        ))
        .await;
    table
}

#[tokio::test]
async fn hostile_statements_leave_the_table_as_it_was() {
    each(async |bench| {
        let table = limits(&bench).await;
        let before = bench.all(&table).await;
        for hostile in [
            "select 1; delete from T",
            "with d as (delete from T returning *) select * from d",
            "explain analyze delete from T",
            "do $$ begin delete from T; end $$",
            "commit; delete from T",
            "rollback; delete from T",
            "set transaction read write; delete from T",
            "set default_transaction_read_only = off",
            "set session transaction read write",
            "copy T to program 'id'",
            "create temp table x as select 1",
            "create table x_T as select 1 as a",
            "select * into x_T from T",
            "select * from T for update",
            "prepare transaction 'x'",
            "delete from T",
            "update T set v = 0",
            "insert into T values ('c', 3)",
            "replace into T values ('a', 3)",
            "truncate table T",
            "drop table T",
            "alter table T add w int",
            "call p_delete()",
            "pragma query_only = off",
            "pragma writable_schema = on",
            "attach database '/tmp/x.db' as x",
            "vacuum",
            "select * from T into outfile '/tmp/runward_out'",
            "select 1 /*! ; delete from T */",
            "/*!50000 delete from T */",
            "handler T open",
            "lock tables T write",
            "select load_extension('x')",
            "select set_config('transaction_read_only', 'off', false)",
            "select lo_unlink(1)",
            "select dblink_exec('host=127.0.0.1', 'delete from T')",
            "begin; delete from T; commit",
            "-- x\n delete from T",
            "(delete from T)",
            "explain delete from T",
        ] {
            let text = hostile.replace('T', &table);
            // Elsewhere this is a comment like any other.
            let harmless = bench.engine != Mysql && text.starts_with("select 1 /*!");
            match bench.read(&text, Map::new()).await {
                Ok(rows) => assert!(harmless, "{text}: {rows:?}"),
                Err(fault) => assert_eq!(fault.world, World::Untouched, "{text}"),
            }
        }
        assert_eq!(bench.all(&table).await, before);
    })
    .await;
}

#[tokio::test]
async fn the_database_itself_refuses_what_no_text_shows() {
    let bench = Bench::new(Postgres).await;
    let table = limits(&bench).await;
    bench
        .outside(&format!(
            "CREATE FUNCTION wipe_{table}() RETURNS int LANGUAGE sql AS \
             'DELETE FROM {table} RETURNING 1'"
        ))
        .await;
    let fault = bench.read(&format!("SELECT wipe_{table}()"), Map::new()).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.help.is_some()), ("RW0705", true), "{fault:?}");
    assert_eq!(bench.all(&table).await.len(), 2);
    bench.database.close().await;

    let bench = Bench::new(Mysql).await;
    let table = limits(&bench).await;
    bench
        .outside(&format!(
            "CREATE FUNCTION wipe_{table}() RETURNS int MODIFIES SQL DATA \
             BEGIN DELETE FROM {table}; RETURN 1; END"
        ))
        .await;
    let fault = bench.read(&format!("SELECT wipe_{table}()"), Map::new()).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.help.is_some()), ("RW0705", true), "{fault:?}");
    assert_eq!(bench.all(&table).await.len(), 2);
    bench.database.close().await;
}

#[tokio::test]
async fn hostile_values_are_only_values() {
    each(async |bench| {
        let table = limits(&bench).await;
        for hostile in [
            "'; drop table T; --",
            "' or '1'='1",
            "') ; delete from T; --",
            "1; update T set v=0",
            "1 union select secret from vault",
            "\\'; drop table T; --",
            "$$; drop table T; $$",
            "E'\\\\x27; drop table T;--",
            "/*!50000 drop table T */",
            "%' --",
            "_%",
            "'||pg_sleep(5)||'",
            "U&'\\0027'",
            "ʼ; drop table T; --",
            "＇; drop table T; --",
            "NULL",
            "-- comment",
            "0x27",
            ":v ? $1 @x",
            "{{ 1 }}",
            "",
            "line\nbreak\ttab",
        ] {
            let value = Value::text(hostile.replace('T', &table));
            let values = map([("name", value.clone())]);
            let mut transaction = bench.database.begin("test", None).await.unwrap();
            let insert = format!("INSERT INTO {table} (name, v) VALUES (:name, 7)");
            assert_eq!(transaction.execute(&insert, &values).await, Ok(1), "{hostile}");
            transaction.commit().await.unwrap();
            let select = format!("SELECT name, v FROM {table} WHERE name = :name AND v = 7");
            let rows = bench.read(&select, values.clone()).await.unwrap().rows;
            assert_eq!(rows, [map([("name", value), ("v", Value::Int(7))])], "{hostile}");
            let mut transaction = bench.database.begin("test", None).await.unwrap();
            let delete = format!("DELETE FROM {table} WHERE name = :name");
            assert_eq!(transaction.execute(&delete, &values).await, Ok(1), "{hostile}");
            transaction.commit().await.unwrap();
        }
        assert_eq!(bench.all(&table).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_cut_result_says_so() {
    each(async |bench| {
        let table = limits(&bench).await;
        let action = sql_query::new();
        let text = format!("SELECT name, v FROM {table} WHERE v IN (:vs) ORDER BY v");
        let read = |max: i64| {
            arguments([
                ("on", Value::text("db")),
                ("query", Value::text(&*text)),
                ("params", Value::Map(map([("vs", list([Value::Int(1), Value::Int(2)]))]))),
                ("max_rows", Value::from(max)),
            ])
        };
        let result = bench.act(&*action, &read(1)).await.unwrap();
        assert_eq!(result.get("cut"), Some(&Value::Bool(true)));
        assert_eq!(result.get("count"), Some(&Value::Int(1)));
        let result = bench.act(&*action, &read(2)).await.unwrap();
        assert_eq!(result.get("cut"), Some(&Value::Bool(false)));
        assert_eq!(result.get("columns"), Some(&list([Value::text("name"), Value::text("v")])));
        assert_eq!(bench.act(&*action, &read(0)).await.unwrap_err().code, "RW0711");
        let none = bench.read(&format!("SELECT v AS w FROM {table} WHERE v = 9"), Map::new()).await;
        assert_eq!(none.unwrap().columns, ["w"]);
        let twice = bench.read(&format!("SELECT v, v FROM {table}"), Map::new()).await.unwrap_err();
        assert!(twice.message.contains("two columns"), "{}", twice.message);
    })
    .await;
}

#[tokio::test]
async fn secrets_are_bound_in_clear() {
    each(async |bench| {
        let table = limits(&bench).await;
        let secret = Value::Secret(Secret::new("name", "1", "b".into()));
        let select = format!("SELECT v FROM {table} WHERE name = :name");
        let rows = bench.read(&select, map([("name", secret)])).await.unwrap().rows;
        assert_eq!(rows[0]["v"], Value::Int(2));
    })
    .await;
}

#[tokio::test]
async fn the_database_says_no_in_its_own_words() {
    each(async |bench| {
        let fault = bench.read("SELECT * FROM no_such_table", Map::new()).await.unwrap_err();
        assert_eq!(fault.code, "RW0705");
        assert!(fault.detail.unwrap().contains("no_such_table"));
        assert!(!fault.transient);
    })
    .await;
}

#[tokio::test]
async fn what_takes_too_long_is_ended() {
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
                   SELECT count(*) AS n FROM c WHERE x < 0";
    for (engine, text) in [
        (Postgres, "SELECT pg_sleep(60)"),
        (Mysql, "SELECT SLEEP(60) FROM information_schema.TABLES"),
        (Sqlite, endless),
    ] {
        let bench = Bench::new(engine).await;
        let started = Instant::now();
        let slow =
            SqlQuery { timeout: Some(Duration::from_millis(300)), ..query(text, Map::new()) };
        let fault = bench.database.query(&slow).await.unwrap_err();
        assert_eq!(fault.code, "RW0703", "{engine:?}: {fault:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{engine:?}");
        assert!(bench.read("SELECT 1 AS one", Map::new()).await.is_ok());
        bench.database.close().await;
    }
}

#[tokio::test]
async fn what_is_dropped_is_cancelled_on_the_server() {
    let session = unique("runward/dropped");
    for (engine, text, running) in [
        (
            Postgres,
            "SELECT pg_sleep(60)",
            "SELECT count(*) AS n FROM pg_stat_activity \
             WHERE application_name = :session AND state = 'active'",
        ),
        (
            Mysql,
            "SELECT SLEEP(60)",
            "SELECT count(*) AS n FROM information_schema.PROCESSLIST \
             WHERE info LIKE concat('/* ', :session, '%SLEEP%')",
        ),
    ] {
        let bench = Bench::new(engine).await;
        let slow = SqlQuery { session: session.clone(), ..query(text, Map::new()) };
        let count = || bench.read(running, map([("session", Value::text(&*session))]));
        let mut pending = Box::pin(bench.database.query(&slow));
        // The other read runs until the server shows the first one at work.
        loop {
            tokio::select! {
                ended = &mut pending => panic!("{engine:?}: {ended:?}"),
                seen = count() => if seen.unwrap().rows[0]["n"] == Value::Int(1) { break },
            }
        }
        drop(pending);
        bench.database.close().await;
        let bench = Bench::new(engine).await;
        let left = bench.read(running, map([("session", Value::text(&*session))])).await.unwrap();
        assert_eq!(left.rows[0]["n"], Value::Int(0), "{engine:?}");
        bench.database.close().await;
    }
}

#[tokio::test]
async fn targets_that_are_not_there_say_so_at_once() {
    let bench = Bench::new(Postgres).await;
    for engine in [Postgres, Mysql] {
        let bench = Bench::new(engine).await;
        let mut address = bench.address.clone();
        let started = Instant::now();
        // The port of "discard": nobody listens there.
        let port = address.url.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap().1.to_owned();
        address.url = address.url.replace(&format!(":{port}/"), ":9/");
        let gone = connect(&address, None).await.unwrap();
        let fault = gone.query(&query("SELECT 1", Map::new())).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.transient), ("RW0701", true), "{fault:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
        let wrong = Some(Secret::new("database", "1", "not-the-password".into()));
        let refused = connect(&bench.address, wrong).await.unwrap();
        let fault = refused.query(&query("SELECT 1", Map::new())).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.transient), ("RW0702", false), "{fault:?}");
        assert!(!format!("{fault:?}").contains("not-the-password"));
    }
    let mut address = bench.address.clone();
    (address.engine, address.url) = (Sqlite, "sqlite:/no/such/file.db".into());
    let gone = connect(&address, None).await.unwrap();
    assert_eq!(gone.query(&query("SELECT 1", Map::new())).await.unwrap_err().code, "RW0701");
    address.url = "sqlite::memory:".into();
    assert_eq!(connect(&address, None).await.err().unwrap().code, "RW0503");
}

#[tokio::test]
async fn sessions_and_databases_have_names() {
    for (engine, text) in [
        (Postgres, "SELECT current_setting('application_name') AS session"),
        (
            Mysql,
            "SELECT info AS session FROM information_schema.PROCESSLIST WHERE id = connection_id()",
        ),
    ] {
        let bench = Bench::new(engine).await;
        let rows = bench.read(text, Map::new()).await.unwrap().rows;
        assert!(rows[0]["session"].to_string().contains("runward/test/limit/1"), "{rows:?}");
        bench.database.close().await;
    }
    each(async |bench| {
        let identity = bench.database.identity().await.unwrap();
        assert_eq!(bench.database.identity().await.unwrap(), identity);
        assert!(identity.contains(" database "), "{identity}");
    })
    .await;
}

#[tokio::test]
async fn other_reads_than_select() {
    for (engine, texts) in [
        (Postgres, vec!["SHOW server_version", "EXPLAIN SELECT 1", "VALUES (1), (2)"]),
        (Mysql, vec!["SHOW TABLES", "SHOW VARIABLES LIKE 'version'", "EXPLAIN SELECT 1"]),
        (Sqlite, vec!["EXPLAIN QUERY PLAN SELECT 1", "SELECT * FROM pragma_table_info('x')"]),
    ] {
        let bench = Bench::new(engine).await;
        for text in texts {
            let read = bench.read(text, Map::new()).await;
            assert!(read.as_ref().is_ok_and(|rows| !rows.columns.is_empty()), "{text}: {read:?}");
        }
        bench.database.close().await;
    }
}
