//! Reads targets: databases, HTTP services, hosts over SSH.
//!
//! Owns what an address may look like. Must not know connections. Names of hosts and users reach
//! other programs' command lines and files: what could be an option or a metacharacter there is
//! refused here.

use std::{
    net::IpAddr,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use indexmap::IndexMap;
use url::Url;

use super::Reader;
use crate::{
    base::SecretName,
    diagnostics::{Diagnostic, codes, suggest},
    expression::{NameUse, Template},
    model::{
        project::SecretSource,
        target::{Address, HttpAddress, SqlAddress, SqlEngine, SshAddress, Target},
    },
    yaml::{
        Entry, Node, Shape,
        shape::{self, Fields},
    },
};

type Secrets = IndexMap<SecretName, SecretSource>;

const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Parameters that a database's URL may have.
const PARAMETERS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "host",
    "socket",
    "charset",
    "collation",
];
const PLAIN_URL: &str = "write it in plain ASCII without spaces; hosts with other letters in their \
                         `xn--` form";
/// Headers whose fixed value is a secret in clear.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "api-key"];

impl Reader {
    pub(super) fn target(
        &mut self,
        entry: &Entry,
        protected: bool,
        secrets: &Secrets,
    ) -> Option<Target> {
        let name = &*entry.key.text;
        shape::check_id(name, &entry.key.place, "a target", &mut self.out);
        let mut fields = Fields::of(&entry.value, "a target", &mut self.out)?;
        let kinds: Vec<&Entry> =
            ["sql", "http", "ssh"].iter().filter_map(|key| fields.get(key)).collect();
        let [kind] = kinds[..] else {
            let (code, message) = match kinds.len() {
                0 => (codes::RW0202, format!("the target `{name}` has no address")),
                _ => (codes::RW0209, format!("the target `{name}` has several addresses")),
            };
            self.out.push(
                Diagnostic::error(code, fields.place().clone(), message)
                    .help("write one of `sql: URL`, `http: URL` and `ssh: {hosts: […]}`"),
            );
            return None;
        };
        fields.not_yet(&["via"], &mut self.out);
        let address = match &*kind.key.text {
            "sql" => self.sql(&kind.value, &mut fields, protected, secrets).map(Address::Sql),
            "http" => self.http(&kind.value, &mut fields, protected, secrets).map(Address::Http),
            _ => self.ssh(&kind.value, protected).map(Address::Ssh),
        };
        fields.finish(&mut self.out);
        Some(Target { name: name.to_owned(), address: address?, place: entry.key.place.clone() })
    }

    fn refuse(&mut self, node: &Node, message: impl Into<String>, help: &str) {
        let fault = Diagnostic::error(codes::RW0503, node.place.clone(), message);
        self.out.push(if help.is_empty() { fault } else { fault.help(help) });
    }

    fn sql(
        &mut self,
        node: &Node,
        fields: &mut Fields<'_>,
        protected: bool,
        secrets: &Secrets,
    ) -> Option<SqlAddress> {
        let password = fields.get("password").and_then(|e| self.secret_name(&e.value, secrets));
        let statement_timeout = match fields.get("statement_timeout") {
            Some(e) => shape::duration(&e.value, "`statement_timeout`", &mut self.out),
            None => Some(STATEMENT_TIMEOUT),
        };
        let text = shape::filled(node, "`sql`", &mut self.out)?;
        let scheme = text.split(':').next().unwrap_or("");
        let (engine, url) = match scheme {
            "sqlite" => {
                let path = text.strip_prefix("sqlite:").unwrap_or("");
                match sqlite_path(path, &self.folder) {
                    Ok(path) => (SqlEngine::Sqlite, format!("sqlite:{}", path.display())),
                    Err(why) => {
                        self.refuse(node, why, "write `sqlite:` and the path of a file");
                        return None;
                    }
                }
            }
            "postgres" | "postgresql" => {
                (SqlEngine::Postgres, self.server(node, &text, protected)?)
            }
            "mysql" | "mariadb" => (SqlEngine::Mysql, self.server(node, &text, protected)?),
            _ => {
                let help = "databases are `postgres://user@host/name`, `mysql://user@host/name` \
                            and `sqlite:path`";
                let known = ["postgres", "postgresql", "mysql", "mariadb", "sqlite"];
                let help = suggest(scheme, known).unwrap_or_else(|| help.to_owned());
                if let Some(range) = password_in(&text, node) {
                    self.clear.push(range);
                }
                self.refuse(node, "this is no address of a database", &help);
                return None;
            }
        };
        Some(SqlAddress { engine, url, password, statement_timeout: statement_timeout? })
    }

