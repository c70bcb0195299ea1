//! What a core knows of one client's connection, so that it can end one that stands still.
//!
//! A timer for each request would cost more than a few cells and a sweep five times a second, which keep the deadlines apart.

use super::{streams::Streams, tls::PeerCertificate};
use crate::websocket::Tunnel;
use http::{HeaderValue, StatusCode, response};
use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

/// What carries one call at a time: a client's HTTP/1 connection, or one stream of its HTTP/2 connection. Times are ticks
/// of the core's clock.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client's address, for X-Forwarded-For.
    pub peer: HeaderValue,
    /// Whether the client speaks TLS with us.
    pub secure: bool,
    /// The answer's body was asked for more and the upstream had none.
    pub waits_for_upstream: Cell<bool>,
    now: Rc<Cell<u64>>,
    born: u64,
    phase: Cell<Phase>,
    /// Whether a request has arrived before.
    greeted: Cell<bool>,
    /// When bytes last moved.
    moved_at: Cell<u64>,
    /// When the answer that is under way is to be over, where the product says so.
    answer_ends: Cell<Option<Instant>>,
    /// When the head that is being read began.
    head_since: Cell<Option<u64>>,
    doomed: Cell<bool>,
    makes_way: Cell<bool>,
    draining: Cell<bool>,
    /// The last request is here as a whole, so that what comes next begins another.
    between_requests: Cell<bool>,
    /// The client has not taken all that was written.
    unwritten: Cell<bool>,
    cut_off: Cell<bool>,
    /// Its answer waits for nothing but the write of this turn.
    settles: Cell<bool>,
    told: Cell<bool>,
    /// Who waits to be told.
    listener: RefCell<Option<Waker>>,
    takes_lines: Cell<bool>,
    takes_interim: Cell<bool>,
    /// Answers before the answer (RFC 9110, 15.2) that are to be passed on.
    interim: RefCell<Vec<response::Parts>>,
    /// What the client's TLS proved, where it showed a certificate.
    certificate: OnceCell<Rc<PeerCertificate>>,
    /// The HTTP/2 connection's streams; empty for HTTP/1 and for a stream.
    streams: OnceCell<Box<Streams>>,
    /// The HTTP/2 connection that this is a stream of.
    trunk: Option<Rc<Connection>>,
    /// What it becomes when its last answer of HTTP/1 is out.
    tunnel: RefCell<Option<Box<Tunnel>>>,
}

/// Ticks after a call, or the beginning, in which the next one is likely.
const JUST_NOW: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between calls, or reading a head.
    Idle,
    /// The call is decided on, or waits for the upstream's head, which has its own time.
    Call,
    /// An answer's body is under way.
    Answer,
    /// HTTP/2: its streams have phases.
    Shared,
}

