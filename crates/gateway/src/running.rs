//! Starting and stopping.

use crate::{
    accept::{self, Listeners, Order, Shared},
    authenticate::Authenticator,
    cache::{Purger, Shelves},
    config::{GatewayConfig, Spool, WhenFull},
    headers::Via,
    idempotency::Keys,
    key_sets::{self, KeySets},
    leases::Leases,
    live::{self, Keeper},
    measure::Items,
    observe::GatewayMetrics,
    ports::{Clock, Directory, Recorder},
    record::{SpoolRecorder, Unmetered},
    tally::Tallies,
    termination::Termination,
    upstream::{Dialer, LiveUpstreams, Resolver, health},
};
use socket2::{Domain, Protocol, Socket, Type};
use spool::{Home, Options, SealKey, SpoolError};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{oneshot, watch},
};

/// Connections that wait to be accepted, for each core.
const BACKLOG: i32 = 4096;

/// The data plane.
#[derive(Debug)]
pub struct Gateway;

/// A gateway that serves. Dropping it ends it at once; [`Self::shutdown`] lets calls finish.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    purger: Purger,
    orders: watch::Sender<Order>,
    cores: Vec<oneshot::Receiver<usize>>,
    /// Writes the counts of limits a last time when it is dropped, after the cores have ended.
    _keeper: Option<Keeper>,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("port {} is in use by another program: stop it, or let the gateway listen elsewhere", .0.port())]
    PortInUse(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the usage log cannot be opened: {0}")]
    Spool(#[from] SpoolError),
    #[error("the upstream authorities are not certificates in PEM form: {0}")]
    UpstreamAuthorities(#[from] rustls::pki_types::pem::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
}

impl Gateway {
    /// Opens the usage log and the port, and serves on threads of its own.
    ///
    /// Install the metrics recorder before compiling the first snapshot, and begin the leases before this. A directory
    /// belongs to one gateway: its snapshots keep where units are counted.
    pub fn start(
        config: GatewayConfig,
        directory: Directory,
        leases: Arc<Leases>,
        clock: Arc<dyn Clock>,
    ) -> Result<Running, StartError> {
        let cores = config.cores.max(1);
        let (address, listeners) = listen(config.listen, cores)?;
        let (tls_address, tls_listeners) = match &config.tls {
            None => (None, Vec::new()),
            Some(tls) => listen(tls.listen, cores).map(|(address, listeners)| (Some(address), listeners))?,
        };
        let resolver = Resolver::new(config.names, config.freshness);
        let (recorder, when_full, epoch) =
            recorder(&config.spool, config.home, cores, (config.seal_key.as_ref(), config.tallies))?;
        let (shelves, started) = (Arc::<Shelves>::default(), Instant::now());
        let (limits, started_at) = config.limits_file.as_deref().map(live::read).unwrap_or_default();
        let shared = Arc::new(Shared {
            directory,
            leases,
            recorder,
            clock,
            key_sets: Arc::new(KeySets::new(config.key_set_pause)),
            proxies: config.trusted_proxies,
            guesses_per_minute: config.guesses_per_minute,
            authenticator: Authenticator::new(&config.pepper.0, config.try_signing_key.0),
            limits,
            shelves: shelves.clone(),
            metrics: GatewayMetrics::new(cores, &config.counted_partners),
            via: Via::new(&config.pepper.0),
            portal_url: config.portal_url,
            body_limit: config.body_limit,
            connections_per_core: config.connections_per_core,
            upstream_connections_per_core: config.upstream_connections_per_core,
            max_calls: config.max_calls,
            late: config.late,
            max_in_flight: config.max_in_flight,
            share: config.share,
            deadlines: config.deadlines,
            when_full,
            dialer: Arc::new(Dialer::new(resolver, config.upstream_reach, config.upstream_authorities.as_deref())?),
            upstreams: LiveUpstreams::new(cores),
            termination: config.tls.map(|tls| Termination::new(tls.certificates)).transpose()?,
            watcher: config.watcher,
            idempotency: Keys::new(&config.pepper.0, config.idempotency),
            items: Items::new(&config.pepper.0),
            epoch,
            region: config.region,
            started,
            started_at,
        });
        let keeper = config.limits_file.map(|file| Keeper::start(shared.clone(), file)).transpose();
        let keeper = keeper.map_err(StartError::Thread)?;
        let (orders, order) = watch::channel(Order::Serve);
        let mut tls_listeners = tls_listeners.into_iter();
        let start = |(index, plain)| {
            let listeners = Listeners { plain, tls: tls_listeners.next() };
            start_core(index, listeners, shared.clone(), order.clone())
        };
        let mut cores = listeners.into_iter().enumerate().map(start).collect::<Result<Vec<_>, StartError>>()?;
        cores.push(start_key_sets(shared.clone(), order.clone())?);
        cores.push(start_thread("gateway-health".to_owned(), move || async move {
            health::watch(shared, order).await;
            Ok(0)
        })?);
        let purger = Purger::new(shelves, started);
        Ok(Running { address, tls_address, purger, orders, cores, _keeper: keeper })
    }
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens with TLS.
    pub const fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Empties the caches of answers.
    pub fn purger(&self) -> Purger {
        self.purger.clone()
    }

    /// Goes on serving, and tells clients that they had better go elsewhere: those of HTTP/2 by GOAWAY, those of HTTP/1 with
    /// their next answer.
    pub fn leave(&self) {
        let _ = self.orders.send(Order::Leave);
    }

    /// Takes no more connections, lets calls in flight finish for at most that long, and ends. Returns how many
    /// connections were cut off.
    pub async fn shutdown(self, deadline: Duration) -> usize {
        let _ = self.orders.send(Order::Drain(Instant::now() + deadline));
        let mut cut_off = 0;
        for core in self.cores {
            cut_off += core.await.unwrap_or(0);
        }
        cut_off
    }
}

/// The thread that fetches issuers' keys, until the gateway ends.
fn start_key_sets(
    shared: Arc<Shared>,
    mut orders: watch::Receiver<Order>,
) -> Result<oneshot::Receiver<usize>, StartError> {
    start_thread("gateway-keys".to_owned(), move || async move {
        let keeping = key_sets::keep(shared.key_sets.clone(), shared.directory.clone(), shared.dialer.clone());
        tokio::select! {
            () = keeping => {}
            _ = orders.wait_for(|order| matches!(order, Order::Drain(_))) => {}
        }
        Ok(0)
    })
}

fn start_core(
    index: usize,
    listeners: Listeners<TcpListener>,
    shared: Arc<Shared>,
    orders: watch::Receiver<Order>,
) -> Result<oneshot::Receiver<usize>, StartError> {
    start_thread(format!("gateway-{index}"), move || async move {
        let own = tokio::net::TcpListener::from_std;
        let listeners = Listeners { plain: own(listeners.plain)?, tls: listeners.tls.map(own).transpose()? };
        Ok(accept::serve(index, shared, listeners, orders).await)
    })
}

/// Runs it on a thread and a runtime of its own, whose tasks stay there. What it returns is told once all of it has ended.
fn start_thread<F>(
    name: String,
    run: impl FnOnce() -> F + Send + 'static,
) -> Result<oneshot::Receiver<usize>, StartError>
where
    F: Future<Output = io::Result<usize>>,
{
    let (done, ended) = oneshot::channel();
    let (begun, has_begun) = mpsc::channel();
    let serve = move || {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => return drop(begun.send(Err(error))),
        };
        let _ = begun.send(Ok(()));
        let served = runtime.block_on(async { run().await });
        // Connections that are left end here, and record what became of their calls, before anybody hears of the end. A
        // look-up of a name that hangs is not waited for.
        runtime.shutdown_background();
        match served {
            Ok(cut_off) => drop(done.send(cut_off)),
            Err(error) => tracing::error!(%error, "a thread of the gateway cannot serve"),
        }
    };
    thread::Builder::new().name(name).spawn(serve).map_err(StartError::Thread)?;
    let begun = has_begun.recv().unwrap_or_else(|gone| Err(io::Error::other(gone)));
    begun.map(|()| ended).map_err(StartError::Thread)
}

/// The recorder, what happens where it is full, and which start of the node it is.
fn recorder(
    spool: &Spool,
    home: Option<Arc<Home>>,
    cores: usize,
    (key, tallies): (Option<&Arc<SealKey>>, Tallies),
) -> Result<(Arc<dyn Recorder>, WhenFull, u64), StartError> {
    match spool {
        Spool::On { dir, durability, segment_bytes, max_bytes, when_full } => {
            let options = Options {
                durability: *durability,
                segment_bytes: *segment_bytes,
                max_bytes: max_bytes / u64::try_from(cores).unwrap_or(1),
            };
            let home = home.map_or_else(|| Home::open(dir).map(Arc::new), Ok)?;
            let epoch = home.epoch();
            Ok((Arc::new(SpoolRecorder::open(home, cores, options, key, tallies)?), *when_full, epoch))
        }
        Spool::Off => {
            tracing::warn!("the usage log is switched off: calls are served and not recorded");
            Ok((Arc::new(Unmetered), WhenFull::ServeUnmetered, 0))
        }
    }
}

/// A listener for each core, on one port.
///
/// Sockets with SO_REUSEPORT share a port with any other such socket of the same user, a second gateway's too, so a plain
/// one asks first whether somebody listens there.
fn listen(address: SocketAddr, cores: usize) -> Result<(SocketAddr, Vec<TcpListener>), StartError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse(address),
        _ => StartError::Listen { address, source },
    };
    if address.port() != 0 {
        socket(address, false).map_err(failed)?;
    }
    let first = socket(address, true).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let mut listeners = vec![first];
    while listeners.len() < cores {
        listeners.push(socket(address, true).map_err(failed)?);
    }
    Ok((address, listeners))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
