//! SQL as text: its `:name` parameters, and what a statement gives away before it is sent.
//!
//! Owns what can be said without a server, so that a runbook is refused in review by the same
//! words as in the night. Must not know connections, nor which action asks.

mod check;
mod params;
mod read_only;

pub use check::check_call;
pub use params::{Filled, Statement, dialect, engine_name, parameters};
pub use read_only::{check_change, check_read_only, tables};
