//! The comparison as a table and as JSON.

use super::{Peer, SECONDS, peer::median};
use crate::Outcome;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Our CPU by each peer's, in hundredths, at most.
const GOALS: [(&str, u64); 3] = [("nginx", 95), ("nginx + Lua", 75), ("HAProxy", 95)];

pub fn print(peers: &[Peer], paced: u64) {
    println!(
        "\n{:<14} {:>12} {:>10} {:>9} {:>9} {:>12} {:>14}",
        "", "CPU µs/call", "calls/s", "p50 µs", "p99 µs", "memory MiB", "p99 at half µs"
    );
    for peer in peers {
        println!(
            "{:<14} {:>12} {:>10} {:>9} {:>9} {:>12} {:>14}",
            peer.name,
            hundredths(peer.median(|one| one.cpu_ns) / 10),
            peer.median(|one| one.requests_per_second),
            peer.median(|one| one.p50_us),
            peer.median(|one| one.p99_us),
            peer.median(|one| one.resident_bytes) >> 20,
            median(peer.half_load_p99_us.clone()),
        );
    }
    println!("Half load is {paced} calls each second for all of them.\n");
    for (name, ratio, goal) in ratios(peers) {
        println!("Turnpike's CPU by {name}'s: {} (target: at most {})", hundredths(ratio), hundredths(goal));
    }
    if let (Some(ours), Some(nginx)) = (named(peers, "Turnpike"), named(peers, "nginx")) {
        let [ours, theirs] = [ours, nginx].map(|peer| median(peer.half_load_p99_us.clone()));
        println!("p99 over nginx's at half load: {} µs (target: at most 300)", ours.saturating_sub(theirs));
    }
}

pub fn write(peers: &[Peer], paced: u64, path: &Path) -> Outcome {
    let proxies: Vec<Value> = peers
        .iter()
        .map(|peer| {
            json!({
                "proxy": peer.name,
                "requests_per_second": peer.median(|one| one.requests_per_second),
                "p50_us": peer.median(|one| one.p50_us),
                "p99_us": peer.median(|one| one.p99_us),
                "half_load_p99_us": median(peer.half_load_p99_us.clone()),
                "cpu_ns_per_request": peer.median(|one| one.cpu_ns),
                "resident_bytes": peer.median(|one| one.resident_bytes),
                "cpu_ns_per_request_of_each_round": peer.samples.iter().map(|one| one.cpu_ns).collect::<Vec<_>>(),
            })
        })
        .collect();
    let ratios: Vec<Value> = ratios(peers)
        .map(|(name, ratio, goal)| json!({ "of": name, "hundredths": ratio, "goal_hundredths": goal }))
        .collect();
    let result = json!({
        "seconds_per_round": SECONDS,
        "half_load_requests_per_second": paced,
        "proxies": proxies,
        "our_cpu_by_theirs": ratios,
    });
    fs::write(path, format!("{result:#}\n")).map_err(|why| format!("{} cannot be written: {why}.", path.display()))?;
    println!("The figures are in {}.", path.display());
    Ok(())
}

fn ratios(peers: &[Peer]) -> impl Iterator<Item = (&'static str, u64, u64)> {
    let ours = named(peers, "Turnpike").map_or(0, |peer| peer.median(|one| one.cpu_ns));
    GOALS.into_iter().filter_map(move |(name, goal)| {
        let theirs = named(peers, name)?.median(|one| one.cpu_ns);
        Some((name, (ours * 100).checked_div(theirs)?, goal))
    })
}

fn named<'a>(peers: &'a [Peer], name: &str) -> Option<&'a Peer> {
    peers.iter().find(|peer| peer.name == name)
}

fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}
