//! A few connections, kept for the next statement.
//!
//! Owns which connection is in use, idle or being ended. Must not know SQL.
//!
//! Not sqlx's own pool: that one tries a refused connection again until its time is out and then
//! can't say why, and takes a connection back while its statement still runs on the server. Here
//! a connection that is dropped in the middle of something is cancelled and closed.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};

use crate::{model::target::SqlEngine, sql::engine_name};

/// Connections to one database at one time.
const CONNECTIONS: usize = 4;
/// For connecting, and for getting one of the connections.
const PATIENCE: Duration = Duration::from_secs(10);
/// For asking an idle connection whether it is alive, and for ending one.
const COURTESY: Duration = Duration::from_secs(3);

/// How connections are made and ended.
#[async_trait]
pub(super) trait Dial: Send + Sync + 'static {
    /// Which database it is.
    const ENGINE: SqlEngine;
    /// A connection.
    type Link: Send + 'static;
    /// Connects, and sets up what every statement relies on.
    async fn dial(&self) -> Result<Self::Link, Error>;
    /// Is it usable?
    async fn alive(&self, link: &mut Self::Link) -> bool;
    /// Ends it, politely.
    async fn close(&self, link: Self::Link);
    /// Stops whatever it is doing on the server, then ends it.
    async fn cancel(&self, link: Self::Link);
    /// The first thing that is done when a link is given up, before any waiting.
    fn interrupt(&self, link: &Self::Link) {
        let _ = link;
    }
}

/// The connections to one database.
pub(super) struct Pool<D: Dial> {
    dial: D,
    idle: Mutex<Vec<D::Link>>,
    permits: Arc<Semaphore>,
    endings: Mutex<JoinSet<()>>,
}

impl<D: Dial> Pool<D> {
    /// Without any connection yet.
    pub(super) fn new(dial: D) -> Arc<Self> {
        Arc::new(Self {
            dial,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            endings: Mutex::default(),
        })
    }

    /// An idle connection that still lives, or a new one.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease<D>, Error> {
        let permit = timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| Error::PoolTimedOut)?
            .map_err(|_| Error::PoolClosed)?;
        let lease = |link| Lease { link: Some(link), pool: Arc::clone(self), _permit: permit };
        loop {
            let Some(mut link) = lock(&self.idle).pop() else { break };
            if timeout(COURTESY, self.dial.alive(&mut link)).await == Ok(true) {
                return Ok(lease(link));
            }
        }
        match timeout(PATIENCE, self.dial.dial()).await {
            Ok(link) => {
                tracing::info!(
                    engine = engine_name(D::ENGINE),
                    made = link.is_ok(),
                    "a new connection"
                );
                link.map(lease)
            }
            Err(_) => Err(Error::Io(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Closes all connections, and waits for those that are still being ended.
    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *lock(&self.idle));
        for link in idle {
            drop(timeout(COURTESY, self.dial.close(link)).await);
        }
        let mut endings = std::mem::take(&mut *lock(&self.endings));
        while endings.join_next().await.is_some() {}
    }

    /// Does it in the background; `close` waits for it. Outside of a runtime it is not done, and
    /// dropping the connection has to do.
    fn later(&self, ending: impl Future<Output = ()> + Send + 'static) {
        if let Ok(handle) = tokio::runtime::Handle::try_current() {
            let mut endings = lock(&self.endings);
            while endings.try_join_next().is_some() {}
            endings.spawn_on(ending, &handle);
        }
    }
}

/// A connection in use. Dropping it cancels what it is doing and closes it.
pub(super) struct Lease<D: Dial> {
    link: Option<D::Link>,
    pool: Arc<Pool<D>>,
    _permit: OwnedSemaphorePermit,
}

impl<D: Dial> Lease<D> {
    /// The connection; `None` never, but for the compiler.
    pub(super) fn link(&mut self) -> Result<&mut D::Link, Error> {
        self.link.as_mut().ok_or(Error::PoolClosed)
    }

    /// Gives it back: nothing is open on it.
    pub(super) fn release(mut self) {
        if let Some(link) = self.link.take()
            && !self.pool.permits.is_closed()
        {
            lock(&self.pool.idle).push(link);
        }
    }
}

impl<D: Dial> Drop for Lease<D> {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            self.pool.dial.interrupt(&link);
            let pool = Arc::clone(&self.pool);
            self.pool.later(async move {
                drop(timeout(COURTESY, pool.dial.cancel(link)).await);
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under the locks can leave the lists half-changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
