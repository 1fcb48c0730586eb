//! A journal in memory, for plans and tests. It is gone with its process.
//!
//! Owns the same rules as SQLite's, over maps. Must not know SQL or files.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    chain::{self, Row},
    is_over,
};
use crate::{
    base::{Digest, RunId, Seq, Timestamp, time},
    model::{
        event::{Event, Recorded},
        input::Message,
    },
    ports::{
        Store,
        store::{LEASE_TIME, Lease, StoreError, Summary},
    },
};

/// The journal.
pub struct MemoryStore {
    journal: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    inbox: Vec<(RunId, Message)>,
    locks: BTreeMap<String, RunId>,
}

struct Run {
    created: Timestamp,
    summary: Summary,
    rows: Vec<Row>,
    epoch: u64,
    /// Who, and until when.
    holder: Option<(String, Timestamp)>,
}

impl Run {
    fn held(&self, now: Timestamp) -> Option<&(String, Timestamp)> {
        self.holder.as_ref().filter(|(_, until)| *until > now)
    }

    fn belongs_to(&self, lease: &Lease) -> bool {
        let same = self.holder.as_ref().is_some_and(|(holder, _)| *holder == lease.holder);
        same && self.epoch == lease.epoch
    }

    fn append(
        &mut self,
        previous: Digest,
        events: &[(Timestamp, Event)],
        summary: &Summary,
    ) -> Result<Vec<Recorded>, StoreError> {
        let after = self.rows.len() as Seq;
        let head = previous.clone();
        let (rows, recorded): (Vec<Row>, Vec<Recorded>) =
            chain::extend(previous, after, events)?.into_iter().unzip();
        self.rows.extend(rows);
        let head = self.rows.last().map_or(head, |row| row.hash.clone());
        self.summary = Summary { head: Some(head), ..summary.clone() };
        Ok(recorded)
    }
}

impl State {
    fn run(&mut self, run: &RunId) -> Result<&mut Run, StoreError> {
        self.runs.get_mut(run).ok_or_else(|| StoreError::NoRun(run.0.clone()))
    }

    fn leased(&mut self, lease: &Lease) -> Result<&mut Run, StoreError> {
        let run = self.run(&lease.run)?;
        if run.belongs_to(lease) { Ok(run) } else { Err(StoreError::Lost) }
    }
}

impl MemoryStore {
    /// An empty journal of this identity.
    pub fn new(journal: impl Into<String>) -> Self {
        Self { journal: journal.into(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn journal_id(&self) -> Result<String, StoreError> {
        Ok(self.journal.clone())
    }

    async fn create(
        &self,
        run: &RunId,
        holder: &str,
        events: &[(Timestamp, Event)],
        summary: &Summary,
    ) -> Result<(Lease, Vec<Recorded>), StoreError> {
        let at = chain::first_time(events)?;
        let mut state = self.state();
        if state.runs.contains_key(run) {
            return Err(StoreError::Unusable(format!("run {run} is in this journal already")));
        }
        let mut new = Run {
            created: at,
            summary: Summary::default(),
            rows: Vec::new(),
            epoch: 1,
            holder: Some((holder.to_owned(), time::after(at, LEASE_TIME))),
        };
        let recorded = new.append(chain::genesis(&self.journal, run), events, summary)?;
        state.runs.insert(run.clone(), new);
        Ok((Lease { run: run.clone(), holder: holder.to_owned(), epoch: 1 }, recorded))
    }

    async fn append(
        &self,
        lease: &Lease,
        after: Seq,
        events: &[(Timestamp, Event)],
        summary: &Summary,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut state = self.state();
        let run = state.leased(lease)?;
        match run.rows.last().map(|row| (row.seq, row.hash.clone())) {
            Some((seq, hash)) if seq == after => run.append(hash, events, summary),
            _ => Err(StoreError::Lost),
        }
    }

    async fn read(&self, run: &RunId, from: Seq) -> Result<Vec<Recorded>, StoreError> {
        let (rows, head) = {
            let mut state = self.state();
            let run = state.run(run)?;
            (run.rows.clone(), run.summary.head.clone())
        };
        let mut events = chain::verify(&self.journal, run, rows, head.as_ref())?;
        events.retain(|event| event.seq >= from);
        Ok(events)
    }

    async fn claim(
        &self,
        run: &RunId,
        holder: &str,
        dead: Option<&str>,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let mut state = self.state();
        let row = state.run(run)?;
        if let Some((holder, until)) = row.held(now).cloned()
            && dead != Some(holder.as_str())
        {
            return Err(StoreError::Held { holder, until });
        }
        row.epoch += 1;
        row.holder = Some((holder.to_owned(), time::after(now, LEASE_TIME)));
        Ok(Lease { run: run.clone(), holder: holder.to_owned(), epoch: row.epoch })
    }

    async fn renew(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let run = state.leased(lease)?;
        run.holder = Some((lease.holder.clone(), time::after(now, LEASE_TIME)));
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut state = self.state();
        let run = state.run(&lease.run)?;
        if run.belongs_to(lease) {
            run.holder = None;
        }
        Ok(())
    }

    async fn holder(&self, run: &RunId, now: Timestamp) -> Result<Option<String>, StoreError> {
        let mut state = self.state();
        Ok(state.run(run)?.held(now).map(|(holder, _)| holder.clone()))
    }

    async fn post(&self, run: &RunId, _at: Timestamp, message: &Message) -> Result<(), StoreError> {
        let mut state = self.state();
        state.run(run)?;
        state.inbox.push((run.clone(), message.clone()));
        Ok(())
    }

    async fn inbox(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Message)>, StoreError> {
        let mut state = self.state();
        state.run(run)?;
        let numbered = (1u64..).zip(&state.inbox);
        Ok(numbered
            .filter(|(number, (to, _))| *number > after && to == run)
            .map(|(number, (_, message))| (number, message.clone()))
            .collect())
    }

    async fn list(&self, limit: usize) -> Result<Vec<(RunId, Summary)>, StoreError> {
        let state = self.state();
        let mut runs: Vec<_> = state.runs.iter().map(|(id, run)| (run.created, id)).collect();
        runs.sort_by(|a, b| b.cmp(a));
        let summary = |id: &RunId| state.runs.get(id).map(|run| (id.clone(), run.summary.clone()));
        Ok(runs.into_iter().take(limit).filter_map(|(_, id)| summary(id)).collect())
    }

    async fn lock(
        &self,
        lease: &Lease,
        names: &[String],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        state.leased(lease)?;
        for name in names {
            let Some(owner) = state.locks.get(name).filter(|owner| **owner != lease.run) else {
                continue;
            };
            let free = state
                .runs
                .get(owner)
                .is_none_or(|run| run.held(now).is_none() && is_over(&run.summary.status));
            if !free {
                return Err(StoreError::Locked { name: name.clone(), run: owner.clone() });
            }
        }
        state.locks.extend(names.iter().map(|name| (name.clone(), lease.run.clone())));
        Ok(())
    }

    async fn unlock(&self, run: &RunId) -> Result<(), StoreError> {
        self.state().locks.retain(|_, owner| owner != run);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::suite;

    #[tokio::test]
    async fn memory_keeps_the_rules_of_every_store() {
        suite::all(|| async { Arc::new(MemoryStore::new("m")) as Arc<dyn Store> }).await;
    }
}
