//! Values go both ways without loss.

use runward::{
    base::{Map, Value},
    ports::transport::SqlTarget,
};

use super::bench::{Bench, Mysql, Postgres, Sqlite, decimal, list, map, unique};

/// Writes the literal with the other session, reads it, binds what was read into a second column,
/// and lets the server say whether both are the same.
async fn round_trips(bench: &Bench, cases: &[(&str, &str, &str)], same: &str) {
    for (kind, literal, shown) in cases {
        let table = unique("types");
        bench.outside(&format!("CREATE TABLE {table} (id int, a {kind}, b {kind})")).await;
        bench.outside(&format!("INSERT INTO {table} (id, a) VALUES (1, {literal})")).await;
        let rows = bench.read(&format!("SELECT a, b FROM {table}"), Map::new()).await.unwrap();
        let value = rows.rows[0]["a"].clone();
        assert_eq!(format!("{} {value}", name(&value)), *shown, "{kind} {literal}");
        assert_eq!(name(&rows.rows[0]["b"]), "null", "{kind}: NULL");
        let mut transaction = bench.database.begin("test", None).await.unwrap();
        let one = match &value {
            Value::List(_) => list([value.clone()]),
            other => other.clone(),
        };
        let update = format!("UPDATE {table} SET b = :v WHERE id = 1");
        assert_eq!(
            transaction.execute(&update, &map([("v", one)])).await,
            Ok(1),
            "{kind} {literal}"
        );
        transaction.commit().await.unwrap();
        let text = format!("SELECT CASE WHEN {same} THEN 1 ELSE 0 END AS same FROM {table}");
        let rows = bench.read(&text, Map::new()).await.unwrap();
        assert_eq!(rows.rows[0]["same"], Value::Int(1), "{kind} {literal}: {value}");
        bench.outside(&format!("DROP TABLE {table}")).await;
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Time(runward::base::value::Time::Instant(_)) => "instant",
        Value::Time(runward::base::value::Time::DateTime(_)) => "datetime",
        Value::Time(runward::base::value::Time::Date(_)) => "date",
        Value::Time(runward::base::value::Time::Clock(_)) => "clock",
        other => other.kind().rsplit(' ').next().unwrap(),
    }
}

/// PostgreSQL has types without `=`: their texts are compared.
const POSTGRES_SAME: &str = "a::text IS NOT DISTINCT FROM b::text";

