//! The journal's folder and files: private from their first moment, and refused when others could
//! change them.
//!
//! Owns modes, owners and links. Must not know what is in the files.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::ports::store::StoreError;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// Write permission of group and others.
const WRITABLE: u32 = 0o022;

/// Makes folder and file where they are missing, and refuses them when they are links, belong to
/// somebody else, or can be written by somebody else. The mask of the process does not matter.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).ok_or_else(|| {
        StoreError::Unusable(format!("`{}` is not the path of a file", path.display()))
    })?;
    prepare_folder(folder)?;
    match OpenOptions::new().write(true).create_new(true).mode(FILE).open(path) {
        // The folder's entry must outlive a power failure as the commits in the file do.
        Ok(file) => file
            .set_permissions(Permissions::from_mode(FILE))
            .and_then(|()| fs::File::open(folder)?.sync_all()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
    .map_err(|e| unusable("can't be made", path, &e))?;
    check(path, false)?;
    // SQLite gives these the mode of the journal; one that is there already must be as safe.
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = beside(path, suffix);
        if fs::symlink_metadata(&beside).is_ok() {
            check(&beside, false)?;
        }
    }
    Ok(())
}

fn prepare_folder(folder: &Path) -> Result<(), StoreError> {
    if let Some(parent) = folder.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER)
            .create(parent)
            .map_err(|e| unusable("can't be made", parent, &e))?;
    }
    match DirBuilder::new().mode(FOLDER).create(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(FOLDER)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
    .map_err(|e| unusable("can't be made", folder, &e))?;
    check(folder, true)
}

/// The journal's name with something behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn check(path: &Path, folder: bool) -> Result<(), StoreError> {
    let found = fs::symlink_metadata(path).map_err(|e| unusable("can't be read", path, &e))?;
    let shown = path.display();
    let refuse = |why: String| Err(StoreError::Unusable(why));
    if found.file_type().is_symlink() {
        return refuse(format!(
            "`{shown}` is a symbolic link, which could be turned to another place; write the real \
             path in `store`"
        ));
    }
    if folder && !found.is_dir() {
        return refuse(format!("`{shown}` is not a folder"));
    }
    if !folder && !found.is_file() {
        return refuse(format!("`{shown}` is not a file"));
    }
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return refuse(format!(
            "`{shown}` belongs to user {}, but runward runs as user {me}; run it as the journal's \
             owner",
            found.uid()
        ));
    }
    let mode = found.mode() & 0o7777;
    if mode & WRITABLE != 0 {
        return refuse(format!(
            "`{shown}` can be written by other users (mode {mode:04o}); who may have changed it, \
             nobody can say. If you trust it: chmod go-w '{shown}'"
        ));
    }
    Ok(())
}

/// What went wrong with a file, in plain words.
fn unusable(what: &str, path: &Path, error: &io::Error) -> StoreError {
    let why = match error.kind() {
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::QuotaExceeded => "the user's disk quota is used up".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only".to_owned(),
        ErrorKind::NotADirectory => "a part of its path is a file".to_owned(),
        ErrorKind::NotFound => "it is not there".to_owned(),
        _ => error.to_string(),
    };
    StoreError::Unusable(format!("`{}` {what}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refused(path: &Path) -> String {
        match prepare(path) {
            Err(StoreError::Unusable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn folder_and_file_are_made_private() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/.runward/journal.db");
        prepare(&path).unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        prepare(&path).unwrap();
    }

    #[test]
    fn links_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let real = scratch.path().join("real");
        prepare(&real.join("journal.db")).unwrap();
        let link = scratch.path().join("link");
        symlink(&real, &link).unwrap();
        assert!(refused(&link.join("journal.db")).contains("symbolic link"));
        symlink(real.join("journal.db"), real.join("other.db")).unwrap();
        assert!(refused(&real.join("other.db")).contains("symbolic link"));
        symlink("/nowhere", real.join("journal.db-wal")).unwrap();
        assert!(refused(&real.join("journal.db")).contains("journal.db-wal"));
    }

    #[test]
    fn what_others_can_write_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("s/journal.db");
        prepare(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert!(refused(&path).contains("mode 0660"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o777)).unwrap();
        assert!(refused(&path).contains("chmod go-w"));
    }

    #[test]
    fn a_folder_or_file_of_the_wrong_kind_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("journal.db")).unwrap();
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(refused(&scratch.path().join("journal.db")).contains("not a file"));
        fs::write(scratch.path().join("plain"), "").unwrap();
        let path = scratch.path().join("plain/journal.db");
        assert!(refused(&path).contains("plain"));
    }

    #[test]
    fn somebody_else_s_file_is_refused() {
        // Only root can give a file away; for others /etc shows the same.
        let scratch = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            let path = scratch.path().join("s/journal.db");
            prepare(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            assert!(refused(&path).contains("belongs to user 12345"));
        } else {
            assert!(refused(Path::new("/etc/passwd")).contains("belongs to user 0"));
        }
    }
}
