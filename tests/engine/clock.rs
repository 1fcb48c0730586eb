//! Time that goes on only when everybody waits, and ports behind which is nothing.
//!
//! Owns determinism: no real time passes, and one order of events comes of one test. Must not know
//! what is tried.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use runward::{
    base::{Digest, Secret, Timestamp, time},
    diagnostics::codes,
    model::Fault,
    ports::{
        Clock, Seal, Secrets, Transports,
        transport::{Command, CommandOutput, HttpTarget, Processes, SqlTarget, SshTarget},
    },
};

/// How often somebody who waits lets the others go first, before time may pass.
const PATIENCE: usize = 3;
/// A test in which more time than this passes waits for something that never comes.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(6 * 3600);

/// A clock that jumps to the next moment for which somebody waits, once nobody has anything else
/// to do. Needs a runtime of one thread.
pub struct VirtualClock {
    begun: Timestamp,
    times: Mutex<Times>,
}

struct Times {
    now: Timestamp,
    waiting: BTreeMap<u64, Timestamp>,
    tickets: u64,
    ids: u64,
}

impl VirtualClock {
    /// Begins at this time; ids are numbered from `ids`.
    pub fn at(now: Timestamp, ids: u64) -> Self {
        let times = Times { now, waiting: BTreeMap::new(), tickets: 0, ids };
        Self { begun: now, times: Mutex::new(times) }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time passes while nobody waits.
    pub fn pass(&self, span: std::time::Duration) {
        let mut times = self.times();
        times.now = time::after(times.now, span);
    }

    /// Has this time come? It comes when it is the next one.
    fn comes(&self, at: Timestamp) -> bool {
        let mut times = self.times();
        if times.now < at {
            if times.waiting.values().any(|other| *other < at) {
                return false;
            }
            times.now = at;
        }
        let passed = time::between(self.begun, times.now);
        assert!(passed < LIMIT, "the run waits for something that never comes");
        true
    }
}

/// Somebody's place among those who wait; given up when they stop waiting.
struct Ticket<'a>(&'a VirtualClock, u64);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.times().waiting.remove(&self.1);
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.times().now
    }

    async fn until(&self, at: Timestamp) {
        let ticket = {
            let mut times = self.times();
            times.tickets += 1;
            let number = times.tickets;
            times.waiting.insert(number, at);
            Ticket(self, number)
        };
        loop {
            for _ in 0..PATIENCE {
                tokio::task::yield_now().await;
            }
            if self.comes(at) {
                break;
            }
        }
        drop(ticket);
    }

    fn new_id(&self) -> String {
        let mut times = self.times();
        times.ids += 1;
        format!("00000000-0000-7000-8000-{:012x}", times.ids)
    }
}

/// Digests that depend on a key, and sealing that any test can read.
pub struct PlainSeal;

impl Seal for PlainSeal {
    fn digest(&self, data: &[u8]) -> Digest {
        Digest::of_parts([b"key".as_slice(), data])
    }

    fn seal(&self, data: &[u8]) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(data).into_owned())
    }

    fn open(&self, sealed: &str) -> Result<Vec<u8>, Fault> {
        Ok(sealed.as_bytes().to_vec())
    }
}

/// No secrets.
pub struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn fetch(&self, name: &str) -> Result<Secret, Fault> {
        Err(Fault::untouched(codes::RW0714, format!("there is no secret `{name}`")))
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// No targets.
pub struct NoTransports;

fn nowhere<T>(target: &str) -> Result<T, Fault> {
    Err(Fault::untouched(codes::RW0403, format!("there is no target `{target}`")))
}

#[async_trait]
impl Transports for NoTransports {
    async fn sql(&self, target: &str) -> Result<Arc<dyn SqlTarget>, Fault> {
        nowhere(target)
    }

    async fn http(&self, target: &str) -> Result<Arc<dyn HttpTarget>, Fault> {
        nowhere(target)
    }

    async fn ssh(&self, target: &str) -> Result<Arc<dyn SshTarget>, Fault> {
        nowhere(target)
    }

    fn processes(&self) -> Arc<dyn Processes> {
        Arc::new(Self)
    }

    async fn close(&self) {}
}

#[async_trait]
impl Processes for NoTransports {
    async fn exec(
        &self,
        program: &[String],
        _folder: std::path::PathBuf,
        _command: Command,
    ) -> Result<CommandOutput, Fault> {
        nowhere(&program.join(" "))
    }
}
