//! runward
pub mod actions;
pub mod approvals;
pub mod base;
pub mod diagnostics;
pub mod engine;
pub mod expression;
pub mod language;
pub mod lua;
pub mod model;
pub mod ports;
pub mod project;
pub mod report;
pub mod secrets;
pub mod store;
pub mod transports;
