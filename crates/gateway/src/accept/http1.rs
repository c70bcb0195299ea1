//! HTTP/1.0 and 1.1 from clients.
//!
//! hyper holds 16 KiB of buffers for each connection, and room for the largest call. So a connection on which nothing has
//! happened for a second is taken out of its hands, and given back when the client sends something.

use super::{
    Connection, Core, linger,
    resumed::{Resumed, Socket},
};
use crate::call;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONNECTION};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, rc::Rc};

/// The largest request head, in bytes; hyper answers a larger one with 431.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Serves the connection until it ends, is drained, or misses a deadline.
pub(super) async fn serve<S: Socket>(core: &Rc<Core>, connection: &Rc<Connection>, io: S) {
    let mut next = Some(Resumed { io, read: Bytes::new() });
    while let Some(io) = next {
        next = converse(core, connection, io).await;
        let Some(resting) = next.as_ref().filter(|resting| resting.read.is_empty()) else { continue };
        tokio::select! {
            biased;
            readable = resting.io.raw().readable() => if readable.is_err() { return },
            () = connection.told() => return,
        }
    }
}

/// Serves until the connection is over, or rests.
async fn converse<S: Socket>(core: &Rc<Core>, connection: &Rc<Connection>, io: Resumed<S>) -> Option<Resumed<S>> {
    let service = service_fn(|request: http::Request<Incoming>| {
        let (core, connection) = (core.clone(), connection.clone());
        async move {
            let call = connection.begin_call(request.body().is_end_stream());
            let mut response = call::answer(core.clone(), connection, request).await;
            drop(call);
            if core.leaving.get() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut serving = http1::Builder::new()
        .max_header_size(MAX_HEAD_BYTES)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(io), service);
    loop {
        tokio::select! {
            biased;
            ended = &mut serving => {
                let Err(error) = ended else { break };
                tracing::debug!(%error, "a client's connection ended");
                if error.is_parse() {
                    Box::pin(linger::end(connection, serving.into_parts().io.into_inner())).await;
                }
                return None;
            }
            () = connection.told() => {
                if connection.is_doomed() {
                    return None;
                }
                if connection.is_draining() {
                    Pin::new(&mut serving).graceful_shutdown();
                } else if connection.may_rest() {
                    let parts = serving.into_parts();
                    return Some(Resumed { io: parts.io.into_inner().io, read: parts.read_buf });
                }
            }
        }
    }
    let parts = serving.into_parts();
    match connection.take_tunnel() {
        Some(tunnel) => Box::pin(tunnel.run(core, connection, parts.io.into_inner(), parts.read_buf)).await,
        None if connection.has_unread_body() => Box::pin(linger::end(connection, parts.io.into_inner())).await,
        None => {}
    }
    None
}
