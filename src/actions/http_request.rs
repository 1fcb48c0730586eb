//! `http.request`: one request, and its answer as values.
//!
//! Owns arguments, bodies, accepted statuses and the shape of the result. Must not know
//! connections: `Transports` has them.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    base::{Map, Value},
    diagnostics::{Diagnostic, codes},
    model::{
        ActionSpec, EffectRule, Fault,
        action_spec::{ArgumentKind, TargetKind, argument, example, field, volatile},
        runbook::{ActionCall, TreeNode},
    },
    ports::{
        Action, Arguments, StepContext,
        transport::{HttpRequest, HttpResponse},
    },
};

const METHODS: &[&str] = &["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
const READS: &[&str] = &["GET", "HEAD", "OPTIONS"];
const BODIES: &[&str] = &["json", "form", "body"];
/// Bytes of an answer that are read when `max_bytes` is absent.
const MAX_BYTES: usize = 4 << 20;
/// Characters of an answer's body that a fault quotes.
const QUOTED: usize = 500;
/// What stays as it is in a form, by the URL standard's
/// "application/x-www-form-urlencoded percent-encode set".
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// The action.
pub fn new() -> Arc<dyn Action> {
    Arc::new(Request { spec: spec() })
}

struct Request {
    spec: ActionSpec,
}

fn spec() -> ActionSpec {
    use ArgumentKind as K;
    let optional = |name, kind, summary| argument(name, kind, false, summary);
    ActionSpec {
        name: "http.request".into(),
        summary: "Send one HTTP request to a service.".into(),
        manual: include_str!("../../docs/actions/http.request.md").into(),
        target: Some(TargetKind::Http),
        arguments: vec![
            argument("on", K::Target, true, "The service."),
            optional(
                "method",
                K::Fixed(METHODS.to_vec()),
                "GET when absent; GET, HEAD and OPTIONS read, others change.",
            ),
            argument("path", K::UrlPath, true, "Path behind the service's address, from `/` on."),
            optional(
                "query",
                K::Map,
                "Query parameters; a list repeats its name, null leaves out.",
            ),
            optional("headers", K::Map, "Headers, over those of the service."),
            optional("json", K::Any, "Body as JSON; decimals keep their digits."),
            optional("form", K::Map, "Body as a form; a list repeats its name."),
            optional("body", K::Text, "Body as it is."),
            optional("timeout", K::Duration, "Time for the exchange; the service's when absent."),
            optional(
                "status",
                K::List,
                "Accepted statuses such as `200` or `2xx`; absent: any for reads, 2xx for changes.",
            ),
            optional("idempotency_key", K::Text, "Sent as the header `Idempotency-Key`."),
            optional("max_bytes", K::Integer, "Largest answer in bytes; 4 MiB when absent."),
        ],
        result: vec![
            field("status", "integer", "The status."),
            volatile("headers", "map of text", "Headers by lower-case name."),
            field("body", "text", "The body; bytes when it is no UTF-8."),
            field("json", "any", "The body read as JSON when it says that it is; else null."),
            volatile("took_ms", "integer", "Milliseconds from sending to the last byte."),
        ],
        effect: EffectRule::ReadsWhen { argument: "method", values: READS, default: "GET" },
        examples: examples(),
        ..ActionSpec::default()
    }
}

fn examples() -> Vec<crate::model::action_spec::Example> {
    vec![
        example(
            "Ask until a service is ready",
            "- id: gateway
  http.request: {on: gateway, path: /healthz}
  expect:
    - result.status == 200
    - that: result.json.ready
      message: The gateway is up but not ready
  retry: {attempts: 5, delay: 2s, backoff: 2}
",
        ),
        example(
            "Change a limit, and put it back when a later step fails",
            "- id: limit
  change:
    capture: {http.request: {on: gateway, path: /v1/limits/capture}}
    apply:
      http.request:
        on: gateway
        method: PUT
        path: /v1/limits/capture
        json: {limit: 5}
    rollback:
      http.request:
        on: gateway
        method: PUT
        path: /v1/limits/capture
        json: \"{{ before.json }}\"
",
        ),
    ]
}

#[async_trait]
impl Action for Request {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    fn check(&self, call: &ActionCall) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let bodies: Vec<_> =
            BODIES.iter().filter_map(|name| Some((name, call.arguments.get(*name)?))).collect();
        if let [(first, at), (second, tree), ..] = bodies.as_slice() {
            found.push(
                Diagnostic::error(
                    codes::RW0209,
                    tree.place.clone(),
                    format!("`{first}` and `{second}` don't go together"),
                )
                .related(at.place.clone(), "the other body")
                .help("a request has one body: keep one of `json`, `form` and `body`"),
            );
        }
        if let Some(tree) = call.arguments.get("path")
            && let TreeNode::Constant(Value::Text(path)) = &tree.node
            && (!path.starts_with('/') || path.starts_with("//"))
        {
            found.push(
                Diagnostic::error(
                    codes::RW0711,
                    tree.place.clone(),
                    "the path must start with one `/`",
                )
                .help("the host comes from the target: write only what is behind it"),
            );
        }
        if let Some(tree) = call.arguments.get("status") {
            let items = match &tree.node {
                TreeNode::List(items) => items.iter().collect(),
                _ => vec![tree],
            };
            for item in items {
                if let TreeNode::Constant(value) = &item.node
                    && let Err(why) = statuses(value)
                {
                    found.push(Diagnostic::error(codes::RW0204, item.place.clone(), why));
                }
            }
        }
        found
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        let target = arguments.required_text("on")?;
        let accepted = Accepted::from_arguments(arguments)?;
        let request = build(cx, arguments)?;
        let (method, changes) = (request.method.clone(), changes(&request.method));
        let service = cx.transports.http(&target).await?;
        let response = service.send(request).await?;
        if accepted.holds(response.status, changes) {
            return Ok(result(&response));
        }
        let path = arguments.get("path").map_or_else(String::new, shown);
        let request = format!("{method} {path}");
        Err(not_accepted(&target, &request, &response, changes, &accepted))
    }
}

