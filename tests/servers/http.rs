//! `http.request` and its transport: against nginx, and against local peers that misbehave in
//! ways that nginx does not.

use std::{
    convert::Infallible,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use indexmap::IndexMap;
use runward::{
    actions::http_request,
    base::{Map, NodeId, RunId, Secret, Timestamp, Value},
    diagnostics::codes,
    model::{Fault, World, target::HttpAddress},
    ports::{
        Arguments, Clock, StepContext, Transports,
        transport::{HttpRequest, HttpResponse, HttpTarget, Processes, SqlTarget, SshTarget},
    },
    transports::http,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::variable;

fn nginx() -> String {
    variable("RUNWARD_TEST_HTTP_URL")
}

fn open(url: &str) -> Arc<dyn HttpTarget> {
    try_open(url, Vec::new()).unwrap()
}

fn try_open(url: &str, headers: Vec<(String, Secret)>) -> Result<Arc<dyn HttpTarget>, Fault> {
    let address = HttpAddress {
        url: url.to_owned(),
        headers: IndexMap::new(),
        timeout: Duration::from_secs(20),
    };
    http::open("gateway", &address, headers)
}

fn request(method: &str, path: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        path: path.into(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        max_bytes: 1 << 20,
    }
}

async fn send(url: &str, method: &str) -> Result<HttpResponse, Fault> {
    open(url).send(request(method, "/x")).await
}

/// A server of hyper's that answers with what `answer` makes of each request.
async fn serve<F>(answer: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(&hyper::http::request::Parts, &[u8]) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let (answer, counted) = (Arc::new(answer), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = Arc::clone(&answer);
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        Ok::<_, Infallible>(answer(&parts, &body))
                    }
                });
                // The client may go away in the middle; that is what some tests are about.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, connections)
}

/// A TCP peer that reads a request's head and then does as it likes.
async fn peer<F, T>(act: F) -> String
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read_buf(&mut head).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            tokio::spawn(act(stream));
        }
    });
    format!("http://{address}")
}

/// Shows the request that came: one line each for the request, its headers and its body.
fn echo(parts: &hyper::http::request::Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    text.push_str(&String::from_utf8_lossy(body));
    Response::builder().header("X-Seen", "a").header("x-seen", "b").body(text.into()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program gzip");
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let packed = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    packed
}

struct OneTarget(Arc<dyn HttpTarget>);

fn absent<T>() -> Result<T, Fault> {
    Err(Fault::untouched(codes::RW9901, "this test has HTTP only"))
}

#[async_trait]
impl Transports for OneTarget {
    async fn sql(&self, _: &str) -> Result<Arc<dyn SqlTarget>, Fault> {
        absent()
    }
    async fn http(&self, _: &str) -> Result<Arc<dyn HttpTarget>, Fault> {
        Ok(Arc::clone(&self.0))
    }
    async fn ssh(&self, _: &str) -> Result<Arc<dyn SshTarget>, Fault> {
        absent()
    }
    fn processes(&self) -> Arc<dyn Processes> {
        panic!("this test has HTTP only")
    }
    async fn close(&self) {}
}

struct Fixed;

#[async_trait]
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    async fn until(&self, _: Timestamp) {}
    fn new_id(&self) -> String {
        "01900000-0000-7000-8000-000000000000".into()
    }
}

/// Runs the action as a step would.
async fn act(url: &str, arguments: &[(&str, Value)]) -> Result<Value, Fault> {
    let headers = vec![(
        "Authorization".to_owned(),
        Secret::new("gateway_token", "1", "Bearer s3cr3t-token".into()),
    )];
    let cx = StepContext {
        run: RunId("01900000-0000-7000-8000-000000000000".into()),
        node: NodeId::new("gateway"),
        attempt: 1,
        timeout: None,
        clock: Arc::new(Fixed),
        transports: Arc::new(OneTarget(try_open(url, headers).unwrap())),
        folder: PathBuf::new(),
    };
    let mut values: Map = arguments.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    values.insert("on".into(), "gateway".into());
    http_request::new().run(&cx, &Arguments::new(values)).await
}

#[tokio::test]
async fn nginx_answers_are_values() {
    let found = act(&nginx(), &[("path", "/healthz".into())]).await.unwrap();
    assert_eq!(found.get("status"), Some(&Value::Int(200)));
    assert_eq!(found.get("json").unwrap().get("ready"), Some(&Value::Bool(true)));
    assert!(found.get("headers").unwrap().get("server").is_some());
    let busy = act(&nginx(), &[("path", "/status/503".into())]).await.unwrap();
    assert_eq!(busy.get("status"), Some(&Value::Int(503)), "a read gives any status");
    let strict = [("path", "/status/503".into()), ("status", Value::Int(200))];
    let fault = act(&nginx(), &strict).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.world, fault.transient),
        ("RW0704", World::Untouched, true)
    );
    let change = [("path", "/status/503".into()), ("method", "POST".into())];
    let fault = act(&nginx(), &change).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0704", World::Partial));
    assert!(fault.result.unwrap().get("status").is_some());
}

