//! Is this host's key the one that we know?
//!
//! Owns the reading of `known_hosts` files as `sshd(8)` describes them ("SSH_KNOWN_HOSTS FILE
//! FORMAT"): plain, wildcard, hashed and `[host]:port` names, `@revoked` lines. Lines with
//! `@cert-authority` are not used, since host certificates are not asked for. Must not know
//! connections.

use std::{fs, io, path::PathBuf};

use ring::hmac;
use ssh_key::{
    Algorithm, HashAlg, PublicKey,
    known_hosts::{Entry, HostPatterns, Marker},
};

use super::config::matches;
use crate::{diagnostics::codes, model::Fault};

/// The lines of all files that could be read.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    lines: Vec<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    place: String,
    entry: Entry,
}

/// What the files say about a key that a host has shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is recorded for this host.
    Known,
    /// It was withdrawn, in this line.
    Revoked(String),
    /// Others are recorded for this host: place and fingerprint of each.
    Changed(Vec<(String, String)>),
    /// Nothing is recorded for this host.
    Unknown,
}

impl KnownHosts {
    /// Reads files. One that does not exist is empty, one that can't be read is a fault: a
    /// withdrawn key might stand in it. Lines that can't be parsed are left out, as OpenSSH does.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, Fault> {
        let mut known = Self::default();
        for file in files {
            match fs::read(file) {
                Ok(bytes) => {
                    known.parse(&String::from_utf8_lossy(&bytes), &file.display().to_string());
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    let what = format!("known hosts `{}` can't be read: {e}", file.display());
                    return Err(Fault::untouched(codes::RW0702, what)
                        .help("Make the file readable for you; host keys are always checked."));
                }
            }
        }
        Ok(known)
    }

    fn parse(&mut self, text: &str, name: &str) {
        for (number, line) in text.lines().enumerate() {
            // The parser wants single spaces; people write tabs and several.
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Ok(entry) = line.parse::<Entry>() {
                self.lines.push(Recorded { place: format!("{name}:{}", number + 1), entry });
            }
        }
    }

    /// The algorithms by which the host is known: those to ask it for first, so that a host known
    /// by one of its keys is not refused for showing another.
    pub(super) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        self.keys(host, port).map(|(_, key)| key.algorithm()).collect()
    }

    /// What the files say about this key of this host.
    pub(super) fn verdict(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let same = |other: &PublicKey| other.key_data() == key.key_data();
        let revoked = self.lines.iter().find(|l| {
            l.entry.marker() == Some(&Marker::Revoked)
                && same(l.entry.public_key())
                && names(host, port).iter().any(|n| covers(l.entry.host_patterns(), n))
        });
        if let Some(line) = revoked {
            return Verdict::Revoked(line.place.clone());
        }
        let mut others = Vec::new();
        for (place, recorded) in self.keys(host, port) {
            if same(recorded) {
                return Verdict::Known;
            }
            others.push((place.to_owned(), fingerprint(recorded)));
        }
        if others.is_empty() { Verdict::Unknown } else { Verdict::Changed(others) }
    }

    /// Keys recorded for the host. Like OpenSSH, a host on another port than 22 for which nothing
    /// is recorded may be known by its bare name.
    fn keys(&self, host: &str, port: u16) -> impl Iterator<Item = (&str, &PublicKey)> {
        let plain = |name: &str| -> Vec<&Recorded> {
            let covered =
                |l: &&Recorded| l.entry.marker().is_none() && covers(l.entry.host_patterns(), name);
            self.lines.iter().filter(covered).collect()
        };
        let found = names(host, port).iter().map(|n| plain(n)).find(|l| !l.is_empty());
        found.unwrap_or_default().into_iter().map(|l| (l.place.as_str(), l.entry.public_key()))
    }
}

/// As OpenSSH shows it: `SHA256:…`.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// How the host is written in the files, most exact first.
fn names(host: &str, port: u16) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    if port == 22 { vec![host] } else { vec![format!("[{host}]:{port}"), host] }
}

fn covers(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => matches(patterns.iter().map(String::as_str), name),
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.parse(text, "kh");
        known
    }

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    #[test]
    fn names_ports_wildcards_and_case() {
        let known = known(&format!(
            "# a comment\n\nnot a line\n[app1]:2222 {ONE} comment here\n\
             *.internal,!db.internal\t{TWO}\nAPP2,10.0.0.2  {ONE}\n"
        ));
        for (host, port, key_text, expected) in [
            ("app1", 2222, ONE, Verdict::Known),
            ("app1", 22, ONE, Verdict::Unknown),
            ("x.internal", 22, TWO, Verdict::Known),
            ("x.internal", 2200, TWO, Verdict::Known),
            ("db.internal", 22, TWO, Verdict::Unknown),
            ("App2", 22, ONE, Verdict::Known),
            ("10.0.0.2", 22, ONE, Verdict::Known),
        ] {
            assert_eq!(known.verdict(host, port, &key(key_text)), expected, "{host}:{port}");
        }
    }

    #[test]
    fn another_key_is_a_change_and_says_where_the_old_one_stands() {
        let known = known(&format!("app1 {ONE}\n"));
        let Verdict::Changed(recorded) = known.verdict("app1", 22, &key(TWO)) else {
            panic!("must be a change")
        };
        assert_eq!(recorded, [("kh:1".to_owned(), fingerprint(&key(ONE)))]);
        assert_eq!(known.algorithms("app1", 22), [Algorithm::Ed25519]);
    }

    #[test]
    fn hashed_names_are_found() {
        // The example of russh's own tests: `example.com`.
        let known =
            known(&format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= {TWO}\n"));
        assert_eq!(known.verdict("example.com", 22, &key(TWO)), Verdict::Known);
        assert_eq!(known.verdict("example.org", 22, &key(TWO)), Verdict::Unknown);
    }

    #[test]
    fn a_withdrawn_key_is_refused_whatever_else_is_recorded() {
        let known = known(&format!("app1 {ONE}\n@revoked * {ONE}\n@cert-authority * {TWO}\n"));
        assert_eq!(known.verdict("app1", 22, &key(ONE)), Verdict::Revoked("kh:2".into()));
        assert_eq!(known.verdict("app9", 2222, &key(ONE)), Verdict::Revoked("kh:2".into()));
        assert_eq!(known.verdict("app9", 22, &key(TWO)), Verdict::Unknown);
    }
}
