//! What a call costs: CPU time of the gateway's thread for each request, beside bare hyper in the same shape.
//!
//! `cargo bench -p gateway` prints a table; nothing is asserted, as absolute figures depend on the machine. 64 connections
//! with 1,000 keys at random; the bare proxy has the same runtime, listener and pooled upstream connections, and decides
//! nothing. Rounds are interleaved and the medians shown. Read the difference, not the sums. `-- gateway --rounds 1` measures
//! only what has that name, for that many rounds: for a profiler.

#[path = "call/bare.rs"]
mod bare;
#[path = "call/load.rs"]
mod load;
#[path = "call/world.rs"]
mod world;

use gateway::{Durability, Spool, WhenFull};
use std::{net::SocketAddr, path::Path, time::Duration};

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    let upstream = load::start_upstream();
    let spool = tempfile::tempdir().expect("a directory");
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let only = arguments.first().filter(|argument| !argument.starts_with("--"));
    let rounds = arguments.iter().skip_while(|argument| *argument != "--rounds").nth(1);
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut contenders = vec![
        ("bare hyper", bare::start(upstream), "bare"),
        ("gateway, usage log off", start(upstream, Spool::Off, "off"), "gateway-0"),
        ("gateway", start(upstream, log(spool.path()), "on"), "gateway-0"),
    ];
    let keys = world::keys();
    contenders.retain(|(name, ..)| only.is_none_or(|only| name == only));
    let mut samples = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for ((_, address, _), samples) in contenders.iter().zip(&mut samples) {
            samples.push(measure(*address, &keys));
        }
    }
    println!("{:<28} {:>16} {:>14}", "", "CPU us/request", "requests/s");
    for ((name, ..), samples) in contenders.iter().zip(&mut samples) {
        samples.sort_by_key(|sample| sample.nanoseconds);
        let median = samples[samples.len() / 2];
        let micros = format!("{}.{:02}", median.nanoseconds / 1000, median.nanoseconds % 1000 / 10);
        println!("{name:<28} {micros:>16} {:>14}", median.requests_per_second);
    }
}

/// Starts a gateway that runs as long as the process.
fn start(upstream: SocketAddr, spool: Spool, name: &str) -> SocketAddr {
    let running = world::start_with(upstream, spool, name, |_, _| {});
    let address = running.address();
    std::mem::forget(running);
    address
}

fn log(dir: &Path) -> Spool {
    Spool::On {
        dir: dir.to_owned(),
        durability: Durability::Process,
        segment_bytes: 16 << 20,
        max_bytes: 1 << 40,
        when_full: WhenFull::Refuse,
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    nanoseconds: u64,
    requests_per_second: u64,
}

/// CPU time of all threads that serve proxies: only the one under load moves.
fn measure(address: SocketAddr, keys: &[String]) -> Sample {
    let before = proxies_cpu();
    let requests = load::run(address, keys, ROUND).max(1);
    Sample {
        nanoseconds: (proxies_cpu() - before) / requests,
        requests_per_second: requests * 1_000 / u64::try_from(ROUND.as_millis()).unwrap_or(1),
    }
}

fn proxies_cpu() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let proxies = threads.filter(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        name.starts_with("gateway-") || name.starts_with("bare")
    });
    let on_cpu = proxies.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    on_cpu.sum()
}
