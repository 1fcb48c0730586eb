//! Makes SSH signatures with a private key's file or an agent, and finds the keys that are at hand.
//!
//! Owns reading key files and asking for passphrases. Must not know what is signed.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use ssh_key::{HashAlg, LineEnding, PrivateKey, SshSig};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::{
    agent::Agent,
    signature::{self, fingerprint_of},
};
use crate::{
    base::visible::escape_line,
    diagnostics::codes,
    model::{Fault, approval::NAMESPACE, project::Person},
};

/// Asks a person for a passphrase, with this prompt; `None` when there is nobody or they give up.
pub type Ask<'a> = &'a (dyn Fn(&str) -> Option<Zeroizing<String>> + Sync);

/// A private key of 16384 bits has about 13 KiB.
const MAX_KEY_FILE: u64 = 64 * 1024;

/// How often a passphrase may be wrong.
const TRIES: usize = 3;

/// A signature, and whose key made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The armoured signature (`-----BEGIN SSH SIGNATURE-----`).
    pub armoured: String,
    /// `SHA256:…` of the key.
    pub fingerprint: String,
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the agent.
    Agent,
    /// In this file, perhaps behind a passphrase.
    File(PathBuf),
}

/// A person's key that is at hand here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailableKey {
    /// The person, as `people` names them.
    pub person: String,
    /// The public key, as `people` lists it.
    pub public_key: String,
    /// `SHA256:…` of the key.
    pub fingerprint: String,
    /// Where it is.
    pub place: KeyPlace,
}

/// Signs the message with the namespace `runward`, with the private key in this file (OpenSSH's
/// format). A passphrase is asked for at most three times. RW0606 when it can't be done.
pub async fn sign_with_file(path: &Path, message: &[u8], ask: Ask<'_>) -> Result<Signature, Fault> {
    let shown = escape_line(&path.to_string_lossy());
    let key = unlock(read_key(path).await?, &shown, ask).await?;
    let bytes = message.to_vec();
    let signed = spawn_blocking(move || key.sign(NAMESPACE, HashAlg::Sha512, &bytes));
    match signed.await {
        Ok(Ok(signature)) => armour(&signature, message),
        Ok(Err(ssh_key::Error::AlgorithmUnsupported { algorithm })) => {
            let fault =
                fault(format!("{shown} is a `{}` key, which can't sign here", algorithm.as_str()));
            Err(match algorithm.as_str().starts_with("sk-") {
                true => fault.help(
                    "it is the handle of a security key: add it to the agent with `ssh-add`, or \
                     sign with `ssh-keygen -Y sign -n runward` and import the signature",
                ),
                false => fault.help("sign with an Ed25519, ECDSA or RSA key"),
            })
        }
        Ok(Err(_)) | Err(_) => {
            Err(fault(format!("{shown} can't sign"))
                .help("see whether `ssh-keygen -y -f` reads it"))
        }
    }
}

/// Signs the message with the agent of `SSH_AUTH_SOCK`, with the first of these public keys that it
/// holds. RW0606 when there is no agent, it holds none of them, or it refuses.
pub async fn sign_with_agent(allowed_keys: &[String], message: &[u8]) -> Result<Signature, Fault> {
    Agent::from_environment()?.sign(allowed_keys, message).await
}

/// Which people's keys are at hand: those that the agent holds, then those in the files, each key
/// once. What can't be read is left out: signing with it says why.
pub async fn available_keys(
    people: &IndexMap<String, Person>,
    agent: Option<&Agent>,
    files: &[PathBuf],
) -> Vec<AvailableKey> {
    let mut places = Vec::new();
    if let Some(agent) = agent {
        let held = agent.keys().await.unwrap_or_default();
        places.extend(held.iter().map(|k| (fingerprint_of(k.key_data()), KeyPlace::Agent)));
    }
    for file in files {
        // The public half is in clear even when the private one is behind a passphrase.
        if let Ok(key) = read_key(file).await {
            let fingerprint = fingerprint_of(key.public_key().key_data());
            places.push((fingerprint, KeyPlace::File(file.clone())));
        }
    }
    let mut found: Vec<AvailableKey> = Vec::new();
    for (fingerprint, place) in places {
        if found.iter().any(|known| known.fingerprint == fingerprint) {
            continue;
        }
        found.extend(people.iter().flat_map(|(id, person)| {
            let own = person.keys.iter();
            own.filter(|key| signature::fingerprint(key).is_ok_and(|f| f == fingerprint)).map(
                |key| AvailableKey {
                    person: id.clone(),
                    public_key: key.clone(),
                    fingerprint: fingerprint.clone(),
                    place: place.clone(),
                },
            )
        }));
    }
    found
}

