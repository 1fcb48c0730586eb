//! The engine and the driver on a fake world: real runbook texts, the real loop, no server, and a
//! clock of its own. Each module tries one side of what a run promises.

// A test that can't go on panics, and says why.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "engine/actions.rs"]
mod actions;
#[path = "engine/approvals.rs"]
mod approvals;
#[path = "engine/behaviour.rs"]
mod behaviour;
#[path = "engine/cancel.rs"]
mod cancel;
#[path = "engine/clock.rs"]
mod clock;
#[path = "engine/crash.rs"]
mod crash;
#[path = "engine/failures.rs"]
mod failures;
#[path = "engine/people.rs"]
mod people;
#[path = "engine/property.rs"]
mod property;
#[path = "engine/rollback.rs"]
mod rollback;
#[path = "engine/stage.rs"]
mod stage;
#[path = "engine/table.rs"]
mod table;
#[path = "engine/world.rs"]
mod world;
