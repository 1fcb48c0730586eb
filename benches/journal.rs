//! What an append to the journal costs, next to the disk's own price for a durable write:
//! `cargo bench --bench journal`.
//!
//! Owns the measurement. It depends on the machine, so that it is no test.

// What can't be measured panics; a measurement is printed.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use runward::{
    base::{Digest, NodeId, RunId, Timestamp},
    model::event::{Event, FORMAT, Operator, RunCreated},
    ports::{Store, store::Summary},
    store::SqliteStore,
};

const APPENDS: u32 = 500;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let appends = runtime.expect("a runtime").block_on(appends(&folder.path().join("journal.db")));
    let bare = durable_writes(&folder.path().join("bare"));
    println!("an append: {:?}; a write of 8 KiB with fdatasync: {:?}", per(appends), per(bare));
}

fn per(all: Duration) -> Duration {
    all / APPENDS
}

async fn appends(path: &Path) -> Duration {
    let store = SqliteStore::open(path).await.expect("a journal");
    let run = RunId("measured".into());
    let at = Timestamp::UNIX_EPOCH;
    let summary = Summary { name: "Measured".into(), ..Summary::default() };
    let (lease, _) =
        store.create(&run, "bench", &[(at, created())], &summary).await.expect("a run");
    let note = Event::NoteWritten { node: NodeId::new("note"), text: "x".repeat(200) };
    let start = Instant::now();
    for after in 1..=u64::from(APPENDS) {
        let event = [(at, note.clone())];
        store.append(&lease, after, &event, &summary).await.expect("an append");
    }
    let taken = start.elapsed();
    let events = store.read(&run, 0).await.expect("the run").len();
    assert_eq!(events, APPENDS as usize + 1);
    taken
}

fn durable_writes(path: &Path) -> Duration {
    let mut file = File::create(path).expect("a file");
    let start = Instant::now();
    for _ in 0..APPENDS {
        file.write_all(&[7; 8192]).expect("a write");
        file.sync_data().expect("a durable write");
    }
    start.elapsed()
}

fn created() -> Event {
    Event::RunCreated(Box::new(RunCreated {
        sealed_inputs: Default::default(),
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        journal: "journal".into(),
        name: "Measured".into(),
        runbook: "runbooks/measured.yaml".into(),
        runbook_digest: Digest::of(b"runbook"),
        files: Vec::new(),
        project: ("runward.yaml".into(), String::new()),
        project_digest: Digest::of(b"project"),
        folder: "/srv".into(),
        environment: "local".into(),
        inputs: [].into_iter().collect(),
        operator: Operator {
            name: "ana@example.com".into(),
            login: "ana".into(),
            host: "desk".into(),
            key: None,
            signature: None,
        },
        plan: false,
        undoes: None,
    }))
}
