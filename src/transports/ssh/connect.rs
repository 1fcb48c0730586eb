//! A connection to one host: TCP or through jump hosts, the host key checked, authenticated.
//!
//! Owns the handshake and its faults. Must not know commands. Every fault here leaves the world
//! untouched: nothing has been asked of the host yet.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use russh::{
    Disconnect, Error, Preferred,
    client::{Config, Handle, Handler, connect_stream},
    keys::PublicKeyOrCertificate,
};
use ssh_key::{Algorithm, PublicKey};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{
    address::Endpoint,
    authenticate::{authenticate, is_hang_up},
    known_hosts::{KnownHosts, Verdict, fingerprint},
};
use crate::{base::time::show_duration, diagnostics::codes, model::Fault};

/// A silent peer is asked after this time; after three times without an answer it is dead.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Which host keys count.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    /// The user's file, to which new hosts are added, and the system's.
    pub(super) files: Vec<PathBuf>,
    /// Accept and record a host seen for the first time.
    pub(super) accept_new: bool,
}

/// An authenticated connection. It is closed when it is dropped.
pub(super) struct Connection {
    pub(super) handle: Handle<Greeter>,
    pub(super) endpoint: Endpoint,
    /// The host key's, as OpenSSH shows it.
    pub(super) fingerprint: String,
    /// Connections to the hosts on the way, which must live as long.
    _hops: Vec<Handle<Greeter>>,
}

impl Connection {
    /// Says good-bye.
    pub(super) async fn close(&self) {
        // The server may be gone already; there is nothing left to do then.
        let _ = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
    }
}

/// Connects along a route, the host itself last, within the time given for all of it.
pub(super) async fn connect(
    route: &[Endpoint],
    trust: &Trust,
    limit: Duration,
) -> Result<Connection, Fault> {
    match tokio::time::timeout(limit, along(route, trust)).await {
        Ok(result) => result,
        Err(_) => {
            let place = route.last().map(Endpoint::place).unwrap_or_default();
            let what = format!("{place} did not answer within {}", show_duration(limit));
            Err(Fault::untouched(codes::RW0701, what).help(REACH).transient())
        }
    }
}

const REACH: &str = "Check the host's name and port, that it is up, and that this machine may \
                     reach it (firewall, VPN, jump host).";

async fn along(route: &[Endpoint], trust: &Trust) -> Result<Connection, Fault> {
    let mut hops: Vec<Handle<Greeter>> = Vec::new();
    let last = route.len().saturating_sub(1);
    for (number, endpoint) in route.iter().enumerate() {
        let (mut handle, fingerprint) = match hops.last() {
            None => {
                let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
                    .await
                    .map_err(|e| unreachable_host(endpoint, &e))?;
                hurry(&stream);
                greet(stream, endpoint, trust).await?
            }
            Some(hop) => {
                let (host, port) = (endpoint.host.as_str(), u32::from(endpoint.port));
                let channel = hop
                    .channel_open_direct_tcpip(host, port, "127.0.0.1", 0)
                    .await
                    .map_err(|e| through(&route[number - 1], endpoint, &e))?;
                greet(channel.into_stream(), endpoint, trust).await?
            }
        };
        authenticate(&mut handle, endpoint).await?;
        if number == last {
            let endpoint = endpoint.clone();
            return Ok(Connection { handle, endpoint, fingerprint, _hops: hops });
        }
        hops.push(handle);
    }
    Err(Fault::untouched(codes::RW9901, "a route without a host"))
}

/// Small packets leave and are acknowledged at once; without this each connection stalls twice
/// for 40 ms.
fn hurry(stream: &TcpStream) {
    // Both only make it faster: a failure changes nothing else.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

async fn greet<S>(
    stream: S,
    endpoint: &Endpoint,
    trust: &Trust,
) -> Result<(Handle<Greeter>, String), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let known = KnownHosts::read(&trust.files)?;
    let config = Config {
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        preferred: preferred(&known.algorithms(&endpoint.host, endpoint.port)),
        ..Config::default()
    };
    let seen = Arc::new(OnceLock::new());
    let greeter =
        Greeter { endpoint: endpoint.clone(), known, trust: trust.clone(), seen: seen.clone() };
    let handle = connect_stream(Arc::new(config), stream, greeter).await.map_err(|e| match e {
        Refusal::HostKey(fault) => *fault,
        Refusal::Protocol(e) => handshake(endpoint, &e),
    })?;
    Ok((handle, seen.get().cloned().unwrap_or_default()))
}

/// Algorithms by which the host is known come first; RSA with SHA-1 does not come at all.
fn preferred(known: &[Algorithm]) -> Preferred {
    let usual = Preferred::DEFAULT;
    let safe = |a: &&Algorithm| !matches!(a, Algorithm::Rsa { hash: None });
    let is_known = |a: &Algorithm| {
        known.iter().any(|k| match (k, a) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (k, a) => k == a,
        })
    };
    let (mut first, rest): (Vec<Algorithm>, Vec<Algorithm>) =
        usual.key.iter().filter(safe).cloned().partition(is_known);
    first.extend(rest);
    Preferred { key: first.into(), ..usual }
}

/// Checks the host key during the handshake.
pub(super) struct Greeter {
    endpoint: Endpoint,
    known: KnownHosts,
    trust: Trust,
    seen: Arc<OnceLock<String>>,
}

/// Why a handshake ended.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The host key is not the one we know.
    HostKey(Box<Fault>),
    /// Anything else.
    Protocol(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Protocol(error)
    }
}

