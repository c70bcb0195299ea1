//! Connections: one listener, one single-threaded runtime and one loop for each core. Nothing crosses threads but the
//! snapshot and the counters.

use crate::{
    alarms::Alarms,
    authenticate::{Authenticator, Remembered},
    bulkhead::Bulkheads,
    cache::Shelves,
    client_address::TrustedProxies,
    config::{Deadlines, WhenFull},
    headers::Via,
    idempotency::{InHand, Keys},
    key_sets::KeySets,
    leases::Leases,
    live::LiveLimits,
    measure::Items,
    observe::GatewayMetrics,
    overload::{self, Load},
    ports::{Clock, Directory, Recorder},
    record::Turn,
    request_id::RequestIds,
    termination::Termination,
    upstream::{Dialer, LiveUpstreams, Pools},
    watch::Watcher,
};
use domain::{limit::rule::Share, refusal::Code};
use http::HeaderValue;
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::spawn_local,
    time::{MissedTickBehavior, interval, sleep},
};

mod body;
mod connection;
mod http1;
mod http2;
mod linger;
mod preface;
mod room;
mod scanned;
mod streams;
mod tls;
mod watched;

pub(crate) use body::{BodyError, RequestBody};
pub(crate) use connection::Connection;
use connection::Patience;
pub(crate) use tls::PeerCertificate;
use watched::Watched;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(200);
const TICKS_PER_SECOND: u64 = 5;

/// Connections of a full core that are told so and then waited for; beyond them only a word is said.
const MAX_TURNED_AWAY: usize = 32;
const TURNING_AWAY: Duration = Duration::from_secs(1);

/// How long a connection stays ready for its next call, with all the memory that takes.
const REST_AFTER: Duration = Duration::from_secs(1);

/// How long connections without a call stay open when we stop, because a call may be on its way to us.
const LAST_WORD: Duration = Duration::from_millis(200);

/// What all cores share.
pub(crate) struct Shared {
    pub directory: Directory,
    pub leases: Arc<Leases>,
    pub recorder: Arc<dyn Recorder>,
    pub clock: Arc<dyn Clock>,
    pub authenticator: Authenticator,
    pub limits: LiveLimits,
    pub shelves: Arc<Shelves>,
    pub metrics: GatewayMetrics,
    pub via: Via,
    pub portal_url: String,
    pub body_limit: u64,
    pub connections_per_core: usize,
    /// Connections to all upstreams together.
    pub upstream_connections_per_core: usize,
    /// Calls in flight on each core.
    pub max_calls: usize,
    /// How late a core may be before it refuses a part of the calls.
    pub late: Duration,
    /// Calls of one product at its upstream, on each core, where the product does not say.
    pub max_in_flight: Option<u32>,
    /// This node's part of each limit.
    pub share: Share,
    pub deadlines: Deadlines,
    pub when_full: WhenFull,
    pub dialer: Arc<Dialer>,
    pub upstreams: LiveUpstreams,
    /// What clients meet on the TLS listener, where there is one.
    pub termination: Option<Termination>,
    pub key_sets: Arc<KeySets>,
    pub proxies: TrustedProxies,
    /// Of an address within a minute on each core; then it is told so.
    pub guesses_per_minute: u32,
    pub watcher: Option<Arc<dyn Watcher>>,
    pub idempotency: Keys,
    /// How things that meters count are told apart.
    pub items: Items,
    /// Which start of this node it is, for its events.
    pub epoch: u64,
    /// Where this node stands, for its events.
    pub region: String,
    pub started: Instant,
    /// What the clock of limits showed then, in nanoseconds: it goes on over restarts.
    pub started_at: u64,
}

impl Shared {
    /// The clock of limits in nanoseconds, which nobody moves.
    pub(crate) fn monotonic(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(self.started_at)
    }

    /// Milliseconds since the gateway started: the clock of breakers.
    pub(crate) fn millis(&self) -> u64 {
        self.monotonic() / 1_000_000
    }

    /// Forgets kept answers of products that keep none any more.
    fn free_shelves(&self) {
        let snapshot = self.directory.load();
        let cached = snapshot.products.iter().filter(|product| product.cache.is_some());
        let cached: HashSet<_> = cached.map(|product| product.id).collect();
        self.shelves.keep_only(|product| cached.contains(&product));
    }
}

