//! The part of OpenSSH's client configuration that says how to reach a host.
//!
//! Owns the reading of `~/.ssh/config` and `/etc/ssh/ssh_config` as `ssh_config(5)` describes
//! them: `Host`, `Match all|host|originalhost`, `Include`, and of the options `HostName`, `User`,
//! `Port`, `IdentityFile`, `IdentitiesOnly` and `ProxyJump`. A `Match` block with any other
//! criterion is left out, never applied by mistake; other options are ignored. Must not know
//! targets or connections.
//!
//! Own code instead of the crate `ssh2-config` 0.9: that applies the lines of a `Match` block to
//! the `Host` block before it, and refuses the whole file for values of options that don't matter
//! here (`AddKeysToAgent confirm`, `ConnectTimeout 1m`).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{diagnostics::codes, model::Fault};

/// Files included by files, at most so deep; as in OpenSSH.
const MAX_DEPTH: usize = 16;

/// What the configuration says about one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) host_name: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: bool,
    pub(super) proxy_jump: Option<String>,
}

/// All lines, with the conditions under which each applies.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    when: Vec<When>,
    key: String,
    value: String,
    place: String,
}

#[derive(Clone, Debug)]
enum When {
    Patterns(Vec<String>),
    Never,
}

impl Config {
    /// Reads the user's and the system's configuration; absent files are empty.
    pub(super) fn load(home: Option<&Path>) -> Result<Self, Fault> {
        let mut config = Self::default();
        if let Some(home) = home {
            let folder = home.join(".ssh");
            config.file(&folder.join("config"), &folder, &[], 0)?;
        }
        let system = Path::new("/etc/ssh");
        config.file(&system.join("ssh_config"), system, &[], 0)?;
        Ok(config)
    }

    /// What it says about the host of this name. The first value of each option counts, but
    /// identity files add up.
    pub(super) fn settings(&self, host: &str) -> Result<Settings, Fault> {
        let mut found = Settings::default();
        let mut only = None;
        for line in self.lines.iter().filter(|l| l.when.iter().all(|w| w.holds(host))) {
            let value = || line.value.clone();
            match line.key.as_str() {
                "hostname" => {
                    found
                        .host_name
                        .get_or_insert_with(|| line.value.replace("%h", host).replace("%%", "%"));
                }
                "user" => {
                    found.user.get_or_insert_with(value);
                }
                "proxyjump" => {
                    found.proxy_jump.get_or_insert_with(value);
                }
                "identityfile" => found.identity_files.push(value()),
                "identitiesonly" => {
                    only.get_or_insert(line.value.eq_ignore_ascii_case("yes"));
                }
                "port" if found.port.is_none() => {
                    let port = line.value.parse().ok().filter(|p| *p > 0);
                    found.port = Some(port.ok_or_else(|| {
                        let what = format!("{}: `{}` is no port", line.place, line.value);
                        Fault::untouched(codes::RW0503, what)
                            .help("Write a number from 1 to 65535 in that line.")
                    })?);
                }
                _ => {}
            }
        }
        found.identities_only = only.unwrap_or(false);
        Ok(found)
    }

    fn file(
        &mut self,
        path: &Path,
        folder: &Path,
        outer: &[When],
        depth: usize,
    ) -> Result<(), Fault> {
        match fs::read(path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                self.text(&text, &path.display().to_string(), folder, outer, depth)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => {
                let what = format!("`{}` can't be read: {e}", path.display());
                Err(Fault::untouched(codes::RW0503, what)
                    .help("Make the file readable for you, or move it away."))
            }
        }
    }

    fn text(
        &mut self,
        text: &str,
        name: &str,
        folder: &Path,
        outer: &[When],
        depth: usize,
    ) -> Result<(), Fault> {
        let mut when = outer.to_vec();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
            let words = words(rest);
            match key.to_ascii_lowercase().as_str() {
                "host" => when = within(outer, When::Patterns(words)),
                "match" => when = within(outer, criterion(&words)),
                "include" if depth < MAX_DEPTH => {
                    for path in words.iter().flat_map(|w| included(w, folder)) {
                        self.file(&path, folder, &when, depth + 1)?;
                    }
                }
                key => self.lines.push(Line {
                    when: when.clone(),
                    key: key.to_owned(),
                    value: words.into_iter().next().unwrap_or_default(),
                    place: format!("{name}:{}", number + 1),
                }),
            }
        }
        Ok(())
    }
}

