//! Starting the gateway: its configuration out of ours, and what it must know of the running periods before its first call.

use crate::{
    cli::CommandError,
    config::{self, Config, Durability, SpoolFull},
    data_dir::DataDir,
};
use app::{secrets::Secrets, state::Clock};
use domain::{
    directory::{Directory, ProductSecret, Touched, UpstreamHeader},
    id::ProductId,
    limit::rule::Share,
};
use gateway::{Deadlines, Freshness, GatewayConfig, Problem, Sealed, Secret, Snapshot, Spool, WhenFull};
use jiff::Timestamp;
use spool::SealKey;
use std::{cell::LazyCell, collections::HashMap, sync::Arc, time::Duration};

/// The gateway's configuration.
pub fn configure(config: &Config, data: &DataDir, secrets: &Secrets) -> GatewayConfig {
    let ours = &config.gateway;
    let durability = match ours.durability {
        Durability::Process => Some(gateway::Durability::Process),
        Durability::Host => Some(gateway::Durability::Host),
        Durability::Off => None,
    };
    let when_full = match ours.spool_full {
        SpoolFull::Refuse => WhenFull::Refuse,
        SpoolFull::Serve => WhenFull::ServeUnmetered,
    };
    let spool = durability.map_or(Spool::Off, |durability| Spool::On {
        dir: data.spool(),
        durability,
        segment_bytes: 16 << 20,
        max_bytes: ours.spool_max_bytes,
        when_full,
    });
    GatewayConfig {
        cores: ours.cores,
        body_limit: ours.max_body,
        trusted_proxies: ours.trusted_proxies.clone(),
        region: ours.region.clone(),
        guesses_per_minute: ours.guesses_per_minute,
        counted_partners: ours.counted_partners.clone(),
        connections_per_core: ours.max_connections,
        max_calls: ours.max_calls,
        late: Duration::from_millis(ours.late_ms),
        limits_file: Some(data.limits()),
        max_in_flight: ours.max_in_flight,
        upstream_reach: ours.upstreams.reach,
        freshness: Freshness {
            fresh: Duration::from_secs(ours.upstreams.dns_fresh),
            stale: Duration::from_secs(ours.upstreams.dns_stale),
        },
        // The configuration has refused an index that no node has.
        share: Share::new(ours.nodes, ours.node_index).unwrap_or(Share::WHOLE),
        deadlines: Deadlines {
            head: Duration::from_secs(ours.header_timeout),
            idle: Duration::from_secs(ours.idle_timeout),
            ..Deadlines::default()
        },
        seal_key: seal_key(secrets),
        ..GatewayConfig::new(
            config.listen.gateway,
            config.listen.portal_url.clone(),
            Secret(secrets.pepper()),
            Secret(secrets.try_signing_key()),
            spool,
        )
    }
}

/// What the usage log is sealed with.
pub fn seal_key(secrets: &Secrets) -> Option<Arc<SealKey>> {
    SealKey::from_seed(&secrets.log_seal_seed()).map(Arc::new)
}

/// How much of each lane stays after it was taken in.
pub fn keep(ours: &config::Gateway) -> spool::Keep {
    let lanes = u64::try_from(ours.cores).unwrap_or(1).max(1);
    spool::Keep {
        bytes: ours.spool_keep_bytes / lanes,
        age: Duration::from_secs(ours.spool_keep_hours * 3600),
        lane_bytes: ours.spool_max_bytes / lanes,
    }
}

/// The authorities that upstreams may be signed by, besides the web's.
///
/// # Errors
/// The file cannot be read.
pub fn authorities(config: &Config) -> Result<Option<Vec<u8>>, CommandError> {
    let Some(path) = &config.gateway.upstreams.authorities else { return Ok(None) };
    let read = std::fs::read(path);
    Ok(Some(
        read.map_err(|error| format!("TURNPIKE_UPSTREAM_AUTHORITIES: {} cannot be read: {error}", path.display()))?,
    ))
}

/// The directory as the gateway looks things up in it. What cannot be used is logged and closed.
pub fn compile(directory: &Directory, secrets: &Secrets) -> Snapshot {
    let snapshot = Snapshot::compile(directory, &unseal(directory, secrets));
    warn(&snapshot.problems(), &[]);
    snapshot
}

/// The same from the snapshot before and what was touched since.
pub fn patch(before: &Snapshot, directory: &Directory, touched: &Touched, secrets: &Secrets) -> Snapshot {
    let snapshot = before.patch(directory, touched, &unseal(directory, secrets));
    warn(&snapshot.problems(), &before.problems());
    snapshot
}

fn unseal(directory: &Directory, secrets: &Secrets) -> impl Fn(Sealed<'_>) -> Result<Vec<u8>, String> {
    let codes = LazyCell::new(|| {
        let codes = directory.products.iter().map(|product| (product.id, product.code.as_str()));
        codes.collect::<HashMap<ProductId, &str>>()
    });
    move |sealed| {
        let code = |product: &ProductId| codes.get(product).copied().unwrap_or_default();
        let plain = match sealed {
            Sealed::Header(UpstreamHeader { product, name, sealed_value }) => {
                secrets.unseal_header(code(product), name, sealed_value)
            }
            Sealed::Secret(ProductSecret { product, name, sealed_value }) => {
                secrets.unseal_product_secret(code(product), name, sealed_value)
            }
        };
        plain.ok_or_else(|| "it was sealed under another master secret; enter it again".to_owned())
    }
}

/// Writes to the log what is wrong now and was not before.
fn warn(problems: &[Problem], before: &[Problem]) {
    for problem in problems.iter().filter(|problem| !before.contains(problem)) {
        tracing::warn!(subject = problem.subject, problem = problem.message, "the gateway cannot use this");
    }
}

/// What time it is for the gateway.
pub fn clock(clock: Clock) -> impl Fn() -> Timestamp + Send + Sync {
    move || clock.now()
}