#[tokio::test]
async fn postgres_numbers_and_texts() {
    let bench = Bench::new(Postgres).await;
    let big = "1".repeat(300);
    let wide = (format!("'{big}.{big}'"), format!("decimal {big}.{big}"));
    let cases: &[(&str, &str, &str)] = &[
        ("bool", "true", "boolean true"),
        ("int2", "-32768", "integer -32768"),
        ("int4", "2147483647", "integer 2147483647"),
        ("int8", "-9223372036854775808", "integer -9223372036854775808"),
        ("oid", "4294967295", "integer 4294967295"),
        ("numeric", "0", "decimal 0"),
        ("numeric", "-0.00", "decimal 0.00"),
        ("numeric(12,4)", "1.5", "decimal 1.5000"),
        ("numeric", "10000", "decimal 10000"),
        ("numeric", "0.0001", "decimal 0.0001"),
        (
            "numeric",
            "-123456789012345678901234567890.000000000000000000001",
            "decimal -123456789012345678901234567890.000000000000000000001",
        ),
        ("numeric", &wide.0, &wide.1),
        ("numeric", "1e50", "decimal 100000000000000000000000000000000000000000000000000"),
        ("numeric", "'NaN'", "text NaN"),
        ("numeric", "'-Infinity'", "text -Infinity"),
        ("float4", "0.1", "float 0.1"),
        ("float8", "0.1", "float 0.1"),
        ("float8", "'1e308'", "float 1e+308"),
        ("float8", "'-Infinity'", "float -inf"),
        ("float8", "'NaN'", "float NaN"),
        ("text", "'é'' \\ :x $1 ?'", "text é' \\ :x $1 ?"),
        ("text", "''", "text "),
        ("varchar(5)", "'ab'", "text ab"),
        ("char(5)", "'ab'", "text ab   "),
        ("name", "'ab'", "text ab"),
        ("\"char\"", "'x'", "text x"),
        ("bytea", "'\\x00ff27'", "bytes AP8n"),
        ("bytea", "''", "bytes "),
        (
            "uuid",
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            "text a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("json", "'{ \"b\":1.0,  \"a\":null }'", "text { \"b\":1.0,  \"a\":null }"),
        ("jsonb", "'{\"b\":1.00,\"a\":null}'", "text {\"a\": null, \"b\": 1.00}"),
    ];
    round_trips(&bench, cases, POSTGRES_SAME).await;
    bench.database.close().await;
}

#[tokio::test]
async fn postgres_times() {
    let bench = Bench::new(Postgres).await;
    let cases: &[(&str, &str, &str)] = &[
        ("date", "'2024-02-29'", "date 2024-02-29"),
        ("date", "'infinity'", "text infinity"),
        ("date", "'0044-03-15 BC'", "text 0044-03-15 BC"),
        ("date", "'10000-01-01'", "text 10000-01-01"),
        ("date", "'5874897-12-31'", "text 5874897-12-31"),
        ("time", "'23:59:59.999999'", "clock 23:59:59.999999"),
        ("time", "'24:00'", "text 24:00:00"),
        ("timetz", "'03:04:05.5-03:30'", "text 03:04:05.5-03:30"),
        ("timestamp", "'2026-01-02 03:04:05.000001'", "datetime 2026-01-02T03:04:05.000001"),
        ("timestamp", "'-infinity'", "text -infinity"),
        ("timestamp", "'0001-01-01 00:00 BC'", "text 0001-01-01 00:00:00 BC"),
        ("timestamptz", "'2026-01-02 03:04:05-03'", "instant 2026-01-02T06:04:05Z"),
        ("timestamptz", "'infinity'", "text infinity"),
        ("timestamptz", "'4713-01-01 00:00+00 BC'", "text 4713-01-01 00:00:00+00 BC"),
        ("timestamptz", "'290000-01-01 00:00:00.5+00'", "text 290000-01-01 00:00:00.5+00"),
        ("interval", "'1 year 2 months 3 days 04:05:06.5'", "text P1Y2M3DT4H5M6.5S"),
        ("interval", "'-1 month +2 days -00:00:00.25'", "text P-1M2DT-0.25S"),
        ("interval", "'0'", "text PT0S"),
    ];
    round_trips(&bench, cases, POSTGRES_SAME).await;
    bench.database.close().await;
}

#[tokio::test]
async fn postgres_lists_and_types_of_ones_own() {
    let bench = Bench::new(Postgres).await;
    let (mood, positive, pair) = (unique("mood"), unique("positive"), unique("pair"));
    bench
        .outside(&format!(
            "CREATE TYPE {mood} AS ENUM ('ok', 'not \"ok\"'); \
             CREATE DOMAIN {positive} AS numeric(10,2) CHECK (value > 0); \
             CREATE TYPE {pair} AS (a int, b text)"
        ))
        .await;
    let moods = (format!("{mood}[]"), "'{ok,\"not \\\"ok\\\"\"}'");
    let cases: &[(&str, &str, &str)] = &[
        ("int4[]", "'{1,NULL,3}'", "list [1,null,3]"),
        ("int4[]", "'{}'", "list []"),
        ("int4[]", "'{{1,2},{3,4}}'", "list [[1,2],[3,4]]"),
        ("int4[]", "'[0:1]={1,2}'", "text [0:1]={\"1\",\"2\"}"),
        (
            "text[]",
            "'{\"a,b\",\"\",\"NULL\",\"q\\\"\\\\\"}'",
            "list [\"a,b\",\"\",\"NULL\",\"q\\\"\\\\\"]",
        ),
        ("numeric[]", "'{1.50}'", "list [\"1.50\"]"),
        ("timestamptz[]", "'{2026-01-02 03:04:05+00}'", "list [\"2026-01-02T03:04:05Z\"]"),
        ("bytea[]", "'{\"\\\\x00ff\"}'", "list [\"AP8=\"]"),
        (&moods.0, moods.1, "list [\"ok\",\"not \\\"ok\\\"\"]"),
        (&mood, "'not \"ok\"'", "text not \"ok\""),
        (&positive, "12.5", "decimal 12.50"),
        (&pair, "'(1,\"a b\")'", "text (1,\"a b\")"),
    ];
    round_trips(&bench, cases, POSTGRES_SAME).await;
    bench.outside(&format!("DROP TYPE {mood}; DROP DOMAIN {positive}; DROP TYPE {pair}")).await;
    bench.database.close().await;
}

#[tokio::test]
async fn postgres_types_that_travel_as_text() {
    let bench = Bench::new(Postgres).await;
    let cases: &[(&str, &str, &str)] = &[
        ("inet", "'10.0.0.1/8'", "text 10.0.0.1/8"),
        ("cidr", "'10.0.0.0/8'", "text 10.0.0.0/8"),
        ("macaddr", "'08:00:2b:01:02:03'", "text 08:00:2b:01:02:03"),
        ("macaddr8", "'08:00:2b:01:02:03:04:05'", "text 08:00:2b:01:02:03:04:05"),
        ("money", "1234.5", "text $1,234.50"),
        ("bit(3)", "B'101'", "text 101"),
        ("varbit", "B'10101'", "text 10101"),
        ("xml", "'<a>1</a>'", "text <a>1</a>"),
        ("int4range", "'[1,5)'", "text [1,5)"),
        ("tstzrange", "'[2026-01-02 03:04:05+00,)'", "text [\"2026-01-02 03:04:05+00\",)"),
        ("inet[]", "'{10.0.0.1,10.0.0.2}'", "text {10.0.0.1,10.0.0.2}"),
        ("point", "'(1,2.5)'", "text (1,2.5)"),
        ("tsvector", "'a b'", "text 'a' 'b'"),
        ("pg_lsn", "'16/B374D848'", "text 16/B374D848"),
        ("regclass", "'pg_class'", "text pg_class"),
        ("jsonpath", "'$.a'", "text $.\"a\""),
    ];
    round_trips(&bench, cases, POSTGRES_SAME).await;
    // The driver does not know multiranges: said, and not guessed.
    let fault = bench.read("SELECT '{[1,3)}'::int4multirange AS v", Map::new()).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.transient), ("RW0709", false));
    assert!(fault.help.unwrap().contains("AS text"));
    let text = "SELECT '{[1,3)}'::int4multirange::text AS v";
    assert_eq!(bench.read(text, Map::new()).await.unwrap().rows[0]["v"], Value::text("{[1,3)}"));
    bench.database.close().await;
}

