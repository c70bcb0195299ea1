//! Bodies on their way: counted, bounded, and the answer's end held back until its event is recorded.
//!
//! Only the end is held back, not a frame: a stream of events flows as it comes. Where the length is known the end is the
//! frame that completes it, else the closing chunk.

use crate::{
    accept::{BodyError, Connection, RequestBody},
    fields::Fields,
    reserve::{Ending, Permit},
    upstream::{AnswerBody, ExchangeError, Patience},
};
use bytes::Bytes;
use domain::usage::Outcome;
use http_body::{Body, Frame, SizeHint};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

mod frames;

pub(crate) use frames::Frames;

/// Why a body broke off. The peer's connection is closed, so that the cut is seen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the body is too large")]
    TooLarge,
    #[error("the client broke off its body: {0}")]
    Client(BodyError),
    #[error("the client took its call back before the body's end")]
    TakenBack,
    #[error("the upstream broke off its answer: {0}")]
    Upstream(ExchangeError),
    #[error("{0}")]
    Unrecorded(crate::ports::RecordError),
}

/// How far a request's body is.
#[derive(Debug)]
pub(crate) struct UploadState {
    pub connection: Rc<Connection>,
    pub bytes: Rc<Cell<u64>>,
    pub too_large: Cell<bool>,
    pub broken: Cell<bool>,
    pub ended: Cell<bool>,
    /// Whether the upstream may have been sent a byte of the request.
    pub sent: Cell<bool>,
}

impl UploadState {
    pub(crate) fn new(connection: Rc<Connection>, bytes: Rc<Cell<u64>>) -> Self {
        let no = || Cell::new(false);
        Self { connection, bytes, too_large: no(), broken: no(), ended: no(), sent: no() }
    }

    fn end(&self) {
        self.ended.set(true);
        self.connection.note_upload_ended();
    }

    /// Whether the client broke the request off, or it is too large.
    fn is_broken(&self) -> bool {
        self.broken.get() || self.too_large.get()
    }

    /// Whether the upstream was sent a part of the request and waits for the rest.
    fn is_owed(&self) -> bool {
        self.sent.get() && !self.ended.get()
    }
}

/// Where a request's body comes from.
pub(crate) enum Source {
    Client(RequestBody),
    /// It was read whole before.
    Whole(Bytes),
}

impl Source {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Client(body) => body.is_end_stream(),
            Self::Whole(body) => body.is_empty(),
        }
    }
}

/// A request's body on its way to the upstream, without its trailers.
#[derive(Debug)]
pub(crate) enum Upload {
    Empty,
    Streaming {
        body: RequestBody,
        state: Rc<UploadState>,
        limit: u64,
        /// A frame that was taken and not sent.
        again: Option<Bytes>,
    },
    Whole {
        body: Option<Bytes>,
        state: Rc<UploadState>,
    },
}

impl Upload {
    pub(crate) fn new(source: Source, state: Rc<UploadState>, limit: u64) -> Self {
        match source {
            Source::Client(body) if !body.is_end_stream() => Self::Streaming { body, state, limit, again: None },
            Source::Whole(body) if !body.is_empty() => Self::Whole { body: Some(body), state },
            _ => {
                state.ended.set(true);
                Self::Empty
            }
        }
    }

    /// Takes back the one frame that was taken, so that the body is whole again; says whether it is.
    pub(crate) fn put_back(&mut self, frame: Bytes) -> bool {
        match self {
            Self::Empty => frame.is_empty(),
            Self::Streaming { again, .. } => again.replace(frame).is_none(),
            Self::Whole { body, .. } => body.replace(frame).is_none(),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let (body, state, limit) = match self.get_mut() {
            Self::Empty => return Poll::Ready(None),
            Self::Whole { body, state } => {
                let Some(whole) = body.take() else { return Poll::Ready(None) };
                state.bytes.set(whole.len() as u64);
                state.ended.set(true);
                return Poll::Ready(Some(Ok(Frame::data(whole))));
            }
            Self::Streaming { body, state, limit, again } => {
                if let Some(frame) = again.take() {
                    return Poll::Ready(Some(Ok(Frame::data(frame))));
                }
                (body, state, limit)
            }
        };
        let polled = match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => return Poll::Pending,
        };
        match polled {
            // hyper takes a stream that was reset with NO_ERROR for one that ended.
            None if state.connection.is_stream() && !body.is_end_stream() => {
                state.broken.set(true);
                Poll::Ready(Some(Err(Broken::TakenBack)))
            }
            None => {
                state.end();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                state.broken.set(true);
                Poll::Ready(Some(Err(Broken::Client(error))))
            }
            // They would come after the strip of the headers, and could stand in for any of them.
            Some(Ok(frame)) if frame.is_trailers() => {
                state.end();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                state.bytes.set(state.bytes.get() + bytes);
                state.connection.note_body(bytes);
                if state.bytes.get() > *limit {
                    state.too_large.set(true);
                    return Poll::Ready(Some(Err(Broken::TooLarge)));
                }
                if body.is_end_stream() {
                    state.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole { body, .. } => body.is_none(),
            Self::Streaming { body, again, .. } => again.is_none() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole { body, .. } => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Streaming { body, again, .. } => {
                let again = again.as_ref().map_or(0, |frame| frame.len() as u64);
                body.size_hint().exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + again))
            }
        }
    }
}

