//! Tests on real servers. `tests/run` starts them and says where they are.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "also what tests share fails by panicking"
)]

mod sql;
