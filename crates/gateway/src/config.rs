//! What the gateway has to be told before it starts.

use crate::{
    client_address::TrustedProxies,
    overload,
    ports::{IdempotencyStore, Names, SystemNames},
    tally::Tallies,
    termination::Certificates,
    upstream::{Freshness, Reach},
    watch::Watcher,
};
use domain::{id::PartnerId, limit::rule::Share};
use spool::{Durability, Home, SealKey};
use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// Everything but the ports that every gateway has.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Where partners connect; port zero takes a free one, which [`crate::Running::address`] names.
    pub listen: SocketAddr,
    /// Where they connect with TLS, besides.
    pub tls: Option<Tls>,
    /// Threads, each with its own listener, runtime, upstream connections and lane of the usage log.
    pub cores: usize,
    /// The portal's address without a slash at the end; the pages about refusals are under it.
    pub portal_url: String,
    /// What key texts are hashed under: the same value that made the directory's hashes.
    pub pepper: Secret,
    /// What the portal signs its try-it credentials with.
    pub try_signing_key: Secret,
    /// The longest request body, in bytes.
    pub body_limit: u64,
    /// Connections of clients for each core; one more is answered with 503 and closed.
    pub connections_per_core: usize,
    /// Connections to all upstreams together for each core; a call that would need one more is answered with 503.
    pub upstream_connections_per_core: usize,
    /// Calls in flight on each core; one more is answered with 503 before anything is done for it.
    pub max_calls: usize,
    /// A core that comes round to its calls this much late, three times in a row, refuses a part of them with 503.
    pub late: Duration,
    /// Calls of one product at its upstream at once, on each core, where the product's policy does not say; `None` sets no
    /// bound.
    pub max_in_flight: Option<u32>,
    /// Where the counts of limits are kept over a restart; `None` forgets them.
    pub limits_file: Option<PathBuf>,
    /// This node's part of each limit, where several gateways serve the same partners.
    pub share: Share,
    pub deadlines: Deadlines,
    /// Certificates in PEM form that https upstreams may be signed by, besides the web's authorities.
    pub upstream_authorities: Option<Vec<u8>>,
    /// How far from the public internet upstreams may be, unless a product says otherwise.
    pub upstream_reach: Reach,
    /// Who knows the addresses of upstreams' names, and how long what it says counts.
    pub names: Arc<dyn Names>,
    pub freshness: Freshness,
    pub spool: Spool,
    /// The usage log's directory, where the caller holds it already.
    pub home: Option<Arc<Home>>,
    /// What the usage log is sealed with, so that a later change of it is seen; `None` leaves it without seals.
    pub seal_key: Option<Arc<SealKey>>,
    /// Where the gateway lays out what it served; whoever keeps a clone takes it from there.
    pub tallies: Tallies,
    pub trusted_proxies: TrustedProxies,
    /// Where this node stands, by its operator's word for it; its events say so. Empty says nothing.
    pub region: String,
    /// The least time between two fetches of one issuer's keys that tokens with unknown keys ask for.
    pub key_set_pause: Duration,
    /// Credentials that nobody has, of one network address within a minute on each core; more are answered with 429.
    pub guesses_per_minute: u32,
    /// Partners that have metrics of their own; each of them adds up to some 70 series.
    pub counted_partners: Vec<PartnerId>,
    /// Who is told how calls end, for logs and traces.
    pub watcher: Option<Arc<dyn Watcher>>,
    /// What became of requests with an Idempotency-Key. `None` refuses them on operations that are marked.
    pub idempotency: Option<Arc<dyn IdempotencyStore>>,
}

impl GatewayConfig {
    /// The defaults around what has none.
    pub fn new(listen: SocketAddr, portal_url: String, pepper: Secret, try_signing_key: Secret, spool: Spool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen,
            tls: None,
            cores,
            portal_url,
            pepper,
            try_signing_key,
            body_limit: 10 << 20,
            connections_per_core: 10_000,
            upstream_connections_per_core: 10_000,
            max_calls: 10_000,
            late: overload::LATE,
            max_in_flight: None,
            limits_file: None,
            share: Share::WHOLE,
            deadlines: Deadlines::default(),
            upstream_authorities: None,
            upstream_reach: Reach::default(),
            names: Arc::new(SystemNames),
            freshness: Freshness::default(),
            spool,
            home: None,
            seal_key: None,
            tallies: Tallies::default(),
            trusted_proxies: TrustedProxies::default(),
            region: String::new(),
            key_set_pause: Duration::from_secs(30),
            guesses_per_minute: 60,
            counted_partners: Vec::new(),
            watcher: None,
            idempotency: None,
        }
    }
}

/// The TLS listener.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Port zero takes a free one, which [`crate::Running::tls_address`] names.
    pub listen: SocketAddr,
    /// What it shows; whoever keeps a clone may replace them while the gateway serves.
    pub certificates: Arc<Certificates>,
}

/// How long the gateway waits, besides each product's own time for the upstream's answer. Kept to within 0.2 s.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From a request's first byte to the end of its head, and for a new connection's first byte.
    pub head: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// While a body is under way and not a byte of it moves, in either direction.
    pub body_idle: Duration,
    /// To open a connection to the upstream, TLS included.
    pub connect: Duration,
    /// An unused connection to the upstream is closed after this; shorter than common upstreams' five seconds.
    pub upstream_idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_idle: Duration::from_secs(60),
            connect: Duration::from_secs(5),
            upstream_idle: Duration::from_secs(4),
        }
    }
}

/// Where usage is kept.
#[derive(Debug, Clone)]
pub enum Spool {
    /// In the log, before the answer.
    On {
        dir: PathBuf,
        durability: Durability,
        /// A segment that has reached this size is closed, in bytes.
        segment_bytes: u64,
        /// The log's size over all cores, in bytes.
        max_bytes: u64,
        when_full: WhenFull,
    },
    /// Nowhere: every call is served and none is recorded. Only for the control run of the `kill -9` harness, which must
    /// fail with it; an installation that bills never has a reason for it.
    Off,
}

impl Spool {
    /// The log in that directory, with the defaults: survives `kill -9`, 4 GiB, refuses when full.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self::On {
            dir: dir.into(),
            durability: Durability::Process,
            segment_bytes: 16 << 20,
            max_bytes: 4 << 30,
            when_full: WhenFull::Refuse,
        }
    }
}

/// What happens to calls that would be billed while the log cannot take their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// 503, nothing is served for free.
    #[default]
    Refuse,
    /// Served, not billed, and counted exactly in `turnpike_gateway_unmetered_total`.
    ServeUnmetered,
}

/// 32 bytes that are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
