//! Time and randomness, so that a simulator can own them.

use async_trait::async_trait;

use crate::base::Timestamp;

/// What time it is.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Returns when that time has come.
    async fn until(&self, at: Timestamp);
    /// A new unique id, sortable by time, in UUID text form.
    fn new_id(&self) -> String;
}
