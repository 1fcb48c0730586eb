//! Tests on real servers and real programs: one binary, one module per area.
//!
//! `tests/run` starts the servers and exports the variables that the modules read.

// A test that can't go on fails there and then; so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod approvals;
