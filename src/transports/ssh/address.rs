//! From the names in a target to places to connect to.
//!
//! Owns the rules for names of hosts and users, and how a target's settings and OpenSSH's
//! configuration add up. Must not know connections.
//!
//! Names are restricted although nothing here goes through a shell or an argument list: they are
//! shown, written to known_hosts and compared, and a name with blanks, control characters or
//! look-alike letters is a mistake or an attack.

use std::{net::Ipv6Addr, path::PathBuf};

use super::{config::Config, expand_home};
use crate::{
    diagnostics::codes,
    model::{Fault, target::SshAddress},
};

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// As the target names it.
    pub(super) name: String,
    /// What to connect to.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// The target's own key file: the only one to be tried for its hosts.
    pub(super) key: Option<PathBuf>,
    /// Key files of the configuration.
    pub(super) identities: Vec<PathBuf>,
    /// No keys of the agent but those of `identities`.
    pub(super) identities_only: bool,
}

impl Endpoint {
    /// `user@host:port`.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') {
            format!("{}@[{}]:{}", self.user, self.host, self.port)
        } else {
            format!("{}@{}:{}", self.user, self.host, self.port)
        }
    }
}

/// The hops to a host, itself last.
pub(super) fn route(
    address: &SshAddress,
    config: &Config,
    host: &str,
) -> Result<Vec<Endpoint>, Fault> {
    check_host(host)?;
    let settings = config.settings(host)?;
    let jumps = address.jump.clone().or_else(|| settings.proxy_jump.clone()).unwrap_or_default();
    let mut hops = Vec::new();
    if !jumps.is_empty() && !jumps.eq_ignore_ascii_case("none") {
        for jump in jumps.split(',') {
            let (user, name, port) = parse_jump(jump.trim())?;
            let mut hop = endpoint(address, config, &name, user, port)?;
            // A jump host may want another key than the hosts behind it.
            if let Some(key) = hop.key.take() {
                hop.identities.insert(0, key);
            }
            hops.push(hop);
        }
    }
    hops.push(endpoint(address, config, host, address.user.clone(), address.port)?);
    Ok(hops)
}

fn endpoint(
    address: &SshAddress,
    config: &Config,
    name: &str,
    user: Option<String>,
    port: Option<u16>,
) -> Result<Endpoint, Fault> {
    let settings = config.settings(name)?;
    let host = settings.host_name.unwrap_or_else(|| name.to_owned());
    check_host(&host)?;
    let user = user.or(settings.user).or_else(local_user).ok_or_else(|| {
        Fault::untouched(codes::RW0702, format!("no user is known for `{name}`"))
            .help("Say `user:` in the target.")
    })?;
    check_user(&user)?;
    let identities = settings
        .identity_files
        .iter()
        .map(|file| {
            let file = file.replace("%h", &host).replace("%r", &user).replace("%%", "%");
            expand_home(&file.replace("%d", "~"))
        })
        .collect();
    Ok(Endpoint {
        name: name.to_owned(),
        host,
        port: port.or(settings.port).unwrap_or(22),
        user,
        key: address.key.as_deref().map(expand_home),
        identities,
        identities_only: settings.identities_only,
    })
}

/// The user who runs this process: as the environment says, else by number from passwd(5).
fn local_user() -> Option<String> {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    named.filter(|user| !user.is_empty()).or_else(|| {
        let id = rustix::process::getuid().as_raw().to_string();
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        let line = users.lines().find(|l| l.split(':').nth(2) == Some(&id))?;
        line.split(':').next().map(str::to_owned)
    })
}

/// Reads `user@host:port`, of which only the host must be there; an IPv6 address with a port
/// stands in brackets.
fn parse_jump(text: &str) -> Result<(Option<String>, String, Option<u16>), Fault> {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => {
            check_user(user)?;
            (Some(user.to_owned()), place)
        }
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or("wrong"))),
        None if place.parse::<Ipv6Addr>().is_ok() => (place, None),
        None => place.rsplit_once(':').map_or((place, None), |(h, p)| (h, Some(p))),
    };
    check_host(host)?;
    let port = match port.map(|p| (p, p.parse::<u16>())) {
        None => None,
        Some((_, Ok(port))) if port > 0 => Some(port),
        Some((text, _)) => {
            let what = format!("`{}` is no port, in the jump host", text.escape_debug());
            return Err(Fault::untouched(codes::RW0711, what)
                .help("Write the jump host as `user@host:port`."));
        }
    };
    Ok((user, host.to_owned(), port))
}

