//! The actions that are built in, one file each.
//!
//! Owns what each does with its arguments. Must not know the store, the engine or each other;
//! targets are reached through the step's context.

pub mod sql_execute;
pub mod sql_query;
pub mod sql_update;
