//! Where a request goes and what its headers may say: never elsewhere than the target.
//!
//! Owns checks of base URLs, paths and headers. Must not know connections.

use percent_encoding::percent_decode_str;
use reqwest::{
    Method, Url,
    header::{HeaderName, HeaderValue},
};

use crate::{diagnostics::codes, model::Fault};

/// Headers that belong to the connection: setting them could smuggle a second request.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The base URL of a target: `http` or `https`, a host, perhaps a port and a path.
pub(super) fn base(name: &str, url: &str) -> Result<Url, Fault> {
    let wrong = |why: &str| {
        Fault::untouched(codes::RW0503, format!("the address of `{name}` {why}"))
            .help("write it like `https://gateway.internal` or `http://127.0.0.1:8080/api`")
    };
    if url.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(wrong("has a space, a backslash or a control character"));
    }
    let base = Url::parse(url).map_err(|_| wrong("is no URL"))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(wrong("is neither `http` nor `https`"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(
            wrong("holds credentials").help("name a secret in the target's `headers` instead")
        );
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("has a query or fragment"));
    }
    Ok(base)
}

/// The method, among those that are known to read or to change.
pub(super) fn method(name: &str) -> Result<Method, Fault> {
    match name {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "OPTIONS" => Ok(Method::OPTIONS),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(Fault::untouched(codes::RW0711, "the method is not one that can be sent")),
    }
}

/// The URL of a request: path and query behind the base.
pub(super) fn join(base: &Url, path: &str, query: &[(String, String)]) -> Result<Url, Fault> {
    check_path(path)?;
    let wrong = || refused("does not stay at the target");
    let mut url = Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/')))
        .map_err(|_| wrong())?;
    // The parser may read a URL in ways that no check foresees: what it made decides.
    let stays = url.scheme() == base.scheme()
        && url.host() == base.host()
        && url.port_or_known_default() == base.port_or_known_default()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.path().starts_with(base.path().trim_end_matches('/'));
    if !stays {
        return Err(wrong());
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn refused(why: &str) -> Fault {
    Fault::untouched(codes::RW0711, format!("the path {why}"))
        .help("a path starts with one `/` and goes behind the target's address: `/v1/limits`")
}

/// Refuses a path that could leave the target, or that servers and proxies read differently.
pub(super) fn check_path(path: &str) -> Result<(), Fault> {
    if !path.starts_with('/') {
        return Err(refused("does not start with `/`"));
    }
    if path.chars().any(char::is_control) {
        return Err(refused("has a control character"));
    }
    if path.contains(['\\', '#']) {
        return Err(refused("has a backslash or `#`; write `%5C` or `%23`"));
    }
    let (plain, _query) = path.split_once('?').unwrap_or((path, ""));
    if plain.contains("//") {
        return Err(refused("has an empty segment (`//`)"));
    }
    for segment in plain.split('/') {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        if decoded.chars().any(char::is_control) {
            return Err(refused("has an encoded control character"));
        }
        // `..;x` is `..` to some servers, and `..%2Fx` is `../x` to others.
        let climbs = decoded
            .split(['/', '\\'])
            .map(|part| part.split(';').next().unwrap_or(part))
            .any(|part| matches!(part, "." | ".."));
        if climbs {
            return Err(refused("has a `.` or `..` segment"));
        }
    }
    Ok(())
}

/// A header, checked; its value is marked so that nothing prints it.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Fault> {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    let wrong = |why: &str| Fault::untouched(codes::RW0711, format!("the header `{shown}` {why}"));
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| wrong("has a name that no header can have"))?;
    if RESERVED.contains(&name.as_str()) {
        return Err(wrong("belongs to the connection, and can't be set"));
    }
    // Letters beyond ASCII would go out as UTF-8, which servers read in different ways.
    let mut value = Some(value)
        .filter(|value| value.is_ascii())
        .and_then(|value| HeaderValue::from_str(value).ok())
        .ok_or_else(|| wrong("has a line break, a control character or a letter beyond ASCII"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base_url: &str, path: &str) -> Result<String, String> {
        let base = base("gateway", base_url).map_err(|f| f.message)?;
        join(&base, path, &[]).map(|u| u.to_string()).map_err(|f| f.message)
    }

    #[test]
    fn paths_go_behind_the_base() {
        for (base, path, expected) in [
            ("http://a.b", "/v1", "http://a.b/v1"),
            ("http://a.b:8080/api/", "/v1/", "http://a.b:8080/api/v1/"),
            ("https://a.b/api", "/", "https://a.b/api/"),
            ("https://a.b", "/s?q=a%20b&c=..", "https://a.b/s?q=a%20b&c=.."),
            ("https://a.b", "/a b/ç", "https://a.b/a%20b/%C3%A7"),
            ("https://a.b", "/v1/...", "https://a.b/v1/..."),
            ("https://a.b", "/@evil.example/:80", "https://a.b/@evil.example/:80"),
        ] {
            assert_eq!(at(base, path).as_deref(), Ok(expected));
        }
        let base = base("gateway", "http://a.b").unwrap();
        let query = [("q".to_owned(), "a&b=c d".to_owned()), ("q".to_owned(), "é".to_owned())];
        let url = join(&base, "/s?x=1", &query).unwrap();
        assert_eq!(url.as_str(), "http://a.b/s?x=1&q=a%26b%3Dc+d&q=%C3%A9");
    }

    #[test]
    fn paths_that_leave_the_target_are_refused() {
        for path in [
            "",
            "v1",
            "http://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "\\\\evil.example",
            "/a/../b",
            "/a/%2e%2E/b",
            "/a/.%2e",
            "/a/./b",
            "/a/..;x=1/b",
            "/a/..%2fb",
            "/a/x%5c..%5cb",
            "/a//b",
            "/a\r\nX: 1",
            "/a%0d%0aX:%201",
            "/a\tb",
            "/a#b",
            "@evil.example/",
            ":80@evil.example/",
        ] {
            assert!(at("http://a.b/api", path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn addresses_that_are_no_plain_service_are_refused() {
        for url in [
            "ftp://a.b",
            "file:///etc/passwd",
            "unix:///var/run/docker.sock",
            "http://user:S3cr3t@a.b",
            "http://a.b@evil.example/",
            "http://a.b\\@evil.example/",
            "http://a.b/?x=1",
            "http://a.b/#x",
            "a.b",
            "http://",
        ] {
            let fault = base("gateway", url).unwrap_err();
            assert_eq!(fault.code, "RW0503", "{url}");
            assert!(!fault.message.contains("S3cr3t"));
        }
    }

    #[test]
    fn headers_cannot_smuggle() {
        for (name, value) in [
            ("x-a", "v\r\nX-Injected: 1"),
            ("x-a", "v\nX: 1"),
            ("x-a", "v\0"),
            ("x-a", "v\u{85}x"),
            ("x a", "v"),
            ("x-a\r\nb", "v"),
            ("", "v"),
            ("Host", "evil.example"),
            ("transfer-encoding", "chunked"),
            ("Content-Length", "0"),
        ] {
            let fault = header(name, value).unwrap_err();
            assert_eq!(fault.code, "RW0711");
            assert!(!fault.message.chars().any(char::is_control), "{}", fault.message);
        }
        let (name, value) = header("X-Api-Key", "k-123\tx").unwrap();
        assert_eq!((name.as_str(), format!("{value:?}").as_str()), ("x-api-key", "Sensitive"));
    }
}
