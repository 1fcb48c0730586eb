//! transports

mod output;
pub mod process;
pub mod ssh;
