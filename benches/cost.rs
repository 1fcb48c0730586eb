//! What runward costs beside its floor, measured in one run: `cargo bench --bench cost`.
//!
//! Prints the table of `docs/performance.md`. Figures are medians; ratios are what counts, since
//! machines and disks differ. No test depends on it.

// A measurement that can't go on panics, and says why; its table goes to standard output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use wait4::Wait4;

const RUNWARD: &str = env!("CARGO_BIN_EXE_runward");
const STEPS: usize = 1000;

fn main() {
    // `cargo test --benches` only asks whether it starts.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let empty = empty_program(folder);
    project(folder);

    println!("| what | time | memory | floor | floor's time | ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let nothing = median(40, || once(Command::new(&empty)));
    let version = median(40, || once(runward(folder, &["--version"])));
    row("`runward --version`", version, "an empty Rust program", nothing);
    let one = median(20, || once(runward(folder, &["run", "one"])));
    row("a run of one step", one, "an empty Rust program and 2 durable commits", {
        let commits = commits(folder, 2);
        (nothing.0 + commits, nothing.1)
    });
    let checks = median(3, || once(runward(folder, &["run", "checks"])));
    row(&format!("a run of {STEPS} checks"), checks, "2 durable commits", (commits(folder, 2), 0));
    let reads = median(3, || once(runward(folder, &["run", "reads"])));
    let select = selects(folder, STEPS);
    row(&format!("a run of {STEPS} queries (SQLite)"), reads, "the queries alone", (select, 0));
    let changes = median(3, || once(runward(folder, &["run", "changes"])));
    let floor = commits(folder, 2 * STEPS);
    row(
        &format!("a run of {STEPS} changes (SQLite)"),
        changes,
        &format!("{} durable commits: an intent and a change each", 2 * STEPS),
        (floor, 0),
    );
    let validate = median(5, || once(runward(folder, &["validate"])));
    row("validating those runbooks", validate, "an empty Rust program", nothing);
}

fn row(what: &str, (took, kib): (Duration, u64), floor: &str, (least, _): (Duration, u64)) {
    println!(
        "| {what} | {:.1} ms | {:.0} MiB | {floor} | {:.1} ms | {:.1} |",
        took.as_secs_f64() * 1e3,
        kib as f64 / 1024.0,
        least.as_secs_f64() * 1e3,
        took.as_secs_f64() / least.as_secs_f64(),
    );
}

fn median(times: usize, mut measure: impl FnMut() -> (Duration, u64)) -> (Duration, u64) {
    let mut all: Vec<_> = (0..times).map(|_| measure()).collect();
    all.sort();
    all[times / 2]
}

/// Wall time and largest resident memory, in KiB.
fn once(mut command: Command) -> (Duration, u64) {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::null()).stdin(Stdio::null()).spawn().expect("it starts");
    let used = child.wait4().expect("it ends");
    let took = begin.elapsed();
    assert!(used.status.success(), "{command:?} ended with {}", used.status);
    (took, used.rusage.maxrss / 1024)
}

fn runward(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(RUNWARD);
    command.args(args).current_dir(folder).stderr(Stdio::null());
    command
}

fn empty_program(folder: &Path) -> std::path::PathBuf {
    let source = folder.join("empty.rs");
    fs::write(&source, "fn main() {}").expect("a source");
    let program = folder.join("empty");
    let rustc = Command::new("rustc").arg("-O").arg("-o").arg(&program).arg(&source).status();
    assert!(rustc.expect("rustc").success());
    program
}

fn project(folder: &Path) {
    let write = |path: &str, text: &str| fs::write(folder.join(path), text).expect("a file");
    fs::create_dir_all(folder.join("runbooks")).expect("a folder");
    write(
        "runward.yaml",
        "version: 1\nenvironments:\n  local:\n    targets: {db: {sql: \"sqlite:bench.db\"}}\n",
    );
    let book = |name: &str, step: &dyn Fn(usize) -> String, count: usize| {
        let steps: String = (0..count).map(step).collect();
        write(
            &format!("runbooks/{name}.yaml"),
            &format!("version: 1\nname: {name}\nsteps:\n{steps}"),
        );
    };
    let check = |i: usize| format!("  - id: s{i}\n    check: [\"run.name != '{i}'\"]\n");
    book("one", &check, 1);
    book("checks", &check, STEPS);
    book(
        "reads",
        &|i| {
            format!(
                "  - id: s{i}\n    sql.query: {{on: db, \
                 query: 'SELECT value FROM t WHERE id = :id', params: {{id: {i}}}}}\n"
            )
        },
        STEPS,
    );
    book(
        "changes",
        &|i| {
            format!(
                "  - id: s{i}\n    sql.update: {{on: db, table: t, where: {{id: {i}}}, \
                 set: {{value: '{{{{ run.id }}}}'}}, rows: 1}}\n"
            )
        },
        STEPS,
    );
    block(async {
        let mut db = open(&folder.join("bench.db")).await;
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, value TEXT)").await.expect("a table");
        for i in 0..STEPS {
            let insert = sqlx::query("INSERT INTO t VALUES (?, 'x')").bind(i as i64);
            insert.execute(&mut db).await.expect("a row");
        }
    });
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

async fn open(path: &Path) -> SqliteConnection {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    SqliteConnection::connect_with(&options).await.expect("a database")
}

/// So many commits, each on the disk before the next begins.
fn commits(folder: &Path, count: usize) -> Duration {
    block(async {
        let mut db = open(&folder.join("floor.db")).await;
        db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body TEXT)")
            .await
            .expect("a table");
        let begin = Instant::now();
        for _ in 0..count {
            sqlx::query("INSERT INTO t (body) VALUES (?)")
                .bind("x".repeat(500))
                .execute(&mut db)
                .await
                .expect("a commit");
        }
        begin.elapsed()
    })
}

fn selects(folder: &Path, count: usize) -> Duration {
    block(async {
        let mut db = open(&folder.join("bench.db")).await;
        let begin = Instant::now();
        for i in 0..count {
            sqlx::query("SELECT value FROM t WHERE id = ?")
                .bind(i as i64)
                .fetch_all(&mut db)
                .await
                .expect("a row");
        }
        begin.elapsed()
    })
}
