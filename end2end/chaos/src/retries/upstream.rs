//! The API behind the gateways: each request that reaches it is an execution, which has a number and says it.

use crate::Trouble;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{net::TcpListener, time::sleep};

/// A running upstream; it ends with the process.
pub struct Upstream {
    port: u16,
    counts: Arc<Counts>,
}

struct Counts {
    work: Duration,
    executions: AtomicU64,
    /// How often each key was executed.
    of_keys: Mutex<BTreeMap<String, u32>>,
    /// Executions that are under way, by the gateway that sent them.
    working: Vec<AtomicUsize>,
}

/// One execution that is under way for a gateway.
struct Working<'a>(Option<&'a AtomicUsize>);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_sub(1, SeqCst);
        }
    }
}

impl Upstream {
    /// Answers each request after a while.
    pub async fn start(nodes: usize, work: Duration) -> Result<Self, Trouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let working = (0..nodes).map(|_| AtomicUsize::new(0)).collect();
        let counts = Arc::new(Counts { work, executions: AtomicU64::new(0), of_keys: Mutex::default(), working });
        let kept = counts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = kept.clone();
                let answer = service_fn(move |request| execute(request, counts.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self { port, counts })
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Executions that are under way for that gateway.
    pub fn working_for(&self, node: usize) -> usize {
        self.counts.working.get(node).map_or(0, |count| count.load(SeqCst))
    }

    /// Keys that were executed so far.
    pub fn keys(&self) -> usize {
        self.counts.of_keys.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How often each key was executed.
    pub fn executed(&self) -> BTreeMap<String, u32> {
        self.counts.of_keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn execute(request: Request<Incoming>, counts: Arc<Counts>) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
    let key = header("idempotency-key").to_owned();
    // As `posts` writes it: retry-KEY-NODE-NUMBER.
    let node = header("x-request-id").split('-').nth(2).and_then(|node| node.parse::<usize>().ok());
    let number = counts.executions.fetch_add(1, SeqCst);
    *counts.of_keys.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default() += 1;
    let count = node.and_then(|node| counts.working.get(node));
    if let Some(count) = count {
        count.fetch_add(1, SeqCst);
    }
    let working = Working(count);
    sleep(counts.work).await;
    drop(working);
    let mut response = Response::new(Full::new(Bytes::from(format!("{{\"key\":\"{key}\",\"execution\":{number}}}"))));
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}
