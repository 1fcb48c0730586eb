//! Tests against real servers; `tests/run` starts them and exports where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod http;
