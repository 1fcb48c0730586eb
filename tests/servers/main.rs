//! Tests on real servers, which `tests/run` starts. One binary, so that it is linked once; each
//! area is a module.

// A test that can't go on panics, and says why.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod scaffolding;