fn changes(method: &str) -> bool {
    !READS.contains(&method)
}

fn wrong(message: impl Into<String>) -> Fault {
    Fault::untouched(codes::RW0711, message)
}

/// A value in words for messages; a secret by its name.
fn shown(value: &Value) -> String {
    match value {
        Value::Secret(secret) => secret.shown().to_owned(),
        other => other.to_string(),
    }
}

/// The request. Secrets are in clear from here on: it goes to the transport and nowhere else.
fn build(cx: &StepContext, arguments: &Arguments) -> Result<HttpRequest, Fault> {
    let method = arguments.text("method")?.unwrap_or_else(|| "GET".into());
    if !METHODS.contains(&method.as_str()) {
        return Err(wrong(format!("`method` must be one of {}", METHODS.join(", "))));
    }
    let (body, kind) = body(arguments)?;
    let mut headers = pairs("headers", &arguments.map("headers")?)?;
    let has = |headers: &[(String, String)], name: &str| {
        headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    if let Some(kind) = kind
        && !has(&headers, "content-type")
    {
        headers.push(("content-type".into(), kind.into()));
    }
    if let Some(key) = arguments.text("idempotency_key")? {
        if has(&headers, "idempotency-key") {
            return Err(wrong("`idempotency_key` is also among the `headers`"));
        }
        headers.push(("idempotency-key".into(), key));
    }
    let max_bytes = match arguments.int("max_bytes")? {
        None => MAX_BYTES,
        Some(bytes) => usize::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes > 0)
            .ok_or_else(|| wrong("`max_bytes` must be 1 or more"))?,
    };
    Ok(HttpRequest {
        method,
        path: arguments.required_text("path")?,
        query: pairs("query", &arguments.map("query")?)?,
        headers,
        body,
        timeout: arguments.duration("timeout")?.map(|own| own.min(cx.timeout.unwrap_or(own))),
        max_bytes,
    })
}

