//! The nouns, as plain data: runbook, action, target, event, snapshot, difference, approval, view.
//!
//! Owns their shapes. Must not know how they are read, decided, performed, stored or shown; only
//! how a difference reads is here (`diff_text`), since whoever approves it and whoever reads of it
//! later must see the same.

pub mod action_spec;
pub mod approval;
pub mod diff;
pub mod diff_text;
pub mod event;
pub mod fault;
pub mod input;
pub mod project;
mod record;
pub mod runbook;
pub mod target;
pub mod view;

pub use action_spec::{ActionSpec, Effect, EffectRule};
pub use diff::Diff;
pub use event::{Event, Recorded};
pub use fault::{Fault, World};