/// How many ticks each wait may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub head: u64,
    pub idle: u64,
    pub body_idle: u64,
    /// Until a connection without a call gives its memory away.
    pub rest: u64,
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
    pub(super) fn new(peer: HeaderValue, secure: bool, now: Rc<Cell<u64>>) -> Self {
        Self {
            peer,
            secure,
            waits_for_upstream: Cell::new(false),
            moved_at: Cell::new(now.get()),
            born: now.get(),
            now,
            phase: Cell::new(Phase::Idle),
            greeted: Cell::new(false),
            answer_ends: Cell::new(None),
            head_since: Cell::new(None),
            doomed: Cell::new(false),
            makes_way: Cell::new(false),
            draining: Cell::new(false),
            between_requests: Cell::new(false),
            unwritten: Cell::new(false),
            cut_off: Cell::new(false),
            settles: Cell::new(false),
            told: Cell::new(false),
            listener: RefCell::default(),
            takes_lines: Cell::new(false),
            takes_interim: Cell::new(false),
            interim: RefCell::default(),
            certificate: OnceCell::new(),
            streams: OnceCell::new(),
            trunk: None,
            tunnel: RefCell::default(),
        }
    }

    /// One stream of this HTTP/2 connection.
    pub(super) fn stream(self: &Rc<Self>) -> Self {
        let stream = Self::new(self.peer.clone(), self.secure, self.now.clone());
        Self { certificate: self.certificate.clone(), trunk: Some(self.clone()), ..stream }
    }

    /// What a call that may outlive its client believes to be its connection: nobody closes it.
    pub(crate) fn detached(&self) -> Self {
        Self { certificate: self.certificate.clone(), ..Self::new(self.peer.clone(), self.secure, self.now.clone()) }
    }

    /// Makes it an HTTP/2 connection.
    pub(super) fn share(&self) {
        self.rest();
        self.phase.set(Phase::Shared);
        self.streams.get_or_init(Box::default);
    }

    /// The streams of an HTTP/2 connection.
    pub(super) fn streams(&self) -> Option<&Streams> {
        self.streams.get().map(Box::as_ref)
    }

    /// The verified certificate that the client showed, if any. It was signed by an authority of some product; whether
    /// that product is the one that is called is for the caller to find out.
    pub(crate) fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.get().map(Rc::as_ref)
    }

    /// The TLS handshake is over; the time for the first head begins.
    pub(super) fn secured(&self, certificate: Option<PeerCertificate>) {
        if let Some(certificate) = certificate {
            let _ = self.certificate.set(Rc::new(certificate));
        }
        self.rest();
    }

    /// `whole` says that the request has no body.
    pub(super) fn begin_call(self: &Rc<Self>, whole: bool) -> Busy {
        self.between_requests.set(whole);
        self.settles.set(false);
        self.phase.set(Phase::Call);
        self.greeted.set(true);
        self.head_since.set(None);
        Busy(self.clone())
    }

    /// Its call has ended, and the answer follows within this turn of the core's loop: whether the client has left meanwhile is seen
    /// when it is sent.
    pub(crate) fn settle(&self, settles: bool) {
        self.settles.set(settles);
    }

    pub(super) const fn settles(&self) -> bool {
        self.settles.get()
    }

    pub(crate) fn begin_answer(&self) {
        self.phase.set(Phase::Answer);
        self.moved_at.set(self.now.get());
    }

    /// Closes the connection, or ends the stream, if the answer is not over by then. The answer itself notices sooner, as long as
    /// its client takes it.
    pub(crate) fn end_answer_by(&self, at: Option<Instant>) {
        self.answer_ends.set(at);
    }

    pub(crate) fn end_answer(&self) {
        self.answer_ends.set(None);
        self.rest();
    }

    /// From now on its answers may have lines besides their header map: [`crate::meter::Reply::lines`].
    pub(super) fn take_lines(&self) {
        self.takes_lines.set(true);
    }

    /// Whether the client of the request that begins understands more than one answer to it.
    pub(super) fn take_interim(&self, takes: bool) {
        self.takes_interim.set(takes);
    }

    /// Notes an answer of the upstream's that only informs, for a client that understands it. Its own `100 Continue` answers the
    /// gateway, which asks for bodies itself.
    pub(crate) fn inform(&self, interim: response::Parts) {
        if self.takes_interim.get() && interim.status != StatusCode::CONTINUE {
            self.interim.borrow_mut().push(interim);
        }
    }

    /// What is to be passed on before the answer.
    pub(super) fn interim(&self) -> Option<response::Parts> {
        let mut interim = self.interim.borrow_mut();
        if interim.is_empty() { None } else { Some(interim.remove(0)) }
    }

    pub(crate) const fn takes_lines(&self) -> bool {
        self.takes_lines.get()
    }

    /// Whether it is a stream of an HTTP/2 connection.
    pub(crate) const fn is_stream(&self) -> bool {
        self.trunk.is_some()
    }

    /// The client left a call before its answer was whole.
    pub(crate) fn note_abandoned(&self) {
        if let Some(trunk) = &self.trunk
            && let Some(streams) = trunk.streams.get()
        {
            streams.note_abandoned();
        }
    }

    /// Bytes of a body went through. HTTP/1 learns it from its socket; a stream shares its socket with others.
    pub(crate) fn note_body(&self, uploaded: u64) {
        let Some(trunk) = &self.trunk else { return };
        self.moved_at.set(self.now.get());
        if let Some(streams) = trunk.streams.get() {
            streams.note_uploaded(uploaded);
        }
    }

    /// The end of the request's body was read.
    pub(crate) fn note_upload_ended(&self) {
        self.between_requests.set(true);
    }

    /// Makes it a tunnel as soon as the answer with 101 is out.
    pub(crate) fn leave_tunnel(&self, tunnel: Box<Tunnel>) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    pub(super) fn take_tunnel(&self) -> Option<Box<Tunnel>> {
        self.tunnel.borrow_mut().take()
    }

    /// Whether it is an HTTP/2 connection.
    pub(super) fn is_shared(&self) -> bool {
        self.phase.get() == Phase::Shared
    }

    /// Whether it missed a deadline and is being closed.
    pub(crate) const fn is_doomed(&self) -> bool {
        self.doomed.get()
    }

    /// Says that we end it because we stop, in the middle of a call.
    pub(super) fn cut_off(&self) {
        self.cut_off.set(true);
        if let Some(streams) = self.streams.get() {
            streams.cut_off();
        }
    }

    /// Whether we end it because we stop.
    pub(crate) const fn is_cut_off(&self) -> bool {
        self.cut_off.get()
    }

    /// Ends it after the calls that it is busy with.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        self.tell();
    }

    /// Whether it is to end after what it is busy with.
    pub(crate) const fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether nothing is under way on it, in either direction, so that it can be taken up again from nothing.
    pub(super) fn may_rest(&self) -> bool {
        let idle = self.phase.get() == Phase::Idle && self.greeted.get() && self.head_since.get().is_none();
        idle && self.between_requests.get() && !self.unwritten.get()
    }

    /// Waits until it has to be drained or closed, or may rest. One task at a time listens.
    pub(crate) async fn told(&self) {
        poll_fn(|cx| self.poll_told(cx)).await;
    }

    pub(super) fn poll_told(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.told.take() {
            return Poll::Ready(());
        }
        let mut listener = self.listener.borrow_mut();
        if !listener.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *listener = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn tell(&self) {
        self.told.set(true);
        if let Some(listener) = self.listener.take() {
            listener.wake();
        }
    }

    /// Ends it if it stands still, and says whether it is ended because its client floods it.
    pub(super) fn keep_deadlines(&self, patience: Patience) -> bool {
        let Patience { head, idle, body_idle, rest } = patience;
        let still = self.now.get() - self.moved_at.get();
        let missed = match (self.phase.get(), self.head_since.get()) {
            (Phase::Idle, Some(since)) => self.now.get() - since > head,
            (Phase::Idle, None) if self.greeted.get() => {
                if still > idle {
                    // A request that arrives at this very moment is still answered.
                    self.drain();
                } else if still == rest && self.may_rest() {
                    self.tell();
                }
                false
            }
            (Phase::Idle, None) => still > head,
            (Phase::Call, _) => false,
            (Phase::Answer, _) => still > body_idle || self.answer_ends.get().is_some_and(|ends| Instant::now() > ends),
            (Phase::Shared, _) => {
                let streams = self.streams.get();
                if streams.is_some_and(|streams| streams.keep_deadlines(patience)) && !self.doomed.get() {
                    self.doom();
                    return true;
                }
                streams.is_some_and(|streams| !streams.are_open()) && self.is_left_alone(patience, still)
            }
        };
        if missed {
            self.doom();
        }
        false
    }

    /// Whether an HTTP/2 connection without calls has to be closed; before that it is told to end. `still` counts from
    /// the end of its last call, because a client can move bytes for ever without asking for anything.
    fn is_left_alone(&self, patience: Patience, still: u64) -> bool {
        let (first, last) = match self.greeted.get() {
            true => (patience.idle, patience.idle + patience.head),
            false => (u64::MAX, patience.head),
        };
        if still > first {
            self.drain();
        }
        still > last
    }

    /// Whether a call was made on it before, and since when none has been; nothing while one is under way or likely.
    pub(super) fn waits_since(&self) -> Option<(bool, u64)> {
        let open = match self.phase.get() {
            Phase::Idle => false,
            Phase::Shared => self.streams.get().is_some_and(|streams| streams.are_open()),
            Phase::Call | Phase::Answer => true,
        };
        let greeted = self.greeted.get();
        let since = if greeted { self.moved_at.get() } else { self.born };
        let just_now = self.now.get() - since < JUST_NOW;
        (!open && !just_now && !self.doomed.get()).then_some((greeted, since))
    }

    /// Closes it now, for another.
    pub(super) fn make_way(&self) {
        self.makes_way.set(true);
        self.doom();
    }

    /// Whether it is being closed for another.
    pub(super) const fn makes_way(&self) -> bool {
        self.makes_way.get()
    }

    /// Closes it now.
    fn doom(&self) {
        self.doomed.set(true);
        self.tell();
    }

    pub(super) fn rest(&self) {
        if self.phase.get() != Phase::Shared {
            self.phase.set(Phase::Idle);
        }
        self.moved_at.set(self.now.get());
        self.head_since.set(None);
    }

    /// A call of one of its streams has begun.
    pub(super) fn greet(&self) {
        self.greeted.set(true);
    }

    /// A head has begun that was read with what came before it.
    pub(super) fn begin_head(&self) {
        self.head_since.set(Some(self.now.get()));
    }

    /// That many bytes were read from its socket.
    pub(super) fn note_read(&self, bytes: usize) {
        let now = self.now.get();
        match self.phase.get() {
            Phase::Shared => {
                if let Some(streams) = self.streams.get() {
                    streams.note_read(bytes);
                }
                return;
            }
            Phase::Idle if self.head_since.get().is_none() => self.head_since.set(Some(now)),
            _ => {}
        }
        self.moved_at.set(now);
    }

    /// Its socket took nothing more for now.
    pub(super) fn note_unwritten(&self) {
        self.unwritten.set(true);
    }

    /// Whether the client is behind with taking what is written.
    pub(super) const fn has_unwritten(&self) -> bool {
        self.unwritten.get()
    }

    /// That many bytes were written to its socket.
    pub(super) fn note_written(&self, bytes: usize) {
        self.unwritten.set(false);
        if self.phase.get() == Phase::Shared {
            if let Some(streams) = self.streams.get() {
                streams.note_written(bytes);
            }
        } else {
            self.moved_at.set(self.now.get());
        }
    }
}