    /// The URL of a database server, checked.
    fn server(&mut self, node: &Node, text: &str, protected: bool) -> Option<String> {
        if let Some(range) = password_in(text, node) {
            self.clear.push(range);
            self.in_clear(node, "the URL holds a password");
            return None;
        }
        let url = self.url(node, text)?;
        let local = url.host_str().is_none_or(is_local);
        let mut good = true;
        for (key, value) in url.query_pairs() {
            if !PARAMETERS.contains(&&*key) {
                let message =
                    format!("a database's URL has no parameter `{}`", shape::shortened(&key));
                let help = suggest(&key, PARAMETERS).unwrap_or_default();
                self.refuse(node, message, &help);
                good = false;
            }
            let weak = matches!(&*key, "sslmode" | "ssl-mode")
                && !value.to_lowercase().replace('_', "-").starts_with("verify-");
            if weak && protected && !local {
                let message = format!("`{key}={value}` leaves the server unproved");
                let help = "in a protected environment use `verify-full`, or leave it out";
                self.refuse(node, message, help);
                good = false;
            }
        }
        good.then(|| text.to_owned())
    }

    fn url(&mut self, node: &Node, text: &str) -> Option<Url> {
        let url = match Url::parse(text) {
            Ok(url) if url.has_host() => url,
            Ok(_) => {
                self.refuse(node, "this URL has no host", "write `scheme://host/…`");
                return None;
            }
            Err(error) => {
                self.refuse(node, format!("this is not a URL: {error}"), "");
                return None;
            }
        };
        // Letters beyond ASCII look like others: `bаnk` with a Cyrillic `а` is another host.
        let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '\\' | '"' | '\'' | '`');
        if text.contains(odd) || url.host_str().is_none_or(|h| h.starts_with('-')) {
            self.refuse(node, "this URL has characters that don't belong there", PLAIN_URL);
            return None;
        }
        Some(url)
    }

    /// `{secret: name}`.
    fn secret_name(&mut self, node: &Node, secrets: &Secrets) -> Option<SecretName> {
        if node.scalar().is_some() && !node.is_null() {
            self.in_clear(node, "the password itself stands in the project file");
            return None;
        }
        let out = &mut self.out;
        let mut fields = Fields::of(node, "`password`", out)?;
        let entry = fields.need("secret", out);
        fields.finish(out);
        let entry = entry?;
        let name = shape::filled(&entry.value, "`secret`", out)?;
        if !secrets.contains_key(&name) {
            let message = format!("there is no secret `{}`", shape::shortened(&name));
            let help = suggest(&name, secrets.keys().map(String::as_str))
                .unwrap_or_else(|| "define it under `secrets`".into());
            let fault = Diagnostic::error(codes::RW0410, entry.value.place.clone(), message);
            out.push(fault.help(help));
            return None;
        }
        Some(name)
    }

    fn http(
        &mut self,
        node: &Node,
        fields: &mut Fields<'_>,
        protected: bool,
        secrets: &Secrets,
    ) -> Option<HttpAddress> {
        let headers =
            fields.get("headers").map(|e| self.headers(&e.value, secrets)).unwrap_or_default();
        let timeout = match fields.get("timeout") {
            Some(e) => shape::duration(&e.value, "`timeout`", &mut self.out),
            None => Some(HTTP_TIMEOUT),
        };
        fields.not_yet(&["searches"], &mut self.out);
        let text = shape::filled(node, "`http`", &mut self.out)?;
        if let Some(range) = password_in(&text, node) {
            self.clear.push(range);
            self.in_clear(node, "the URL holds a password");
            return None;
        }
        let url = self.url(node, &text)?;
        let fault = match url.scheme() {
            "http" | "https" if !url.username().is_empty() => Some((
                "a URL of HTTP has no user",
                "credentials go into `headers`, through a secret",
            )),
            "http" | "https" if url.query().is_some() || url.fragment().is_some() => {
                Some(("the base URL has no `?` or `#`", "paths of requests are put behind it"))
            }
            "http" | "https" => None,
            _ => Some(("an HTTP service begins with `https://` or `http://`", "")),
        };
        if let Some((fault, help)) = fault {
            self.refuse(node, fault, help);
            return None;
        }
        if protected && url.scheme() == "http" && !url.host_str().is_none_or(is_local) {
            let message = "`http://` is not encrypted, and nothing proves who answers";
            self.out.push(
                Diagnostic::warning(codes::RW0503, node.place.clone(), message)
                    .help("use `https://` in a protected environment"),
            );
        }
        Some(HttpAddress { url: text, headers, timeout: timeout? })
    }

    fn headers(&mut self, node: &Node, secrets: &Secrets) -> IndexMap<String, Template> {
        let mut headers = IndexMap::new();
        for entry in shape::entries(node, "`headers`", &mut self.out).unwrap_or_default() {
            let name = &*entry.key.text;
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if !name.bytes().all(token) {
                let message = format!("`{}` is no name of a header", shape::shortened(name));
                self.out.push(Diagnostic::error(codes::RW0503, entry.key.place.clone(), message));
            }
            if let Some(template) = self.header(name, &entry.value, secrets) {
                headers.insert(name.to_owned(), template);
            }
        }
        headers
    }

    fn header(&mut self, name: &str, node: &Node, secrets: &Secrets) -> Option<Template> {
        let text = shape::text(node, &format!("the header `{name}`"), &mut self.out)?;
        if text.contains(['\r', '\n']) {
            self.refuse(node, format!("the header `{name}` has more than one line"), "");
            return None;
        }
        let written = node.scalar()?.written.clone();
        let template = match Template::parse(&text, written) {
            Ok(template) => template,
            Err(faults) => {
                self.out.extend(faults);
                return None;
            }
        };
        self.out.extend(template.check());
        if template.is_plain() && SECRET_HEADERS.contains(&name.to_lowercase().as_str()) {
            self.in_clear(node, &format!("the header `{name}` holds a secret in clear"));
            return None;
        }
        for used in template.names() {
            self.out.extend(header_name(&used, secrets));
        }
        Some(template)
    }

    fn ssh(&mut self, node: &Node, protected: bool) -> Option<SshAddress> {
        let mut fields = Fields::of(node, "`ssh`", &mut self.out)?;
        let hosts = fields.need("hosts", &mut self.out).map(|e| self.hosts(&e.value));
        let port = fields.get("port").and_then(|e| {
            let port = shape::whole(&e.value, "`port`", 1..=65_535, &mut self.out)?;
            u16::try_from(port).ok()
        });
        let mut word = |reader: &mut Self, key: &str, fits: fn(&str) -> bool, help: &str| {
            let entry = fields.get(key)?;
            let text = shape::filled(&entry.value, &format!("`{key}`"), &mut reader.out)?;
            if !fits(&text) {
                let message = format!("`{key}` can't be `{}`", shape::shortened(&text));
                reader.refuse(&entry.value, message, help);
                return None;
            }
            Some(text)
        };
        let user = word(self, "user", is_user, "users have letters, digits, `.`, `-` and `_`");
        let jump = word(self, "jump", is_jump, "write `host`, `user@host` or `user@host:port`");
        let key = word(self, "key", is_path, "write the path of a private key");
        let known_hosts = word(self, "known_hosts", is_path, "write the path of a file");
        let accept_new = fields.get("host_key").and_then(|e| {
            let table = [("strict", false), ("accept_new", true)];
            let accept = shape::choice(&e.value, "`host_key`", &table, &mut self.out)?;
            if accept && protected {
                let message = "a protected environment accepts no unknown host keys";
                self.out.push(
                    Diagnostic::error(codes::RW0504, e.value.place.clone(), message)
                        .help("put the hosts' keys into the known hosts file, and remove this"),
                );
            }
            Some(accept)
        });
        let connect_timeout = match fields.get("connect_timeout") {
            Some(e) => shape::duration(&e.value, "`connect_timeout`", &mut self.out),
            None => Some(CONNECT_TIMEOUT),
        };
        if let Some(e) = fields.get("password") {
            self.in_clear(&e.value, "SSH targets have no passwords: keys and the agent only");
        }
        fields.finish(&mut self.out);
        Some(SshAddress {
            hosts: hosts?,
            port,
            user,
            jump,
            key,
            known_hosts,
            accept_new: accept_new.unwrap_or_default(),
            connect_timeout: connect_timeout?,
        })
    }

    fn hosts(&mut self, node: &Node) -> Vec<String> {
        let nodes = match &node.shape {
            Shape::List(items) => items.to_vec(),
            _ => vec![node.clone()],
        };
        if nodes.is_empty() {
            self.refuse(node, "`hosts` must hold at least one host", "");
        }
        let mut hosts: Vec<String> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let Some(host) = shape::filled(node, "a host", &mut self.out) else { continue };
            if !is_host(&host) {
                let message =
                    format!("`{}` is no name or address of a host", shape::shortened(&host));
                self.refuse(node, message, "the user and the port have keys of their own");
            } else if hosts.contains(&host) {
                self.refuse(node, format!("the host `{host}` stands twice"), "");
            } else {
                hosts.push(host);
            }
        }
        hosts
    }
}

