//! Bytes on their way out: heads, framing and small pieces in one buffer, a large piece behind it. They leave in as few
//! writes as can be.

use bytes::{Buf, Bytes};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// A piece that is no longer than this is copied behind what is written before it.
const COPIED_BYTES: usize = 4 << 10;

/// What is to be written.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Written up to `at`.
    buffer: Vec<u8>,
    at: usize,
    /// A large piece, after the buffer.
    payload: Bytes,
    /// The line end after a large chunk.
    payload_end: &'static [u8],
}

impl Outbox {
    /// With the memory of that buffer, which is cleared.
    pub(crate) fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { buffer, ..Self::default() }
    }

    /// The memory, for another one.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.buffer.len() && self.payload.is_empty() && self.payload_end.is_empty()
    }

    /// Whether more may be put in, so that a message of any length takes bounded memory.
    pub(crate) fn has_room(&mut self) -> bool {
        if !self.payload.is_empty() || !self.payload_end.is_empty() {
            return false;
        }
        self.reuse();
        self.buffer.len() - self.at <= COPIED_BYTES
    }

    /// Begins from the start again where all of it is written.
    fn reuse(&mut self) {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        }
    }

    /// For text, where there is room.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        self.reuse();
        &mut self.buffer
    }

    /// Puts in a part of a body, where there is room.
    pub(crate) fn push(&mut self, data: Bytes) {
        self.put(data, b"");
    }

    /// Puts in a part of a chunked body, where there is room.
    pub(crate) fn push_chunk(&mut self, data: Bytes) {
        push_hexadecimal(data.len(), &mut self.buffer);
        self.buffer.extend_from_slice(b"\r\n");
        self.put(data, b"\r\n");
    }

    /// Puts in the last chunk, without trailers, behind whatever is there.
    pub(crate) fn push_last_chunk(&mut self) {
        if self.payload_end.is_empty() {
            self.buffer.extend_from_slice(b"0\r\n\r\n");
        } else {
            self.payload_end = b"\r\n0\r\n\r\n";
        }
    }

    fn put(&mut self, data: Bytes, end: &'static [u8]) {
        if data.len() <= COPIED_BYTES {
            self.buffer.extend_from_slice(&data);
            self.buffer.extend_from_slice(end);
        } else {
            (self.payload, self.payload_end) = (data, end);
        }
    }

    /// One write.
    pub(crate) fn poll_write<I>(&mut self, io: &mut I, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        I: AsyncWrite + Unpin,
    {
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
        let of_buffer = wrote.min(left.len());
        self.at += of_buffer;
        let of_payload = (wrote - of_buffer).min(self.payload.len());
        self.payload.advance(of_payload);
        self.payload_end = self.payload_end.get(wrote - of_buffer - of_payload..).unwrap_or_default();
        Poll::Ready(Ok(()))
    }

    /// Writes all of it.
    pub(crate) fn poll_empty<I>(&mut self, io: &mut I, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        I: AsyncWrite + Unpin,
    {
        while !self.is_empty() {
            ready!(self.poll_write(io, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Between two messages: gives away what a large one took.
    pub(crate) fn rest(&mut self) {
        if self.buffer.capacity() > 2 * COPIED_BYTES && self.is_empty() {
            *self = Self::default();
        }
    }
}

fn push_hexadecimal(number: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let value = (number >> (digit * 4) & 15) as u8;
        out.push(if value < 10 { b'0' + value } else { b'a' - 10 + value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn sizes_are_written_as_the_standard_library_writes_them(number: usize, bits in 0_u32..64) {
            for number in [number, number >> bits, 0, usize::MAX] {
                let mut text = Vec::new();
                push_hexadecimal(number, &mut text);
                proptest::prop_assert_eq!(text, format!("{number:x}").into_bytes());
            }
        }
    }
}
