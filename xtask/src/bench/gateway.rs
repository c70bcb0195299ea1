//! What the gateway costs for each call, beside what people run today: nginx, nginx with Lua, HAProxy.
//!
//! The peers do what they can of our work: look the key up, hold a limit, log to disk. Ours looks the key up, holds two windows
//! and a monthly quota, and has each call's usage in its log before the answer's last byte leaves. The proxy under test has core
//! 0; the upstream, the load and our private Postgres have core 1. Rounds are interleaved, so that a machine that slows down
//! slows all of them; CPU time is that of the whole process, threads and workers included.

mod bodies;
mod flood;
mod haproxy;
mod idle;
mod large;
pub mod load;
mod nginx;
pub mod peer;
mod result;
pub mod turnpike;

use crate::{Outcome, install, progress, run, service::Services, site, workspace};
use peer::{Peer, Sample};
use std::{fs, path::PathBuf};

pub use bodies::measure as bodies;
pub use flood::measure as flood;
pub use idle::measure as idle;
pub use large::measure as large;

/// Keys that the load draws from, and partners that they belong to.
const KEYS: usize = 1_000;
const PARTNERS: usize = 100;
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
/// Seconds of load in a round, for each proxy.
pub const SECONDS: u64 = 6;

/// Upstream and gateway, which each measurement needs.
pub struct Bench {
    pub services: Services,
    pub folder: PathBuf,
    site: PathBuf,
    pub ours: Peer,
}

impl Bench {
    pub fn start(installation: turnpike::Installation) -> Outcome<Self> {
        install::proxies_and_wrk()?;
        install::postgres()?;
        let site = site::build()?;
        if std::env::var_os(turnpike::OTHER).is_none() {
            run::build(true, false)?;
        }
        let folder = workspace::target().join("bench-gateway");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|why| format!("{} cannot be emptied: {why}.", folder.display()))?;
        }
        fs::create_dir_all(&folder).map_err(|why| format!("{} cannot be made: {why}.", folder.display()))?;
        let mut services = Services::new(&folder.join("logs"))?;
        nginx::start_upstream(&mut services, &folder)?;
        let ours = progress::step("Starting Turnpike with 1,000 keys", || {
            turnpike::start(&mut services, installation, &folder, &site)
        })?;
        Ok(Self { services, folder, site, ours })
    }
}

/// The comparison.
pub fn measure() -> Outcome {
    let Bench { mut services, folder, ours, .. } = Bench::start(turnpike::FIRST)?;
    let keys = ours.keys.clone();
    let mut peers = vec![
        ours,
        nginx::start_proxy(&mut services, &folder, &keys)?,
        nginx::start_lua(&mut services, &folder, &keys)?,
        haproxy::start(&mut services, &folder, &keys)?,
    ];
    println!("Each proxy on core 0; upstream, load and Turnpike's private Postgres on core 1.");
    for round in 0..=ROUNDS {
        for peer in &mut peers {
            let sample = load::full(peer, &folder)?;
            // The first round warms up.
            if round > 0 {
                peer.samples.push(sample);
            }
        }
    }
    // The same absolute load for all: half of what the slowest can carry.
    let slowest = peers.iter().map(|peer| peer.median(|sample| sample.requests_per_second)).min().unwrap_or(0);
    for _ in 0..ROUNDS {
        for peer in &mut peers {
            let p99 = load::paced(peer, &folder, slowest / 2)?;
            peer.half_load_p99_us.push(p99);
        }
    }
    result::print(&peers, slowest / 2);
    result::write(&peers, slowest / 2, &workspace::target().join("bench-gateway/result.json"))?;
    services.stop();
    Ok(())
}
