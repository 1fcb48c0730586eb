//! Where secrets come from.

use async_trait::async_trait;

use crate::{base::Secret, model::Fault};

/// Fetches secrets by the names that the project file gives them. Each is fetched once per
/// process, so that one run sees one value, and is known to the redactor before it is returned.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret of this name. Faults are `RW0714` and leave the world untouched.
    async fn fetch(&self, name: &str) -> Result<Secret, Fault>;
    /// Every secret that the project defines.
    fn names(&self) -> Vec<String>;
}
