//! The API behind the gateway: answers 200 at once, and keeps every request id that reached it.

use crate::Trouble;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;

/// What large answers are cut from: 8 MiB.
static MUCH: LazyLock<Bytes> = LazyLock::new(|| vec![b'x'; 8 << 20].into());

/// How often each request id arrived.
type Arrivals = Arc<Mutex<HashMap<String, u32>>>;

/// A running upstream; it ends with the process.
pub struct Upstream {
    port: u16,
    arrivals: Arrivals,
}

impl Upstream {
    pub async fn start() -> Result<Self, Trouble> {
        Self::after(Duration::ZERO).await
    }

    /// Answers each call after a while.
    pub async fn after(delay: Duration) -> Result<Self, Trouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let arrivals = Arrivals::default();
        let kept = Arc::clone(&arrivals);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let answer = service_fn(move |request| answer(request, Arc::clone(&kept), delay));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self { port, arrivals })
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub fn ids(&self) -> HashMap<String, u32> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The number of `?wait=`, in milliseconds, of `?bytes=`, or of `?level=`, which a header says again.
fn asked_for<B>(request: &Request<B>, what: &str) -> Option<u64> {
    request.uri().query()?.strip_prefix(what)?.strip_prefix('=')?.parse().ok()
}

async fn answer(
    request: Request<Incoming>,
    arrivals: Arrivals,
    delay: Duration,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("none").to_owned();
    *arrivals.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
    let delay = asked_for(&request, "wait").map_or(delay, Duration::from_millis);
    let bytes = asked_for(&request, "bytes");
    let level = asked_for(&request, "level");
    // Answered once all of it is here, as an API does that looks at what it is sent.
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let body = match bytes {
        Some(bytes) => MUCH.slice(..MUCH.len().min(bytes as usize)),
        None => Bytes::from_static(b"{\"id\":\"pay_1\",\"status\":\"succeeded\"}"),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    if let Some(level) = level {
        response.headers_mut().insert("x-level", level.into());
    }
    Ok(response)
}
