//! A client's bytes of HTTP/2, with an eye on its frames.
//!
//! h2 works off whatever is there before anybody else has a say, and tens of thousands of PINGs fit into what it reads at once. So
//! frames are counted as they are read, and a connection that owes too many of them ends in the middle of it.

use super::{Connection, streams::Streams};
use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// RFC 9113, 4.1.
const FRAME_HEAD_BYTES: usize = 9;
/// RFC 9113, 3.4; it is followed by frames.
const PREFACE_BYTES: usize = 24;

/// What is read passes by the connection's balance.
pub(super) struct Scanned<S> {
    io: S,
    connection: Rc<Connection>,
    scan: Scan,
}

impl<S> Scanned<S> {
    pub(super) const fn new(io: S, connection: Rc<Connection>) -> Self {
        Self { io, connection, scan: Scan::at_preface() }
    }
}

/// Where in the sequence of frames the bytes have got to.
struct Scan {
    head: [u8; FRAME_HEAD_BYTES],
    /// Bytes of the head that are here.
    seen: usize,
    /// Bytes to go until the next head.
    left: usize,
}

impl Scan {
    const fn at_preface() -> Self {
        Self { head: [0; FRAME_HEAD_BYTES], seen: 0, left: PREFACE_BYTES }
    }

    fn pass(&mut self, mut bytes: &[u8], streams: &Streams) {
        while !bytes.is_empty() {
            let passed = self.left.min(bytes.len());
            bytes = bytes.get(passed..).unwrap_or_default();
            self.left -= passed;
            let free = self.head.iter_mut().skip(self.seen);
            let taken = free.zip(bytes).map(|(place, byte)| *place = *byte).count();
            bytes = bytes.get(taken..).unwrap_or_default();
            self.seen += taken;
            if self.seen == FRAME_HEAD_BYTES {
                let [long, middle, short, kind, flags, ..] = self.head;
                self.left = usize::from(long) << 16 | usize::from(middle) << 8 | usize::from(short);
                self.seen = 0;
                streams.note_frame(kind, flags, self.left);
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Scanned<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { io, connection, scan } = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(io).poll_read(cx, buf))?;
        let Some(streams) = connection.streams() else { return Poll::Ready(Ok(())) };
        scan.pass(buf.filled().get(before..).unwrap_or_default(), streams);
        if streams.owes_frames() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Scanned<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        [&[0, (payload >> 8) as u8, payload as u8, kind, 0, 0, 0, 0, 1], vec![9; payload].as_slice()].concat()
    }

    #[test]
    fn frames_are_counted_however_they_are_cut_into_reads() {
        const PING: u8 = 6;
        const DATA: u8 = 0;
        let mut all = vec![b'P'; PREFACE_BYTES];
        for _ in 0..20 {
            all.extend([frame(PING, 8), frame(DATA, 700), frame(77, 0)].concat());
        }
        for piece in [1, 2, 7, 8, 9, 10, 17, 24, 25, 1_000, all.len()] {
            let (mut scan, streams) = (Scan::at_preface(), Streams::default());
            all.chunks(piece).for_each(|bytes| scan.pass(bytes, &streams));
            assert_eq!(streams.frames_owed(), 40, "in pieces of {piece}");
        }
    }
}