#[tokio::test]
async fn a_request_arrives_as_it_was_meant() {
    let (address, connections) = serve(echo).await;
    let key = Value::Secret(Secret::new("key", "1", "k3y".into()));
    let arguments = [
        ("method", "PUT".into()),
        ("path", "/v1/a%2Fb".into()),
        ("query", Value::map([("q", Value::List(vec!["a b&c".into(), Value::Int(2)]))])),
        ("headers", Value::map([("X-Api-Key", key.clone())])),
        ("json", Value::map([("amount", Value::Decimal("0.10".parse().unwrap())), ("k", key)])),
        ("idempotency_key", "run-1".into()),
    ];
    let found = act(&format!("http://{address}/base/"), &arguments).await.unwrap();
    let body = found.get("body").and_then(Value::as_text).unwrap();
    let lines: Vec<_> = body.lines().collect();
    assert_eq!(lines[0], "PUT /base/v1/a%2Fb?q=a+b%26c&q=2");
    assert_eq!(*lines.last().unwrap(), r#"{"amount":0.10,"k":"k3y"}"#);
    for header in [
        "authorization: Bearer s3cr3t-token",
        "x-api-key: k3y",
        "content-type: application/json",
        "idempotency-key: run-1",
        "content-length: 25",
        "accept-encoding: gzip",
    ] {
        assert!(lines.contains(&header), "{header} is not in {body}");
    }
    assert_eq!(found.get("headers").unwrap().get("x-seen"), Some(&"a, b".into()));
    let over = [("path", "/".into()), ("headers", Value::map([("authorization", "none".into())]))];
    let found = act(&format!("http://{address}"), &over).await.unwrap();
    let body = found.get("body").and_then(Value::as_text).unwrap();
    assert!(body.contains("authorization: none") && !body.contains("s3cr3t"), "{body}");
    let target = open(&format!("http://{address}"));
    let before = connections.load(Ordering::SeqCst);
    for _ in 0..3 {
        target.send(request("GET", "/")).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst) - before, 1, "one connection is kept");
}

#[tokio::test]
async fn redirects_are_reported_and_not_followed() {
    let (elsewhere, reached) = serve(echo).await;
    for status in [301, 302, 303, 307, 308] {
        let (address, _) = serve(move |_, _| {
            let to = format!("http://{elsewhere}/login");
            Response::builder().status(status).header("location", to).body(Full::default()).unwrap()
        })
        .await;
        let url = format!("http://{address}");
        let found = act(&url, &[("path", "/".into())]).await.unwrap();
        assert_eq!(found.get("status"), Some(&Value::Int(status.into())));
        let post = [("path", "/".into()), ("method", "POST".into())];
        let fault = act(&url, &post).await.unwrap_err();
        assert_eq!(fault.code, "RW0704");
        assert!(fault.detail.unwrap().contains("/login"));
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_refused_connection_leaves_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = send(&url, "POST").await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.world, fault.transient),
        ("RW0701", World::Untouched, true)
    );
    let fault = send("http://nobody.invalid", "POST").await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0701", World::Untouched));
    assert!(fault.message.contains("no address"), "{}", fault.message);
}

#[tokio::test]
async fn a_lost_connection_is_unknown_for_changes_only() {
    let cut = peer(|stream| async move { drop(stream) }).await;
    let fault = send(&cut, "POST").await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.world, fault.transient),
        ("RW0712", World::Unknown, false)
    );
    let fault = send(&cut, "GET").await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.world, fault.transient),
        ("RW0712", World::Untouched, true)
    );
    let half = peer(|mut stream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
        stream.write_all(head).await.unwrap();
    })
    .await;
    let fault = send(&half, "DELETE").await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0712", World::Unknown));
    assert!(fault.detail.unwrap().starts_with("its status was 200"));
}

#[tokio::test]
async fn a_timeout_is_unknown_once_a_connection_was_made() {
    let silent = peer(|stream| async move {
        // Held open, and never answered.
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let limited = |method: &str| HttpRequest {
        timeout: Some(Duration::from_millis(200)),
        ..request(method, "/x")
    };
    let started = Instant::now();
    let fault = open(&silent).send(limited("PATCH")).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0703", World::Unknown));
    assert!(started.elapsed() < Duration::from_secs(5));
    let fault = open(&silent).send(limited("HEAD")).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0703", World::Untouched));
    // The handshake of TLS is never answered: no connection came about, and nothing was sent.
    let stuck = silent.replace("http://", "https://");
    let fault = open(&stuck).send(limited("POST")).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0703", World::Untouched));
    let dripping = peer(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut every = tokio::time::interval(Duration::from_millis(20));
        while stream.write_all(b".").await.is_ok() {
            every.tick().await;
        }
    })
    .await;
    let fault = open(&dripping).send(limited("GET")).await.unwrap_err();
    assert_eq!(fault.code, "RW0703", "a body that drips does not extend the time");
}

#[tokio::test]
async fn answers_are_capped_after_decompression() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100 << 10);
    let small = gzip(b"{\"amount\": 1.10}");
    let (address, _) = serve(move |parts, _| {
        let (encoding, body) = match parts.uri.path() {
            "/bomb" => ("gzip", bomb.clone()),
            "/small" => ("gzip", small.clone()),
            "/broken" => ("gzip", b"no gzip at all".to_vec()),
            _ => ("identity", vec![b'x'; 2 << 20]),
        };
        Response::builder()
            .header("content-type", "application/json")
            .header("content-encoding", encoding)
            .body(body.into())
            .unwrap()
    })
    .await;
    let target = open(&format!("http://{address}"));
    for path in ["/bomb", "/large"] {
        let fault = target.send(request("GET", path)).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.world), ("RW0710", World::Untouched));
        assert!(fault.message.contains("1048576 bytes"), "{}", fault.message);
        let fault = target.send(request("POST", path)).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.world), ("RW0710", World::Unknown));
    }
    let fault = target.send(request("GET", "/broken")).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0709", World::Untouched));
    let small = act(&format!("http://{address}"), &[("path", "/small".into())]).await.unwrap();
    let amount = small.get("json").unwrap().get("amount").unwrap();
    assert_eq!(amount.to_journal().to_string(), r#"{"$decimal":"1.10"}"#);
}

