//! A socket that tells its connection when bytes move.

use super::Connection;
use socket2::SockRef;
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Small writes are joined up to this length.
const COPIED_BYTES: usize = 1536;

/// A client's socket.
pub(super) struct Watched {
    stream: TcpStream,
    connection: Rc<Connection>,
}

impl Watched {
    pub(super) const fn new(stream: TcpStream, connection: Rc<Connection>) -> Self {
        Self { stream, connection }
    }

    /// Ready when there is something to read, or the client has left.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    /// Whether bytes are there that nobody read, by the system's own word: the runtime hears of them a moment later.
    pub(super) fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(&self.stream).peek(&mut byte).is_ok_and(|bytes| bytes > 0)
    }

    /// Ends it by a reset when it is closed.
    pub(super) fn reset(&self) {
        let _ = self.stream.set_zero_linger();
    }

    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(bytes @ 1..)) => self.connection.note_written(bytes),
            Poll::Pending => self.connection.note_unwritten(),
            Poll::Ready(_) => {}
        }
        polled
    }
}

/// What the client has not taken from us, the system would keep for as long as it likes to take.
impl Drop for Watched {
    fn drop(&mut self) {
        if self.connection.has_unwritten() {
            self.reset();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 {
            self.connection.note_read(read);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total: usize = bytes.iter().map(|slice| slice.len()).sum();
        let polled = match bytes.len() {
            // The kernel takes one small piece faster than a list of them.
            2.. if total <= COPIED_BYTES => {
                let mut joined = [0; COPIED_BYTES];
                let mut free = &mut joined[..];
                for slice in bytes {
                    let (place, rest) = free.split_at_mut(slice.len());
                    place.copy_from_slice(slice);
                    free = rest;
                }
                Pin::new(&mut self.stream).poll_write(cx, &joined[..total])
            }
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bytes),
        };
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