/// The body's bytes and what they are.
fn body(arguments: &Arguments) -> Result<(Option<Vec<u8>>, Option<&'static str>), Fault> {
    let given: Vec<_> =
        BODIES.iter().filter_map(|name| Some((*name, arguments.get(name)?))).collect();
    match given.as_slice() {
        [] => Ok((None, None)),
        [("json", value)] => {
            Ok((Some(value.to_wire().to_string().into_bytes()), Some("application/json")))
        }
        [("form", _)] => {
            let fields = pairs("form", &arguments.map("form")?)?;
            Ok((Some(form(&fields).into_bytes()), Some("application/x-www-form-urlencoded")))
        }
        [(_, Value::Bytes(bytes))] => Ok((Some(bytes.clone()), Some("application/octet-stream"))),
        [(_, _)] => {
            let text = arguments.text("body")?.unwrap_or_default();
            Ok((Some(text.into_bytes()), Some("text/plain; charset=utf-8")))
        }
        _ => Err(wrong("a request has one body: `json`, `form` or `body`")),
    }
}

/// Names with their texts; a list repeats its name, and null leaves it out.
fn pairs(argument: &str, map: &Map) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::with_capacity(map.len());
    for (name, value) in map {
        for item in value.as_list().unwrap_or(std::slice::from_ref(value)) {
            let text = match item {
                Value::Null => continue,
                Value::Secret(secret) => secret.expose().to_owned(),
                Value::List(_) | Value::Map(_) | Value::Bytes(_) => {
                    let kind = item.kind();
                    return Err(wrong(format!("`{argument}.{name}` must be text, but is {kind}")));
                }
                simple => simple.to_string(),
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}

fn form(fields: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, FORM).to_string().replace("%20", "+");
    fields
        .iter()
        .map(|(name, text)| format!("{}={}", encode(name), encode(text)))
        .collect::<Vec<_>>()
        .join("&")
}

/// Statuses that are no failure.
struct Accepted(Option<Vec<(u16, u16)>>);

impl Accepted {
    fn from_arguments(arguments: &Arguments) -> Result<Self, Fault> {
        if arguments.get("status").is_none() {
            return Ok(Self(None));
        }
        let ranges = arguments.list("status")?.iter().map(statuses).collect::<Result<_, _>>();
        ranges.map(|ranges| Self(Some(ranges))).map_err(wrong)
    }

    /// By default a read gives its answer, whatever it is, and `expect` judges it. A change must
    /// have been done: a redirect that is not followed has done nothing yet.
    fn holds(&self, status: u16, changes: bool) -> bool {
        match &self.0 {
            Some(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&status)),
            None => !changes || (200..300).contains(&status),
        }
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ranges) = &self.0 else { return f.write_str("2xx") };
        for (i, (from, to)) in ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            if from == to {
                write!(f, "{comma}{from}")?;
            } else {
                write!(f, "{comma}{}xx", from / 100)?;
            }
        }
        Ok(())
    }
}

/// `200`, `"200"` or `"2xx"`: from and to, inclusive.
fn statuses(value: &Value) -> Result<(u16, u16), String> {
    let wrong = || format!("`{}` is no status; write `200`, or `2xx` for a class", shown(value));
    if let Some(class) = value.as_text().and_then(|text| text.trim().strip_suffix("xx")) {
        let class: u16 = class.parse().map_err(|_| wrong())?;
        return if (1..=5).contains(&class) {
            Ok((class * 100, class * 100 + 99))
        } else {
            Err(wrong())
        };
    }
    let status = value.as_int().or_else(|| value.as_text()?.trim().parse().ok());
    let status = status.and_then(|s| u16::try_from(s).ok()).filter(|s| (100..600).contains(s));
    status.map(|s| (s, s)).ok_or_else(wrong)
}

fn result(response: &HttpResponse) -> Value {
    let mut headers = Map::new();
    for (name, text) in &response.headers {
        let joined = match headers.get(name).and_then(Value::as_text) {
            Some(earlier) => format!("{earlier}, {text}"),
            None => text.clone(),
        };
        headers.insert(name.clone(), Value::Text(joined));
    }
    let json = if is_json(response) {
        serde_json::from_slice(&response.body).map_or(Value::Null, Value::from_json)
    } else {
        Value::Null
    };
    let body = match std::str::from_utf8(&response.body) {
        Ok(text) => Value::text(text),
        Err(_) => Value::Bytes(response.body.clone()),
    };
    Value::map([
        ("status", Value::Int(response.status.into())),
        ("headers", Value::Map(headers)),
        ("body", body),
        ("json", json),
        ("took_ms", milliseconds(response.took)),
    ])
}

