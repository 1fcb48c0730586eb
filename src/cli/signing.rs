//! Signing with a key that a person has: a file, or the agent.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{
    compose::Here,
    terminal::{Failure, Terminal},
};
use crate::{
    approvals::{agent::Agent, signer},
    diagnostics::codes,
    model::Fault,
};

/// An armoured signature over these bytes: with the key file, else with a key of somebody in
/// `people` that the agent or the usual files hold.
pub async fn sign(
    here: &Here,
    terminal: Terminal,
    key: Option<&Path>,
    message: &[u8],
) -> Result<String, Failure> {
    let ask = |prompt: &str| -> Option<Zeroizing<String>> {
        if !terminal.interactive {
            return None;
        }
        rpassword::prompt_password(prompt).ok().map(Zeroizing::new)
    };
    if let Some(file) = key {
        return Ok(signer::sign_with_file(file, message, &ask).await?.armoured);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let agent = Agent::from_environment().ok();
    let files = signer::usual_key_files(&home);
    let found = signer::available_keys(&here.project.people, agent.as_ref(), &files).await;
    match found.first().map(|key| (&key.place, &key.public_key)) {
        Some((signer::KeyPlace::File(file), _)) => {
            Ok(signer::sign_with_file(file, message, &ask).await?.armoured)
        }
        Some((signer::KeyPlace::Agent, public)) => {
            Ok(signer::sign_with_agent(std::slice::from_ref(public), message).await?.armoured)
        }
        None => Err(Fault::untouched(codes::RW0606, "no key of anybody in `people` is at hand")
            .help("say `--key FILE`, or add your key to the agent with `ssh-add`")
            .into()),
    }
}
