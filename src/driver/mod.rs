//! The only loop: performs what the engine asks for, through ports, and appends what came of it.
//!
//! Owns the order of things: durable before effect, outcome before the next decision. Must not
//! know any adapter: stores, transports, actions and people come through ports.

pub mod open;
mod perform;
mod policy;
mod render;
mod request;
mod runner;

use std::{path::PathBuf, sync::Arc};

pub use open::{OpenError, load, plan_of, unsealed};
pub use runner::{DriverError, Ended, Observer, Runner, Stop};

use crate::{
    base::Redactor,
    model::project::Project,
    ports::{Actions, Approvals, Clock, Seal, Secrets, Store, Transports},
};

/// Everything outside, in one place.
#[derive(Clone)]
pub struct Ports {
    /// The journal.
    pub store: Arc<dyn Store>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// The catalogue.
    pub actions: Arc<Actions>,
    /// The way to the environment's targets.
    pub transports: Arc<dyn Transports>,
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
    /// The filter between transports and everything else.
    pub redactor: Redactor,
    /// The installation's key.
    pub seal: Arc<dyn Seal>,
    /// Requests and decisions.
    pub approvals: Arc<dyn Approvals>,
    /// The project that the run recorded.
    pub project: Arc<Project>,
    /// The project's folder on this machine.
    pub folder: PathBuf,
}
