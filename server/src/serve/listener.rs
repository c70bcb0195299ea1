//! One HTTP listener for people and operators: bounded connections, deadlines for each request's head and body, a clean drain.
//!
//! axum's own `serve` sets no timer, so a client that sends its head or body a byte at a time would hold a connection for
//! ever, and a thousand such clients would keep everybody else out.

mod timed_body;

use crate::tasks::Stop;
use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use timed_body::{BodyLimits, TimedBody};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::ServiceExt;

/// Within which the head of a request must have arrived.
const HEAD: Duration = Duration::from_secs(10);
/// Within which the body must have arrived, whoever it is for: a page, the REST API or a webhook.
const BODY: BodyLimits = BodyLimits { idle: Duration::from_secs(30), whole: Duration::from_secs(120) };
/// How long requests in flight may take when we stop.
const DRAIN: Duration = Duration::from_secs(2);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for the {what}: {}", explain(source))]
pub struct ListenError {
    what: &'static str,
    address: SocketAddr,
    source: io::Error,
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program is using this port; stop it or choose another".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not use this port; choose one above 1023".to_owned(),
        _ => error.to_string(),
    }
}

/// Opens a port.
///
/// # Errors
/// It is taken, not allowed, or not an address of this machine.
pub async fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { what, address, source })
}

/// Answers on at most that many connections at once until it is time to stop, then lets requests in flight end.
pub async fn serve(listener: TcpListener, router: Router, connections: usize, stop: Stop) {
    serve_within(listener, router, connections, stop, BODY).await;
}

async fn serve_within(listener: TcpListener, router: Router, connections: usize, mut stop: Stop, body: BodyLimits) {
    let slots = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            () = stop.requested() => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, usually; without a pause this would spin.
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.requested() => break,
        };
        let connection = graceful.watch(server.serve_connection(io_of(stream), answer(router.clone(), peer, body)));
        tokio::spawn(async move {
            // A client that breaks off is its own business.
            let _ = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(DRAIN, graceful.shutdown()).await;
}

fn io_of(stream: TcpStream) -> TokioIo<TcpStream> {
    // Small answers must not wait for more; without it they are only slower.
    let _ = stream.set_nodelay(true);
    TokioIo::new(stream)
}

fn answer(
    router: Router,
    peer: SocketAddr,
    limits: BodyLimits,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = http::Response<Body>,
    Error = std::convert::Infallible,
    Future: Send + 'static,
> {
    service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(|body| Body::new(TimedBody::new(body, limits))))
    })
}

#[cfg(test)]
mod tests;