#[tokio::test]
async fn mysql_types() {
    let bench = Bench::new(Mysql).await;
    let cases: &[(&str, &str, &str)] = &[
        ("tinyint", "-128", "integer -128"),
        ("tinyint unsigned", "255", "integer 255"),
        ("bool", "true", "integer 1"),
        ("tinyint(1)", "-7", "integer -7"),
        ("smallint unsigned", "65535", "integer 65535"),
        ("mediumint", "-8388608", "integer -8388608"),
        ("mediumint unsigned", "16777215", "integer 16777215"),
        ("int unsigned zerofill", "4294967295", "integer 4294967295"),
        ("bigint", "-9223372036854775808", "integer -9223372036854775808"),
        ("bigint unsigned", "18446744073709551615", "integer 18446744073709551615"),
        ("decimal(10,2)", "1.5", "decimal 1.50"),
        (
            "decimal(65,30)",
            "-12345678901234567890123456789012345.000000000000000000000000000001",
            "decimal -12345678901234567890123456789012345.000000000000000000000000000001",
        ),
        ("float", "0.1", "float 0.1"),
        ("double", "1e308", "float 1e+308"),
        ("date", "'2024-02-29'", "date 2024-02-29"),
        ("date", "'0000-00-00'", "text 0000-00-00"),
        ("date", "'9999-12-31'", "date 9999-12-31"),
        ("datetime", "'2026-01-02 03:04:05'", "datetime 2026-01-02T03:04:05"),
        ("datetime(6)", "'2026-01-02 03:04:05.000001'", "datetime 2026-01-02T03:04:05.000001"),
        ("datetime", "'0000-00-00 00:00:00'", "text 0000-00-00 00:00:00"),
        ("timestamp(3) null", "'2026-01-02 03:04:05.250'", "instant 2026-01-02T03:04:05.25Z"),
        ("time", "'23:59:59'", "clock 23:59:59"),
        ("time(6)", "'-838:59:58.000001'", "text -838:59:58.000001"),
        ("time", "'00:00:00'", "clock 00:00:00"),
        ("year", "2026", "integer 2026"),
        ("char(5)", "'ab'", "text ab"),
        ("varchar(20) character set latin1", "'é\\'\\\\'", "text é'\\"),
        ("varchar(20) collate utf8mb4_bin", "'ab'", "text ab"),
        ("text", "''", "text "),
        ("longtext", "'😀'", "text 😀"),
        ("enum('a','b')", "'b'", "text b"),
        ("set('a','b','c')", "'a,c'", "text a,c"),
        ("json", "'{\"b\": 1.0, \"a\": null}'", "text {\"b\": 1.0, \"a\": null}"),
        ("binary(3)", "X'00ff27'", "bytes AP8n"),
        ("varbinary(5)", "X''", "bytes "),
        ("blob", "X'00ff'", "bytes AP8="),
        ("bit(10)", "b'1000000001'", "integer 513"),
        ("bit(64)", "18446744073709551615", "integer 18446744073709551615"),
    ];
    round_trips(&bench, cases, "a <=> b AND HEX(a) <=> HEX(b)").await;
    bench.database.close().await;
}

