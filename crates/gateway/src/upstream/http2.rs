//! HTTP/2 towards upstreams: connections that many calls of a core share.
//!
//! A stream that the upstream did not process (REFUSED_STREAM, or beyond the last one that a GOAWAY names) counts as not
//! written. A stream that ends without END_STREAM is an answer that broke off, whatever reason the upstream gave: hyper takes
//! a reset with NO_ERROR for the end.

use super::{Answer, AnswerBody, ExchangeError, SendFailed, connect::Io, strip_trailers};
use crate::meter::Upload;
use bytes::Bytes;
use http::{
    Request, Uri,
    header::{CONNECTION, HOST},
    request,
    uri::Scheme,
};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use std::{
    cell::{Cell, RefCell},
    error::Error,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::task::spawn_local;

/// Calls at once on one connection, where the upstream allows as many.
const MAX_STREAMS: usize = 100;
/// Connections to one origin from each core; calls beyond what they carry wait for a stream.
const MAX_CONNECTIONS: usize = 16;
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
/// More than all streams' windows together, so that a client that reads slowly holds up nobody else.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// The longest head of an answer, as HPACK counts it, in bytes.
const MAX_HEAD_BYTES: u32 = 64 << 10;
/// How long sent bytes may stay without an acknowledgement until the connection is given up. Pings would find the same out,
/// but gRPC servers end connections that ping often.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// The connections of one core to one origin.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: RefCell<Vec<Rc<Carrier>>>,
    /// Held by whoever opens one, so that calls that come meanwhile share it.
    pub opening: tokio::sync::Mutex<()>,
}

/// One connection.
#[derive(Debug)]
struct Carrier {
    sender: SendRequest<Upload>,
    in_flight: Cell<usize>,
    /// Streams that the upstream allows at once.
    allowed: Rc<Cell<usize>>,
    unused_since: Cell<Instant>,
}

/// A place for one call on a connection.
#[derive(Debug)]
pub(super) struct Slot(Rc<Carrier>);

impl Slot {
    fn on(carrier: &Rc<Carrier>) -> Self {
        carrier.in_flight.set(carrier.in_flight.get() + 1);
        Self(carrier.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.unused_since.set(Instant::now());
    }
}

impl Connections {
    /// A place on an open connection: on the first that has room, or where no more may be opened on the least busy.
    pub(super) fn slot(&self) -> Option<Slot> {
        let mut open = self.open.borrow_mut();
        open.retain(|carrier| !carrier.sender.is_closed());
        let room = |carrier: &&Rc<Carrier>| carrier.in_flight.get() < carrier.allowed.get().min(MAX_STREAMS);
        let least_busy = || open.iter().min_by_key(|carrier| carrier.in_flight.get());
        let full = open.len() >= MAX_CONNECTIONS;
        open.iter().find(room).or_else(|| least_busy().filter(|_| full)).map(Slot::on)
    }

    /// Speaks HTTP/2 on a new connection, and gives a place on it.
    pub(super) async fn add(&self, io: Io) -> io::Result<Slot> {
        socket2::SockRef::from(io.socket()).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        let shaken = http2::Builder::new(OfThisCore)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_header_list_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(io))
            .await;
        let (sender, mut connection) = shaken.map_err(io::Error::other)?;
        let allowed = Rc::new(Cell::new(MAX_STREAMS));
        let told = allowed.clone();
        spawn_local(async move {
            let ended = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                told.set(connection.current_max_send_streams());
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "a connection to an upstream ended");
            }
        });
        let (in_flight, unused_since) = (Cell::new(0), Cell::new(Instant::now()));
        let carrier = Rc::new(Carrier { sender, in_flight, allowed, unused_since });
        self.open.borrow_mut().push(carrier.clone());
        Ok(Slot::on(&carrier))
    }

    /// Closes those that carried nothing for that long; says whether some are left.
    pub(super) fn close_unused(&self, max_age: Duration) -> bool {
        let mut open = self.open.borrow_mut();
        open.retain(|carrier| {
            let unused = carrier.in_flight.get() == 0 && carrier.unused_since.get().elapsed() >= max_age;
            !unused && !carrier.sender.is_closed()
        });
        !open.is_empty()
    }
}

