//! Words that everybody uses: ids, times, values, secrets, places in files, redaction, digests.
//!
//! Owns the vocabulary. Must not know runbooks, runs or actions; has no clock, disk, environment,
//! randomness or logging.

pub mod digest;
pub mod ids;
pub mod markdown;
pub mod redact;
pub mod secret;
pub mod source;
pub mod time;
pub mod value;
pub mod visible;

pub use digest::Digest;
pub use ids::{NodeId, RunId, Seq};
pub use redact::Redactor;
pub use secret::{Secret, SecretName};
pub use source::{Place, Source};
pub use time::Timestamp;
pub use value::{Map, Value};