#[tokio::test]
async fn sqlite_types() {
    let bench = Bench::new(Sqlite).await;
    let cases: &[(&str, &str, &str)] = &[
        ("INTEGER", "9223372036854775807", "integer 9223372036854775807"),
        ("BOOLEAN", "1", "integer 1"),
        ("REAL", "0.1", "float 0.1"),
        ("DECIMAL(10,2)", "10.1", "decimal 10.10"),
        ("DECIMAL(10,2)", "5", "decimal 5.00"),
        ("NUMERIC", "1234567.89", "decimal 1234567.89"),
        ("NUMERIC", "'n/a'", "text n/a"),
        ("TEXT", "'12.50'", "text 12.50"),
        ("TEXT", "''", "text "),
        ("TEXT", "'2026-01-02T03:04:05Z'", "text 2026-01-02T03:04:05Z"),
        ("DATETIME", "'2026-01-02 03:04:05'", "text 2026-01-02 03:04:05"),
        ("BLOB", "x'00ff27'", "bytes AP8n"),
        ("BLOB", "x''", "bytes "),
        ("", "'any'", "text any"),
        ("", "1.5", "float 1.5"),
    ];
    round_trips(&bench, cases, "a = b AND typeof(a) = typeof(b)").await;
    bench.database.close().await;
}

#[tokio::test]
async fn values_become_what_the_column_is() {
    let bench = Bench::new(Postgres).await;
    let read = |text: &'static str, value: Value| {
        let bench = &bench;
        async move { bench.read(text, map([("v", value)])).await }
    };
    for (text, value, shown) in [
        ("SELECT :v::int AS v", Value::text("5"), "integer 5"),
        ("SELECT :v::int AS v", decimal("5.00"), "integer 5"),
        ("SELECT :v::text AS v", Value::Int(5), "text 5"),
        ("SELECT :v::text AS v", decimal("1.50"), "text 1.50"),
        ("SELECT :v::numeric AS v", Value::text("1.50"), "decimal 1.50"),
        ("SELECT :v::numeric AS v", Value::Int(7), "decimal 7"),
        (
            "SELECT :v::timestamptz AS v",
            Value::text("2026-01-02T03:04:05+02:00"),
            "instant 2026-01-02T01:04:05Z",
        ),
        ("SELECT :v::date AS v", Value::Time("2026-01-02".parse().unwrap()), "date 2026-01-02"),
        ("SELECT :v::bool AS v", Value::Bool(true), "boolean true"),
        ("SELECT :v::jsonb AS v", Value::Map(map([("a", decimal("1.50"))])), "text {\"a\": 1.50}"),
        ("SELECT coalesce(:v, 'none') AS v", Value::Null, "text none"),
        ("SELECT coalesce(:v, 'none') AS v", Value::text(""), "text "),
        ("SELECT pg_sleep(0) AS v WHERE :v", Value::Bool(true), "text "),
        ("SELECT 1 AS v FROM generate_series(1, 9) LIMIT :v", Value::Int(1), "integer 1"),
        ("SELECT CAST(:v AS char(3)) AS v", Value::text("ab"), "text ab "),
    ] {
        let rows = read(text, value).await.unwrap();
        let value = &rows.rows[0]["v"];
        assert_eq!(format!("{} {value}", name(value)), shown, "{text}");
    }
    for (text, value) in [
        ("SELECT :v::int AS v", Value::text("five")),
        ("SELECT :v::int AS v", Value::text("")),
        ("SELECT :v::int AS v", decimal("5.5")),
        ("SELECT :v::int2 AS v", Value::Int(40_000)),
        ("SELECT :v::text AS v", Value::text("nul \0")),
    ] {
        let fault = read(text, value).await.unwrap_err();
        assert_eq!(fault.code, "RW0705", "{text}: {fault:?}");
        assert!(fault.detail.is_some());
    }
    let fault = read("SELECT 1 WHERE :v IS NULL", Value::Null).await.unwrap_err();
    assert!(fault.help.unwrap().contains("::text"));
    bench.database.close().await;
}