impl When {
    fn holds(&self, host: &str) -> bool {
        match self {
            Self::Patterns(patterns) => matches(patterns.iter().map(String::as_str), host),
            Self::Never => false,
        }
    }
}

fn within(outer: &[When], inner: When) -> Vec<When> {
    let mut all = outer.to_vec();
    all.push(inner);
    all
}

/// `Match all`, `Match host a,b` and `Match originalhost a,b`; everything else never holds.
fn criterion(words: &[String]) -> When {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [all] if all.eq_ignore_ascii_case("all") => When::Patterns(vec!["*".into()]),
        [what, patterns]
            if what.eq_ignore_ascii_case("host") || what.eq_ignore_ascii_case("originalhost") =>
        {
            When::Patterns(patterns.split(',').map(str::to_owned).collect())
        }
        _ => When::Never,
    }
}

/// Words of a line; double quotes hold one together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '#' if !quoted && word.is_none() => break,
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The files that an `Include` names: absolute, below `~`, or beside the configuration; with
/// wildcards in the last part of the path.
fn included(word: &str, folder: &Path) -> Vec<PathBuf> {
    let path = folder.join(super::expand_home(word));
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let mut found: Vec<PathBuf> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|n| glob(name, n)))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Does a name match a list of patterns as OpenSSH means it? `*` and `?` are wildcards; a `!`
/// before a pattern that matches refuses the whole list. Letters may be in either case.
pub(super) fn matches<'a>(patterns: impl IntoIterator<Item = &'a str>, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut found = false;
    for pattern in patterns {
        let (refuses, pattern) =
            pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
        if glob(&pattern.to_ascii_lowercase(), &name) {
            if refuses {
                return false;
            }
            found = true;
        }
    }
    found
}

/// `*` and `?` wildcards, in time linear in the product of the lengths.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let mut config = Config::default();
        config.text(text, "config", Path::new("/nowhere"), &[], 0).unwrap();
        config
    }

    #[test]
    fn the_first_value_counts_and_identity_files_add_up() {
        let config = config(
            "User early\n\
             Host app* !app9\n  HostName %h.internal\n  User late\n  Port=2222\n  IdentityFile a\n\
             Host *\n  IdentityFile \"b c\" # the usual one\n  IdentitiesOnly yes\n  Port 22\n",
        );
        let app1 = config.settings("APP1").unwrap();
        assert_eq!(app1.host_name.as_deref(), Some("APP1.internal"));
        assert_eq!((app1.user.as_deref(), app1.port), (Some("early"), Some(2222)));
        assert_eq!(app1.identity_files, ["a", "b c"]);
        assert!(app1.identities_only);
        let app9 = config.settings("app9").unwrap();
        assert_eq!((app9.host_name, app9.port), (None, Some(22)));
    }

    #[test]
    fn a_match_block_that_is_not_understood_is_left_out() {
        let config = config(
            "Host app1\n  User deploy\n\
             Match exec \"true\"\n  ProxyJump evil\n\
             Match host app1,app2\n  ProxyJump bastion\n\
             Match all\n  Port 23\n",
        );
        let app1 = config.settings("app1").unwrap();
        assert_eq!(app1.proxy_jump.as_deref(), Some("bastion"));
        assert_eq!(config.settings("db").unwrap().proxy_jump, None);
        assert_eq!(config.settings("db").unwrap().port, Some(23));
    }

    #[test]
    fn includes_keep_the_condition_around_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        fs::write(folder.path().join("conf.d/1.conf"), "User one\nHost db\n Port 5\n").unwrap();
        fs::write(folder.path().join("conf.d/2.txt"), "User two\n").unwrap();
        let mut config = Config::default();
        let text = "Host app\nInclude conf.d/*.conf\nProxyJump hop\n";
        config.text(text, "config", folder.path(), &[], 0).unwrap();
        let app = config.settings("app").unwrap();
        assert_eq!((app.user.as_deref(), app.port), (Some("one"), None));
        assert_eq!(app.proxy_jump.as_deref(), Some("hop"));
        assert_eq!(config.settings("db").unwrap(), Settings::default());
    }

    #[test]
    fn a_wrong_port_is_told_with_its_line() {
        let fault = config("Host a\nPort ssh\n").settings("a").unwrap_err();
        assert!(fault.message.contains("config:2") && fault.message.contains("`ssh`"));
    }

    #[test]
    fn wildcards_match_as_openssh_means_them() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("*.*.x", "a.b.c.x", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!matches(["*", "!a"], "a"));
    }
}
