//! What every journal must do, as tests over the port.
//!
//! Owns the cases that all stores share. Must not know a concrete store.

use std::{future::Future, sync::Arc};

use crate::{
    base::{Digest, NodeId, RunId, Timestamp},
    model::{
        event::{Event, Operator, RunCreated},
        input::Message,
    },
    ports::{
        Store,
        store::{Lease, StoreError, Summary},
    },
};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

pub(crate) fn created() -> Event {
    Event::RunCreated(Box::new(RunCreated {
        format: 1,
        version: "0".into(),
        journal: "j".into(),
        name: "Raise the limit".into(),
        runbook: "runbooks/limit.yaml".into(),
        runbook_digest: Digest::of(b"runbook"),
        files: vec![("runbooks/limit.yaml".into(), "version: 1\n".into())],
        project: ("runward.yaml".into(), "version: 1\n".into()),
        project_digest: Digest::of(b"project"),
        folder: "/srv".into(),
        environment: "local".into(),
        inputs: [("limit".to_owned(), crate::base::Value::Int(3))].into_iter().collect(),
        sealed_inputs: indexmap::IndexMap::new(),
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

pub(crate) fn note(text: &str) -> Event {
    Event::NoteWritten { node: NodeId::new("note"), text: text.into() }
}

/// The events, all of one time.
pub(crate) fn dated(at: Timestamp, events: &[Event]) -> Vec<(Timestamp, Event)> {
    events.iter().map(|event| (at, event.clone())).collect()
}

pub(crate) fn id(name: &str) -> RunId {
    RunId(name.into())
}

pub(crate) fn summary(status: &str) -> Summary {
    Summary { name: "Raise the limit".into(), status: status.into(), ..Summary::default() }
}

pub(crate) async fn start(store: &dyn Store, name: &str, second: i64) -> Lease {
    let (run, events) = (id(name), [created()]);
    store.create(&run, "one", &dated(at(second), &events), &summary("running")).await.unwrap().0
}

/// Every case, each with a journal of its own.
pub(crate) async fn all<F: Future<Output = Arc<dyn Store>>>(open: impl Fn() -> F) {
    appended_events_are_read(&*open().await).await;
    an_append_has_one_place(&*open().await).await;
    one_process_holds_a_run(&*open().await).await;
    an_old_lease_changes_nothing(&*open().await).await;
    messages_keep_their_order(&*open().await).await;
    runs_are_listed_newest_first(&*open().await).await;
    locks_are_taken_all_or_none(&*open().await).await;
    locks_of_a_run_that_is_over_are_free(&*open().await).await;
    what_is_not_there_is_said(&*open().await).await;
    concurrent_appends_make_one_chain(open().await).await;
}

async fn appended_events_are_read(store: &dyn Store) {
    let run = id("r");
    let events = [created(), note("first")];
    let (lease, made) =
        store.create(&run, "one", &dated(at(0), &events), &summary("running")).await.unwrap();
    let more = [note("second"), note("‹third› \"\u{0}'")];
    let later = Timestamp::new(at(1).as_second(), 123_456_789).unwrap();
    let added = store.append(&lease, 2, &dated(later, &more), &summary("waiting")).await.unwrap();
    let read = store.read(&run, 0).await.unwrap();
    assert_eq!(read, [made, added.clone()].concat());
    assert_eq!(read.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((read[2].at, &read[3].event), (later, &more[1]));
    assert_eq!(store.read(&run, 3).await.unwrap(), added);
    assert_eq!(store.read(&run, 5).await.unwrap(), []);
    let listed = store.list(9).await.unwrap();
    assert_eq!(listed[0].1.status, "waiting");
    assert_eq!(listed[0].1.head.as_ref(), Some(&read[3].hash));
    assert!(!store.journal_id().await.unwrap().is_empty());
}

async fn an_append_has_one_place(store: &dyn Store) {
    let lease = start(store, "r", 0).await;
    for after in [0, 2, 99] {
        let refused = store.append(&lease, after, &dated(at(1), &[note("x")]), &summary("")).await;
        assert!(matches!(refused, Err(StoreError::Lost)), "{after}: {refused:?}");
    }
    store.append(&lease, 1, &dated(at(1), &[note("x")]), &summary("running")).await.unwrap();
    assert!(store.append(&lease, 1, &dated(at(1), &[note("x")]), &summary("")).await.is_err());
    let read = store.read(&id("r"), 0).await.unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(store.list(1).await.unwrap()[0].1.status, "running");
    let again = store.create(&id("r"), "two", &dated(at(2), &[created()]), &summary("")).await;
    assert!(matches!(again, Err(StoreError::Unusable(_))), "{again:?}");
    let headless = store.create(&id("s"), "two", &dated(at(2), &[note("x")]), &summary("")).await;
    assert!(matches!(headless, Err(StoreError::Unusable(_))), "{headless:?}");
    assert!(matches!(store.read(&id("s"), 0).await, Err(StoreError::NoRun(_))));
}

async fn one_process_holds_a_run(store: &dyn Store) {
    let run = id("r");
    let lease = start(store, "r", 0).await;
    assert_eq!(store.holder(&run, at(29)).await.unwrap().as_deref(), Some("one"));
    match store.claim(&run, "two", None, at(29)).await {
        Err(StoreError::Held { holder, until }) => {
            assert_eq!((holder.as_str(), until), ("one", at(30)));
        }
        other => panic!("{other:?}"),
    }
    store.renew(&lease, at(20)).await.unwrap();
    assert!(store.claim(&run, "two", None, at(49)).await.is_err());
    // The same holder in a new process is another holder too.
    assert!(store.claim(&run, "one", None, at(49)).await.is_err());
    assert_eq!(store.holder(&run, at(50)).await.unwrap(), None);
    let taken = store.claim(&run, "two", None, at(50)).await.unwrap();
    assert_eq!(taken.epoch, lease.epoch + 1);
    store.release(&taken).await.unwrap();
    assert_eq!(store.holder(&run, at(51)).await.unwrap(), None);
    let third = store.claim(&run, "three", None, at(51)).await.unwrap();
    assert_eq!(third.epoch, lease.epoch + 2);
}

async fn an_old_lease_changes_nothing(store: &dyn Store) {
    let run = id("r");
    let old = start(store, "r", 0).await;
    let new = store.claim(&run, "one", None, at(60)).await.unwrap();
    let lost = store.append(&old, 1, &dated(at(61), &[note("x")]), &summary("")).await;
    assert!(matches!(lost, Err(StoreError::Lost)), "{lost:?}");
    assert!(matches!(store.renew(&old, at(61)).await, Err(StoreError::Lost)));
    assert!(matches!(store.lock(&old, &["a".into()], at(61)).await, Err(StoreError::Lost)));
    store.release(&old).await.unwrap();
    assert_eq!(store.holder(&run, at(62)).await.unwrap().as_deref(), Some("one"));
    store.append(&new, 1, &dated(at(62), &[note("y")]), &summary("")).await.unwrap();
    store.release(&new).await.unwrap();
    assert!(matches!(
        store.append(&new, 2, &dated(at(63), &[note("z")]), &summary("")).await,
        Err(StoreError::Lost)
    ));
    assert_eq!(store.read(&run, 0).await.unwrap().len(), 2);
}

async fn messages_keep_their_order(store: &dyn Store) {
    start(store, "r", 0).await;
    start(store, "s", 0).await;
    let cancel = |reason: &str| Message::Cancel { by: "ana".into(), reason: reason.into() };
    for (run, reason) in [("r", "a"), ("s", "b"), ("r", "c"), ("r", "d")] {
        store.post(&id(run), at(1), &cancel(reason)).await.unwrap();
    }
    let all = store.inbox(&id("r"), 0).await.unwrap();
    let messages: Vec<_> = all.iter().map(|(_, m)| m.clone()).collect();
    assert_eq!(messages, [cancel("a"), cancel("c"), cancel("d")]);
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0) && all[0].0 > 0);
    assert_eq!(store.inbox(&id("r"), all[0].0).await.unwrap(), all[1..]);
    assert_eq!(store.inbox(&id("r"), all[2].0).await.unwrap(), []);
    assert_eq!(store.inbox(&id("s"), 0).await.unwrap().len(), 1);
}

async fn runs_are_listed_newest_first(store: &dyn Store) {
    for (name, second) in [("b", 5), ("a", 9), ("c", 1), ("d", 5)] {
        start(store, name, second).await;
    }
    let names = |runs: Vec<(RunId, Summary)>| runs.into_iter().map(|r| r.0.0).collect::<Vec<_>>();
    assert_eq!(names(store.list(9).await.unwrap()), ["a", "d", "b", "c"]);
    assert_eq!(names(store.list(2).await.unwrap()), ["a", "d"]);
    assert_eq!(names(store.list(usize::MAX).await.unwrap()).len(), 4);
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&n| n.to_owned()).collect()
}

async fn locks_are_taken_all_or_none(store: &dyn Store) {
    let (r, s) = (start(store, "r", 0).await, start(store, "s", 0).await);
    store.lock(&r, &names(&["a", "b"]), at(1)).await.unwrap();
    store.lock(&r, &names(&["b"]), at(1)).await.unwrap();
    match store.lock(&s, &names(&["c", "b", "a"]), at(1)).await {
        Err(StoreError::Locked { name, run }) => assert_eq!((name.as_str(), run), ("b", id("r"))),
        other => panic!("{other:?}"),
    }
    // `c` was not kept.
    store.lock(&r, &names(&["c"]), at(1)).await.unwrap();
    store.unlock(&id("r")).await.unwrap();
    store.lock(&s, &names(&["a", "b", "c"]), at(1)).await.unwrap();
    store.unlock(&id("r")).await.unwrap();
    assert!(store.lock(&r, &names(&["a"]), at(1)).await.is_err());
}

async fn locks_of_a_run_that_is_over_are_free(store: &dyn Store) {
    let (r, s) = (start(store, "r", 0).await, start(store, "s", 500).await);
    store.lock(&r, &names(&["a"]), at(1)).await.unwrap();
    // Nobody holds the run, but it is not over: what it changed may not stay.
    assert!(store.lock(&s, &names(&["a"]), at(500)).await.is_err());
    store.append(&r, 1, &dated(at(2), &[note("x")]), &summary("in_doubt")).await.unwrap();
    assert!(store.lock(&s, &names(&["a"]), at(500)).await.is_err());
    store.append(&r, 2, &dated(at(3), &[note("x")]), &summary("failed")).await.unwrap();
    // It is over, but its process is still there.
    assert!(store.lock(&s, &names(&["a"]), at(4)).await.is_err());
    store.lock(&s, &names(&["a"]), at(500)).await.unwrap();
    store.unlock(&id("r")).await.unwrap();
    assert!(store.lock(&r, &names(&["a"]), at(501)).await.is_err());
}

async fn what_is_not_there_is_said(store: &dyn Store) {
    let run = id("nowhere");
    let lease = Lease { run: run.clone(), holder: "one".into(), epoch: 1 };
    let message = Message::Cancel { by: "ana".into(), reason: String::new() };
    let missing = |result: Result<(), StoreError>| {
        assert!(
            matches!(result, Err(StoreError::NoRun(ref name)) if name == "nowhere"),
            "{result:?}"
        );
    };
    missing(store.read(&run, 0).await.map(drop));
    missing(store.append(&lease, 0, &dated(at(0), &[created()]), &summary("")).await.map(drop));
    missing(store.claim(&run, "one", None, at(0)).await.map(drop));
    missing(store.renew(&lease, at(0)).await);
    missing(store.release(&lease).await);
    missing(store.holder(&run, at(0)).await.map(drop));
    missing(store.post(&run, at(0), &message).await);
    missing(store.inbox(&run, 0).await.map(drop));
    missing(store.lock(&lease, &names(&["a"]), at(0)).await);
    assert_eq!(store.list(9).await.unwrap(), []);
}

/// Of many who append behind the same event, one succeeds.
async fn concurrent_appends_make_one_chain(store: Arc<dyn Store>) {
    let lease = start(&*store, "r", 0).await;
    for round in 1..=5 {
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let (store, lease) = (store.clone(), lease.clone());
                tokio::spawn(async move {
                    let event = [note(&format!("{round} {i}"))];
                    store.append(&lease, round, &dated(at(1), &event), &summary("running")).await
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => won += 1,
                Err(StoreError::Lost) => {}
                Err(e) => panic!("{e}"),
            }
        }
        assert_eq!(won, 1);
    }
    assert_eq!(store.read(&id("r"), 0).await.unwrap().len(), 6);
}
