//! Tests on real servers, which `tests/run` starts; one binary, a module for each area.

// Functions that tests share are not tests to clippy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod process;
mod ssh;
