//! Hosts over SSH: one connection for each host, reused, with its host key always checked.
//!
//! Owns connections. Must not know actions or policy.
//!
//! The library is `russh`; why, stands in `docs/decisions/`. What OpenSSH does with known hosts,
//! keys and its configuration is done alike, as far as each module says.

mod address;
mod authenticate;
mod config;
mod connect;
mod exec;
mod known_hosts;
mod remote;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use indexmap::IndexMap;
use russh::{Channel, client::Msg};
use tokio::sync::Mutex;

use self::{
    address::Endpoint,
    connect::{Connection, Trust, connect},
    exec::Cleanups,
};
use crate::{
    diagnostics::codes,
    model::{Fault, target::SshAddress},
    ports::transport::{Command, CommandOutput, SshTarget},
};

/// Known hosts of the whole machine.
const SYSTEM_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// The hosts of a target.
pub struct Hosts {
    target: String,
    hosts: IndexMap<String, Host>,
    trust: Trust,
    connect_timeout: Duration,
    cleanups: Cleanups,
}

struct Host {
    route: Vec<Endpoint>,
    connection: Mutex<Option<Arc<Connection>>>,
}

/// Prepares the hosts of target `name`; connects to none of them yet. Reads OpenSSH's
/// configuration. Faults: names that can't be hosts or users (`RW0711`), a configuration that
/// can't be read (`RW0503`).
pub fn open(name: &str, address: &SshAddress) -> Result<Arc<Hosts>, Fault> {
    let config = config::Config::load(home().as_deref())?;
    let mut hosts = IndexMap::new();
    for host in &address.hosts {
        let route = address::route(address, &config, host)?;
        hosts.insert(host.clone(), Host { route, connection: Mutex::new(None) });
    }
    Ok(Arc::new(Hosts {
        target: name.to_owned(),
        hosts,
        trust: trust(address)?,
        connect_timeout: address.connect_timeout,
        cleanups: Cleanups::default(),
    }))
}

fn trust(address: &SshAddress) -> Result<Trust, Fault> {
    let mut files = match &address.known_hosts {
        Some(file) => {
            let file = expand_home(file);
            if !file.exists() && !address.accept_new {
                let what = format!("there is no known hosts file `{}`", file.display());
                return Err(Fault::untouched(codes::RW0702, what)
                    .help("Mend `known_hosts:` in the target; host keys are always checked."));
            }
            vec![file]
        }
        None => home()
            .map(|home| home.join(".ssh"))
            .map(|ssh| vec![ssh.join("known_hosts"), ssh.join("known_hosts2")])
            .unwrap_or_default(),
    };
    files.extend(SYSTEM_KNOWN_HOSTS.map(PathBuf::from));
    Ok(Trust { files, accept_new: address.accept_new })
}

fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute())
}

/// `~` and `~/…` stand for the home folder.
fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), home()) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with('/') => {
            home.join(Path::new(rest.trim_start_matches('/')))
        }
        _ => PathBuf::from(path),
    }
}

impl Hosts {
    fn host(&self, name: &str) -> Result<&Host, Fault> {
        self.hosts.get(name).ok_or_else(|| {
            let hosts: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
            let name = name.escape_debug();
            let what = format!("target `{}` has no host `{name}`", self.target);
            Fault::untouched(codes::RW0711, what)
                .help(format!("Its hosts are: {}.", hosts.join(", ")))
        })
    }

    /// The host's connection, and whether it was there before.
    async fn connection(&self, host: &Host) -> Result<(Arc<Connection>, bool), Fault> {
        let mut slot = host.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| !c.handle.is_closed()) {
            return Ok((connection.clone(), true));
        }
        let connection = connect(&host.route, &self.trust, self.connect_timeout).await?;
        let connection = Arc::new(connection);
        tracing::info!(
            target_name = self.target,
            host = connection.endpoint.place(),
            "a new SSH connection"
        );
        *slot = Some(connection.clone());
        Ok((connection, false))
    }

    /// A channel on the host's connection. A connection that was kept may have died unseen; then
    /// another is made, since nothing has been asked of the host yet.
    async fn channel(&self, host: &Host) -> Result<(Arc<Connection>, Channel<Msg>), Fault> {
        loop {
            let (connection, kept) = self.connection(host).await?;
            let opening = connection.handle.channel_open_session();
            let why = match tokio::time::timeout(self.connect_timeout, opening).await {
                Ok(Ok(channel)) => return Ok((connection, channel)),
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                    let place = connection.endpoint.place();
                    let what = format!("{place} opens no further session");
                    return Err(Fault::untouched(codes::RW0701, what)
                        .detail(format!("{reason:?}"))
                        .help("Run fewer commands at once there, or raise `MaxSessions`.")
                        .transient());
                }
                Ok(Err(e)) => e.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            let mut slot = host.connection.lock().await;
            if slot.as_ref().is_some_and(|c| Arc::ptr_eq(c, &connection)) {
                *slot = None;
            }
            if !kept {
                let what = format!("{} opened no session", connection.endpoint.place());
                return Err(Fault::untouched(codes::RW0701, what).detail(why).transient());
            }
        }
    }
}

#[async_trait]
impl SshTarget for Hosts {
    fn hosts(&self) -> Vec<String> {
        self.hosts.keys().cloned().collect()
    }

    /// Ends what cancelled commands left, then closes every connection.
    async fn close(&self) {
        self.cleanups.finish().await;
        for host in self.hosts.values() {
            if let Some(connection) = host.connection.lock().await.take() {
                connection.close().await;
            }
        }
    }

    async fn identity(&self, host: &str) -> Result<String, Fault> {
        let (connection, _) = self.connection(self.host(host)?).await?;
        Ok(format!("{} {}", connection.fingerprint, connection.endpoint.place()))
    }

    async fn exec(&self, host: &str, command: Command) -> Result<CommandOutput, Fault> {
        let host = self.host(host)?;
        let prepared = exec::prepare(&command)?;
        let (connection, channel) = self.channel(host).await?;
        exec::run(&connection, channel, prepared, &self.cleanups).await
    }
}
