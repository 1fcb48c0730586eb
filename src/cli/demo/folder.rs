//! The demo's folder: project file, runbook, databases, keys.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use ssh_key::{LineEnding, PrivateKey};

/// Why the folder could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A database.
    #[error("the demo's databases can't be made: {0}")]
    Database(#[from] sqlx::Error),
    /// A key.
    #[error("the demo's keys can't be made: {0}")]
    Key(#[from] ssh_key::Error),
}

/// Payments of which some are stuck: id, merchant, amount, status.
const LEDGER: &str = "
CREATE TABLE payments (
    id INTEGER PRIMARY KEY,
    merchant TEXT NOT NULL,
    amount DECIMAL(12,2) NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL
);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO payments
SELECT i, 'merchant-' || (i % 7), (i * 1999 % 50000) / 100.0, 'BRL',
       CASE WHEN i % 11 = 0 THEN 'authorised' ELSE 'captured' END
FROM n;
";

const SETTINGS: &str = "
CREATE TABLE settings (
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (service, name)
);
INSERT INTO settings VALUES ('capture', 'max_retries', '3'), ('capture', 'timeout', '5s'),
                            ('refund', 'max_retries', '2');
";

/// Makes everything below the folder; the gateway will listen on this port.
pub async fn make(folder: &Path, port: u16) -> Result<(), FolderError> {
    for part in ["runbooks", "databases", "keys", "reports"] {
        let path = folder.join(part);
        fs::create_dir_all(&path).map_err(|e| FolderError::File(path, e))?;
    }
    let project = include_str!("files/runward.yaml")
        .replace("@ANA_KEY@", &key(folder, "ana")?)
        .replace("@BRUNO_KEY@", &key(folder, "bruno")?)
        .replace("@PORT@", &port.to_string());
    write(folder, "runward.yaml", &project)?;
    let runbook = include_str!("files/raise-capture-retries.yaml");
    write(folder, "runbooks/raise-capture-retries.yaml", runbook)?;
    write(folder, "README.md", include_str!("files/README.md"))?;
    write(folder, ".gitignore", ".runward/\nkeys/\n")?;
    database(&folder.join("databases/ledger.db"), LEDGER).await?;
    database(&folder.join("databases/settings.db"), SETTINGS).await?;
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), FolderError> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|e| FolderError::File(path, e))
}

/// A fresh key; its public half in OpenSSH form.
fn key(folder: &Path, name: &str) -> Result<String, FolderError> {
    let mut bytes = [0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| FolderError::Key(ssh_key::Error::Crypto))?;
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&bytes);
    let mut key = PrivateKey::from(pair);
    key.set_comment(format!("{name}@example.com"));
    let path = folder.join("keys").join(name);
    let text = key.to_openssh(LineEnding::LF)?;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut f| io::Write::write_all(&mut f, text.as_bytes()))
        .map_err(|e| FolderError::File(path, e))?;
    let public = key.public_key().to_openssh()?;
    // The comment says nothing to anybody but people, and those read the id.
    Ok(public.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

async fn database(path: &Path, script: &'static str) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(script).execute(&mut connection).await?;
    connection.close().await
}
