//! The chain: each event's hash covers the event before it, and the first covers journal and run.
//!
//! Owns the hash and its verification. Pure; must not know where rows are kept.
//!
//! A chain shows a changed, swapped or missing event. It does not show a tail that was cut off
//! together with the run's summary, nor a file that was put back as a whole: for that, heads are
//! anchored outside of the journal.

use crate::{
    base::{Digest, RunId, Seq, Timestamp},
    model::event::{Event, Recorded},
    ports::store::StoreError,
};

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Position in the run, from 1.
    pub seq: Seq,
    /// When, as `stamp` writes it.
    pub at: String,
    /// The event's JSON. Its bytes are what is hashed.
    pub body: String,
    /// The event's hash.
    pub hash: Digest,
}

/// An instant with all of its nine decimals, so that the order of texts is the order of times.
pub fn stamp(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// What the first event of a run follows.
pub fn genesis(journal: &str, run: &RunId) -> Digest {
    Digest::of_parts([b"runward journal".as_slice(), journal.as_bytes(), run.0.as_bytes()])
}

/// The hash of an event that follows `previous`.
pub fn link(previous: &Digest, seq: Seq, at: &str, body: &str) -> Digest {
    Digest::of_parts([previous.0.as_bytes(), &seq.to_be_bytes(), at.as_bytes(), body.as_bytes()])
}

/// When the first of these events happened.
///
/// # Errors
///
/// `Unusable` when there is none.
pub fn first_time(events: &[(Timestamp, Event)]) -> Result<Timestamp, StoreError> {
    let first = events.first().map(|(at, _)| *at);
    first.ok_or_else(|| StoreError::Unusable("a run must begin with `run.created`".into()))
}

/// Rows for these events, behind the event `after` whose hash is `previous`.
///
/// # Errors
///
/// `Unusable` when an event has no JSON form, or when the first of a run is not `run.created`.
pub fn extend(
    previous: Digest,
    after: Seq,
    events: &[(Timestamp, Event)],
) -> Result<Vec<(Row, Recorded)>, StoreError> {
    if after == 0 && !matches!(events.first(), Some((_, Event::RunCreated(_)))) {
        return Err(StoreError::Unusable("a run must begin with `run.created`".into()));
    }
    let mut head = previous;
    let mut seq = after;
    events
        .iter()
        .map(|(at, event)| {
            let at_text = stamp(*at);
            let body = serde_json::to_string(event)
                .map_err(|e| StoreError::Unusable(format!("an event can't be written: {e}")))?;
            seq += 1;
            head = link(&head, seq, &at_text, &body);
            let row = Row { seq, at: at_text, body, hash: head.clone() };
            let recorded = Recorded { seq, at: *at, event: event.clone(), hash: head.clone() };
            Ok((row, recorded))
        })
        .collect()
}

/// Reads rows, checking that none is missing, changed or out of its place, and that the newest is
/// the one that the run's summary knows.
///
/// # Errors
///
/// `Damaged`, with the run and the number of the first event that is wrong.
pub fn verify(
    journal: &str,
    run: &RunId,
    rows: Vec<Row>,
    head: Option<&Digest>,
) -> Result<Vec<Recorded>, StoreError> {
    let mut previous = genesis(journal, run);
    let mut events = Vec::with_capacity(rows.len());
    for (expected, row) in (1..).zip(rows) {
        let damaged =
            |why: &str| StoreError::Damaged(format!("run {run}, event {expected}: {why}"));
        if row.seq != expected {
            return Err(damaged(&format!("it is missing; event {} comes instead", row.seq)));
        }
        if link(&previous, row.seq, &row.at, &row.body) != row.hash {
            return Err(damaged("it was changed: it does not match its hash"));
        }
        let at = row.at.parse().map_err(|_| damaged("its time can't be read"))?;
        let event: Event = serde_json::from_str(&row.body).map_err(|e| {
            damaged(&format!("this version of runward does not know what it says ({e})"))
        })?;
        if expected == 1 && !matches!(event, Event::RunCreated(_)) {
            return Err(damaged("the first event must be `run.created`"));
        }
        previous = row.hash.clone();
        events.push(Recorded { seq: row.seq, at, event, hash: row.hash });
    }
    if events.is_empty() {
        return Err(StoreError::Damaged(format!("run {run} has no events")));
    }
    if head != Some(&previous) {
        return Err(StoreError::Damaged(format!(
            "run {run}: the newest event is {}, which is not the one that the run's summary names; \
             events are missing at the end, or the summary was changed",
            events.len()
        )));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::{at, created, dated, note};

    fn rows() -> Vec<Row> {
        let start = genesis("j", &RunId("r".into()));
        let events = [created(), note("one"), note("two"), note("three")];
        extend(start, 0, &dated(at(1), &events)).unwrap().into_iter().map(|(row, _)| row).collect()
    }

    fn check(rows: Vec<Row>, head: &Digest) -> Result<Vec<Recorded>, String> {
        verify("j", &RunId("r".into()), rows, Some(head)).map_err(|e| e.to_string())
    }

    #[test]
    fn stamps_sort_like_times() {
        let early: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let late: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        assert!(stamp(early) < stamp(late));
        assert_eq!(stamp(late).parse::<Timestamp>().unwrap(), late);
    }

    #[test]
    fn a_whole_chain_is_read() {
        let rows = rows();
        let head = rows[3].hash.clone();
        let events = check(rows, &head).unwrap();
        assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(events[2].event, note("two"));
    }

    #[test]
    fn any_change_shows_with_the_event_s_number() {
        let whole = rows();
        let head = whole[3].hash.clone();
        let broken = |change: &dyn Fn(&mut Vec<Row>)| {
            let mut rows = whole.clone();
            change(&mut rows);
            check(rows, &head).unwrap_err()
        };
        assert!(broken(&|r| r[1].body = r[1].body.replace("one", "ten")).contains("event 2"));
        assert!(broken(&|r| r[2].at = stamp(at(9))).contains("event 3"));
        assert!(broken(&|r| r[2].hash = r[1].hash.clone()).contains("event 3"));
        assert!(broken(&|r| drop(r.remove(1))).contains("event 2"));
        assert!(broken(&|r| drop(r.remove(0))).contains("event 1"));
        assert!(broken(&|r| drop(r.pop())).contains("summary"));
        assert!(broken(&|r| r.swap(1, 2)).contains("event 2"));
        assert!(broken(&|r| r.clear()).contains("no events"));
        assert!(
            broken(&|r| {
                let (a, b) = (r[1].body.clone(), r[2].body.clone());
                (r[1].body, r[2].body) = (b, a);
            })
            .contains("event 2")
        );
    }

    #[test]
    fn a_chain_belongs_to_its_journal_and_run() {
        let rows = rows();
        let head = rows[3].hash.clone();
        let moved = verify("other", &RunId("r".into()), rows.clone(), Some(&head));
        assert!(moved.unwrap_err().to_string().contains("event 1"));
        let moved = verify("j", &RunId("other".into()), rows, Some(&head));
        assert!(moved.unwrap_err().to_string().contains("event 1"));
    }

    #[test]
    fn a_run_begins_with_its_creation() {
        let start = genesis("j", &RunId("r".into()));
        assert!(extend(start, 0, &dated(at(1), &[note("one")])).is_err());
    }
}
