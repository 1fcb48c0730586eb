//! The wire: databases, HTTP services, hosts over SSH, programs on this machine.
//!
//! Owns addresses, pooling, timeouts and the ending of what was begun. Has no policy, and must not
//! know which action uses it or why.

pub mod http;
mod output;
pub mod process;
pub mod sql;
pub mod ssh;
mod targets;

pub use targets::open;
