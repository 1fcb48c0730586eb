//! Secrets by name, each fetched once, and the installation's own key.
//!
//! Owns the order of things: a secret is known to the redactor before anybody has it. Must not
//! know what a secret is used for.

mod command;
mod env;
mod file;
pub mod seal;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use indexmap::IndexMap;
use tokio::sync::OnceCell;

use crate::{
    base::{Redactor, Secret, SecretName, redact},
    diagnostics::{codes, suggest},
    model::{
        Fault,
        project::{Project, SecretSource},
    },
    ports::{Seal, Secrets},
};

/// The secrets of a project. Nothing is fetched before it is asked for.
pub fn open(project: &Project, redactor: Redactor, seal: Arc<dyn Seal>) -> Arc<dyn Secrets> {
    Arc::new(Vault::new(project.folder.clone(), &project.secrets, redactor, seal))
}

struct Vault {
    folder: PathBuf,
    entries: IndexMap<SecretName, (SecretSource, OnceCell<Secret>)>,
    redactor: Redactor,
    seal: Arc<dyn Seal>,
}

impl Vault {
    fn new(
        folder: PathBuf,
        sources: &IndexMap<SecretName, SecretSource>,
        redactor: Redactor,
        seal: Arc<dyn Seal>,
    ) -> Self {
        let entry = |(name, source): (&SecretName, &SecretSource)| {
            (name.clone(), (source.clone(), OnceCell::new()))
        };
        Self { folder, entries: sources.iter().map(entry).collect(), redactor, seal }
    }

    async fn obtain(&self, name: &str, source: &SecretSource) -> Result<Secret, Fault> {
        let clear = match source {
            SecretSource::Environment(variable) => env::fetch(name, variable),
            SecretSource::File(path) => file::fetch(name, &self.folder.join(path)).await,
            SecretSource::Command(words) => {
                command::fetch(name, words, &self.folder, &self.redactor).await
            }
        }?;
        if clear.is_empty() {
            return Err(failure(name, "it is empty"));
        }
        if clear.chars().count() < redact::SHORTEST {
            return Err(failure(
                name,
                &format!("it has fewer than {} characters", redact::SHORTEST),
            )
            .help("so short a secret can't be told from other text, and so not be hidden"));
        }
        // Over the name too: nobody sees that two names have one value.
        let digest = self.seal.digest(format!("secret\0{name}\0{clear}").as_bytes());
        let version: String = digest.short().chars().take(6).collect();
        let secret = Secret::new(name, &version, clear);
        self.redactor.learn(&secret);
        Ok(secret)
    }
}

#[async_trait]
impl Secrets for Vault {
    async fn fetch(&self, name: &str) -> Result<Secret, Fault> {
        let Some((source, cell)) = self.entries.get(name) else {
            let fault = failure(name, "the project file does not define it");
            return Err(match suggest(name, self.entries.keys().map(String::as_str)) {
                Some(help) => fault.help(help),
                None => fault.help("add it under `secrets` in the project file"),
            });
        };
        cell.get_or_try_init(|| self.obtain(name, source)).await.cloned()
    }

    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }
}

/// A secret that can't be fetched; the reason must not hold any part of a value.
fn failure(name: &str, why: &str) -> Fault {
    Fault::untouched(codes::RW0714, format!("secret `{name}` can't be fetched: {why}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    struct Room {
        scratch: tempfile::TempDir,
        redactor: Redactor,
    }

    impl Room {
        fn new() -> Self {
            Self { scratch: tempfile::tempdir().unwrap(), redactor: Redactor::default() }
        }

        fn vault(&self, sources: &[(&str, SecretSource)]) -> Vault {
            let seal = seal::open(&self.scratch.path().join("state")).unwrap();
            let sources = sources.iter().map(|(n, s)| ((*n).to_owned(), s.clone())).collect();
            Vault::new(self.scratch.path().to_owned(), &sources, self.redactor.clone(), seal)
        }

        fn file(&self, name: &str, text: &[u8]) -> SecretSource {
            let path = self.scratch.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            SecretSource::File(name.into())
        }
    }

    #[tokio::test]
    async fn a_secret_is_fetched_once_and_known_to_the_redactor() {
        let room = Room::new();
        let log = room.scratch.path().join("log");
        let script = format!("echo x >> '{}'; echo hunter2hunter2", log.display());
        let words = ["sh", "-c", &script].map(str::to_owned).to_vec();
        let vault = room.vault(&[("token", SecretSource::Command(words))]);
        let (a, b) = tokio::join!(vault.fetch("token"), vault.fetch("token"));
        let secret = a.unwrap();
        assert_eq!((secret.expose(), &secret), ("hunter2hunter2", &b.unwrap()));
        assert_eq!(fs::read_to_string(log).unwrap(), "x\n");
        assert_eq!(room.redactor.text("a hunter2hunter2"), format!("a {}", secret.shown()));
        assert_eq!(vault.names(), ["token"]);
    }

    #[tokio::test]
    async fn the_version_tells_values_apart_and_nothing_else() {
        let room = Room::new();
        let vault = room
            .vault(&[("a", room.file("one", b"value-one")), ("b", room.file("two", b"value-one"))]);
        let (a, b) = (vault.fetch("a").await.unwrap(), vault.fetch("b").await.unwrap());
        let version = |s: &Secret| s.shown().split('@').nth(1).unwrap().to_owned();
        assert_eq!(version(&a).chars().count(), 7, "{a:?}");
        assert_ne!(version(&a), version(&b));
        // The same value in another process has the same version.
        let again = room.vault(&[("a", room.file("one", b"value-one\n"))]);
        assert_eq!(again.fetch("a").await.unwrap().shown(), a.shown());
        let changed = room.vault(&[("a", room.file("one", b"value-two"))]);
        assert_ne!(changed.fetch("a").await.unwrap().shown(), a.shown());
    }

    #[tokio::test]
    async fn what_is_not_defined_or_too_short_is_refused() {
        let room = Room::new();
        let vault = room.vault(&[
            ("token", room.file("short", b"123\n")),
            ("nothing", room.file("empty", b"\n")),
        ]);
        let fault = vault.fetch("tokn").await.unwrap_err();
        assert_eq!(fault.help.as_deref(), Some("did you mean `token`?"));
        assert!(vault.fetch("token").await.unwrap_err().message.contains("fewer than 4"));
        assert!(vault.fetch("nothing").await.unwrap_err().message.contains("empty"));
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let room = Room::new();
        let vault = room.vault(&[("token", SecretSource::File("late".into()))]);
        assert!(vault.fetch("token").await.is_err());
        room.file("late", b"hunter2hunter2");
        assert_eq!(vault.fetch("token").await.unwrap().expose(), "hunter2hunter2");
    }
}
