//! Tests on real servers and real programs, which `tests/run` starts. One binary, so that it is
//! linked once; each area is a module.

// A test that can't go on panics, and says why; so do the functions that tests share.
// What they print is shown when they fail.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod approvals;
mod flagship;
mod http;
mod log;
mod process;
mod scaffolding;
mod sql;
mod ssh;
