//! The bytes of a WebSocket in both directions, until one side ends it, nobody says anything for too long, the caller may
//! no longer call, or we stop.

use super::{
    frames::{Boundary, Reason, close},
    recheck::may_still_call,
};
use crate::{
    accept::{Connection, Core},
    reserve::{Ending, Permit},
    upstream::Switched,
};
use bytes::{Buf, Bytes, BytesMut};
use domain::usage::Outcome;
use http::StatusCode;
use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{MissedTickBehavior, interval, timeout},
};

/// How often it is asked whether the caller may still call.
const RECHECK: Duration = Duration::from_secs(1);
/// How long the other side has to end when one has ended.
const LINGER: Duration = Duration::from_secs(5);
/// How long a last frame of ours may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Read at once, in bytes; what is written at once is held nowhere.
const READ_BYTES: usize = 8 << 10;

/// A connection to the upstream that is a WebSocket now, and the call that it is.
#[derive(Debug)]
pub(crate) struct Tunnel {
    upstream: Box<Switched>,
    permit: Option<Box<Permit>>,
    /// The client's, once it runs.
    connection: Option<Rc<Connection>>,
    /// From the client.
    up: Half,
    /// From the upstream.
    down: Half,
    one_ended_at: Option<Instant>,
}

impl Tunnel {
    pub(super) fn new(upstream: Box<Switched>, permit: Box<Permit>) -> Self {
        let (up, down) = (Half::default(), Half::default());
        Self { upstream, permit: Some(permit), connection: None, up, down, one_ended_at: None }
    }

    /// Copies until it is over; its drop records the call. `early` is what the client sent before it knew.
    pub(crate) async fn run<S>(mut self, core: &Core, connection: &Rc<Connection>, mut client: S, early: Bytes)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.up.take(&early);
        self.connection = Some(connection.clone());
        let mut recheck = interval(RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reason = loop {
            // Told before it began, while its call was under way.
            if connection.is_draining() {
                break Reason::GoingAway;
            }
            tokio::select! {
                biased;
                () = poll_fn(|cx| self.poll(&mut client, cx)) => return,
                () = connection.told() => break Reason::GoingAway,
                _ = recheck.tick() => {
                    if self.one_ended_at.is_some_and(|at| at.elapsed() > LINGER) {
                        return;
                    }
                    if !self.may_go_on(core) {
                        tracing::info!("a WebSocket is ended because its caller may no longer call");
                        break Reason::PolicyViolation;
                    }
                }
            }
        };
        let _ = timeout(FAREWELL, self.say_goodbye(&mut client, reason)).await;
    }

    fn may_go_on(&self, core: &Core) -> bool {
        let (snapshot, now) = (core.shared.directory.load(), core.shared.clock.now());
        self.permit.as_ref().is_some_and(|permit| may_still_call(permit.target(), &snapshot, now))
    }

    /// Ready when both directions have ended, or one has failed.
    fn poll<S>(&mut self, client: &mut S, cx: &mut Context<'_>) -> Poll<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let up = self.up.poll(client, &mut *self.upstream, cx);
        let down = self.down.poll(&mut *self.upstream, client, cx);
        match (up, down) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) | (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => {
                Poll::Ready(())
            }
            _ => {
                self.one_ended_at.get_or_insert_with(Instant::now);
                Poll::Pending
            }
        }
    }

    /// Tells both sides that it is over, where a frame of ours can be put between theirs.
    async fn say_goodbye<S>(&mut self, client: &mut S, reason: Reason) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.down.takes_a_frame() {
            client.write_all(&close(reason, false)).await?;
        }
        if self.up.takes_a_frame() {
            self.upstream.write_all(&close(reason, true)).await?;
        }
        client.shutdown().await?;
        self.upstream.shutdown().await
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.bytes_in.set(permit.bytes_in.get() + self.up.bytes);
            let cut_off = self.connection.as_ref().is_some_and(|connection| connection.is_cut_off());
            let outcome = match self.down.bytes {
                0 if cut_off || self.down.ended => Outcome::UpstreamFailed,
                0 => Outcome::ClientGone,
                _ => Outcome::Served,
            };
            let status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
            if let Err(error) = permit.settle(Ending { status, outcome, bytes_out: self.down.bytes }) {
                tracing::error!(%error, "a WebSocket is not recorded");
            }
        }
        if let Some(connection) = &self.connection {
            connection.end_answer();
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// Read and not yet written.
    pending: BytesMut,
    /// Read in all.
    bytes: u64,
    ended: bool,
    done: bool,
    boundary: Boundary,
}

impl Half {
    /// Whether a frame may be put behind what was written.
    fn takes_a_frame(&self) -> bool {
        self.boundary.is_between_frames() && self.pending.is_empty() && !self.ended
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.boundary.pass(bytes);
        self.pending.extend_from_slice(bytes);
    }

    /// Copies what there is; ready when the source has ended and the other side has been told.
    fn poll<R, W>(&mut self, from: &mut R, to: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while !self.done {
            while !self.pending.is_empty() {
                let wrote = ready!(Pin::new(&mut *to).poll_write(cx, &self.pending))?;
                if wrote == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.pending.advance(wrote);
            }
            // An idle WebSocket holds no memory for bytes.
            self.pending = BytesMut::new();
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.done = true;
                continue;
            }
            let mut room = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut read = ReadBuf::uninit(&mut room);
            match Pin::new(&mut *from).poll_read(cx, &mut read)? {
                Poll::Ready(()) if read.filled().is_empty() => self.ended = true,
                Poll::Ready(()) => self.take(read.filled()),
                Poll::Pending => {
                    let _ = Pin::new(&mut *to).poll_flush(cx)?;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
