//! Journals: SQLite for real runs, memory for plans and tests.
//!
//! Owns how events, leases, messages and locks are kept, and how damage shows. Must not know what
//! an event means.

pub mod chain;
mod files;
pub mod memory;
mod schema;
pub mod sqlite;
#[cfg(test)]
mod suite;

use std::sync::Arc;

pub use self::{memory::MemoryStore, sqlite::SqliteStore};
use crate::{
    model::{event::RunStatus, project::StoreAddress},
    ports::{Store, store::StoreError},
};

/// Opens the journal at this address; makes it when it is not there.
///
/// # Errors
///
/// `Damaged` when the file is not a journal or not as runward made it, `Unusable` when it can't be
/// read or written, or others could.
pub async fn open(address: &StoreAddress) -> Result<Arc<dyn Store>, StoreError> {
    match address {
        StoreAddress::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path).await?)),
    }
}

/// May the locks of a run with this status be taken over, when nobody holds the run?
///
/// Not of one in doubt: what it has changed is not known yet.
fn is_over(status: &str) -> bool {
    [
        RunStatus::Succeeded,
        RunStatus::Failed,
        RunStatus::RolledBack,
        RunStatus::RollbackIncomplete,
        RunStatus::Refused,
        RunStatus::Cancelled,
    ]
    .iter()
    .any(|over| over.as_str() == status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_doubt_is_not_over() {
        assert!(is_over("rolled_back") && is_over("failed"));
        assert!(!is_over("in_doubt") && !is_over("waiting") && !is_over(""));
    }
}
