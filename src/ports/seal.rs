//! The installation's own key: encryption of undo data, and digests that can't be guessed at.

use crate::{base::Digest, model::Fault};

/// Keyed digests and encryption. Pure but for the key, which is read once.
pub trait Seal: Send + Sync {
    /// A digest of data that may hold secrets or personal data: equal data give equal digests,
    /// and without the key nobody can try values.
    fn digest(&self, data: &[u8]) -> Digest;
    /// Encrypts; text that `open` reads.
    fn seal(&self, data: &[u8]) -> Result<String, Fault>;
    /// Decrypts what `seal` made with the same key.
    fn open(&self, sealed: &str) -> Result<Vec<u8>, Fault>;
}
