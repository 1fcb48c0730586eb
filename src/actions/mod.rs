//! actions
pub mod http_request;
pub mod lua;
