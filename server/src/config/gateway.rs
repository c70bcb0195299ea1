//! What the gateway may take, and how safely it keeps usage.

use super::Reader;
use domain::id::PartnerId;
use gateway::{ProxyHeader, Reach, TrustedProxies};
use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, thread};

/// Bounds and durability of the data plane.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub tls: Option<Tls>,
    /// Threads, each with its own runtime, connections and upstream pools.
    pub cores: usize,
    /// Bytes.
    pub max_body: u64,
    /// For each core.
    pub max_connections: usize,
    /// In flight, for each core.
    pub max_calls: usize,
    /// Milliseconds.
    pub late_ms: u64,
    /// Bytes; `None` asks the system.
    pub memory_limit: Option<u64>,
    /// Calls of one product at its upstream at once, for each core, where its policy does not say.
    pub max_in_flight: Option<u32>,
    /// Gateways that share the limits.
    pub nodes: u32,
    /// Which of them this is, from zero.
    pub node_index: u32,
    /// Seconds.
    pub header_timeout: u64,
    /// Seconds.
    pub idle_timeout: u64,
    /// Seconds between the signal that ends the server and the end of its listener, while load balancers look away.
    pub drain_notice: u64,
    /// Seconds that calls in flight have then.
    pub drain: u64,
    pub upstreams: Upstreams,
    pub durability: Durability,
    pub leases: LeaseCheck,
    pub spool_full: SpoolFull,
    /// Bytes.
    pub spool_max_bytes: u64,
    /// Bytes of usage that stays in the spool after it was stored, at most.
    pub spool_keep_bytes: u64,
    /// Hours for which it stays.
    pub spool_keep_hours: u64,
    /// Seconds for which a start without Postgres believes the directory on disk.
    pub directory_max_age: u64,
    /// Bytes of kept answers to requests with an Idempotency-Key, for each partner.
    pub idempotency_max_bytes: u64,
    /// Whom to believe where a call comes from.
    pub trusted_proxies: TrustedProxies,
    /// Where the node stands; empty where nobody says.
    pub region: String,
    /// Unknown credentials of one address within a minute, on each core.
    pub guesses_per_minute: u32,
    /// Partners that have metrics of their own.
    pub counted_partners: Vec<PartnerId>,
}

/// The TLS listener.
#[derive(Debug, Clone)]
pub struct Tls {
    pub listen: SocketAddr,
    /// Certificate chains and their private keys, in PEM form.
    pub files: Vec<(PathBuf, PathBuf)>,
}

impl Tls {
    fn read(reader: &mut Reader) -> Option<Self> {
        const LISTEN: &str = "TURNPIKE_GATEWAY_TLS_LISTEN";
        const CERTIFICATE: &str = "TURNPIKE_GATEWAY_TLS_CERTIFICATE";
        const KEY: &str = "TURNPIKE_GATEWAY_TLS_KEY";
        let (certificates, keys) = (reader.paths(CERTIFICATE), reader.paths(KEY));
        if reader.text(LISTEN).is_none() {
            if !certificates.is_empty() || !keys.is_empty() {
                reader.problem(LISTEN, "set it too, as 0.0.0.0:8443, or take certificate and key out");
            }
            return None;
        }
        let listen = reader.address(LISTEN, SocketAddr::from(([0, 0, 0, 0], 8443)));
        if certificates.is_empty() || certificates.len() != keys.len() {
            reader.problem(CERTIFICATE, format!("TLS needs a certificate, and as many keys in {KEY}"));
        }
        Some(Self { listen, files: certificates.into_iter().zip(keys).collect() })
    }
}

fn region(reader: &mut Reader) -> String {
    const REGION: &str = "TURNPIKE_REGION";
    let region = reader.text(REGION).unwrap_or_default();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if region.len() > 64 || !region.bytes().all(is_word) {
        reader.problem(REGION, "at most 64 letters, digits, dots and dashes, as eu-central");
    }
    region
}

fn trusted_proxies(reader: &mut Reader) -> TrustedProxies {
    const NETWORKS: &str = "TURNPIKE_TRUSTED_PROXIES";
    let headers = [("x-forwarded-for", ProxyHeader::XForwardedFor), ("forwarded", ProxyHeader::Forwarded)];
    let mut networks = Vec::new();
    for text in reader.text(NETWORKS).unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(bad) => reader.problem(NETWORKS, format!("{bad}")),
        }
    }
    let header = reader.choice("TURNPIKE_TRUSTED_PROXY_HEADER", &headers, ProxyHeader::XForwardedFor);
    TrustedProxies { networks, header }
}

/// Each of them adds series to the metrics, so there are not many.
const MOST_COUNTED: usize = 100;

fn counted_partners(reader: &mut Reader) -> Vec<PartnerId> {
    const PARTNERS: &str = "TURNPIKE_METRICS_PARTNERS";
    let mut partners = Vec::new();
    for text in reader.text(PARTNERS).unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(id) => partners.push(id),
            Err(_) => reader
                .problem(PARTNERS, format!("{text} is no partner's id; the console shows it on the partner's page")),
        }
    }
    if partners.len() > MOST_COUNTED {
        let named = partners.len();
        reader
            .problem(PARTNERS, format!("at most {MOST_COUNTED} partners have metrics of their own; these are {named}"));
    }
    partners
}

/// Where upstreams may be, and how they are found and trusted.
#[derive(Debug, Clone)]
pub struct Upstreams {
    pub reach: Reach,
    /// Authorities besides the web's, in PEM form.
    pub authorities: Option<PathBuf>,
    /// Seconds.
    pub dns_fresh: u64,
    /// Seconds.
    pub dns_stale: u64,
}