impl Handler for Greeter {
    type Error = Refusal;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Refusal> {
        let key = shown.public_key();
        self.judge(&key).map_err(|fault| Refusal::HostKey(Box::new(fault)))?;
        // The handshake checks a key once; a second value could only be the same.
        let _ = self.seen.set(fingerprint(&key));
        Ok(true)
    }
}

impl Greeter {
    fn judge(&self, key: &PublicKey) -> Result<(), Fault> {
        let Endpoint { host, port, name, .. } = &self.endpoint;
        let shown = format!("{} {}", plain_algorithm(key), fingerprint(key));
        match self.known.verdict(host, *port, key) {
            Verdict::Known => Ok(()),
            Verdict::Revoked(place) => {
                let what = format!("the host key of `{name}` was withdrawn");
                Err(Fault::untouched(codes::RW0702, what)
                    .detail(format!("shown: {shown}\nwithdrawn in {place}"))
                    .help("Don't go on: the key is known to be bad. Tell those who run the host."))
            }
            Verdict::Changed(recorded) => {
                let what = format!(
                    "THE HOST KEY OF `{name}` HAS CHANGED: this may be somebody in between"
                );
                let lines: Vec<String> =
                    recorded.iter().map(|(place, key)| format!("known: {key} ({place})")).collect();
                Err(Fault::untouched(codes::RW0702, what)
                    .detail(format!("shown: {shown}\n{}", lines.join("\n")))
                    .help(format!(
                        "Don't go on before those who run the host have confirmed the new \
                         fingerprint. Then run `ssh-keygen -R '{}'` and connect with `ssh` once.",
                        bracketed(host, *port)
                    )))
            }
            Verdict::Unknown if self.trust.accept_new => self.learn(key),
            Verdict::Unknown => {
                let what = format!("the host key of `{name}` is not known");
                Err(Fault::untouched(codes::RW0702, what).detail(format!("shown: {shown}")).help(
                    format!(
                        "Compare the fingerprint with those who run the host, then connect once \
                         with `ssh -p {port} {}@{host}`, or add what `ssh-keyscan -p {port} \
                         {host}` prints to the known_hosts file.",
                        self.endpoint.user
                    ),
                ))
            }
        }
    }

    fn learn(&self, key: &PublicKey) -> Result<(), Fault> {
        let Endpoint { host, port, name, .. } = &self.endpoint;
        let Some(file) = self.trust.files.first() else {
            let what = format!("there is no known_hosts file to record `{name}` in");
            return Err(Fault::untouched(codes::RW0702, what)
                .help("Set HOME, or say `known_hosts:` in the target."));
        };
        russh::keys::known_hosts::learn_known_hosts_path(host, *port, key, file).map_err(|e| {
            let what = format!("`{name}` can't be recorded in `{}`: {e}", file.display());
            Fault::untouched(codes::RW0702, what).help("Make the file writable for you.")
        })
    }
}

fn bracketed(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

fn plain_algorithm(key: &PublicKey) -> String {
    match key.algorithm() {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.to_string(),
    }
}

fn unreachable_host(endpoint: &Endpoint, error: &io::Error) -> Fault {
    let place = endpoint.place();
    let fault = |what: String| Fault::untouched(codes::RW0701, what).help(REACH);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            fault(format!("{place} refuses connections: nothing listens there")).transient()
        }
        io::ErrorKind::TimedOut => fault(format!("{place} does not answer")).transient(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            fault(format!("there is no way to {place}")).transient()
        }
        // The resolver's errors have no kind of their own.
        _ if error.raw_os_error().is_none() => {
            fault(format!("the name `{}` can't be resolved: {error}", endpoint.host))
        }
        _ => fault(format!("{place} can't be reached: {error}")),
    }
}

fn through(hop: &Endpoint, endpoint: &Endpoint, error: &Error) -> Fault {
    let what = format!("jump host {} does not lead to {}", hop.place(), endpoint.place());
    Fault::untouched(codes::RW0701, what)
        .detail(error.to_string())
        .help(
            "Check that the host's name means something on the jump host, that it is reachable \
             from there, and that the jump host allows forwarding (`AllowTcpForwarding`).",
        )
        .transient()
}

fn handshake(endpoint: &Endpoint, error: &Error) -> Fault {
    let place = endpoint.place();
    let fault = |what: String| Fault::untouched(codes::RW0701, what);
    match error {
        Error::NoCommonAlgo { kind, ours, theirs } => {
            fault(format!("{place} and runward have no algorithm in common"))
                .detail(format!("{kind:?}: here {}; there {}", ours.join(", "), theirs.join(", ")))
                .help("The server is too old or restricted too far; its sshd needs newer settings.")
        }
        Error::Version => fault(format!("{place} does not speak SSH"))
            .help("Check the port: something else than sshd answers there."),
        Error::IO(e) => unreachable_host(endpoint, e),
        e if is_hang_up(e) => fault(format!("{place} hung up during the greeting"))
            .help("The server may have too many connections at once (`MaxStartups`); try again.")
            .transient(),
        e => fault(format!("the greeting of {place} failed")).detail(e.to_string()).help(REACH),
    }
}

#[cfg(test)]
mod tests {
    use ssh_key::HashAlg;

    use super::*;

    #[test]
    fn the_algorithm_by_which_a_host_is_known_comes_first() {
        let p384 = Algorithm::Ecdsa { curve: ssh_key::EcdsaCurve::NistP384 };
        let order = preferred(std::slice::from_ref(&p384));
        assert_eq!(order.key[0], p384);
        assert_eq!(order.key[1], Algorithm::Ed25519);
        assert!(!order.key.contains(&Algorithm::Rsa { hash: None }));
        let order = preferred(&[Algorithm::Rsa { hash: None }]);
        assert_eq!(order.key[0], Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
    }
}