/// A header may use secrets and the environment's name, and nothing of a run.
fn header_name(used: &NameUse, secrets: &Secrets) -> Option<Diagnostic> {
    let place = used.places.get(1).or(used.places.first())?;
    let path: Vec<&str> = used.path.iter().map(String::as_str).collect();
    match path[..] {
        ["env", "name" | "protected"] => None,
        ["secrets", name, ..] if secrets.contains_key(name) => None,
        ["secrets", name, ..] => {
            let message = format!("there is no secret `{name}`");
            let help = suggest(name, secrets.keys().map(String::as_str))
                .unwrap_or_else(|| "define it under `secrets`".into());
            Some(Diagnostic::error(codes::RW0410, place.clone(), message).help(help))
        }
        _ => {
            let message = format!("`{}` is not known here", path.join("."));
            Some(
                Diagnostic::error(codes::RW0302, used.places.first()?.clone(), message)
                    .help("a target's headers may use `secrets.<name>` and `env.name`"),
            )
        }
    }
}

/// The file of an SQLite address, absolute.
pub(super) fn sqlite_path(path: &str, folder: &Path) -> Result<PathBuf, String> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return Err("this SQLite address has no path".into());
    }
    if path.contains(":memory:") {
        return Err("a database in memory ends with its connection".into());
    }
    if path.contains(['?', '#', '\0']) {
        return Err("an SQLite address has no parameters".into());
    }
    Ok(folder.join(path))
}

