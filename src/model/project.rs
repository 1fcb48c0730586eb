//! A project: environments, people, secrets.

use std::{path::PathBuf, sync::Arc};

use indexmap::IndexMap;

use crate::{
    base::{Digest, Place, SecretName, Source},
    model::target::Environment,
};

/// The project file, checked.
#[derive(Clone, Debug)]
pub struct Project {
    /// The file.
    pub source: Arc<Source>,
    /// Its digest.
    pub digest: Digest,
    /// The folder that it lies in.
    pub folder: PathBuf,
    /// Where the journal is.
    pub store: StoreAddress,
    /// People by their id.
    pub people: IndexMap<String, Person>,
    /// Secrets by name.
    pub secrets: IndexMap<SecretName, SecretSource>,
    /// Columns that are masked in every result, lower case.
    pub redact_columns: Vec<String>,
    /// Environments by name.
    pub environments: IndexMap<String, Environment>,
}

/// Where the journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAddress {
    /// An SQLite file, absolute.
    Sqlite(PathBuf),
}

/// Somebody who may operate or approve.
#[derive(Clone, Debug)]
pub struct Person {
    /// Groups, such as `leads`.
    pub groups: Vec<String>,
    /// Names of users of the operating system.
    pub logins: Vec<String>,
    /// Public keys in OpenSSH form.
    pub keys: Vec<String>,
    /// Where they are defined.
    pub place: Place,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Environment(String),
    /// A file, relative to the project's folder; one trailing line break is taken off.
    File(PathBuf),
    /// A program and its arguments; the first line of its output.
    Command(Vec<String>),
}
