//! A client's connection as it is between its task and the body of the request that is under way: what is read, what is
//! left of the body, what is to be written.
//!
//! The body reads from the socket itself when somebody wants it. While nobody does, the connection's task reads a little
//! ahead, only to notice that the client has left.

use super::{head, io::Io};
use crate::{
    accept::body::BodyError,
    http1::{Framing, Inbox, Outbox, Piece},
};
use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use tokio::io::AsyncWrite;

/// Read of a body that nobody wants yet, in bytes, to notice that its client has left.
const READ_AHEAD: usize = 8 << 10;

/// Read of a body that nobody wants any more, in bytes, so that the connection can be used again.
const MAX_SKIPPED: usize = 64 << 10;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What both sides of a call share.
pub(super) struct Wire {
    /// `None` once the connection is over, or a tunnel.
    io: Option<Io>,
    pub inbox: Inbox,
    pub outbox: Outbox,
    looked_at: usize,
    /// What is left of the body of the request that is under way.
    framing: Framing,
    /// Whether that could not be read, so that nobody knows where the next request begins.
    broken: bool,
    /// Which request that is.
    turn: u64,
    /// Whether the client waits for us to ask for its body.
    asks: bool,
    /// Whether somebody may still want the body.
    wanted: bool,
    /// Who waits for more of it.
    waits: Option<Waker>,
    /// A header map to be used again.
    spare: HeaderMap,
}

impl Wire {
    pub(super) fn new(io: Io) -> Self {
        Self {
            io: Some(io),
            inbox: Inbox::new(),
            outbox: Outbox::default(),
            looked_at: 0,
            framing: Framing::Done,
            broken: false,
            turn: 0,
            asks: false,
            wanted: false,
            waits: None,
            spare: HeaderMap::new(),
        }
    }

    /// Between two calls: makes room for the next head.
    pub(super) fn begin_message(&mut self) {
        // RFC 9112, 2.2: some clients send one behind a body.
        while self.inbox.bytes.starts_with(b"\r\n") {
            self.inbox.bytes.advance(2);
        }
        self.inbox.begin_message();
        self.outbox.rest();
    }

    /// Gives all its memory away.
    pub(super) fn rest(&mut self) {
        self.inbox = Inbox::new();
        self.outbox = Outbox::default();
        self.spare = HeaderMap::new();
    }

    /// The next request's head, if it is here.
    pub(super) fn take_head(&mut self) -> Result<Option<head::Head>, StatusCode> {
        let taken = head::take(&mut self.inbox.bytes, &mut self.looked_at, &mut self.spare);
        self.broken |= taken.is_err();
        taken
    }

    /// Keeps the memory of a header map for the next request.
    pub(super) fn keep(&mut self, mut headers: HeaderMap) {
        headers.clear();
        self.spare = headers;
    }

    /// A request begins; says which it is.
    pub(super) fn begin(&mut self, framing: Framing, asks: bool) -> u64 {
        self.turn += 1;
        self.wanted = !framing.is_done();
        (self.framing, self.asks) = (framing, asks);
        self.turn
    }

    /// Reads what has come; zero at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Some(io) => self.inbox.poll_fill(io, cx),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Writes all that is to be written.
    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.io.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        ready!(self.outbox.poll_empty(io, cx))?;
        Pin::new(io).poll_flush(cx)
    }

    /// Waits for something to read, without a place to put it.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.io {
            Some(io) => io.raw().poll_readable(cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// See [`super::super::Watched::has_unread`].
    pub(super) fn has_unread(&self) -> bool {
        self.io.as_ref().is_some_and(|io| io.raw().has_unread())
    }

    /// Ready when the client has left while its call is under way. As ever with HTTP/1, a client that has ended its side of
    /// the connection has left.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Whoever waits for the body hears of it.
        while self.waits.is_none() {
            let room = self.inbox.bytes.is_empty() || (!self.framing.is_done() && self.inbox.bytes.len() < READ_AHEAD);
            if !room {
                break;
            }
            if let Ok(1..) = ready!(self.poll_fill(cx)) {
                continue;
            }
            return Poll::Ready(());
        }
        Poll::Pending
    }

    pub(super) const fn framing(&self, turn: u64) -> Option<&Framing> {
        if self.turn == turn { Some(&self.framing) } else { None }
    }

    /// More of the body of that request; nothing at its end.
    pub(super) fn poll_body(&mut self, turn: u64, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if self.turn != turn {
            return Poll::Ready(Err(BodyError::Closed));
        }
        self.waits = None;
        if self.io.is_none() || self.broken {
            return Poll::Ready(Err(BodyError::Closed));
        }
        if std::mem::take(&mut self.asks) && self.inbox.bytes.is_empty() {
            self.outbox.text().extend_from_slice(CONTINUE);
        }
        if !self.outbox.is_empty() {
            let _ = self.poll_written(cx)?;
        }
        loop {
            match self.framing.next(&mut self.inbox.bytes) {
                Ok(Piece::Data(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                Ok(Piece::Trailers(_) | Piece::End) => return Poll::Ready(Ok(None)),
                Ok(Piece::More) => {}
                Err(malformed) => {
                    self.broken = true;
                    return Poll::Ready(Err(BodyError::Malformed(malformed)));
                }
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(BodyError::Closed)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(BodyError::Io(error))),
                Poll::Pending => {
                    self.waits = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }

    /// Nobody wants the body of that request any more.
    pub(super) fn leave_body(&mut self, turn: u64) {
        if self.turn == turn {
            self.wanted = false;
            self.waits = None;
        }
    }

    /// Skips what is here of a body that nobody wants any more, and asks for no more of one that somebody does.
    pub(super) fn skip_body(&mut self, cx: &mut Context<'_>) {
        self.asks = false;
        let mut skipped = 0;
        while !self.framing.is_done() && !self.wanted && !self.broken && skipped < MAX_SKIPPED {
            match self.framing.next(&mut self.inbox.bytes) {
                Ok(Piece::Data(bytes)) => skipped += bytes.len(),
                Ok(Piece::Trailers(_) | Piece::End) => {}
                Ok(Piece::More) if matches!(self.poll_fill(cx), Poll::Ready(Ok(1..))) => {}
                Ok(Piece::More) => return,
                Err(_) => self.broken = true,
            }
        }
    }

    /// Whether somebody may still read the body to its end.
    pub(super) const fn body_is_wanted(&self) -> bool {
        self.wanted && !self.broken
    }

    /// Whether the whole request was read.
    pub(super) const fn body_is_done(&self) -> bool {
        self.framing.is_done() && !self.broken
    }

    /// Whether nothing is known to be on its way from the client.
    pub(super) fn is_heard_out(&self) -> bool {
        self.body_is_done() && self.inbox.bytes.is_empty()
    }

    /// Gives the connection away, with what was read of it already.
    pub(super) fn take_io(&mut self) -> Option<(Io, Bytes)> {
        let read = self.inbox.bytes.split().freeze();
        self.io.take().map(|io| (io, read))
    }

    /// Lets the client see, when the connection is closed, that something broke.
    pub(super) fn reset(&self) {
        if let Some(io) = &self.io {
            io.raw().reset();
        }
    }

    /// Closes the connection, whoever may still hold a body of it.
    pub(super) fn close(&mut self) {
        self.io = None;
        if let Some(waits) = self.waits.take() {
            waits.wake();
        }
    }
}
