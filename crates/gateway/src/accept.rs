//! Connections: one listener, one single-threaded runtime and one loop for each core. Nothing crosses threads but the
//! snapshot and the counters.

use crate::{
    authenticate::Authenticator,
    call,
    config::{Deadlines, WhenFull},
    headers::Via,
    live::LiveLimits,
    observe::GatewayMetrics,
    pool::Pools,
    ports::{Allowance, Clock, Directory, Recorder},
    request_id::RequestIds,
};
use http::HeaderValue;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::spawn_local,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

mod connection;

pub(crate) use connection::Connection;
use connection::Watched;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(200);

/// The largest request head, in bytes; hyper answers a larger one with 431.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// What all cores share.
pub(crate) struct Shared {
    pub directory: Directory,
    pub allowance: Arc<dyn Allowance>,
    pub recorder: Arc<dyn Recorder>,
    pub clock: Arc<dyn Clock>,
    pub authenticator: Authenticator,
    pub limits: LiveLimits,
    pub metrics: GatewayMetrics,
    pub via: Via,
    pub portal_url: String,
    pub body_limit: u64,
    pub connections_per_core: usize,
    pub deadlines: Deadlines,
    pub when_full: WhenFull,
    pub tls: Arc<rustls::ClientConfig>,
    pub started: Instant,
}

impl Shared {
    /// Nanoseconds since the gateway started: the clock of limits, which nobody moves.
    pub(crate) fn monotonic(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What belongs to one core.
pub(crate) struct Core {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub pools: Pools,
    pub request_ids: RequestIds,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    /// Ticks since the core started.
    now: Rc<Cell<u64>>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("index", &self.index).finish_non_exhaustive()
    }
}

/// What a core is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Serve,
    /// Take no more connections, end those without a call, and be done by then whatever is left.
    Drain(Instant),
}

/// Serves until the order changes, then drains. Returns how many connections were cut off.
pub(crate) async fn serve(
    index: usize,
    shared: Arc<Shared>,
    listener: TcpListener,
    mut orders: watch::Receiver<Order>,
) -> usize {
    let pools = Pools::new(shared.tls.clone(), shared.deadlines);
    let (connections, now) = (RefCell::default(), Rc::default());
    let core = Rc::new(Core { index, shared, pools, request_ids: RequestIds::new(), connections, now });
    let sweeper = spawn_local(sweep(core.clone()));
    let mut next = 0_u64;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    next += 1;
                    welcome(&core, next, stream, peer);
                }
                Err(error) => {
                    // Too many open files, mostly: it passes when connections end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            changed = orders.changed() => {
                let order = *orders.borrow_and_update();
                let deadline = match order {
                    Order::Drain(deadline) => deadline,
                    Order::Serve if changed.is_ok() => continue,
                    Order::Serve => Instant::now(),
                };
                drop(listener);
                let left = drain(&core, deadline).await;
                sweeper.abort();
                return left;
            }
        }
    }
}

fn welcome(core: &Rc<Core>, number: u64, stream: TcpStream, peer: SocketAddr) {
    if core.connections.borrow().len() >= core.shared.connections_per_core {
        spawn_local(turn_away(stream));
        return;
    }
    let Ok(peer) = HeaderValue::from_str(&peer.ip().to_canonical().to_string()) else { return };
    let connection = Rc::new(Connection::new(peer, core.now.clone()));
    core.connections.borrow_mut().insert(number, connection.clone());
    let listed = Listed { core: core.clone(), number };
    spawn_local(async move {
        let _ = stream.set_nodelay(true);
        converse(&listed.core, &connection, stream).await;
    });
}

/// A connection's place in its core's list, given up however the connection ends, by a panic too.
struct Listed {
    core: Rc<Core>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.core.connections.borrow_mut().remove(&self.number);
    }
}

/// Serves one connection until it ends, is drained, or misses a deadline.
async fn converse(core: &Rc<Core>, connection: &Rc<Connection>, stream: TcpStream) {
    let service = service_fn(|request| {
        let (core, connection) = (core.clone(), connection.clone());
        async move {
            let call = connection.begin_call();
            let response = call::answer(core, connection, request).await;
            drop(call);
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(Watched::new(stream, connection.clone()));
    let serving =
        http1::Builder::new().max_header_size(MAX_HEAD_BYTES).header_read_timeout(None).serve_connection(io, service);
    let mut serving = pin!(serving);
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a client's connection ended");
                }
                return;
            }
            () = connection.told() => {
                if connection.is_doomed() {
                    return;
                }
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Says that the core is full, without reading what the client wants.
async fn turn_away(mut stream: TcpStream) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n\
        content-length: 86\r\nconnection: close\r\n\r\n\
        {\"title\":\"Overloaded\",\"status\":503,\"code\":\"overloaded\",\"detail\":\"Try again in 5 s.\"}  ";
    let _ = timeout(Duration::from_secs(1), async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await
    })
    .await;
}

/// Keeps the deadlines of the core's connections and pools.
async fn sweep(core: Rc<Core>) {
    let ticks = |duration: Duration| u64::try_from(duration.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX);
    let Deadlines { head, idle, body_idle, .. } = core.shared.deadlines;
    let (head, idle, body_idle) = (ticks(head), ticks(idle), ticks(body_idle));
    let mut clock = interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        core.now.set(core.now.get() + 1);
        for connection in core.connections.borrow().values() {
            connection.keep_deadlines(head, idle, body_idle);
        }
        core.pools.close_idle();
        if core.now.get().is_multiple_of(5) {
            core.shared.metrics.set_spool_bytes(core.index, core.shared.recorder.used_bytes(core.index));
        }
        if core.index == 0 && core.now.get().is_multiple_of(1500) {
            core.shared.limits.forget_idle(core.shared.monotonic());
        }
    }
}

async fn drain(core: &Core, deadline: Instant) -> usize {
    core.connections.borrow().values().for_each(|connection| connection.drain());
    while !core.connections.borrow().is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
    core.connections.borrow().values().for_each(|connection| connection.cut_off());
    core.connections.borrow().len()
}