/// What belongs to one core.
pub(crate) struct Core {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub pools: Pools,
    pub alarms: Alarms,
    pub bulkheads: Bulkheads,
    pub load: Load,
    pub turn: Turn,
    pub request_ids: RequestIds,
    pub remembered: Remembered,
    pub in_hand: InHand,
    pub date: http1::Date,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    /// Clients are told to go elsewhere.
    leaving: Cell<bool>,
    /// The tick at which nobody could make room.
    crowded_at: Cell<Option<u64>>,
    /// Connections that are being closed for others.
    making_way: Cell<usize>,
    /// Ticks since the core started.
    now: Rc<Cell<u64>>,
    /// Connections that are being told that the core is full.
    turned_away: Cell<usize>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Core {
    /// Seconds since the core started, to within a tick.
    pub(crate) fn second(&self) -> u64 {
        self.now.get() / TICKS_PER_SECOND
    }

    /// The connection is closed because its client floods it.
    fn note_flood(&self, connection: &Connection) {
        tracing::info!(peer = ?connection.peer, "an HTTP/2 connection is closed because its client floods it");
        self.shared.metrics.floods.increment(1);
    }

    /// Tells every client to go elsewhere: on HTTP/2 at once, on HTTP/1, where only an answer can say it, with the next one.
    fn leave(&self) {
        self.leaving.set(true);
        self.connections.borrow().values().filter(|connection| connection.is_shared()).for_each(|all| all.drain());
    }
}

/// What a core is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Serve,
    /// Serve as before, and tell clients to go elsewhere.
    Leave,
    /// Take no more connections, end those without a call, and be done by then whatever is left.
    Drain(Instant),
}

/// Where one core's connections come from.
#[derive(Debug)]
pub(crate) struct Listeners<L = TcpListener> {
    pub plain: L,
    pub tls: Option<L>,
}

impl Listeners {
    /// The next connection, and whether it is to speak TLS.
    async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr, bool)> {
        let of = |accepted: std::io::Result<_>, secure| accepted.map(|(stream, peer)| (stream, peer, secure));
        match &self.tls {
            None => of(self.plain.accept().await, false),
            Some(tls) => tokio::select! {
                accepted = self.plain.accept() => of(accepted, false),
                accepted = tls.accept() => of(accepted, true),
            },
        }
    }

    /// Takes no more; gives the connections that the system has taken for us.
    fn close(self) -> Vec<(TcpStream, SocketAddr, bool)> {
        let mut waiting = Vec::new();
        for (listener, secure) in [(Some(self.plain), false), (self.tls, true)] {
            // Asked without the runtime, which may not have heard of them yet.
            let Some(Ok(listener)) = listener.map(TcpListener::into_std) else { continue };
            while let Ok((stream, peer)) = listener.accept() {
                let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                waiting.extend(stream.map(|stream| (stream, peer, secure)));
            }
        }
        waiting
    }
}