/// A host is a name of letters, digits, `.`, `-` and `_`, or an IP address.
pub(super) fn check_host(host: &str) -> Result<(), Fault> {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fine = if host.contains(':') {
        host.parse::<Ipv6Addr>().is_ok()
    } else {
        let labels = || host.split('.');
        !host.is_empty()
            && host.len() <= 253
            && host.chars().all(letter)
            && host.chars().any(|c| c.is_ascii_alphanumeric())
            && !host.starts_with('-')
            && !host.contains("..")
            // `0` and `2130706433` are addresses to some resolvers.
            && (!host.chars().all(|c| c.is_ascii_digit()))
            // Letters of other scripts look like ours; their encoded form hides which they are.
            && labels().all(|l| !l.to_ascii_lowercase().starts_with("xn--"))
    };
    if fine {
        return Ok(());
    }
    let what = format!("`{}` can't be the name of a host", host.escape_debug());
    Err(Fault::untouched(codes::RW0711, what).help(
        "A host is a name of letters, digits, `.`, `-` and `_` that does not begin with `-`, or \
         an IP address.",
    ))
}

/// A user is a name of letters, digits and a few signs, as operating systems and directories use.
pub(super) fn check_user(user: &str) -> Result<(), Fault> {
    let letter = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@' | '\\' | '$')
    };
    let fine = user.len() <= 128
        && user.chars().all(letter)
        && user.chars().any(|c| c.is_ascii_alphabetic() || c == '_')
        && !user.starts_with(['-', '$', '@', '\\']);
    if fine {
        return Ok(());
    }
    let what = format!("`{}` can't be the name of a user", user.escape_debug());
    Err(Fault::untouched(codes::RW0711, what)
        .help("A user is a name of letters, digits, `.`, `-`, `_`, `+`, `@` and `\\`."))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Values that have been used to attack programs that call `ssh`.
    const HOSTILE: &[&str] = &[
        "-oProxyCommand=touch /tmp/x",
        "-oProxyCommand=touch${IFS}/tmp/x",
        "-F/tmp/evil_config",
        "-w0",
        "--",
        "host;touch /tmp/x",
        "host`touch /tmp/x`",
        "$(touch /tmp/x)",
        "user@-oProxyCommand=x",
        "-l@host",
        "host name",
        "host%n",
        "host\nProxyCommand x",
        "[::1%25$(touch /tmp/x)]",
        "''",
        "",
        ".",
        "..",
        "0",
        "host:22:22",
        "host/../../x",
        "xn--80ak6aa92e.com",
        "hóst",
        "host\0",
        "host\u{202e}",
    ];

    fn address(host: &str) -> SshAddress {
        SshAddress {
            hosts: vec![host.to_owned()],
            port: None,
            user: Some("deploy".into()),
            jump: None,
            key: None,
            known_hosts: None,
            accept_new: false,
            connect_timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn hostile_names_are_refused_as_host_and_jump() {
        for hostile in HOSTILE {
            let config = Config::default();
            let fault = route(&address(hostile), &config, hostile).unwrap_err();
            assert_eq!(fault.code, "RW0711", "{hostile:?}");
            let jump = SshAddress { jump: Some((*hostile).to_owned()), ..address("app1") };
            if !hostile.is_empty() {
                assert!(route(&jump, &config, "app1").is_err(), "{hostile:?}");
            }
        }
    }

    #[test]
    fn hostile_names_are_refused_as_user() {
        // A few are strange, but good names of users: nothing interprets them.
        for hostile in HOSTILE.iter().filter(|h| !h.starts_with("xn--")) {
            let address = SshAddress { user: Some((*hostile).to_owned()), ..address("app1") };
            let fault = route(&address, &Config::default(), "app1").unwrap_err();
            assert_eq!(fault.code, "RW0711", "{hostile:?}");
        }
    }

    #[test]
    fn good_names_pass() {
        for host in ["app1", "db-1.internal", "10.0.0.1", "::1", "fe80::1", "3scale", "a_b"] {
            assert!(check_host(host).is_ok(), "{host}");
        }
        for user in ["deploy", "first.last", "CORP\\ana", "ana@corp", "svc$", "_app", "u-1"] {
            assert!(check_user(user).is_ok(), "{user}");
        }
    }

    #[test]
    fn a_jump_host_has_its_own_user_and_port() {
        let parse = |text| parse_jump(text).unwrap();
        assert_eq!(parse("bastion"), (None, "bastion".into(), None));
        assert_eq!(parse("ana@bastion:2200"), (Some("ana".into()), "bastion".into(), Some(2200)));
        assert_eq!(parse("[::1]:22"), (None, "::1".into(), Some(22)));
        assert_eq!(parse("::1"), (None, "::1".into(), None));
        for wrong in ["bastion:", "bastion:0", "bastion:65536", "[::1]x", "a@b@c d"] {
            assert!(parse_jump(wrong).is_err(), "{wrong}");
        }
        let address = SshAddress { jump: Some("ana@hop1:2200,hop2".into()), ..address("app1") };
        let route = route(&address, &Config::default(), "app1").unwrap();
        let places: Vec<String> = route.iter().map(Endpoint::place).collect();
        assert_eq!(places[0], "ana@hop1:2200");
        assert_eq!(places[2], "deploy@app1:22");
    }
}
