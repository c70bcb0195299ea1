//! HTTP/2 from clients: many calls on one connection, each with deadlines of its own.
//!
//! What a connection may hold in memory is bounded: 100 streams, 256 KiB of bodies that we have not read yet, 64 KiB of
//! answers on each stream that the client has not read yet. Extended CONNECT (RFC 8441) is not offered: WebSocket comes
//! over HTTP/1.1.

use super::{Connection, Core, RequestBody, scanned::Scanned, streams::Streams};
use crate::{call, grpc};
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, HOST},
};
use hyper::{rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, pin::pin, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_local,
};

const MAX_STREAMS: u32 = 100;
/// The largest request head, in bytes as HPACK counts them; h2 answers a larger one with 431.
const MAX_HEAD_BYTES: u32 = 32 << 10;
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Streams that a client took back before we looked at them, and that we broke off ourselves: more is an attack.
const MAX_RESETS: usize = 50;
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Serves the connection until it ends, is drained, or misses a deadline.
pub(super) async fn serve<S>(core: &Rc<Core>, connection: &Rc<Connection>, io: S)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    connection.share();
    let io = Scanned::new(io, connection.clone());
    let (whole, core, trunk) = (core, core.clone(), connection.clone());
    let service = service_fn(move |mut request: http::Request<_>| {
        let (core, stream) = (core.clone(), trunk.streams().map_or_else(|| trunk.clone(), |all| all.open(&trunk)));
        as_http1_says(&mut request);
        let is_grpc = grpc::is_call(request.headers());
        async move {
            let call = stream.begin_call(false);
            let mut left = Left(Some(&stream));
            let response = call::answer(core, stream.clone(), request.map(RequestBody::Http2)).await;
            left.0 = None;
            drop(call);
            Ok::<_, Infallible>(if is_grpc { grpc::translate(response) } else { response })
        }
    });
    let serving = http2::Builder::new(StreamTasks(connection.clone()))
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .serve_connection(TokioIo::new(io), service);
    let mut serving = pin!(serving);
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a client's connection ended");
                }
                if connection.streams().is_some_and(Streams::owes_frames) {
                    whole.note_flood(connection);
                }
                return;
            }
            () = connection.told() => {
                if connection.is_doomed() {
                    return;
                }
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Notes that the client left, unless the answer came first.
struct Left<'a>(Option<&'a Connection>);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.0 {
            stream.note_abandoned();
        }
    }
}

/// Gives the request the form that HTTP/1.1 gives it: its address in Host, its cookies in one field (RFC 9113, 8.2.3).
fn as_http1_says<B>(request: &mut http::Request<B>) {
    let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let headers = request.headers_mut();
    if let Some(Ok(authority)) = authority
        && !headers.contains_key(HOST)
    {
        headers.insert(HOST, authority);
    }
    join_cookies(headers);
}

fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, whole);
    }
}

/// Runs the streams of a connection as tasks of its core, each until it ends or misses a deadline.
#[derive(Clone)]
struct StreamTasks(Rc<Connection>);

impl<F: Future<Output = ()> + 'static> Executor<F> for StreamTasks {
    fn execute(&self, task: F) {
        let trunk = self.0.clone();
        let Some(stream) = trunk.streams().and_then(Streams::take_opened) else { return };
        let listed = Listed { trunk, stream };
        spawn_local(async move {
            tokio::select! {
                biased;
                () = task => {}
                // Its drop resets the stream, and the others go on.
                () = listed.stream.told() => {}
            }
        });
    }
}

/// A stream's place on its connection, given up however it ends.
struct Listed {
    trunk: Rc<Connection>,
    stream: Rc<Connection>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(streams) = self.trunk.streams() {
            streams.close(&self.stream);
        }
        self.trunk.rest();
    }
}