/// Where the password of a URL stands in the file, if there is one.
pub(super) fn password_in(text: &str, node: &Node) -> Option<Range<usize>> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let by_user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    let by_query = Url::parse(text).ok().and_then(|url| {
        let found = url.query_pairs().find(|(k, _)| matches!(&**k, "password" | "pass" | "pwd"));
        found.map(|(_, v)| v.into_owned())
    });
    (by_user.is_some_and(|(_, p)| !p.is_empty()) || by_query.is_some())
        .then(|| node.place.range.clone())
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A name or address: nothing that a shell or another program's options could take for more.
fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

fn is_user(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() <= 64
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && bytes.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// `host`, `user@host`, `host:port`.
fn is_jump(text: &str) -> bool {
    let (user, host) = text.split_once('@').map_or((None, text), |(u, h)| (Some(u), h));
    let (host, port) = host.rsplit_once(':').map_or((host, None), |(h, p)| (h, Some(p)));
    user.is_none_or(is_user)
        && is_host(host)
        && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0))
}

fn is_path(text: &str) -> bool {
    !text.starts_with('-') && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_could_be_options_or_more_are_no_hosts() {
        for good in ["app1", "db.internal", "10.0.0.1", "::1", "a_b-c"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["-oProxyCommand=x", "a b", "a;b", "a$(id)", "u@h", "h:22", "", ".x", "é"] {
            assert!(!is_host(bad), "{bad}");
        }
        assert!(is_jump("ops@bastion:2222") && is_jump("bastion"));
        assert!(!is_jump("-x@bastion") && !is_jump("bastion:0") && !is_jump("a,b"));
    }

    #[test]
    fn relative_files_start_at_the_project() {
        let folder = Path::new("/p");
        assert_eq!(sqlite_path("demo/a.db", folder), Ok(PathBuf::from("/p/demo/a.db")));
        assert_eq!(sqlite_path("///abs/a.db", folder), Ok(PathBuf::from("/abs/a.db")));
        assert!(sqlite_path(":memory:", folder).is_err());
        assert!(sqlite_path("a.db?mode=memory", folder).is_err());
    }
}
