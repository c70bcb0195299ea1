//! The side towards the API: connections, and one exchange of a request for an answer on each of them.
//!
//! The seam that the rest of the gateway uses:
//! - [`Pools::lease`] gives a [`pool::Lease`]: one connection for one call, taken from the core's pool or new. Where to connect to
//!   is an [`Origin`]; whoever chooses among several targets chooses an origin.
//! - [`pool::Lease::send`] takes the request and gives the [`Answer`] once its head is there, or [`SendFailed`], which says whether
//!   a byte was written and gives the request back where it is still whole. Sending it again is the caller's decision.
//! - [`AnswerBody`] is the answer's body, whatever it comes from: a stream from a connection, which goes back to its pool by
//!   itself when both bodies have ended, or bytes that are already here (a small answer, one from a store). Dropping it before
//!   its end closes the connection, which tells the upstream that nobody waits any more.
//!
//! A request's target is in origin form, its headers are those that are to be sent, and its framing follows from its body:
//! `Content-Length` and `Transfer-Encoding` among its headers are ignored. `Host` has to be set. Headers of a connection
//! (`Connection`, `Upgrade`, `TE`) are sent as they are: stripping them is the business of `headers`.
//!
//! An answer whose framing could be read in two ways is [`ExchangeError::Malformed`], and its connection is not used again.
//! There is no deadline in here but the one for connecting: callers drop the future or the body when their time is up.

use bytes::Bytes;
use http::{HeaderMap, Request, response};
use http_body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

mod address;
pub(crate) mod balance;
mod breaker;
mod connect;
mod dial;
mod failure;
pub(crate) mod health;
mod http1;
mod http2;
mod identity;
mod live;
mod patience;
mod places;
mod pool;
pub(crate) mod report;
mod resolve;
mod retry;

use crate::{cache::Collecting, fields::Fields, headers::Outward, meter::Upload, snapshot::Target};
pub use address::Reach;
pub(crate) use balance::{MAX_TARGETS, Tried};
pub(crate) use breaker::Stage;
pub(crate) use connect::{Dialer, Origin};
pub(crate) use failure::Failure;
pub(crate) use http1::Switched;
pub(crate) use identity::Identity;
pub(crate) use live::{LiveUpstream, LiveUpstreams};
pub(crate) use patience::Patience;
pub(crate) use pool::Pools;
pub(crate) use report::Sent;
pub use resolve::Freshness;
pub(crate) use resolve::Resolver;

/// The upstream's answer: its head, and its body as far as it has come.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Of the answer that counts; 101 only where the request asked to upgrade.
    pub head: response::Parts,
    pub body: AnswerBody,
    /// What the client is told of the head, where [`Manner::as_lines`] asked for it: the head's own header map is empty then.
    pub lines: Option<Fields>,
}

impl Answer {
    /// One whose header map is all there is to its head.
    pub(crate) const fn new(head: response::Parts, body: AnswerBody) -> Self {
        Self { head, body, lines: None }
    }
}

/// How an exchange in HTTP/1.1 goes about its heads, where nobody but the two ends looks at them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner<'a> {
    /// What is sent in place of the request's address and header map.
    pub written: Option<Written<'a>>,
    /// Whether the head of an answer that is here as a whole may be lines; then, whether the gateway says how limits stand.
    pub as_lines: Option<bool>,
}

/// A request's head as it goes to one target: of the request only method, query and the client's headers count.
#[derive(Clone, Copy)]
pub(crate) struct Written<'a> {
    pub outward: &'a Outward<'a>,
    pub target: &'a Target,
    /// The path below the target's base path.
    pub path_below: &'a str,
}

/// An answer's body from wherever it comes.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// The whole of it, or nothing.
    Full(Bytes),
    /// From a connection of HTTP/1.1.
    Http1(Box<http1::AnswerStream>),
    /// From a stream of HTTP/2.
    Http2(Box<http2::AnswerStream>),
    /// One of which frames were read before, and are sent first.
    Begun(Box<Begun>),
    /// Any of these, of which a copy is kept.
    Collected(Box<Collecting>),
    /// After a 101 there is no body: the connection itself, with what was read of it after the head.
    Switched(Box<Switched>),
}

/// A body whose first frames were read before.
#[derive(Debug)]
pub(crate) struct Begun {
    frames: VecDeque<Frame<Bytes>>,
    rest: AnswerBody,
}

impl Begun {
    pub(crate) const fn new(frames: VecDeque<Frame<Bytes>>, rest: AnswerBody) -> Self {
        Self { frames, rest }
    }
}

/// Why there is no answer, or no end of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed before the answer's end")]
    Closed,
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
    #[error("the stream broke: {0}")]
    Http2(hyper::Error),
    /// [`crate::meter::UploadState`] says how.
    #[error("the request's body broke off")]
    Upload,
}

/// The request brought no answer.
#[derive(Debug)]
pub(crate) struct SendFailed {
    pub error: ExchangeError,
    /// Whether a byte of the request was written, so that the upstream may have acted on it.
    pub written: bool,
    /// Whether a byte of an answer came.
    pub answered: bool,
    /// The request as it was given, unless a part of its body is gone.
    pub request: Option<Box<Request<Upload>>>,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = ExchangeError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Http1(stream) => stream.poll_frame(cx),
            Self::Http2(stream) => stream.poll_frame(cx),
            Self::Begun(begun) => match begun.frames.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(&mut begun.rest).poll_frame(cx),
            },
            Self::Collected(collecting) => collecting.poll_frame(cx),
            Self::Switched(_) => Poll::Ready(None),
        }
    }

    /// Also true right after the frame with which a known length is complete.
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Http1(stream) => stream.is_at_end(),
            Self::Http2(stream) => stream.is_at_end(),
            Self::Begun(begun) => begun.frames.is_empty() && begun.rest.is_end_stream(),
            Self::Collected(collecting) => collecting.is_end_stream(),
            Self::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Http1(stream) => stream.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Http2(stream) => stream.size_hint(),
            // A known length leaves no room for trailers.
            Self::Begun(begun) if begun.frames.iter().any(Frame::is_trailers) => SizeHint::default(),
            Self::Begun(begun) => {
                let read: u64 = begun.frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
                let rest = begun.rest.size_hint();
                rest.exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(left.saturating_add(read)))
            }
            Self::Collected(collecting) => collecting.size_hint(),
            Self::Switched(_) => SizeHint::with_exact(0),
        }
    }
}

/// Takes fields out of trailers that would change how a message is read (RFC 9110, 6.5.1).
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
    for name in [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        trailers.remove(name);
    }
}