/// Serves until the order changes, then drains. Returns how many connections were cut off.
pub(crate) async fn serve(
    index: usize,
    shared: Arc<Shared>,
    listeners: Listeners,
    mut orders: watch::Receiver<Order>,
) -> usize {
    let pools = Pools::new(shared.dialer.clone(), shared.deadlines, shared.upstream_connections_per_core);
    let (connections, now) = (RefCell::default(), Rc::default());
    let remembered = Remembered::new(shared.guesses_per_minute);
    let load = Load::new(shared.max_calls, shared.late);
    let core = Rc::new(Core {
        index,
        shared,
        load,
        turn: Turn::default(),
        pools,
        alarms: Alarms::default(),
        bulkheads: Bulkheads::default(),
        request_ids: RequestIds::new(),
        remembered,
        in_hand: InHand::default(),
        date: http1::Date::now(),
        connections,
        leaving: Cell::new(false),
        crowded_at: Cell::new(None),
        making_way: Cell::default(),
        now,
        turned_away: Cell::default(),
    });
    let sweeper = spawn_local(sweep(core.clone()));
    let ticking = core.clone();
    let ticker = spawn_local(async move { ticking.alarms.run().await });
    let watcher = spawn_local(overload::watch(core.clone()));
    let writing = core.clone();
    let writer = spawn_local(async move { writing.turn.run(&*writing.shared.recorder, index).await });
    let mut last_failure: Option<Instant> = None;
    let mut next = 0_u64;
    loop {
        tokio::select! {
            accepted = listeners.accept() => match accepted {
                Ok((stream, peer, secure)) => {
                    next += 1;
                    core.make_room().await;
                    welcome(&core, next, stream, peer, secure);
                }
                Err(error) => {
                    // Too many open files, mostly: it passes when connections end.
                    if last_failure.is_none_or(|last| last.elapsed() > Duration::from_secs(1)) {
                        last_failure = Some(Instant::now());
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            },
            changed = orders.changed() => {
                let order = *orders.borrow_and_update();
                let deadline = match order {
                    Order::Drain(deadline) => deadline,
                    Order::Serve if changed.is_ok() => continue,
                    Order::Leave if changed.is_ok() => {
                        core.leave();
                        continue;
                    }
                    Order::Serve | Order::Leave => Instant::now(),
                };
                core.leave();
                // Whoever has connected believes to be heard; with the listener they would be reset.
                for (stream, peer, secure) in listeners.close() {
                    next += 1;
                    welcome(&core, next, stream, peer, secure);
                }
                let left = drain(&core, deadline).await;
                sweeper.abort();
                ticker.abort();
                watcher.abort();
                writer.abort();
                core.turn.write(&*core.shared.recorder, index);
                core.shared.recorder.end(index);
                return left;
            }
        }
    }
}

fn welcome(core: &Rc<Core>, number: u64, stream: TcpStream, peer: SocketAddr, secure: bool) {
    if !core.has_room() {
        if !secure {
            turn_away(core, stream);
        }
        return;
    }
    let Ok(peer) = HeaderValue::from_str(&peer.ip().to_canonical().to_string()) else { return };
    let connection = Rc::new(Connection::new(peer, secure, core.now.clone()));
    core.connections.borrow_mut().insert(number, connection.clone());
    let listed = Listed { core: core.clone(), number };
    spawn_local(async move {
        let _ = stream.set_nodelay(true);
        // Boxed, so that a connection that waits for its next request does not hold room for a handshake.
        if secure {
            Box::pin(tls::converse(&listed.core, &connection, stream)).await;
        } else {
            converse(&listed.core, &connection, stream).await;
        }
    });
}

/// A connection's place in its core's list, given up however the connection ends, by a panic too.
struct Listed {
    core: Rc<Core>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let gone = self.core.connections.borrow_mut().remove(&self.number);
        if gone.is_some_and(|connection| connection.makes_way()) {
            self.core.making_way.set(self.core.making_way.get().saturating_sub(1));
        }
    }
}

/// Serves one connection in the protocol that its client speaks.
async fn converse(core: &Rc<Core>, connection: &Rc<Connection>, stream: TcpStream) {
    let Some(speaks_http2) = preface::peek(&stream, connection).await else { return };
    let io = Watched::new(stream, connection.clone());
    if speaks_http2 {
        Box::pin(http2::serve(core, connection, io)).await;
    } else {
        http1::serve(core, connection, http1::Io::Plain(io)).await;
    }
}

/// Says that the core is full, without looking at what the client wants.
fn turn_away(core: &Rc<Core>, stream: TcpStream) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n\
        content-length: 86\r\nconnection: close\r\n\r\n\
        {\"title\":\"Overloaded\",\"status\":503,\"code\":\"overloaded\",\"detail\":\"Try again in 5 s.\"}  ";
    core.shared.metrics.count_refusal(Code::Overloaded);
    if core.turned_away.get() >= MAX_TURNED_AWAY {
        // Past the runtime, which does not know yet that the socket can be written to.
        let _ = socket2::SockRef::from(&stream).send(ANSWER);
        return;
    }
    core.turned_away.set(core.turned_away.get() + 1);
    let core = core.clone();
    spawn_local(async move {
        let mut stream = stream;
        if stream.write_all(ANSWER).await.is_ok() {
            linger::discard(stream, TURNING_AWAY).await;
        }
        core.turned_away.set(core.turned_away.get().saturating_sub(1));
    });
}

/// Keeps the deadlines of the core's connections and pools.
async fn sweep(core: Rc<Core>) {
    let ticks = |duration: Duration| u64::try_from(duration.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX);
    let Deadlines { head, idle, body_idle, .. } = core.shared.deadlines;
    let rest = ticks(REST_AFTER).min(ticks(idle));
    let patience = Patience { head: ticks(head), idle: ticks(idle), body_idle: ticks(body_idle), rest };
    let mut clock = interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        core.now.set(core.now.get() + 1);
        core.date.tick();
        for connection in core.connections.borrow().values() {
            if connection.keep_deadlines(patience) {
                core.note_flood(connection);
            }
        }
        core.pools.close_idle();
        if core.now.get().is_multiple_of(5) {
            core.shared.metrics.set_spool_bytes(core.index, core.shared.recorder.used_bytes(core.index));
            core.shared.recorder.tend(core.index);
        }
        if core.index == 0 && core.now.get().is_multiple_of(1500) {
            core.shared.limits.forget_idle(core.shared.monotonic());
            core.shared.free_shelves();
        }
    }
}

async fn drain(core: &Core, deadline: Instant) -> usize {
    let busy = || !core.connections.borrow().is_empty() || core.in_hand.has_calls();
    // A call that is on its way is answered, with the word that no other will be.
    let last_word = deadline.min(Instant::now() + LAST_WORD);
    while busy() && Instant::now() < last_word {
        sleep(Duration::from_millis(5)).await;
    }
    core.connections.borrow().values().for_each(|connection| connection.drain());
    while busy() && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
    core.connections.borrow().values().for_each(|connection| connection.cut_off());
    core.connections.borrow().len()
}
