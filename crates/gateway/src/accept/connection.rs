//! What a core knows of one client's connection, so that it can end one that stands still.
//!
//! hyper's own timer would be armed for each request and closes idle connections as early as slow ones; a few cells and a
//! sweep five times a second cost less and keep the deadlines apart.

use http::HeaderValue;
use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};

/// One client's connection. Times are ticks of the core's clock.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client's address, for X-Forwarded-For.
    pub peer: HeaderValue,
    /// The answer's body was asked for more and the upstream had none.
    pub waits_for_upstream: Cell<bool>,
    now: Rc<Cell<u64>>,
    phase: Cell<Phase>,
    /// Whether a request has arrived before.
    greeted: Cell<bool>,
    /// When bytes last moved.
    moved_at: Cell<u64>,
    /// When the head that is being read began.
    head_since: Cell<Option<u64>>,
    doomed: Cell<bool>,
    cut_off: Cell<bool>,
    told: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between calls, or reading a head.
    Idle,
    /// The call is decided on, or waits for the upstream's head, which has its own time.
    Call,
    /// An answer's body is under way.
    Answer,
}

/// Marks the connection as busy with a call; what comes after its drop is an answer or the next head.
pub(crate) struct Busy(Rc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.phase.get() == Phase::Call {
            self.0.rest();
        }
    }
}

impl Connection {
    pub(super) fn new(peer: HeaderValue, now: Rc<Cell<u64>>) -> Self {
        Self {
            peer,
            waits_for_upstream: Cell::new(false),
            moved_at: Cell::new(now.get()),
            now,
            phase: Cell::new(Phase::Idle),
            greeted: Cell::new(false),
            head_since: Cell::new(None),
            doomed: Cell::new(false),
            cut_off: Cell::new(false),
            told: Notify::new(),
        }
    }

    pub(super) fn begin_call(self: &Rc<Self>) -> Busy {
        self.phase.set(Phase::Call);
        self.greeted.set(true);
        self.head_since.set(None);
        Busy(self.clone())
    }

    pub(crate) fn begin_answer(&self) {
        self.phase.set(Phase::Answer);
        self.moved_at.set(self.now.get());
    }

    pub(crate) fn end_answer(&self) {
        self.rest();
    }

    /// Whether it missed a deadline and is being closed.
    pub(crate) const fn is_doomed(&self) -> bool {
        self.doomed.get()
    }

    /// Says that we end it because we stop, in the middle of a call.
    pub(super) fn cut_off(&self) {
        self.cut_off.set(true);
    }

    /// Whether we end it because we stop.
    pub(crate) const fn is_cut_off(&self) -> bool {
        self.cut_off.get()
    }

    /// Ends it after the call that it is busy with.
    pub(super) fn drain(&self) {
        self.told.notify_one();
    }

    /// Waits until it has to be drained or closed.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    pub(super) fn keep_deadlines(&self, head: u64, idle: u64, body_idle: u64) {
        let still = self.now.get() - self.moved_at.get();
        let missed = match (self.phase.get(), self.head_since.get()) {
            (Phase::Idle, Some(since)) => self.now.get() - since > head,
            (Phase::Idle, None) if self.greeted.get() => {
                if still > idle {
                    // A request that arrives at this very moment is still answered.
                    self.drain();
                }
                false
            }
            (Phase::Idle, None) => still > head,
            (Phase::Call, _) => false,
            (Phase::Answer, _) => still > body_idle,
        };
        if missed {
            self.doomed.set(true);
            self.told.notify_one();
        }
    }

    fn rest(&self) {
        self.phase.set(Phase::Idle);
        self.moved_at.set(self.now.get());
        self.head_since.set(None);
    }

    fn moved(&self, read: bool) {
        let now = self.now.get();
        self.moved_at.set(now);
        if read && self.phase.get() == Phase::Idle && self.head_since.get().is_none() {
            self.head_since.set(Some(now));
        }
    }
}

/// A socket that tells its connection when bytes move.
pub(super) struct Watched {
    stream: TcpStream,
    connection: Rc<Connection>,
}

impl Watched {
    pub(super) const fn new(stream: TcpStream, connection: Rc<Connection>) -> Self {
        Self { stream, connection }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.connection.moved(true);
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
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
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

impl Watched {
    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = polled {
            self.connection.moved(false);
        }
        polled
    }
}
