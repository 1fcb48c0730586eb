//! Traits only: what the driver needs from the world, and what actions need from transports.
//!
//! Owns the boundaries. Must not know any concrete type behind them.

pub mod action;
pub mod approvals;
pub mod clock;
pub mod seal;
pub mod secrets;
pub mod store;
pub mod transport;

pub use action::{Action, Actions, Arguments, Captured, Preview, RowGuard, StepContext};
pub use approvals::Approvals;
pub use clock::Clock;
pub use seal::Seal;
pub use secrets::Secrets;
pub use store::Store;
pub use transport::Transports;
