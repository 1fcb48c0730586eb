//! Logs for whoever debugs runward itself: off unless asked for, and never on standard output.
//!
//! Owns where they go and how much is said. Only runward's own words are shown: libraries log
//! statements and packets, in which values of targets stand.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use super::args::LogLevel;

/// Shows the logs from now on, on standard error.
pub fn show(level: LogLevel) {
    let level = match level {
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // Whoever embeds this may show logs already; then that stays.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(Targets::new().with_target(env!("CARGO_CRATE_NAME"), level))
        .try_init();
}
