//! `chaos slow-clients` (R21): thousands of clients hold connections and hardly use them, while others call.
//!
//! There are clients that send nothing, that send a head byte by byte, that send the first bytes of HTTP/2 byte by byte (which the
//! server has to see before it knows the protocol), that send a body byte by byte under a good key, and that read an answer byte
//! by byte. Whoever is closed comes back at once. Promise: none of them holds a connection longer than its deadline, memory is
//! bounded, and every call of the others is served.

mod attackers;
mod slowhttptest;

use crate::{
    Trouble,
    clients::{Clients, Habit},
    findings::Findings,
    process::{mib, most_files, most_resident, resident},
    upstream::Upstream,
    world::{Launch, World},
};
use attackers::{Attack, Kind};
use clap::Parser;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Files that the attackers' process needs besides.
const RESERVE: u64 = 1_500;
/// What the server may grow by, however many connections there are, and for each of them.
const GROWTH_BYTES: u64 = 64 << 20;
const GROWTH_BYTES_EACH: u64 = 16 << 10;

#[derive(Parser, Clone)]
pub struct SlowClients {
    /// Connections of attackers; fewer where this machine's limit of open files does not allow so many.
    #[arg(long, default_value_t = 10_000)]
    connections: u64,
    /// Seconds of attack.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds that a head may take (TURNPIKE_GATEWAY_HEADER_TIMEOUT).
    #[arg(long, default_value_t = 10)]
    head: u64,
    /// Milliseconds between two bytes of an attacker.
    #[arg(long, default_value_t = 10_000)]
    trickle: u64,
    /// Control run: the deadlines are so long that they are none, and the check must fail.
    #[arg(long)]
    control: bool,
    /// Leaves room in what is judged for a machine that is busy with other things.
    #[arg(long)]
    untimed: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

pub async fn run(slow: &SlowClients) -> Result<bool, Trouble> {
    let files = most_files();
    let connections = slow.connections.min(files.saturating_sub(RESERVE)).max(100);
    println!("{connections} slow connections for {} s; this machine allows {files} open files each", slow.seconds);
    let upstream = Upstream::start().await?;
    // What a call may take; a control run waits for ever.
    let (head, body, whole) = if slow.control { (300, 600_000, 600_000) } else { (slow.head, 4_000, 6_000) };
    let launch = Launch {
        binary: slow.binary.clone(),
        site: slow.site.clone(),
        environment: vec![("TURNPIKE_GATEWAY_HEADER_TIMEOUT".to_owned(), head.to_string())],
        wrapper: Vec::new(),
        setup: include_str!("slow_clients/setup.yaml")
            .replace("{upstream}", &format!("http://127.0.0.1:{}", upstream.port()))
            .replace("{body}", &body.to_string())
            .replace("{whole}", &whole.to_string()),
    };
    let world = World::launch(launch, "/payments/payments").await?;
    let (port, pid, key) = (world.gateway_port(), world.pid(), world.key().to_owned());
    let mut clients = Clients::new();
    let habit = Habit {
        name: "good",
        port,
        paths: Arc::new(vec!["/payments/payments".to_owned()]),
        keys: Arc::new(vec![key.clone()]),
        pause: Duration::from_millis(25),
        http2: false,
        fresh: false,
        at_once: 1,
    };
    clients.add(&habit, 8);
    clients.add(&Habit { name: "thinks", pause: Duration::from_millis(1_300), ..habit.clone() }, 8);
    clients.add(&Habit { name: "fresh", fresh: true, ..habit.clone() }, 8);
    clients.add(&Habit { name: "http2", http2: true, at_once: 2, ..habit }, 4);
    sleep(Duration::from_secs(2)).await;

    let before = resident(pid);
    let attack = Attack::start(port, &key, connections as usize, Duration::from_millis(slow.trickle));
    sleep(Duration::from_secs(slow.seconds)).await;
    let (after, peak) = (resident(pid), most_resident(pid));
    let attackers = attack.stop().await;
    let referee = if slow.control || slow.untimed { None } else { slowhttptest::attack(port, slow.seconds).await };
    let mut seen = clients.stop().await;
    if slow.untimed {
        println!("  note {} calls were refused because the server was overloaded", seen.take_overloaded());
    }
    world.stop().await?;

    let mut found = Findings::new(slow.untimed);
    let slack = Duration::from_millis(if slow.untimed { 60_000 } else { 1_000 });
    for (kind, what, deadline) in [
        (Kind::Silent, "without a byte", slow.head * 1_000),
        (Kind::Head, "with a head that trickles", slow.head * 1_000),
        (Kind::Preface, "with a preface of HTTP/2 that trickles", slow.head * 1_000),
        (Kind::Body, "with a body that trickles", 4_000),
        (Kind::Reader, "with an answer that is hardly read", 6_000),
    ] {
        let (longest, ended) = attackers.of(kind);
        found.check(
            longest <= Duration::from_millis(deadline) + slack && ended > 0,
            format!(
                "connections {what}: {ended} were ended, the longest lasted {longest:.1?} (deadline {deadline} ms)"
            ),
        );
    }
    println!(
        "  note {} connections came to nothing, {} were open at once at most",
        attackers.refused, attackers.most_open
    );
    let (answered, failed) = (seen.answered.len(), seen.failed.len());
    found.check(
        failed == 0 && answered > 500,
        format!("{failed} of {} calls of others failed{}", answered + failed, seen.examples(&[])),
    );
    let bound = GROWTH_BYTES + connections * GROWTH_BYTES_EACH;
    let growth = peak.saturating_sub(before);
    found.check(
        growth <= bound,
        format!(
            "memory: {} MiB before, {} after, {} at most; grown by {} bytes for each connection, {} MiB of {} allowed",
            mib(before),
            mib(after),
            mib(peak),
            growth / connections,
            mib(growth),
            mib(bound)
        ),
    );
    println!("  note calls of others took {:?} at p50, {:?} at p99", seen.percentile(500), seen.percentile(990));
    match referee {
        Some(broken) => found.check(
            broken.is_empty(),
            format!("slowhttptest found the service available throughout{}", broken.join(", ")),
        ),
        None if !slow.control && !slow.untimed => {
            println!("  note slowhttptest is not installed (apt-get install slowhttptest)")
        }
        None => {}
    }
    Ok(found.conclude("Slow clients") != slow.control)
}
