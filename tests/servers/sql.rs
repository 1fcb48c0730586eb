//! Databases: exact values, fenced reads, guarded changes, updates that can be put back.
//!
//! Each test has tables of its own, so that tests run side by side.

mod bench;
mod changes;
mod reads;
mod types;
mod update;
