//! An SSH agent as a maker of signatures (`draft-ietf-sshm-ssh-agent`; the client is `russh`'s).
//!
//! Owns the talk with the agent. Must not know what is signed or whether it will count.

use std::{future::Future, path::PathBuf, time::Duration};

use russh::keys::agent::{AgentIdentity, client::AgentClient};
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};
use tokio::{net::UnixStream, time::timeout};

use super::{
    signature::{fingerprint_of, parse_key},
    signer::{Signature, armour},
};
use crate::{
    base::visible::escape_line,
    diagnostics::codes,
    model::{Fault, approval::NAMESPACE},
};

/// Time for an agent to answer a question that no person is asked.
const ANSWER: Duration = Duration::from_secs(10);

/// Time for a person to touch a key or confirm in a window.
const CONFIRM: Duration = Duration::from_secs(120);

/// Where an agent listens.
#[derive(Clone, Debug)]
pub struct Agent {
    socket: PathBuf,
}

impl Agent {
    /// The agent that the environment names in `SSH_AUTH_SOCK`.
    pub fn from_environment() -> Result<Self, Fault> {
        match std::env::var_os("SSH_AUTH_SOCK") {
            Some(socket) if !socket.is_empty() => Ok(Self::at(socket)),
            _ => Err(fault("there is no SSH agent: `SSH_AUTH_SOCK` is not set").help(
                "start one with `eval $(ssh-agent)` and add your key with `ssh-add`, or give the \
                 key's file with `--key`",
            )),
        }
    }

    /// The agent behind this socket.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The plain public keys that it holds; certificates are left out, since they do not count.
    pub async fn keys(&self) -> Result<Vec<PublicKey>, Fault> {
        let mut client = self.connect().await?;
        self.list(&mut client).await
    }

    /// Signs with the first of these public keys that it holds, in their order.
    pub async fn sign(&self, allowed: &[String], message: &[u8]) -> Result<Signature, Fault> {
        let mut client = self.connect().await?;
        let held = self.list(&mut client).await?;
        let allowed: Vec<PublicKey> = allowed.iter().filter_map(|k| parse_key(k).ok()).collect();
        let key = allowed
            .into_iter()
            .find(|key| held.iter().any(|other| other.key_data() == key.key_data()))
            .ok_or_else(|| no_key(&held))?;

        let blob = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, message)
            .map_err(|_| fault("the message can't be prepared for signing"))?;
        // The flag matters for RSA only: without it agents sign with SHA-1.
        let hash = matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(HashAlg::Sha512);
        let shown = fingerprint_of(key.key_data());
        let signing = client.sign_request_signature(&key, hash, &blob);
        let signature = timeout(CONFIRM, signing)
            .await
            .map_err(|_| refused(&shown, "it did not answer for two minutes"))?
            .map_err(|_| refused(&shown, "it refused"))?;
        SshSig::new(key.key_data().clone(), NAMESPACE, HashAlg::Sha512, signature)
            .map_err(|_| refused(&shown, "its answer can't be read"))
            .and_then(|signature| armour(&signature, message))
    }

    async fn connect(&self) -> Result<AgentClient<UnixStream>, Fault> {
        let what = "can't be reached: its socket does not answer";
        self.answered(AgentClient::connect_uds(&self.socket), what).await
    }

    async fn list(&self, client: &mut AgentClient<UnixStream>) -> Result<Vec<PublicKey>, Fault> {
        let identities =
            self.answered(client.request_identities(), "does not list its keys").await?;
        Ok(identities
            .into_iter()
            .filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => Some(key),
                AgentIdentity::Certificate { .. } => None,
            })
            .collect())
    }

    async fn answered<T>(
        &self,
        question: impl Future<Output = Result<T, russh::keys::Error>>,
        what: &str,
    ) -> Result<T, Fault> {
        let broken = |detail: String| {
            fault(format!(
                "the SSH agent at {} {what}",
                escape_line(&self.socket.to_string_lossy())
            ))
            .detail(escape_line(&detail))
            .help("see whether `ssh-add -l` works here; else give the key's file with `--key`")
        };
        match timeout(ANSWER, question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(broken(error.to_string())),
            Err(_) => Err(broken(format!("no answer in {} seconds", ANSWER.as_secs()))),
        }
    }
}

fn no_key(held: &[PublicKey]) -> Fault {
    let held: Vec<_> = held.iter().map(|key| fingerprint_of(key.key_data())).collect();
    let found = match held.is_empty() {
        true => "it holds no key, or is locked".to_owned(),
        false => format!("it holds {}", held.join(", ")),
    };
    fault("the SSH agent holds none of your keys in `people`")
        .detail(found)
        .help("add the key with `ssh-add FILE`, or give its file with `--key`")
}

fn refused(fingerprint: &str, how: &str) -> Fault {
    fault(format!("the SSH agent did not sign with {fingerprint}: {how}")).help(
        "touch the security key or confirm when it asks; if the agent is locked, unlock it with \
         `ssh-add -X`",
    )
}

fn fault(message: impl Into<String>) -> Fault {
    Fault::untouched(codes::RW0606, message)
}
