//! A request on its way to the upstream: its head and the first bytes of its body leave in one write.

use super::{
    super::{Written, connect::Io},
    head::{self, Frames},
};
use crate::{http1::Outbox, meter::Upload};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header::UPGRADE};
use http_body::Body;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// What is left to be sent.
#[derive(Debug)]
pub(super) struct Sending {
    request: Box<Request<Upload>>,
    frames: Frames,
    outbox: Outbox,
    /// The first frame, until a byte is written.
    first: Option<Bytes>,
    ended: bool,
    written: bool,
    done: bool,
    asks_to_upgrade: bool,
}

/// Memory that one request after another uses.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub buffer: Vec<u8>,
    /// Empty.
    pub headers: HeaderMap,
}

#[derive(Debug)]
pub(super) enum SendingError {
    Io(io::Error),
    Upload,
}

impl Sending {
    /// Writes the head into the buffer, which is cleared.
    pub(super) fn new(request: Box<Request<Upload>>, instead: Option<Written<'_>>, buffer: Vec<u8>) -> Self {
        let mut outbox = Outbox::reusing(buffer);
        let frames = head::write(&request, instead, outbox.text());
        let asks_to_upgrade = instead.is_none() && request.headers().contains_key(UPGRADE);
        let (ended, first) = (frames == Frames::None, None);
        Self { request, ended, frames, outbox, first, written: false, done: false, asks_to_upgrade }
    }

    /// Whether the upstream was asked to switch protocols.
    pub(super) const fn asks_to_upgrade(&self) -> bool {
        self.asks_to_upgrade
    }

    pub(super) fn method(&self) -> &Method {
        self.request.method()
    }

    /// Whether all of it is written.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    pub(super) const fn has_written(&self) -> bool {
        self.written
    }

    /// The memory, for the next request and its answer.
    pub(super) fn into_scratch(mut self) -> Scratch {
        let mut headers = std::mem::take(self.request.headers_mut());
        headers.clear();
        Scratch { buffer: self.outbox.into_buffer(), headers }
    }

    /// The request as it was, unless a part of its body is gone.
    pub(super) fn into_request(mut self) -> Option<Box<Request<Upload>>> {
        let whole = match self.first.take() {
            Some(frame) => self.request.body_mut().put_back(frame),
            None => !self.written || self.frames == Frames::None,
        };
        whole.then_some(self.request)
    }

    /// Sends what can be sent now; ready when all of it is written.
    pub(super) fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), SendingError>> {
        while !self.done {
            let starved = !self.ended && self.gather(cx)?;
            while !self.outbox.is_empty() {
                ready!(self.outbox.poll_write(io, cx)).map_err(SendingError::Io)?;
                self.written = true;
                self.first = None;
            }
            if self.ended || starved {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(SendingError::Io)?;
                if starved {
                    return Poll::Pending;
                }
                self.done = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes a frame of the body if there is room for it; says whether the client has to send more first.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<bool, SendingError> {
        if self.first.is_some() || !self.outbox.has_room() {
            return Ok(false);
        }
        let frame = match Pin::new(self.request.body_mut()).poll_frame(cx) {
            Poll::Pending => return Ok(true),
            Poll::Ready(frame) => frame,
        };
        match frame {
            Some(Err(_)) => Err(SendingError::Upload),
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                if !self.written {
                    self.first = Some(data.clone());
                }
                self.push(data)?;
                if self.request.body().is_end_stream() { self.end().map(|()| false) } else { Ok(false) }
            }
            None => self.end().map(|()| false),
        }
    }

    fn push(&mut self, data: Bytes) -> Result<(), SendingError> {
        let bytes = data.len() as u64;
        match &mut self.frames {
            _ if data.is_empty() => {}
            Frames::Length(left) if bytes <= *left => {
                *left -= bytes;
                self.outbox.push(data);
            }
            // The client's connection frames its body; this cannot happen, and must not reach an upstream if it does.
            Frames::Length(_) | Frames::None => return Err(SendingError::Upload),
            Frames::Chunked => self.outbox.push_chunk(data),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), SendingError> {
        match self.frames {
            Frames::Length(1..) => return Err(SendingError::Upload),
            Frames::Chunked => self.outbox.push_last_chunk(),
            Frames::Length(_) | Frames::None => {}
        }
        self.ended = true;
        Ok(())
    }
}
