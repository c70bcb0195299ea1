//! What was read from a connection and is not understood yet.

use bytes::BytesMut;
use std::{
    future::Future,
    io,
    pin::pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Read at once while messages are small, in bytes.
pub(crate) const SMALL_READ: usize = 8 << 10;

/// Read at once while a large body is under way, in bytes.
const LARGE_READ: usize = 64 << 10;

/// The bytes, and how many are to be read at once.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub bytes: BytesMut,
    at_once: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { bytes: BytesMut::new(), at_once: SMALL_READ }
    }

    /// Reads what has come; zero at the end.
    pub(crate) fn poll_fill<I>(&mut self, io: &mut I, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        I: AsyncRead + Unpin,
    {
        if self.bytes.capacity() - self.bytes.len() < self.at_once / 4 {
            self.bytes.reserve(self.at_once);
        }
        let polled = pin!(io.read_buf(&mut self.bytes)).poll(cx);
        if let Poll::Ready(Ok(read)) = polled
            && read >= SMALL_READ / 2
        {
            self.at_once = LARGE_READ;
        }
        polled
    }

    /// Takes its memory from the start again, where nothing of the last message is held any more.
    pub(crate) fn begin_message(&mut self) {
        self.at_once = SMALL_READ;
        if self.bytes.is_empty() {
            self.bytes.reserve(SMALL_READ);
        }
    }

    /// Gives away what a large message took.
    pub(crate) fn rest(&mut self) {
        self.at_once = SMALL_READ;
        if self.bytes.capacity() > SMALL_READ {
            self.bytes = BytesMut::new();
        }
    }
}
