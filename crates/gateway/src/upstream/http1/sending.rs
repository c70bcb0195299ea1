//! A request on its way to the upstream: its head and the first bytes of its body leave in one write.

use super::{
    super::connect::Io,
    head::{self, Frames},
};
use crate::meter::Upload;
use bytes::{Buf, Bytes};
use http::{Method, Request, request};
use http_body::Body;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// A frame of the body that is no longer than this is copied behind what is written before it.
const COPIED_BYTES: usize = 4 << 10;

/// What is left to be sent.
#[derive(Debug)]
pub(super) struct Sending {
    head: request::Parts,
    body: Upload,
    frames: Frames,
    /// The head, framing and small frames; written up to `at`.
    buffer: Vec<u8>,
    at: usize,
    /// A large frame, after the buffer.
    payload: Bytes,
    /// The line end after a large chunk.
    payload_end: &'static [u8],
    /// The first frame, until a byte is written.
    first: Option<Bytes>,
    ended: bool,
    written: bool,
    done: bool,
}

#[derive(Debug)]
pub(super) enum SendingError {
    Io(io::Error),
    Upload,
}

impl Sending {
    /// Writes the head into the buffer, which is cleared.
    pub(super) fn new(request: Request<Upload>, mut buffer: Vec<u8>) -> Self {
        let (head, body) = request.into_parts();
        buffer.clear();
        let frames = head::write(&head, &body, &mut buffer);
        Self {
            head,
            body,
            ended: frames == Frames::None,
            frames,
            buffer,
            at: 0,
            payload: Bytes::new(),
            payload_end: b"",
            first: None,
            written: false,
            done: false,
        }
    }

    pub(super) const fn head(&self) -> &request::Parts {
        &self.head
    }

    pub(super) const fn method(&self) -> &Method {
        &self.head.method
    }

    /// Whether all of it is written.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    pub(super) const fn has_written(&self) -> bool {
        self.written
    }

    /// The buffer, for the next request.
    pub(super) fn into_scratch(self) -> Vec<u8> {
        self.buffer
    }

    /// The request as it was, unless a part of its body is gone.
    pub(super) fn into_request(mut self) -> Option<Request<Upload>> {
        let whole = match self.first.take() {
            Some(frame) => self.body.put_back(frame),
            None => !self.written || self.frames == Frames::None,
        };
        whole.then(|| Request::from_parts(self.head, self.body))
    }

    /// Sends what can be sent now; ready when all of it is written.
    pub(super) fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), SendingError>> {
        while !self.done {
            let starved = !self.ended && self.gather(cx)?;
            while self.at < self.buffer.len() || self.payload.has_remaining() || !self.payload_end.is_empty() {
                ready!(self.poll_write(io, cx)).map_err(SendingError::Io)?;
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
        if self.payload.has_remaining() || !self.payload_end.is_empty() || self.first.is_some() {
            return Ok(false);
        }
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        }
        if self.buffer.len() - self.at > COPIED_BYTES {
            return Ok(false);
        }
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
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
                if self.body.is_end_stream() { self.end().map(|()| false) } else { Ok(false) }
            }
            None => self.end().map(|()| false),
        }
    }

    fn push(&mut self, data: Bytes) -> Result<(), SendingError> {
        let bytes = data.len() as u64;
        match &mut self.frames {
            _ if data.is_empty() => return Ok(()),
            Frames::Length(left) if bytes <= *left => *left -= bytes,
            // The client's connection frames its body; this cannot happen, and must not reach an upstream if it does.
            Frames::Length(_) | Frames::None => return Err(SendingError::Upload),
            Frames::Chunked => self.buffer.extend_from_slice(format!("{bytes:x}\r\n").as_bytes()),
        }
        let end: &'static [u8] = if self.frames == Frames::Chunked { b"\r\n" } else { b"" };
        if data.len() <= COPIED_BYTES {
            self.buffer.extend_from_slice(&data);
            self.buffer.extend_from_slice(end);
        } else {
            (self.payload, self.payload_end) = (data, end);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), SendingError> {
        match self.frames {
            Frames::Length(1..) => return Err(SendingError::Upload),
            Frames::Chunked if self.payload_end.is_empty() => self.buffer.extend_from_slice(b"0\r\n\r\n"),
            Frames::Chunked => self.payload_end = b"\r\n0\r\n\r\n",
            Frames::Length(_) | Frames::None => {}
        }
        self.ended = true;
        Ok(())
    }

    fn poll_write(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let left = self.buffer.get(self.at..).unwrap_or_default();
        let wrote = if self.payload.is_empty() && self.payload_end.is_empty() {
            ready!(Pin::new(io).poll_write(cx, left))?
        } else {
            let slices = [IoSlice::new(left), IoSlice::new(&self.payload), IoSlice::new(self.payload_end)];
            ready!(Pin::new(io).poll_write_vectored(cx, &slices))?
        };
        if wrote == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.written = true;
        self.first = None;
        let of_buffer = wrote.min(left.len());
        self.at += of_buffer;
        let of_payload = (wrote - of_buffer).min(self.payload.len());
        self.payload.advance(of_payload);
        self.payload_end = self.payload_end.get(wrote - of_buffer - of_payload..).unwrap_or_default();
        Poll::Ready(Ok(()))
    }
}
