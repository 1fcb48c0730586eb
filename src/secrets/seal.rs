//! The installation's own key: 32 random bytes in the state folder.
//!
//! Owns the key file, keyed digests (HMAC-SHA256) and sealing (ChaCha20-Poly1305, RFC 8439), each
//! with its own key derived by HKDF (RFC 5869). Must not know what is sealed.
//!
//! Sealed text is `rw1:KEY:BASE64`: which key it needs, then nonce, data and tag.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use crate::{
    base::{Digest, digest::hex},
    diagnostics::codes,
    model::Fault,
    ports::Seal,
};

/// Bytes of the key.
const LENGTH: usize = 32;
const FORMAT: &str = "rw1";

/// Opens the key in this folder; makes both when they are not there.
///
/// # Errors
///
/// `RW0803` when the key can't be read or made, or when other users can reach it.
pub fn open(state_folder: &Path) -> Result<Arc<dyn Seal>, Fault> {
    let path = state_folder.join("key");
    let key = match read(&path)? {
        Some(key) => key,
        None => {
            make(state_folder, &path)?;
            // Another process may have been faster: the key that counts is the one that is there.
            read(&path)?.ok_or_else(|| unusable(&path, "it vanished while it was made"))?
        }
    };
    Ok(Arc::new(KeySeal::new(path, &key)?))
}

struct KeySeal {
    path: PathBuf,
    /// Names the key in what it sealed, and says nothing about it.
    id: String,
    digest: hmac::Key,
    seal: LessSafeKey,
    random: SystemRandom,
}

impl KeySeal {
    fn new(path: PathBuf, key: &[u8]) -> Result<Self, Fault> {
        let derive = |purpose: &[u8], out: &mut [u8]| {
            hkdf::Salt::new(hkdf::HKDF_SHA256, b"runward")
                .extract(key)
                .expand(&[purpose], Length(out.len()))
                .and_then(|okm| okm.fill(out))
        };
        let broken = |_| mistake("the key can't be derived");
        let (mut id, mut digest, mut seal) =
            ([0; 4], Zeroizing::new([0; LENGTH]), Zeroizing::new([0; LENGTH]));
        derive(b"id 1", &mut id).map_err(broken)?;
        derive(b"digest 1", digest.as_mut_slice()).map_err(broken)?;
        derive(b"seal 1", seal.as_mut_slice()).map_err(broken)?;
        Ok(Self {
            path,
            id: hex(&id),
            digest: hmac::Key::new(hmac::HMAC_SHA256, digest.as_slice()),
            seal: LessSafeKey::new(
                UnboundKey::new(&CHACHA20_POLY1305, seal.as_slice()).map_err(broken)?,
            ),
            random: SystemRandom::new(),
        })
    }

    fn prefix(&self) -> String {
        format!("{FORMAT}:{}:", self.id)
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Seal for KeySeal {
    fn digest(&self, data: &[u8]) -> Digest {
        Digest(format!("hmac-sha256:{}", hex(hmac::sign(&self.digest, data).as_ref())))
    }

    fn seal(&self, data: &[u8]) -> Result<String, Fault> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| mistake("the system gives no randomness"))?;
        let prefix = self.prefix();
        let mut out = nonce.to_vec();
        let mut sealed = data.to_vec();
        self.seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(prefix.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| mistake("the data are too large to be sealed"))?;
        out.append(&mut sealed);
        Ok(prefix + &BASE64.encode(out))
    }

    fn open(&self, sealed: &str) -> Result<Vec<u8>, Fault> {
        let damaged = || Fault::untouched(codes::RW0801, "sealed data are damaged");
        let Some((FORMAT, rest)) = sealed.split_once(':') else {
            return Err(damaged().detail("they don't begin with `rw1:`"));
        };
        let (id, text) = rest.split_once(':').ok_or_else(damaged)?;
        if id != self.id {
            return Err(Fault::untouched(
                codes::RW0801,
                format!(
                    "sealed data need the key {id}, but `{}` holds the key {}",
                    self.path.display(),
                    self.id
                ),
            )
            .help(
                "the key file was lost or replaced, or the journal comes from another machine: put \
                 the old key file back from its backup",
            ));
        }
        let mut bytes = BASE64.decode(text).map_err(|_| damaged())?;
        if bytes.len() < NONCE_LEN {
            return Err(damaged());
        }
        let mut data = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| damaged())?;
        let length = self
            .seal
            .open_in_place(nonce, Aad::from(self.prefix().as_bytes()), &mut data)
            .map_err(|_| damaged().detail("they don't match their authentication tag"))?
            .len();
        data.truncate(length);
        Ok(data)
    }
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(path, &e)),
    };
    let shown = path.display();
    if !found.is_file() {
        return Err(unusable(path, "it is a link or a folder, not a file"));
    }
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        let why = format!("it belongs to user {}, but runward runs as user {me}", found.uid());
        return Err(unusable(path, &why));
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let why = format!("other users can reach it (mode {mode:04o})");
        return Err(unusable(path, &why).help(format!(
            "if nobody else had a reason to read it: chmod 600 '{shown}'; otherwise remove it, and \
             what it sealed can't be undone any more"
        )));
    }
    let mut key = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
    File::open(path)
        .and_then(|file| file.take(LENGTH as u64 + 1).read_to_end(&mut key))
        .map_err(|e| unreadable(path, &e))?;
    if key.len() != LENGTH {
        return Err(unusable(path, "it does not hold 32 bytes")
            .help("put the key file back from its backup"));
    }
    Ok(Some(key))
}