impl Upstreams {
    fn read(reader: &mut Reader) -> Self {
        let reach = [("true", Reach::Private), ("false", Reach::Public), ("metadata", Reach::Metadata)];
        Self {
            reach: reader.choice("TURNPIKE_UPSTREAM_ALLOW_PRIVATE", &reach, Reach::Private),
            authorities: reader.path("TURNPIKE_UPSTREAM_AUTHORITIES"),
            dns_fresh: reader.number("TURNPIKE_UPSTREAM_DNS_FRESH", 1, 86_400).unwrap_or(30),
            dns_stale: reader.number("TURNPIKE_UPSTREAM_DNS_STALE", 1, 604_800).unwrap_or(3_600),
        }
    }
}

/// Whether units are leased only while some are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseCheck {
    Exact,
    /// Every request for units is granted. For the control run of the credit test.
    Off,
}

/// What recorded usage survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process at any instant.
    Process,
    /// A power cut too.
    Host,
    /// Nothing: it is not recorded. For the control run of the crash test.
    Off,
}

/// What happens when the spool's disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFull {
    /// Billable calls are answered with 503.
    Refuse,
    /// They are served unbilled, and counted.
    Serve,
}

impl Gateway {
    pub(super) fn read(reader: &mut Reader, development: bool) -> Self {
        let durability = [("process", Durability::Process), ("host", Durability::Host), ("off", Durability::Off)];
        let spool_full = [("refuse", SpoolFull::Refuse), ("serve", SpoolFull::Serve)];
        let all_cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let durability = reader.choice("TURNPIKE_DURABILITY", &durability, Durability::Process);
        if durability == Durability::Off && !development {
            reader.problem("TURNPIKE_DURABILITY", "off is for development only; choose process or host");
        }
        let nodes = reader.number("TURNPIKE_GATEWAY_NODES", 1, 1_000).unwrap_or(1);
        let node_index = reader.number("TURNPIKE_GATEWAY_NODE_INDEX", 0, 999).unwrap_or(0);
        if node_index >= nodes {
            let last = nodes - 1;
            reader.problem(
                "TURNPIKE_GATEWAY_NODE_INDEX",
                format!("{nodes} gateways are numbered 0 to {last}; this is {node_index}"),
            );
        }
        let checks = [("exact", LeaseCheck::Exact), ("off", LeaseCheck::Off)];
        let leases = reader.choice("TURNPIKE_LEASES", &checks, LeaseCheck::Exact);
        if leases == LeaseCheck::Off && !development {
            reader.problem("TURNPIKE_LEASES", "off is for development only; leave it out");
        }
        let spool_max_bytes = reader.number("TURNPIKE_SPOOL_MAX_BYTES", 1 << 20, u64::MAX).unwrap_or(4 << 30);
        Self {
            leases,
            tls: Tls::read(reader),
            cores: reader.number("TURNPIKE_GATEWAY_CORES", 1, 256).unwrap_or(all_cores),
            max_body: reader.number("TURNPIKE_GATEWAY_MAX_BODY", 1, u64::MAX).unwrap_or(10 << 20),
            max_connections: reader.number("TURNPIKE_GATEWAY_MAX_CONNECTIONS", 1, 1_000_000).unwrap_or(10_000),
            max_calls: reader.number("TURNPIKE_GATEWAY_MAX_CALLS", 1, 1_000_000).unwrap_or(10_000),
            late_ms: reader.number("TURNPIKE_GATEWAY_LATE_MS", 1, 3_600_000).unwrap_or(100),
            memory_limit: reader.number("TURNPIKE_MEMORY_LIMIT", 64 << 20, u64::MAX),
            max_in_flight: reader.number("TURNPIKE_GATEWAY_MAX_IN_FLIGHT", 1, 1_000_000),
            nodes,
            node_index,
            header_timeout: reader.number("TURNPIKE_GATEWAY_HEADER_TIMEOUT", 1, 300).unwrap_or(10),
            idle_timeout: reader.number("TURNPIKE_GATEWAY_IDLE_TIMEOUT", 1, 3600).unwrap_or(75),
            drain_notice: reader.number("TURNPIKE_GATEWAY_DRAIN_NOTICE", 0, 300).unwrap_or(0),
            drain: reader.number("TURNPIKE_GATEWAY_DRAIN", 0, 3600).unwrap_or(20),
            upstreams: Upstreams::read(reader),
            durability,
            spool_full: reader.choice("TURNPIKE_SPOOL_FULL", &spool_full, SpoolFull::Refuse),
            idempotency_max_bytes: reader
                .number("TURNPIKE_IDEMPOTENCY_MAX_BYTES", 1 << 20, u64::MAX)
                .unwrap_or(256 << 20),
            spool_max_bytes,
            spool_keep_bytes: reader.number("TURNPIKE_SPOOL_KEEP_BYTES", 0, u64::MAX).unwrap_or(spool_max_bytes / 4),
            spool_keep_hours: reader.number("TURNPIKE_SPOOL_KEEP_HOURS", 0, 8_760).unwrap_or(24),
            directory_max_age: reader.number("TURNPIKE_DIRECTORY_MAX_AGE", 1, u64::MAX / 4).unwrap_or(7 * 86_400),
            trusted_proxies: trusted_proxies(reader),
            region: region(reader),
            guesses_per_minute: reader.number("TURNPIKE_GUESSES_PER_MINUTE", 1, 1_000_000).unwrap_or(60),
            counted_partners: counted_partners(reader),
        }
    }
}
