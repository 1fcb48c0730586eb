//! Tests on real servers and real programs, which `tests/run` starts. One binary, so that it is
//! linked once; each area is a module.

// A test that can't go on panics, and says why; so do the functions that tests share.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod approvals;
mod flagship;
mod http;
mod process;
mod scaffolding;
mod sql;
mod ssh;