/// Writes a new key beside its place and links it there: it appears whole or not at all, and never
/// over another.
fn make(folder: &Path, path: &Path) -> Result<(), Fault> {
    let failed = |e: io::Error| unreadable(path, &e);
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    let random = SystemRandom::new();
    let mut bytes = Zeroizing::new([0; LENGTH]);
    let mut name = [0; 8];
    random
        .fill(bytes.as_mut_slice())
        .and_then(|()| random.fill(&mut name))
        .map_err(|_| unusable(path, "the system gives no randomness"))?;
    let beside = folder.join(format!("key.{}", hex(&name)));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(bytes.as_slice())?;
            file.sync_all()
        })
        .and_then(|()| match fs::hard_link(&beside, path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        })
        .and_then(|()| File::open(folder)?.sync_all());
    let removed = fs::remove_file(&beside);
    written.and(removed).map_err(failed)
}

fn unusable(path: &Path, why: &str) -> Fault {
    let path = path.display();
    Fault::untouched(codes::RW0803, format!("the installation's key `{path}` can't be used: {why}"))
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::PermissionDenied => unusable(path, "permission denied"),
        ErrorKind::StorageFull => unusable(path, "the disk is full"),
        ErrorKind::ReadOnlyFilesystem => unusable(path, "the file system is mounted read-only"),
        _ => unusable(path, &error.to_string()),
    }
}

fn mistake(why: &str) -> Fault {
    Fault::untouched(codes::RW9901, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join(".runward");
        (scratch, folder)
    }

    fn refused(folder: &Path) -> Fault {
        open(folder).err().unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_only() {
        let (_scratch, place) = folder();
        let seal = open(&place).unwrap();
        for data in [b"".as_slice(), b"state", &[0xff; 100_000]] {
            let sealed = seal.seal(data).unwrap();
            assert_eq!(open(&place).unwrap().open(&sealed).unwrap(), data);
        }
        assert_ne!(seal.seal(b"state").unwrap(), seal.seal(b"state").unwrap());
        let (_scratch, other) = folder();
        let fault = open(&other).unwrap().open(&seal.seal(b"state").unwrap()).unwrap_err();
        assert!(fault.help.unwrap().contains("backup"), "{}", fault.message);
    }

    #[test]
    fn changed_data_are_refused() {
        let (_scratch, place) = folder();
        let seal = open(&place).unwrap();
        let sealed = seal.seal(b"state").unwrap();
        for i in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(seal.open(&changed).is_err(), "{changed}");
        }
        for text in ["", "rw1", "rw1:", &sealed[..20], "rw2:00:AAAA"] {
            assert!(seal.open(text).is_err(), "{text}");
        }
    }

    #[test]
    fn digests_are_equal_for_equal_data_and_need_the_key() {
        let (_scratch, place) = folder();
        let (_other_scratch, other) = folder();
        let (a, b) = (open(&place).unwrap(), open(&place).unwrap());
        assert_eq!(a.digest(b"x"), b.digest(b"x"));
        assert_ne!(a.digest(b"x"), a.digest(b"y"));
        assert_ne!(a.digest(b"x"), open(&other).unwrap().digest(b"x"));
        assert_ne!(a.digest(b"x").short(), Digest::of(b"x").short());
        assert_eq!(a.digest(b"x").short().len(), 12);
    }

    #[test]
    fn the_key_is_private_and_alone() {
        let (_scratch, place) = folder();
        open(&place).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join("key"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_reach_is_refused() {
        let (_scratch, place) = folder();
        open(&place).unwrap();
        let key = place.join("key");
        fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
        assert!(refused(&place).message.contains("mode 0640"));
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        fs::rename(&key, place.join("real")).unwrap();
        std::os::unix::fs::symlink(place.join("real"), &key).unwrap();
        assert!(refused(&place).message.contains("a link"));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let (_scratch, place) = folder();
        open(&place).unwrap();
        for bytes in [vec![1; 31], vec![1; 33], vec![]] {
            fs::write(place.join("key"), bytes).unwrap();
            assert_eq!(refused(&place).code, "RW0803");
        }
    }

    #[test]
    fn many_who_make_the_key_at_once_get_the_same() {
        let (_scratch, place) = folder();
        fs::create_dir(&place).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let place = place.clone();
                std::thread::spawn(move || open(&place).unwrap().digest(b"x"))
            })
            .collect();
        let digests: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
