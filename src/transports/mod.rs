//! The ways to targets: databases, HTTP services, hosts over SSH, local programs.
//!
//! Owns addresses, connections, time limits and what goes over the wire. Must not know policy,
//! runs or who asked.

pub mod sql;
