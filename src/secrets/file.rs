//! Secrets in files.
//!
//! Owns reading one, and who else may be able to. Must not know other providers.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::failure;
use crate::model::Fault;

/// Permissions of others. Groups are left alone: sharing a secret with one is usual.
const OTHERS: u32 = 0o007;
/// Bytes. The largest secrets are keys and certificates.
const LARGEST: u64 = 1 << 20;

/// The file's text without one trailing line break.
pub(super) async fn fetch(name: &str, path: &Path) -> Result<String, Fault> {
    let (owned, path): (String, PathBuf) = (name.to_owned(), path.to_owned());
    tokio::task::spawn_blocking(move || read(&owned, &path))
        .await
        .map_err(|_| failure(name, "reading it was interrupted"))?
}

fn read(name: &str, path: &Path) -> Result<String, Fault> {
    let shown = path.display();
    let unreadable = |e: std::io::Error| {
        let why = match e.kind() {
            ErrorKind::NotFound => format!("the file `{shown}` is not there"),
            ErrorKind::PermissionDenied => format!("permission to read `{shown}` is denied"),
            _ => format!("the file `{shown}` can't be read ({e})"),
        };
        failure(name, &why)
    };
    // Opening a pipe would wait for its writer: look first, then at what was opened.
    check(name, path, &fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    check(name, path, &file.metadata().map_err(unreadable)?)?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    let mut text = String::from_utf8(bytes)
        .map_err(|_| failure(name, &format!("the file `{shown}` is not UTF-8 text")))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn check(name: &str, path: &Path, found: &fs::Metadata) -> Result<(), Fault> {
    let shown = path.display();
    if !found.is_file() {
        return Err(failure(name, &format!("`{shown}` is not a file")));
    }
    if found.len() >= LARGEST {
        return Err(failure(name, &format!("the file `{shown}` is larger than 1 MiB")));
    }
    let mode = found.mode() & 0o7777;
    if mode & OTHERS != 0 {
        let why = format!("every user can reach the file `{shown}` (mode {mode:04o})");
        return Err(failure(name, &why).help(format!("chmod 600 '{shown}'")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (scratch, path)
    }

    #[tokio::test]
    async fn one_line_break_at_the_end_goes() {
        for (text, secret) in [("a b\n", "a b"), ("a\n\n", "a\n"), ("a\r\n", "a"), (" a ", " a ")] {
            let (_scratch, path) = file(text.as_bytes(), 0o640);
            assert_eq!(fetch("s", &path).await.unwrap(), secret);
        }
    }

    #[tokio::test]
    async fn what_everybody_can_read_is_refused() {
        for mode in [0o604, 0o644, 0o602] {
            let (_scratch, path) = file(b"hunter2hunter2", mode);
            let fault = fetch("s", &path).await.unwrap_err();
            assert!(fault.help.as_ref().unwrap().contains("chmod 600"), "{fault:?}");
            assert!(!format!("{fault:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn what_is_no_text_file_is_refused() {
        let (scratch, path) = file(b"a\xffb", 0o600);
        assert!(fetch("s", &path).await.unwrap_err().message.contains("UTF-8"));
        assert!(fetch("s", scratch.path()).await.unwrap_err().message.contains("not a file"));
        let missing = fetch("s", &scratch.path().join("none")).await.unwrap_err();
        assert!(missing.message.contains("is not there"));
        let (_scratch, large) = file(&vec![b'x'; 1 << 20], 0o600);
        assert!(fetch("s", &large).await.unwrap_err().message.contains("1 MiB"));
    }
}
