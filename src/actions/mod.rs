//! actions

mod commands;
pub mod shell_exec;
pub mod ssh_exec;
