//! What the gateway costs for each call, beside nginx doing less: nginx looks the key up, holds one limit and logs; we look the
//! key up, hold two windows and a quota, and write the usage durably. The proxy under test has one core, the upstream and the
//! load the other; rounds are interleaved, so that a machine that slows down slows both.

mod nginx;
mod turnpike;

use super::report;
use crate::{Outcome, install, process, progress, run, service::Services, site, workspace};
use std::{fs, path::Path, thread::sleep, time::Duration};

/// Keys that the load draws from.
const KEYS: usize = 1_000;
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
/// Seconds of load in a round, for each proxy.
const SECONDS: u64 = 6;

/// One proxy under load.
struct Peer {
    name: &'static str,
    port: u16,
    /// Its processes; CPU time of all of them counts.
    processes: Vec<u32>,
    /// The file of keys that it knows.
    keys: String,
    samples: Vec<Sample>,
}

/// One round of one proxy.
#[derive(Clone, Copy)]
struct Sample {
    /// CPU time of the whole process for each request, in nanoseconds.
    cpu_ns: u64,
    requests_per_second: u64,
}

pub fn measure() -> Outcome {
    install::nginx_and_wrk()?;
    install::postgres()?;
    let site = site::build()?;
    run::build(true, false)?;
    let folder = workspace::target().join("bench-gateway");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|why| format!("{} cannot be emptied: {why}.", folder.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|why| format!("{} cannot be made: {why}.", folder.display()))?;
    let mut services = Services::new(&folder.join("logs"))?;
    nginx::start_upstream(&mut services, &folder)?;
    let ours = progress::step("Starting Turnpike with 1,000 keys", || turnpike::start(&mut services, &folder, &site))?;
    let theirs = nginx::start_proxy(&mut services, &folder, &ours.keys)?;
    let mut peers = [theirs, ours];
    for round in 0..=ROUNDS {
        for peer in &mut peers {
            let sample = load(peer, &folder)?;
            // The first round warms up.
            if round > 0 {
                peer.samples.push(sample);
            }
        }
    }
    let median = |peer: &Peer, read: fn(&Sample) -> u64| {
        let mut values: Vec<u64> = peer.samples.iter().map(read).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    for peer in &peers {
        let cpu = median(peer, |sample| sample.cpu_ns);
        let text = format!("{}.{} µs", cpu / 1_000, cpu % 1_000 / 100);
        report(&format!("{}: CPU for each call, median of {ROUNDS}", peer.name), &text, "see the ratio");
        let speed = median(peer, |sample| sample.requests_per_second).to_string();
        report(&format!("{}: calls each second on one core", peer.name), &speed, "none");
    }
    let [theirs, ours] = &peers;
    let hundredths = median(ours, |one| one.cpu_ns) * 100 / median(theirs, |one| one.cpu_ns).max(1);
    report("Turnpike's CPU by nginx's", &format!("{}.{:02}", hundredths / 100, hundredths % 100), "at most 1.30");
    services.stop();
    Ok(())
}

/// One round: wrk on the second core, CPU time of the proxy before and after.
fn load(peer: &Peer, folder: &Path) -> Outcome<Sample> {
    let script = folder.join("wrk.lua");
    let lua = format!(
        "local keys = {{}}\nfor line in io.lines('{}') do keys[#keys + 1] = line end\nmath.randomseed(7)\n\
         request = function() return wrk.format('GET', '/payments/payments', {{['X-API-Key'] = keys[math.random(#keys)]}}) end\n\
         done = function(summary, latency, requests)\n\
         local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout\n\
         io.write(string.format('RESULT %d %d\\n', summary.requests, bad)) end\n",
        peer.keys
    );
    fs::write(&script, lua).map_err(|why| format!("{} cannot be written: {why}.", script.display()))?;
    let before = cpu_ns(&peer.processes)?;
    let output = process::read(process::program(
        "taskset",
        [
            "-c",
            "1",
            "wrk",
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{SECONDS}s"),
            "-s",
            &script.to_string_lossy(),
            &format!("http://127.0.0.1:{}", peer.port),
        ],
        folder,
    ))?;
    let spent = cpu_ns(&peer.processes)?.saturating_sub(before);
    let line = output.lines().find_map(|line| line.strip_prefix("RESULT "));
    let mut numbers = line.unwrap_or_default().split(' ').map(|number| number.trim().parse::<u64>().unwrap_or(0));
    let (requests, bad) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if requests == 0 || bad > 0 {
        return Err(format!("{} answered {requests} calls, {bad} of them with errors: {output}", peer.name));
    }
    // The spool is shipped and the log written before the other proxy has its turn.
    sleep(Duration::from_millis(800));
    Ok(Sample { cpu_ns: spent / requests, requests_per_second: requests / SECONDS })
}

/// User and system time of these processes, all threads, in nanoseconds (proc(5): clock ticks are hundredths of a second).
fn cpu_ns(processes: &[u32]) -> Outcome<u64> {
    let mut ticks = 0;
    for process in processes {
        let stat =
            fs::read_to_string(format!("/proc/{process}/stat")).map_err(|why| format!("A proxy is gone: {why}."))?;
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let times = fields.split_whitespace().skip(11).take(2);
        ticks += times.map(|time| time.parse::<u64>().unwrap_or(0)).sum::<u64>();
    }
    Ok(ticks * 10_000_000)
}