fn milliseconds(took: Duration) -> Value {
    Value::Int(i128::try_from(took.as_millis()).unwrap_or(i128::MAX))
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
}

/// `application/json`, or anything whose type ends with `+json`.
fn is_json(response: &HttpResponse) -> bool {
    let kind = header(response, "content-type").unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// The fault of a status that is not accepted. It quotes the answer, and nothing of the request
/// but its method and path.
fn not_accepted(
    target: &str,
    request: &str,
    response: &HttpResponse,
    changes: bool,
    accepted: &Accepted,
) -> Fault {
    let status = response.status;
    let message = format!("`{target}` answered {status} to {request}; accepted: {accepted}");
    let fault = if changes {
        // Even a 4xx may come from a proxy behind which the service did its work.
        Fault::partial(codes::RW0704, message)
    } else {
        Fault::untouched(codes::RW0704, message)
    };
    let mut detail = String::new();
    for name in ["location", "retry-after"] {
        if let Some(text) = header(response, name) {
            detail.push_str(&format!("{name}: {text}\n"));
        }
    }
    detail.push_str(&beginning(&response.body));
    let fault = if detail.is_empty() { fault } else { fault.detail(detail) };
    let fault = if matches!(status, 429 | 503) { fault.transient() } else { fault };
    let help = match status {
        300..=399 => "redirects are not followed: name the right path, or accept the status",
        401 | 403 => "look at the credentials in the target's `headers`",
        404 => "look at `path`, and at the target's address",
        429 | 503 => "the service is busy or down; `retry:` tries again",
        500..=599 => "the service failed: look at its logs",
        _ => "look at what the service says; accept the status with `status:` if it is right",
    };
    fault.help(help).result(result(response))
}

/// The beginning of a body as one piece of harmless text.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * QUOTED)]);
    let harmless = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let mut quoted: String = text.chars().map(harmless).take(QUOTED).collect();
    if quoted.len() < body.len() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Place, Secret, Source},
        model::{Effect, World, runbook::Tree},
    };

    fn arguments(pairs: &[(&str, Value)]) -> Arguments {
        Arguments::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    }

    fn secret() -> Value {
        Value::Secret(Secret::new("token", "1", "t0p s3cret".into()))
    }

    fn response(status: u16, kind: &str, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            headers: vec![
                ("content-type".into(), kind.into()),
                ("x-a".into(), "1".into()),
                ("x-a".into(), "2".into()),
            ],
            body: body.into(),
            took: Duration::from_millis(12),
        }
    }

    fn call(pairs: &[(&str, TreeNode)]) -> ActionCall {
        let place = Place::new(&Source::new("a.yaml", "x"), 0..1);
        let tree = |node: &TreeNode| Tree { node: node.clone(), place: place.clone() };
        ActionCall {
            action: "http.request".into(),
            place: place.clone(),
            arguments: pairs.iter().map(|(k, n)| ((*k).to_owned(), tree(n))).collect(),
            effect: Effect::Read,
        }
    }

    #[test]
    fn bodies_are_written_for_the_wire() {
        let amount = Value::Decimal("12.30".parse().unwrap());
        let json = Value::map([("amount", amount), ("key", secret())]);
        let (bytes, kind) = body(&arguments(&[("json", json)])).unwrap();
        assert_eq!(bytes.unwrap(), br#"{"amount":12.30,"key":"t0p s3cret"}"#);
        assert_eq!(kind, Some("application/json"));
        let fields = Value::map([
            ("q", Value::List(vec!["a b".into(), Value::Int(2), Value::Null])),
            ("é&", secret()),
        ]);
        let (bytes, _) = body(&arguments(&[("form", fields)])).unwrap();
        assert_eq!(bytes.unwrap(), b"q=a+b&q=2&%C3%A9%26=t0p+s3cret");
        let (bytes, kind) = body(&arguments(&[("body", Value::Bytes(vec![255]))])).unwrap();
        assert_eq!((bytes, kind), (Some(vec![255]), Some("application/octet-stream")));
        let two = body(&arguments(&[("body", "x".into()), ("json", Value::Int(1))])).unwrap_err();
        assert_eq!(two.code, "RW0711");
    }

    #[test]
    fn nested_values_are_refused_where_text_goes() {
        let map = Map::from([("a".to_owned(), Value::Map(Map::new()))]);
        let fault = pairs("query", &map).unwrap_err();
        assert_eq!(fault.message, "`query.a` must be text, but is a map");
    }

    #[test]
    fn statuses_are_single_or_classes() {
        assert_eq!(statuses(&Value::Int(204)), Ok((204, 204)));
        assert_eq!(statuses(&"2xx".into()), Ok((200, 299)));
        assert_eq!(statuses(&"404".into()), Ok((404, 404)));
        for wrong in [Value::Int(99), Value::Int(600), "9xx".into(), "ok".into(), Value::Null] {
            assert!(statuses(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn changes_must_be_done_and_reads_may_answer_anything() {
        let default = Accepted(None);
        assert!(default.holds(503, false));
        for (status, good) in [(200, true), (204, true), (302, false), (404, false), (503, false)] {
            assert_eq!(default.holds(status, true), good, "{status}");
        }
        let declared = Accepted::from_arguments(&arguments(&[(
            "status",
            Value::List(vec![Value::Int(404), "2xx".into()]),
        )]))
        .unwrap();
        assert!(declared.holds(404, true) && declared.holds(201, true));
        assert!(!declared.holds(500, false));
        assert_eq!(declared.to_string(), "404, 2xx");
    }

    #[test]
    fn answers_become_values() {
        let found = result(&response(200, "application/problem+json; x=y", r#"{"a": 1.10}"#));
        let json = found.get("json").unwrap();
        assert_eq!(json.to_journal().to_string(), r#"{"a":{"$decimal":"1.10"}}"#);
        assert_eq!(found.get("headers").unwrap().get("x-a"), Some(&"1, 2".into()));
        assert_eq!(found.get("took_ms"), Some(&Value::Int(12)));
        let html = result(&response(200, "text/html", "{}"));
        assert!(matches!(html.get("json"), Some(Value::Null)));
        let broken = result(&response(200, "application/json", "<html>"));
        assert!(matches!(broken.get("json"), Some(Value::Null)));
    }

    #[test]
    fn a_refused_status_says_what_it_leaves() {
        let busy = response(503, "text/plain", "try \u{1b}[2Jlater");
        let fault = not_accepted("gateway", "POST /v1", &busy, true, &Accepted(None));
        assert_eq!(
            (fault.code.as_str(), fault.world, fault.transient),
            ("RW0704", World::Partial, true)
        );
        assert_eq!(fault.message, "`gateway` answered 503 to POST /v1; accepted: 2xx");
        assert_eq!(fault.detail.as_deref(), Some("try  [2Jlater"));
        let read = not_accepted("gateway", "GET /", &busy, false, &Accepted(Some(vec![])));
        assert_eq!(read.world, World::Untouched);
        assert!(beginning(&[b'x'; 3000]).ends_with("x…"));
    }

    #[test]
    fn checks_find_what_cannot_work() {
        let text = |t: &str| TreeNode::Constant(t.into());
        let number = |n| Tree {
            node: TreeNode::Constant(Value::Int(n)),
            place: Place::new(&Source::new("a.yaml", "x"), 0..1),
        };
        let found = new().check(&call(&[
            ("path", text("https://evil.example/")),
            ("json", text("x")),
            ("body", text("y")),
            ("status", TreeNode::List(vec![number(200), number(20)])),
        ]));
        let codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, ["RW0209", "RW0711", "RW0204"]);
        assert_eq!(new().check(&call(&[("path", text("/v1")), ("json", text("x"))])), vec![]);
    }

    #[test]
    fn a_secret_path_is_shown_by_its_name() {
        assert_eq!(shown(&secret()), "‹secret token@1›");
    }
}
