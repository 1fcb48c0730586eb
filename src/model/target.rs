//! Environments and the targets in them, as the project file defines them.

use std::time::Duration;

use indexmap::IndexMap;

use crate::{
    base::{Place, SecretName, Timestamp},
    expression::Template,
    model::action_spec::TargetKind,
};

/// A place where runbooks run.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Changes need what the policy asks for.
    pub protected: bool,
    /// What changes need.
    pub policy: Policy,
    /// Systems by name.
    pub targets: IndexMap<String, Target>,
    /// Where it is defined.
    pub place: Place,
}

/// A system that actions work on.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name in the environment.
    pub name: String,
    /// How to reach it.
    pub address: Address,
    /// Where it is defined.
    pub place: Place,
}

/// How to reach a target.
#[derive(Clone, Debug)]
pub enum Address {
    /// A database.
    Sql(SqlAddress),
    /// An HTTP service.
    Http(HttpAddress),
    /// Hosts over SSH.
    Ssh(SshAddress),
}

impl Address {
    /// Which kind.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Sql(_) => TargetKind::Sql,
            Self::Http(_) => TargetKind::Http,
            Self::Ssh(_) => TargetKind::Ssh,
        }
    }
}

/// Which database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SqlEngine {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

/// A database's address. The password is never part of the URL.
#[derive(Clone, Debug)]
pub struct SqlAddress {
    /// Which engine, from the URL's scheme.
    pub engine: SqlEngine,
    /// `postgres://user@host/db`, `mysql://…`, `sqlite:path`. A relative SQLite path has been
    /// made absolute against the project's folder.
    pub url: String,
    /// The secret that holds the password.
    pub password: Option<SecretName>,
    /// A statement that takes longer is cancelled by the server where it can be.
    pub statement_timeout: Duration,
}

/// An HTTP service's address.
#[derive(Clone, Debug)]
pub struct HttpAddress {
    /// The base URL; paths of requests are put behind it.
    pub url: String,
    /// Headers of each request; templates may name secrets.
    pub headers: IndexMap<String, Template>,
    /// Time for one request, connecting included.
    pub timeout: Duration,
}

/// Hosts over SSH.
#[derive(Clone, Debug)]
pub struct SshAddress {
    /// Names or addresses, in order.
    pub hosts: Vec<String>,
    /// TCP port; `None` asks `~/.ssh/config`, then 22.
    pub port: Option<u16>,
    /// User; `None` asks `~/.ssh/config`, then the local user.
    pub user: Option<String>,
    /// Host to go through.
    pub jump: Option<String>,
    /// Private key file; without one the agent and the usual files are tried.
    pub key: Option<String>,
    /// Known hosts file instead of `~/.ssh/known_hosts`.
    pub known_hosts: Option<String>,
    /// Accept and remember a host seen for the first time; refused in a protected environment.
    pub accept_new: bool,
    /// Time for connecting and authenticating.
    pub connect_timeout: Duration,
}

/// What changes in an environment need.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Who must agree; `None` in an unprotected environment without the key.
    pub approvals: Option<ApprovalPolicy>,
    /// What about changes that can't be undone?
    pub irreversible: Irreversible,
    /// Must the operator sign the start?
    pub identity: Identity,
    /// Regular expressions of SSH and shell commands that count as reads.
    pub read_only_commands: Vec<String>,
    /// When nothing may be changed.
    pub freeze: Vec<Freeze>,
}

/// Who must agree to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// How many different people.
    pub required: u32,
    /// Out of these groups; empty means any known person.
    pub from: Vec<String>,
    /// How long a request waits and an approval counts.
    pub expires: Duration,
}

/// What about changes that can't be undone?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Irreversible {
    /// Refused.
    Forbid,
    /// Like others.
    #[default]
    Allow,
    /// Like others, with this many approvals more.
    Extra(u32),
}

/// How the operator is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// The operator signs the start with a key of `people`.
    Key,
    /// The operating system's user is trusted.
    #[default]
    Login,
}

/// A time in which nothing may be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Freeze {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}
