//! Proving who we are: keys from files, and keys that the agent keeps.
//!
//! Owns which keys are tried, in which order and how many. Must not know host keys or commands.
//! Passwords and questions of the server are not answered: a runbook runs without a person.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use russh::{
    Error, MethodKind,
    client::{AuthResult, Handle},
    keys::{PrivateKeyWithHashAlg, agent::AgentIdentity, agent::client::AgentClient},
};
use ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey};
use tokio::net::UnixStream;

use super::{address::Endpoint, connect::Greeter, expand_home, known_hosts::fingerprint};
use crate::{diagnostics::codes, model::Fault};

/// Servers hang up after six wrong keys (`MaxAuthTries`); so many are tried.
const MAX_TRIES: usize = 6;

/// Files that OpenSSH tries by itself.
const USUAL: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/// A key to try.
enum Key {
    File(PathBuf, Arc<PrivateKey>),
    Agent(Box<AgentIdentity>),
}

impl Key {
    fn public(&self) -> PublicKey {
        match self {
            Self::File(_, key) => key.public_key().clone(),
            Self::Agent(identity) => identity.public_key().into_owned(),
        }
    }

    fn describe(&self) -> String {
        let from = match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Agent(identity) => format!("agent, {}", identity.comment()),
        };
        format!("{} ({from})", fingerprint(&self.public()))
    }
}

/// The keys to try, and why others are not among them.
#[derive(Default)]
struct Ring {
    keys: Vec<Key>,
    left_out: Vec<String>,
}

impl Ring {
    fn add(&mut self, key: Key) {
        let public = key.public();
        if self.keys.iter().all(|k| k.public().key_data() != public.key_data()) {
            self.keys.push(key);
        }
    }
}

/// Authenticates by public key; the fault says what was tried and what the server wants.
pub(super) async fn authenticate(
    handle: &mut Handle<Greeter>,
    endpoint: &Endpoint,
) -> Result<(), Fault> {
    let mut agent = agent().await;
    let identities = match &mut agent {
        Some(agent) => agent.request_identities().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let ring = ring(endpoint, &identities)?;
    let mut tried = Vec::new();
    let mut wanted = Vec::new();
    for key in ring.keys.iter().take(MAX_TRIES) {
        let Some(hash) = hash_for(handle, &key.public()).await else {
            tried.push(format!("{}: the server accepts RSA with SHA-1 only", key.describe()));
            continue;
        };
        let result = match (key, &mut agent) {
            (Key::File(_, private), _) => {
                let key = PrivateKeyWithHashAlg::new(private.clone(), hash);
                handle.authenticate_publickey(&endpoint.user, key).await.map_err(|e| e.to_string())
            }
            (Key::Agent(identity), Some(agent)) => {
                by_agent(handle, &endpoint.user, identity, hash, agent).await
            }
            (Key::Agent(_), None) => continue,
        };
        match result {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                wanted = remaining_methods.to_vec();
                if partial_success {
                    return Err(second_factor(endpoint, &wanted));
                }
                tried.push(format!("{}: refused", key.describe()));
            }
            Err(why) => tried.push(format!("{}: {why}", key.describe())),
        }
        if handle.is_closed() {
            break;
        }
    }
    tried.extend(ring.left_out);
    Err(refused(endpoint, &tried, &wanted))
}

/// The hash for signatures with this key; outer `None` when the server has none that is safe.
async fn hash_for(handle: &Handle<Greeter>, key: &PublicKey) -> Option<Option<HashAlg>> {
    if !matches!(key.algorithm(), Algorithm::Rsa { .. }) {
        return Some(None);
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(None)) => None,
        Ok(Some(hash)) => Some(hash),
        // The server does not say; RFC 8332 wants SHA-256 of everybody.
        Ok(None) | Err(_) => Some(Some(HashAlg::Sha256)),
    }
}

async fn by_agent(
    handle: &mut Handle<Greeter>,
    user: &str,
    identity: &AgentIdentity,
    hash: Option<HashAlg>,
    agent: &mut AgentClient<UnixStream>,
) -> Result<AuthResult, String> {
    match identity {
        AgentIdentity::PublicKey { key, .. } => {
            handle.authenticate_publickey_with(user, key.clone(), hash, agent).await
        }
        AgentIdentity::Certificate { certificate, .. } => {
            handle.authenticate_certificate_with(user, certificate.clone(), hash, agent).await
        }
    }
    .map_err(|e| format!("the agent did not sign ({e})"))
}

