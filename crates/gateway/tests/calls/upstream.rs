//! The API behind the gateway: each path behaves in one way.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, channel::Channel, combinators::BoxBody};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, std::io::Error>;

/// What reached the upstream.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
}

#[derive(Debug, Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    /// Trailers of the last request to `/count`.
    pub trailers: Arc<Mutex<Option<HeaderMap>>>,
    /// Bodies that came to their end at `/count`.
    pub counted: Arc<AtomicUsize>,
    /// Requests whose answer was dropped before it was given.
    pub cancelled: Arc<AtomicUsize>,
}

impl Upstream {
    pub async fn start() -> Self {
        Self::speaking(false).await
    }

    /// One that speaks HTTP/2 with prior knowledge.
    pub async fn start_http2() -> Self {
        Self::speaking(true).await
    }

    async fn speaking(http2: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let upstream = Self {
            address: listener.local_addr().expect("an address"),
            seen: Arc::default(),
            connections: Arc::default(),
            trailers: Arc::default(),
            counted: Arc::default(),
            cancelled: Arc::default(),
        };
        let shared = upstream.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let shared = shared.clone();
                        async move { shared.answer(request).await }
                    });
                    let io = TokioIo::new(stream);
                    if http2 {
                        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                    } else {
                        let _ = http1::Builder::new().serve_connection(io, service).await;
                    }
                });
            }
        });
        upstream
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }

    /// Lets go of what was seen, which holds memory.
    pub fn forget(&self) {
        self.seen.lock().expect("no panic").clear();
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
        self.seen.lock().expect("no panic").push(Seen {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
        });
        let path = request.uri().path().trim_start_matches("/base").to_owned();
        let mut response = Response::new(full("{\"ok\":true}"));
        match path.as_str() {
            "/hang" => {
                let _noted = OnDrop(self.cancelled.clone());
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            "/fail" => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            "/missing-item" => *response.status_mut() = StatusCode::NOT_FOUND,
            "/empty" => {
                *response.status_mut() = StatusCode::NO_CONTENT;
                *response.body_mut() = full("");
            }
            "/unchanged" => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                *response.body_mut() = full("");
            }
            "/echo" => {
                for name in ["content-type", "cache-control", "x-tokens"] {
                    if let Some(value) = request.headers().get(name) {
                        response.headers_mut().insert(name, value.clone());
                    }
                }
                *response.body_mut() = request.into_body().map_err(std::io::Error::other).boxed();
            }
            "/count" => {
                let collected = request.into_body().collect().await.map_err(std::io::Error::other)?;
                *self.trailers.lock().expect("no panic") = collected.trailers().cloned();
                self.counted.fetch_add(1, Ordering::SeqCst);
                let bytes = collected.to_bytes();
                *response.body_mut() = full(&bytes.len().to_string());
            }
            "/drip" => {
                // Ten frames, 50 ms apart, or ten times that.
                let pause = if request.uri().query() == Some("slowly") { 500 } else { 50 };
                let (mut sender, body) = Channel::new(1);
                tokio::spawn(async move {
                    for number in 0..10 {
                        if sender.send_data(Bytes::from(format!("frame {number}\n"))).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                    }
                });
                *response.body_mut() = body.boxed();
            }
            "/sink" => {
                let (mut body, mut bytes) = (request.into_body(), 0);
                while let Some(frame) = body.frame().await {
                    bytes += frame.map_err(std::io::Error::other)?.data_ref().map_or(0, Bytes::len);
                }
                *response.body_mut() = full(&bytes.to_string());
            }
            "/flow" => {
                // 64 MiB, as fast as they are taken.
                let (mut sender, body) = Channel::new(1);
                tokio::spawn(async move {
                    let piece = Bytes::from(vec![b'f'; 16 << 10]);
                    for _ in 0..4096 {
                        if sender.send_data(piece.clone()).await.is_err() {
                            return;
                        }
                    }
                });
                *response.body_mut() = body.boxed();
            }
            "/stall" => {
                let (mut sender, body) = Channel::new(1);
                tokio::spawn(async move {
                    let _ = sender.send_data(Bytes::from_static(b"begun")).await;
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                    drop(sender);
                });
                *response.body_mut() = body.boxed();
            }
            "/break" => {
                let (mut sender, body) = Channel::new(1);
                tokio::spawn(async move {
                    let _ = sender.send_data(Bytes::from_static(b"half")).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    sender.abort(std::io::Error::other("broken on purpose"));
                });
                *response.body_mut() = body.boxed();
            }
            "/trailers" => {
                let (mut sender, body) = Channel::new(2);
                tokio::spawn(async move {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("x-checksum", HeaderValue::from_static("abc"));
                    let _ = sender.send_data(Bytes::from_static(b"body")).await;
                    let _ = sender.send_trailers(trailers).await;
                });
                response.headers_mut().insert("trailer", HeaderValue::from_static("x-checksum"));
                *response.body_mut() = body.boxed();
            }
            "/priced" => {
                // The units that the query asks for, each in a header of its own.
                for units in request.uri().query().unwrap_or_default().split('&').filter(|units| !units.is_empty()) {
                    let value = HeaderValue::from_str(units).expect("a value");
                    response.headers_mut().append("x-units", value);
                }
                if request.headers().contains_key("x-fail") {
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
            }
            "/hop-by-hop" => {
                let headers = response.headers_mut();
                headers.insert("connection", HeaderValue::from_static("x-internal"));
                headers.insert("x-internal", HeaderValue::from_static("secret"));
                headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
                headers.insert("x-public", HeaderValue::from_static("kept"));
                for cookie in
                    ["__Host-session=theirs; Path=/; Secure", "own=1; Path=/", " =__host-flash=theirs; Secure"]
                {
                    headers.append("set-cookie", HeaderValue::from_static(cookie));
                }
                headers.insert("x-request-id", HeaderValue::from_static("of-the-upstream"));
            }
            _ => {}
        }
        Ok(response)
    }
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn full(text: &str) -> Body {
    Full::new(Bytes::from(text.to_owned())).map_err(|never: Infallible| match never {}).boxed()
}
