//! transports
pub mod http;
