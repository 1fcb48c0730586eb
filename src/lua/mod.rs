//! Scripts: Luau in a sandbox that bounds time, memory and output.
//!
//! Owns the sandbox, the values that cross it and the functions that scripts may call. Must not
//! know steps, runs or targets.
//!
//! A script is somebody else's code that runs inside our process, so three rules hold everywhere
//! here: no single call into C or Rust may run long (the interrupt that ends a script fires only
//! between such calls), nothing on our heap may grow with what a script does, and nothing may
//! differ between two runs with equal arguments.

mod convert;
mod decimal;
mod failure;
mod host;
mod sandbox;

pub use failure::ScriptError;
pub use sandbox::{Limits, Outcome, check, run};
