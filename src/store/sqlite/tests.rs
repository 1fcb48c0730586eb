//! What only a file can suffer: tampering, a full disk, other processes, an end half-way.
//!
//! Owns the tests of the SQLite journal beyond those that every store shares.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::*;
use crate::store::suite::{self, at, created, dated, id, note, start, summary};

struct Place {
    _scratch: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(".runward/journal.db");
        Self { _scratch: scratch, path }
    }

    async fn open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.path).await
    }

    /// What somebody with another program could do.
    async fn tamper(&self, statements: &str) {
        let mut connection = schema::connect(&self.path).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// A journal with a run of four events.
async fn journal() -> (Place, SqliteStore, Lease) {
    let place = Place::new();
    let store = place.open().await.unwrap();
    let lease = start(&store, "r", 0).await;
    let events = [note("one"), note("two"), note("three")];
    store.append(&lease, 1, &dated(at(1), &events), &summary("running")).await.unwrap();
    (place, store, lease)
}

fn why<T>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Damaged(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the damage was not seen"),
    }
}

#[tokio::test]
async fn sqlite_keeps_the_rules_of_every_store() {
    let places = std::sync::Mutex::new(Vec::new());
    suite::all(|| async {
        let place = Place::new();
        let store = place.open().await.unwrap();
        places.lock().unwrap().push(place);
        Arc::new(store) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test]
async fn a_journal_is_the_same_after_opening_it_again() {
    let (place, store, lease) = journal().await;
    let (journal, events) =
        (store.journal_id().await.unwrap(), store.read(&id("r"), 0).await.unwrap());
    drop(store);
    let store = place.open().await.unwrap();
    assert_eq!(store.journal_id().await.unwrap(), journal);
    assert_eq!(store.read(&id("r"), 0).await.unwrap(), events);
    store.append(&lease, 4, &dated(at(2), &[note("four")]), &summary("running")).await.unwrap();
    let other = Place::new().open().await.unwrap();
    assert_ne!(other.journal_id().await.unwrap(), journal);
}

#[tokio::test]
async fn every_file_is_private() {
    let (place, _store, _) = journal().await;
    for suffix in ["", "-wal", "-shm"] {
        let file = files::beside(&place.path, suffix);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_new_journal_opened_by_many_at_once_is_one() {
    let place = Place::new();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let path = place.path.clone();
            tokio::spawn(async move { SqliteStore::open(&path).await.unwrap().journal })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[tokio::test]
async fn tampering_with_events_shows() {
    for (statement, event) in [
        ("UPDATE events SET body = replace(body, 'one', 'ten') WHERE seq = 2", "event 2"),
        ("UPDATE events SET at = replace(at, '2026', '2025') WHERE seq = 3", "event 3"),
        ("UPDATE events SET hash = replace(hash, 'a', 'b') WHERE seq = 4", "event 4"),
        ("DELETE FROM events WHERE seq = 1", "event 1"),
        ("DELETE FROM events WHERE seq = 3", "event 3"),
        ("DELETE FROM events WHERE seq = 4", "summary"),
        ("DELETE FROM events", "no events"),
        (
            "UPDATE events SET seq = 9 WHERE seq = 2; UPDATE events SET seq = 2 WHERE seq = 3;
             UPDATE events SET seq = 3 WHERE seq = 9",
            "event 2",
        ),
        ("INSERT INTO events SELECT run, 5, at, body, hash FROM events WHERE seq = 4", "event 5"),
        ("UPDATE runs SET summary = '{}'", "summary"),
        ("UPDATE runs SET summary = json_set(summary, '$.head', 'sha256:00')", "summary"),
        ("UPDATE meta SET value = 'other' WHERE key = 'journal'", "event 1"),
    ] {
        let (place, store, _) = journal().await;
        place.tamper(statement).await;
        if !statement.contains("meta") {
            let live = why(store.read(&id("r"), 0).await);
            assert!(live.contains(event), "{statement}: {live}");
        }
        drop(store);
        let again = why(place.open().await.unwrap().read(&id("r"), 0).await);
        assert!(again.contains(event), "{statement}: {again}");
    }
}

#[tokio::test]
async fn tampering_with_the_schema_shows() {
    for (statement, words) in [
        ("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM locks; END", "a trigger `t`"),
        ("CREATE VIEW v AS SELECT * FROM events", "a view `v`"),
        ("CREATE TABLE extra(x)", "a table `extra`"),
        ("DROP INDEX inbox_by_run", "lost its table or index `inbox_by_run`"),
        ("ALTER TABLE locks ADD COLUMN x TEXT", "another definition of `locks`"),
        ("PRAGMA application_id = 0", "not a journal"),
    ] {
        let (place, store, lease) = journal().await;
        place.tamper(statement).await;
        if !statement.contains("PRAGMA") {
            let refused = store.append(&lease, 4, &dated(at(2), &[note("x")]), &summary("")).await;
            assert!(why(refused).contains(words), "{statement}");
        }
        drop(store);
        assert!(why(place.open().await).contains(words), "{statement}");
    }
}

#[tokio::test]
async fn files_that_are_no_journal_are_refused() {
    let place = Place::new();
    files::prepare(&place.path).unwrap();
    std::fs::write(&place.path, "not a database at all, but long enough for one".repeat(99))
        .unwrap();
    assert!(why(place.open().await).contains("not an SQLite file"));
    let (place, store, _) = journal().await;
    drop(store);
    place.tamper("UPDATE meta SET value = '2' WHERE key = 'schema'").await;
    let newer = place.open().await.err().unwrap();
    assert!(matches!(&newer, StoreError::Unusable(why) if why.contains("newer")), "{newer}");
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_the_chain_whole() {
    let (_place, store, lease) = journal().await;
    {
        let mut writer = store.writer.lock().await;
        let limit = "PRAGMA max_page_count = 16";
        sqlx::query(limit).execute(writer.as_mut().unwrap()).await.unwrap();
    }
    let large = note(&"x".repeat(1 << 20));
    let full = store.append(&lease, 4, &dated(at(2), &[large]), &summary("")).await;
    assert!(
        matches!(&full, Err(StoreError::Unusable(why)) if why.contains("the disk is full")),
        "{full:?}"
    );
    assert_eq!(store.read(&id("r"), 0).await.unwrap().len(), 4);
    store.append(&lease, 4, &dated(at(3), &[note("x")]), &summary("")).await.unwrap();
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_is_whole_or_absent() {
    let (_place, store, lease) = journal().await;
    let mut after = 4;
    for patience in 0..60 {
        let events = [note("a"), note("b")];
        let summary = summary("running");
        let events = dated(at(2), &events);
        let append = store.append(&lease, after, &events, &summary);
        tokio::select! {
            biased;
            done = append => drop(done.unwrap()),
            () = async { for _ in 0..patience { tokio::task::yield_now().await; } } => {}
        }
        let read = store.read(&id("r"), 0).await.unwrap().len() as u64;
        // The commit may be under way still: the next write waits for its end.
        store.unlock(&id("none")).await.unwrap();
        after = store.read(&id("r"), 0).await.unwrap().len() as u64;
        assert!((read == after || read + 2 == after) && after % 2 == 0, "{read} {after}");
    }
}

#[tokio::test]
async fn a_locked_file_is_waited_for() {
    let (place, store, lease) = journal().await;
    let mut other = schema::connect(&place.path).await.unwrap();
    let tx = other.begin_with(WRITE).await.unwrap();
    let waiting = tokio::spawn(async move {
        store.append(&lease, 4, &dated(at(2), &[note("x")]), &summary("")).await.map(|r| r.len())
    });
    tokio::task::yield_now().await;
    tx.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
}

#[test]
fn errors_of_sqlite_are_said_in_plain_words() {
    let shown = schema::failed(Path::new("/j"), &sqlx::Error::Io(std::io::Error::other("x")));
    assert!(matches!(shown, StoreError::Unusable(why) if why.contains("`/j`")));
    assert!(created() != note(""));
}