/// Sends the request on a stream of its own and waits for the answer's head.
pub(super) async fn exchange(slot: Slot, tls: bool, request: Request<Upload>) -> Result<Answer, SendFailed> {
    let (head, body) = request.into_parts();
    // What was refused unprocessed can be sent again where there is no body that is gone.
    let spare = matches!(body, Upload::Empty).then(|| Request::from_parts(head.clone(), Upload::Empty));
    let head = match with_authority(head, tls) {
        Ok(head) => head,
        Err(malformed) => {
            let error = ExchangeError::Malformed(malformed);
            return Err(SendFailed { error, written: false, answered: false, request: None });
        }
    };
    let sent = slot.0.sender.clone().try_send_request(Request::from_parts(head, body)).await;
    let mut failed = match sent {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let body = match body.is_end_stream() {
                true => AnswerBody::Full(Bytes::new()),
                false => AnswerBody::Http2(Box::new(AnswerStream { body, _slot: slot })),
            };
            return Ok(Answer::new(head, body));
        }
        Err(failed) => failed,
    };
    let unsent = failed.take_message();
    let error = failed.into_error();
    let written = unsent.is_none() && !is_unprocessed(&error);
    let request = unsent.map(in_origin_form).or(spare).map(Box::new);
    Err(SendFailed { error: ExchangeError::Http2(error), written, answered: false, request })
}

/// The status of an answer to that request, on a connection of its own.
pub(super) async fn ask(io: Io, tls: bool, head: request::Parts) -> io::Result<u16> {
    let slot = Connections::default().add(io).await?;
    let answered = exchange(slot, tls, Request::from_parts(head, Upload::Empty)).await;
    answered.map(|answer| answer.head.status.as_u16()).map_err(|failed| io::Error::other(failed.error))
}

/// The head as HTTP/2 wants it: the host in the address, nothing of a connection.
fn with_authority(mut head: request::Parts, tls: bool) -> Result<request::Parts, &'static str> {
    head.headers.remove(CONNECTION);
    let host = head.headers.remove(HOST).ok_or("the request has no host")?;
    let mut parts = head.uri.into_parts();
    parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(host.as_bytes().try_into().map_err(|_| "the request's host is no authority")?);
    head.uri = Uri::from_parts(parts).map_err(|_| "the request has no address")?;
    Ok(head)
}

/// Takes [`with_authority`] back.
fn in_origin_form(request: Request<Upload>) -> Request<Upload> {
    let (mut head, body) = request.into_parts();
    let mut parts = head.uri.into_parts();
    let host = parts.authority.take().and_then(|authority| authority.as_str().parse().ok());
    parts.scheme = None;
    head.uri = Uri::from_parts(parts).unwrap_or_default();
    if let Some(host) = host {
        head.headers.insert(HOST, host);
    }
    Request::from_parts(head, body)
}

/// Whether the upstream says that it did nothing with the request.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let of_http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    of_http2.is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}

/// An answer's body on its way from its stream. Its drop before the end resets the stream.
#[derive(Debug)]
pub(crate) struct AnswerStream {
    body: Incoming,
    _slot: Slot,
}

impl AnswerStream {
    pub(super) fn is_at_end(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => Some(Ok(match frame.into_trailers() {
                Ok(mut trailers) => {
                    strip_trailers(&mut trailers);
                    Frame::trailers(trailers)
                }
                Err(frame) => frame,
            })),
            Some(Err(error)) => Some(Err(ExchangeError::Http2(error))),
            None if !self.body.is_end_stream() => Some(Err(ExchangeError::Closed)),
            None => None,
        })
    }
}

/// Runs the tasks of connections on their core.
#[derive(Debug, Clone, Copy)]
struct OfThisCore;

impl<F: Future<Output = ()> + 'static> Executor<F> for OfThisCore {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}
