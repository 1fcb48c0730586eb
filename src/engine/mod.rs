//! The pure state machine of a run.
//!
//! Owns what a run is (the fold of its events), what may happen next, and what anybody is shown.
//! Must not know how anything is performed, stored or displayed: no I/O, no clock, no randomness,
//! no async. Time comes in as an argument; what to do and when to wake up come out as values.
//!
//! - [`Run::fold`] is the only thing that changes a run's state; an event that the table of
//!   [`life`] does not allow is refused.
//! - [`Run::settle`] gives the events that follow from the state alone (a false condition, a
//!   satisfied expectation, the end).
//! - [`Run::pending`] gives what has to be performed, awaited or asked.
//! - [`Run::decide`] turns what happened outside into events.
//! - [`Run::view`] is what everybody is shown.
//!
//! Starting, resuming, planning, showing and simulating a run are the same path.

pub mod decide;
mod finish;
mod fold;
mod gate;
pub mod life;
pub mod plan;
mod rollback;
pub mod run;
pub mod scope;
mod view;
mod walk;

pub use decide::{Input, Outcome, Refused};
pub use plan::Plan;
pub use run::{Illegal, Run};
pub use scope::RunScope;
pub use walk::{Activity, Pending, Question, Task};