/// An answer's body on its way to the client.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Our own words, or an answer that is here as a whole and recorded.
    Whole(Bytes),
    /// The same, with fields that are in no header map, for a client of HTTP/1.
    Ready(Bytes, Fields),
    Streaming(Box<Metered>),
    /// Read before, in part or as a whole.
    Frames(Box<Frames>),
}

impl Reply {
    pub(crate) fn text(text: String) -> Self {
        Self::Whole(Bytes::from(text))
    }

    /// Lines that belong into the head, besides those of its map.
    pub(crate) fn lines(&self) -> &[u8] {
        match self {
            Self::Ready(_, fields) => fields.as_bytes(),
            _ => &[],
        }
    }

    /// Whether its date is among them.
    pub(crate) const fn is_dated(&self) -> bool {
        matches!(self, Self::Ready(_, fields) if fields.is_dated())
    }
}

/// The upstream's body, and the permit that is settled where it ends.
#[derive(Debug)]
pub(crate) struct Metered {
    body: AnswerBody,
    permit: Option<Box<Permit>>,
    connection: Rc<Connection>,
    /// Deadlines of this answer alone.
    patience: Option<Box<Patience>>,
    /// The request, of which a part may still be on its way.
    upload: Rc<UploadState>,
    status: u16,
    bytes: u64,
}

impl Metered {
    pub(crate) fn new(body: AnswerBody, permit: Box<Permit>, upload: Rc<UploadState>, status: u16) -> Self {
        let connection = upload.connection.clone();
        connection.begin_answer();
        let patience = permit.patience();
        connection.end_answer_by(patience.as_ref().and_then(|patience| patience.ends_at()));
        Self { body, permit: Some(permit), connection, patience, upload, status, bytes: 0 }
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Some(permit) = self.permit.take() else { return Ok(()) };
        let ending = Ending { status: self.status, outcome: Outcome::Served, bytes_out: self.bytes };
        permit.settle(ending).map_err(Broken::Unrecorded)
    }

    /// Records the call as one whose answer was cut off.
    fn settle_broken(&mut self, outcome: Outcome) {
        let Some(permit) = self.permit.take() else { return };
        if let Err(error) = permit.settle(Ending { status: self.status, outcome, bytes_out: self.bytes }) {
            tracing::error!(%error, "a broken answer is not recorded");
        }
    }

    /// The rest flows to this client, whose connection keeps the deadlines from now on.
    pub(crate) fn flow_to(&mut self, connection: Rc<Connection>) {
        connection.begin_answer();
        connection.end_answer_by(self.patience.as_ref().and_then(|patience| patience.ends_at()));
        self.connection = connection;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.connection.waits_for_upstream.set(polled.is_pending());
        let polled = match (polled, &mut self.patience) {
            (polled, None) => polled,
            (polled, Some(patience)) => match patience.poll_over(polled.is_pending(), cx) {
                // The upstream had more: whoever took so long with the rest was not it.
                Poll::Ready(()) if polled.is_ready() => {
                    self.settle_broken(Outcome::ClientGone);
                    return Poll::Ready(Some(Err(Broken::Upstream(too_late()))));
                }
                Poll::Ready(()) => Poll::Ready(Some(Err(too_late()))),
                Poll::Pending => polled,
            },
        };
        let Poll::Ready(polled) = polled else { return Poll::Pending };
        let passed = match polled {
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.connection.note_body(0);
                let last = frame.is_trailers() || self.body.is_end_stream();
                let recorded = if last { self.end() } else { Ok(()) };
                Some(recorded.map(|()| frame))
            }
            Some(Err(error)) => {
                // An upstream whose request breaks off has every right to do so too.
                if self.upload.is_broken() || matches!(error, ExchangeError::Upload) {
                    self.settle_broken(Outcome::ClientGone);
                } else {
                    if let Some(permit) = &mut self.permit {
                        permit.note_broken(&error);
                    }
                    self.settle_broken(Outcome::UpstreamFailed);
                }
                Some(Err(Broken::Upstream(error)))
            }
            None => self.end().err().map(Err),
        };
        Poll::Ready(passed)
    }
}

fn too_late() -> ExchangeError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(permit) = &mut self.permit {
            // The connection was closed: by the client, or by us because the upstream stood still or because we stop. The
            // client has no part in those two, unless the upstream waits for its request.
            let waits = self.connection.waits_for_upstream.get() && !self.upload.is_owed();
            let stalled = self.connection.is_doomed() && waits;
            let outcome =
                if stalled || self.connection.is_cut_off() { Outcome::UpstreamFailed } else { Outcome::ClientGone };
            if stalled {
                permit.note_broken(&io::Error::from(io::ErrorKind::TimedOut).into());
            }
            permit.if_dropped = Ending { status: self.status, outcome, bytes_out: self.bytes };
            self.connection.note_abandoned();
        }
        self.connection.end_answer();
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) | Self::Ready(bytes, _) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) | Self::Ready(bytes, _) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Streaming(metered) => metered.poll(cx),
            Self::Frames(frames) => frames.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) | Self::Ready(bytes, _) => bytes.is_empty(),
            Self::Streaming(metered) => metered.permit.is_none() && metered.body.is_end_stream(),
            Self::Frames(frames) => frames.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) | Self::Ready(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streaming(metered) => metered.body.size_hint(),
            Self::Frames(frames) => frames.size_hint(),
        }
    }
}
