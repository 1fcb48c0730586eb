//! The demo's gateway: a small HTTP service that reads its limit from the settings database each
//! time it is asked, as a real one would after a reload.

use std::{convert::Infallible, path::Path, sync::Arc};

use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use sqlx::{Row, SqlitePool, sqlite::SqliteConnectOptions};
use tokio::net::TcpListener;

/// With more tries than this the acquirer takes the gateway for an attacker.
const BEARABLE: i64 = 6;

/// The gateway of a demo's folder.
pub struct Gateway {
    settings: SqlitePool,
}

impl Gateway {
    /// Reads the settings below this folder.
    pub async fn open(folder: &Path) -> Result<Arc<Self>, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("databases/settings.db"))
            .read_only(true);
        Ok(Arc::new(Self { settings: SqlitePool::connect_with(options).await? }))
    }

    /// Answers until the task ends.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let gateway = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let gateway = Arc::clone(&gateway);
                    async move { Ok::<_, Infallible>(gateway.answer(&request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                // A client that goes away is no concern of the gateway's.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let limit = self.limit().await;
        let (status, body) = match (request.uri().path(), limit) {
            ("/healthz", limit) => (200, serde_json::json!({"ready": limit.is_some()})),
            ("/capture-test", Some(limit)) if limit > BEARABLE => (
                200,
                serde_json::json!({
                    "limit": limit, "accepted": false,
                    "reason": format!("429 Too Many Requests at {limit} tries per capture"),
                }),
            ),
            ("/capture-test", Some(limit)) => {
                (200, serde_json::json!({"limit": limit, "accepted": true}))
            }
            ("/capture-test", None) => (503, serde_json::json!({"error": "no settings"})),
            _ => (404, serde_json::json!({"error": "no such path"})),
        };
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
        response.headers_mut().insert(
            hyper::header::CONTENT_TYPE,
            hyper::header::HeaderValue::from_static("application/json"),
        );
        response
    }

    async fn limit(&self) -> Option<i64> {
        let row = sqlx::query(
            "SELECT value FROM settings WHERE service = 'capture' AND name = 'max_retries'",
        )
        .fetch_optional(&self.settings)
        .await
        .ok()??;
        row.try_get::<String, _>(0).ok()?.parse().ok()
    }
}