/// The key files that OpenSSH looks for in this home folder, in its order.
pub fn usual_key_files(home: &Path) -> Vec<PathBuf> {
    ["id_rsa", "id_ecdsa", "id_ed25519"].map(|name| home.join(".ssh").join(name)).to_vec()
}

/// The armoured form, after the signature was found good: an agent or a key file that makes
/// signatures that would be refused later is better known now.
pub(super) fn armour(signature: &SshSig, message: &[u8]) -> Result<Signature, Fault> {
    let armoured = signature
        .to_pem(LineEnding::LF)
        .map_err(|_| fault("the signature can't be written as text"))?;
    let by = signature::verify(message, &armoured)
        .map_err(|why| fault(format!("this key's signature would not count: {why}")))?;
    Ok(Signature { armoured, fingerprint: by.fingerprint })
}

async fn read_key(path: &Path) -> Result<PrivateKey, Fault> {
    let shown = escape_line(&path.to_string_lossy());
    let unreadable = |error: &std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "it does not exist",
            std::io::ErrorKind::PermissionDenied => "you may not read it",
            _ => "it can't be read",
        };
        fault(format!("the key file {shown} can't be used: {why}"))
            .help("give the file of your private key with `--key`, or use an SSH agent")
    };
    let size = tokio::fs::metadata(path).await.map_err(|error| unreadable(&error))?;
    if !size.is_file() || size.len() > MAX_KEY_FILE {
        return Err(fault(format!("{shown} is no private key: not a file of at most 64 KiB"))
            .help("give the file of your private key with `--key`"));
    }
    let bytes = Zeroizing::new(tokio::fs::read(path).await.map_err(|error| unreadable(&error))?);
    PrivateKey::from_openssh(bytes.trim_ascii()).map_err(|_| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
        let (what, help) = if text.contains("PRIVATE KEY-----") && !text.contains("OPENSSH") {
            (
                "is a private key in another format than OpenSSH's",
                format!("convert a copy of it with `ssh-keygen -p -f {shown}`"),
            )
        } else if text.starts_with("PuTTY") {
            (
                "is a private key in PuTTY's format",
                "export it in OpenSSH's format with PuTTYgen".to_owned(),
            )
        } else if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-")
        {
            (
                "is a public key",
                "give the private key's file, which has the same name without `.pub`".to_owned(),
            )
        } else {
            ("is no private key", "give the file of your private key with `--key`".to_owned())
        };
        fault(format!("{shown} {what}")).help(help)
    })
}

async fn unlock(key: PrivateKey, shown: &str, ask: Ask<'_>) -> Result<PrivateKey, Fault> {
    if !key.is_encrypted() {
        return Ok(key);
    }
    let help = "run it where you can type, or add the key to an agent with `ssh-add`";
    let mut prompt = format!("Passphrase of {shown}: ");
    for _ in 0..TRIES {
        let Some(passphrase) = ask(&prompt) else {
            return Err(fault(format!("{shown} has a passphrase, and none was given")).help(help));
        };
        let locked = key.clone();
        // Deriving the key takes a second on purpose.
        match spawn_blocking(move || locked.decrypt(passphrase.as_bytes())).await {
            Ok(Ok(open)) => return Ok(open),
            _ => prompt = format!("That is not the passphrase. Passphrase of {shown}: "),
        }
    }
    Err(fault(format!("the passphrase of {shown} was wrong {TRIES} times"))
        .help(format!("try it with `ssh-keygen -y -f {shown}`; a forgotten one needs a new key")))
}

fn fault(message: impl Into<String>) -> Fault {
    Fault::untouched(codes::RW0606, message)
}
