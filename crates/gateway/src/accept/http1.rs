//! HTTP/1.0 and 1.1 from clients.

use super::{Connection, Core};
use crate::call;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, rc::Rc};
use tokio::io::{AsyncRead, AsyncWrite};

/// The largest request head, in bytes; hyper answers a larger one with 431.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Serves the connection until it ends, is drained, or misses a deadline.
pub(super) async fn serve<S>(core: &Rc<Core>, connection: &Rc<Connection>, io: S)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request| {
        let (core, connection) = (core.clone(), connection.clone());
        async move {
            let call = connection.begin_call();
            let response = call::answer(core, connection, request).await;
            drop(call);
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
                if let Err(error) = ended {
                    tracing::debug!(%error, "a client's connection ended");
                    return;
                }
                break;
            }
            () = connection.told() => {
                if connection.is_doomed() {
                    return;
                }
                Pin::new(&mut serving).graceful_shutdown();
            }
        }
    }
    if let Some(tunnel) = connection.take_tunnel() {
        let parts = serving.into_parts();
        Box::pin(tunnel.run(core, connection, parts.io.into_inner(), parts.read_buf)).await;
    }
}
