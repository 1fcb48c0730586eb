//! HTTP services: one client a target, and faults that are honest about the world.
//!
//! Owns connections, TLS, timeouts, caps, and what a failed exchange proves. Must not know which
//! statuses are good: that is the action's.
//!
//! Redirects are not followed (custom credentials would follow them to other hosts), proxies of
//! the environment are not used, cookies are not kept, and certificates are always verified
//! against the system's roots. A request is put on the wire once: nothing is retried here.

mod address;
mod failure;

use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use reqwest::{Client, Method, Response, Url, header::HeaderMap, redirect, retry};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::{Secret, time::show_duration},
    diagnostics::codes,
    model::{Fault, World, target::HttpAddress},
    ports::transport::{HttpRequest, HttpResponse, HttpTarget},
};

/// Servers close idle connections, often after 5 s. A change that is sent into a closing
/// connection has an unknown outcome, so ours are closed first.
const IDLE: Duration = Duration::from_secs(4);

/// Opens a target: makes its client; nothing is sent.
///
/// `name` is how messages call it, `headers` go with each request. Faults are `RW0503` (the
/// address), `RW0711` (a header) and `RW0702` (no root certificates on this machine).
pub fn open(
    name: &str,
    address: &HttpAddress,
    headers: Vec<(String, Secret)>,
) -> Result<Arc<dyn HttpTarget>, Fault> {
    install_provider();
    let base = address::base(name, &address.url)?;
    let mut given = HeaderMap::new();
    for (header, value) in headers {
        let (header, value) = address::header(&header, value.expose())?;
        given.append(header, value);
    }
    let opened = Opened::default();
    let builder = Client::builder()
        .user_agent(concat!("runward/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .pool_idle_timeout(IDLE)
        .connect_timeout(address.timeout)
        .connector_layer(opened.clone());
    // Without TLS no roots are needed, and a machine that has none can still be used.
    let builder = if base.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    let client = builder.build().map_err(|error| failure::no_client(name, &error))?;
    Ok(Arc::new(HttpService {
        name: name.to_owned(),
        base,
        headers: given,
        timeout: address.timeout,
        client,
        opened,
    }))
}

/// Makes `ring` the process' one provider of cryptography for TLS; done once.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only when one is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

struct HttpService {
    name: String,
    base: Url,
    headers: HeaderMap,
    timeout: Duration,
    client: Client,
    opened: Opened,
}

#[async_trait]
impl HttpTarget for HttpService {
    fn base_url(&self) -> String {
        self.base.to_string()
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let limit = request.timeout.unwrap_or(self.timeout);
        let max_bytes = request.max_bytes;
        let request = self.build(request)?;
        let reads = is_read(request.method());
        let exchange = async {
            let started = Instant::now();
            let response = self
                .client
                .execute(request)
                .await
                .map_err(|error| failure::of_request(&self.name, &error, reads))?;
            self.receive(response, reads, max_bytes, started).await
        };
        tokio::time::timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(self.timed_out(limit, reads)))
    }
}

impl HttpService {
    fn build(&self, request: HttpRequest) -> Result<reqwest::Request, Fault> {
        let method = address::method(&request.method)?;
        let url = address::join(&self.base, &request.path, &request.query)?;
        let mut own = HeaderMap::new();
        for (name, value) in &request.headers {
            let (name, value) = address::header(name, value)?;
            own.append(name, value);
        }
        let mut headers = self.headers.clone();
        for name in own.keys() {
            headers.remove(name);
        }
        headers.extend(own);
        let mut built = reqwest::Request::new(method, url);
        *built.headers_mut() = headers;
        *built.body_mut() = request.body.map(Into::into);
        Ok(built)
    }

    /// Reads the answer up to its cap, which counts decompressed bytes.
    async fn receive(
        &self,
        mut response: Response,
        reads: bool,
        max_bytes: usize,
        started: Instant,
    ) -> Result<HttpResponse, Fault> {
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        tracing::debug!(service = self.name, status, took = ?started.elapsed(), "an answer begins");
        let mut body = Vec::new();
        loop {
            let chunk = response
                .chunk()
                .await
                .map_err(|error| failure::of_answer(&self.name, &error, reads, status))?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > max_bytes {
                return Err(failure::too_large(&self.name, max_bytes, reads, status));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, headers, body, took: started.elapsed() })
    }

    fn timed_out(&self, limit: Duration, reads: bool) -> Fault {
        // Where no connection was ever made, nothing can have left. Later, one may have been used.
        let world = if reads || self.opened.none() { World::Untouched } else { World::Unknown };
        let fault = Fault::untouched(
            codes::RW0703,
            format!("`{}` did not answer within {}", self.name, show_duration(limit)),
        )
        .world(world);
        if world == World::Untouched {
            fault.transient().help("raise `timeout`, or `retry` the step")
        } else {
            fault.help("the request may still take effect: look before it is sent again")
        }
    }
}

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// Counts the connections that were ever made: the proof that nothing can have been sent.
#[derive(Clone, Default)]
struct Opened(Arc<AtomicUsize>);

impl Opened {
    fn none(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

impl<S> Layer<S> for Opened {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, opened: self.clone() }
    }
}

/// A connector that counts.
#[derive(Clone)]
struct Counted<S> {
    inner: S,
    opened: Opened,
}

impl<S, R> Service<R> for Counted<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        let opened = self.opened.clone();
        Box::pin(async move {
            let connection = connecting.await?;
            opened.0.fetch_add(1, Ordering::SeqCst);
            Ok(connection)
        })
    }
}