async fn agent() -> Option<AgentClient<UnixStream>> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty())?;
    AgentClient::connect_uds(Path::new(&socket)).await.ok()
}

/// Which keys, in order: the target's key alone; or those of the configuration, those of the
/// agent, and the usual files.
fn ring(endpoint: &Endpoint, agent: &[AgentIdentity]) -> Result<Ring, Fault> {
    let mut ring = Ring::default();
    if let Some(path) = &endpoint.key {
        match load(path, agent) {
            Ok(key) => ring.add(key),
            Err(why) => {
                let what = format!("key `{}` can't be used: {}", path.display(), why.0);
                return Err(Fault::untouched(codes::RW0702, what).help(why.1));
            }
        }
        return Ok(ring);
    }
    let file = |ring: &mut Ring, path: &Path, expected: bool| match load(path, agent) {
        Ok(key) => ring.add(key),
        Err(why) if expected || path.exists() => {
            ring.left_out.push(format!("{}: {}", path.display(), why.0));
        }
        Err(_) => {}
    };
    for path in &endpoint.identities {
        file(&mut ring, path, true);
    }
    if endpoint.identities_only && !endpoint.identities.is_empty() {
        return Ok(ring);
    }
    for identity in agent {
        ring.add(Key::Agent(Box::new(identity.clone())));
    }
    for path in USUAL {
        file(&mut ring, &expand_home(path), false);
    }
    Ok(ring)
}

/// Reads a private key. The public part of a key that is protected by a passphrase can be read,
/// so the agent's copy of it is found. The error is what is wrong, and what to do.
fn load(path: &Path, agent: &[AgentIdentity]) -> Result<Key, (String, String)> {
    let text = fs::read(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => ("there is no such file".to_owned(), "Mend `key:`.".to_owned()),
        _ => (e.to_string(), "Make the file readable for you.".to_owned()),
    })?;
    let text = zeroize::Zeroizing::new(String::from_utf8_lossy(&text).into_owned());
    let add = || format!("Run `ssh-add {}`; the agent then signs.", path.display());
    let locked = || ("it is protected by a passphrase".to_owned(), add());
    let key = match PrivateKey::from_openssh(text.as_bytes()) {
        Ok(key) => key,
        Err(_) if text.contains("ENCRYPTED") => return Err(locked()),
        // Older forms: PKCS#1, PKCS#8.
        Err(_) => russh::keys::decode_secret_key(&text, None).map_err(|_| {
            let what = "it is no private key that can be read".to_owned();
            (what, "Give a private key as `ssh-keygen` makes it, not the `.pub` file.".to_owned())
        })?,
    };
    if !key.is_encrypted() {
        return Ok(Key::File(path.to_owned(), Arc::new(key)));
    }
    agent
        .iter()
        .find(|i| i.public_key().key_data() == key.public_key().key_data())
        .map(|identity| Key::Agent(Box::new(identity.clone())))
        .ok_or_else(locked)
}

fn refused(endpoint: &Endpoint, tried: &[String], wanted: &[MethodKind]) -> Fault {
    let place = endpoint.place();
    let message = if tried.is_empty() {
        format!("there is no key for {place}")
    } else {
        format!("{place} accepted no key")
    };
    let mut detail = tried.join("\n");
    if !wanted.is_empty() && !wanted.contains(&MethodKind::PublicKey) {
        detail = format!("{detail}\nthe server wants: {}", methods(wanted));
    }
    Fault::untouched(codes::RW0702, message).detail(detail.trim().to_owned()).help(
        "Check the target's `user` and `key`, that `ssh-add -l` lists the key you mean, and that \
         it stands in the host's authorized_keys. Passwords are not used.",
    )
}

fn second_factor(endpoint: &Endpoint, wanted: &[MethodKind]) -> Fault {
    let what = format!("{} wants more than a key: {}", endpoint.place(), methods(wanted));
    Fault::untouched(codes::RW0702, what)
        .help("A runbook can't answer questions; use an account that a key alone opens.")
}

fn methods(wanted: &[MethodKind]) -> String {
    wanted.iter().map(String::from).collect::<Vec<_>>().join(", ")
}

/// Is this the server's hanging up, after which another error is only its echo?
pub(super) fn is_hang_up(error: &Error) -> bool {
    matches!(error, Error::HUP | Error::Disconnect | Error::SendError | Error::RecvError)
}