#[tokio::test]
async fn faults_tell_nothing_of_secrets() {
    let cut = peer(|stream| async move { drop(stream) }).await;
    let secret = |name| Value::Secret(Secret::new(name, "1", "s3cr3t-value".into()));
    let (refusing, _) =
        serve(|_, _| Response::builder().status(422).body(Full::from("no such limit")).unwrap())
            .await;
    for url in [cut, format!("http://{refusing}")] {
        let arguments = [
            ("method", "POST".into()),
            ("path", Value::Secret(Secret::new("p", "1", "/s3cr3t-value".into()))),
            ("query", Value::map([("q", secret("q"))])),
            ("headers", Value::map([("x-key", secret("k"))])),
            ("json", secret("b")),
        ];
        let fault = act(&url, &arguments).await.unwrap_err();
        let text = serde_json::to_string(&fault).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    let split = [("path", "/".into()), ("headers", Value::map([("x-a", "v\r\nX: s3cr3t".into())]))];
    let fault = act("http://127.0.0.1:1", &split).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0711", World::Untouched));
    assert!(!fault.message.contains("s3cr3t"));
}

/// `openssl s_server` with a certificate of its own making, ended when dropped.
struct TlsServer {
    child: Child,
    url: String,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn certificate(folder: &Path, name: &str) {
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=runward test", "-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-addext", name, "-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()
        .expect("the program openssl");
    assert!(status.success());
}

fn tls_server(folder: &Path) -> TlsServer {
    use std::io::BufRead;
    let mut child = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            "cert.pem",
            "-key",
            "key.pem",
            "-www",
        ])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned))
        .expect("openssl says where it listens");
    TlsServer { child, url: format!("https://{address}") }
}

#[tokio::test]
async fn certificates_are_verified_against_the_systems_roots() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "subjectAltName=IP:127.0.0.1");
    let server = tls_server(folder.path());
    let fault = send(&server.url, "POST").await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0702", World::Untouched));
    assert!(fault.message.contains("its issuer is unknown"), "{}", fault.message);
    // The roots and proxies of the environment are read when a client is made, so another process
    // shows them. The proxy that it names refuses connections.
    let trusting = |certificate: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "http::a_service_is_opened_by_the_environments_rules"])
            .env("RUNWARD_TEST_TLS_URL", &server.url)
            .env("SSL_CERT_FILE", folder.path().join(certificate))
            .env("SSL_CERT_DIR", folder.path().join("none"))
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("ALL_PROXY", "http://127.0.0.1:1")
            .output()
            .unwrap()
    };
    let trusted = trusting("cert.pem");
    assert!(trusted.status.success(), "{}", String::from_utf8_lossy(&trusted.stdout));
    let rootless = trusting("absent.pem");
    let told = String::from_utf8_lossy(&rootless.stdout).into_owned();
    assert!(!rootless.status.success() && told.contains("no root certificates"), "{told}");
    certificate(folder.path(), "subjectAltName=DNS:other.example");
    let other = tls_server(folder.path());
    let named = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http::a_service_is_opened_by_the_environments_rules"])
        .env("RUNWARD_TEST_TLS_URL", &other.url)
        .env("SSL_CERT_FILE", folder.path().join("cert.pem"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&named.stdout).into_owned();
    assert!(told.contains("it is for another host"), "{told}");
}

/// Also run by `certificates_are_verified_against_the_systems_roots`, in another environment.
#[tokio::test]
async fn a_service_is_opened_by_the_environments_rules() {
    let url = std::env::var("RUNWARD_TEST_TLS_URL");
    let url = url.unwrap_or_else(|_| nginx());
    let target = try_open(&url, Vec::new()).unwrap_or_else(|fault| panic!("{}", fault.message));
    match target.send(request("GET", "/static/about.json")).await {
        Ok(response) => assert_eq!(response.status, 200),
        Err(fault) => panic!("{}", fault.message),
    }
}
