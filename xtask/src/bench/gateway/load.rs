//! wrk on the second core.

use super::{CONNECTIONS, Peer, SECONDS, Sample};
use crate::{Outcome, process};
use std::{fs, path::Path, process::Command, thread::sleep, time::Duration};

/// What either may wait before it begins.
const LONGEST_PAUSE: Duration = Duration::from_millis(1_200);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const LOOKS: u32 = 60;
/// CPU time between two looks of a process that has nothing to do, in nanoseconds; ours has its clocks and tasks.
const RESTING_NS: u64 = 30_000_000;

/// What one run of wrk counted; times in microseconds.
pub struct Counted {
    pub requests: u64,
    pub failed: u64,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// One round at full load: CPU time of the proxy before and after.
pub fn full(peer: &Peer, folder: &Path) -> Outcome<Sample> {
    let before = peer.cpu_ns()?;
    let counted = run(peer, folder, 0, &peer.keys, "full")?;
    check(peer, &counted)?;
    let spent = at_rest(peer)?.saturating_sub(before);
    Ok(Sample {
        cpu_ns: spent / counted.requests,
        requests_per_second: counted.requests / SECONDS,
        p50_us: counted.p50_us,
        p99_us: counted.p99_us,
        resident_bytes: peer.resident_bytes(),
    })
}

/// CPU time once it does nothing any more. Our shipper takes in what the spool holds and the peers write their logs: that belongs
/// to the round too, and not to the next one's.
fn at_rest(peer: &Peer) -> Outcome<u64> {
    let mut spent = peer.cpu_ns()?;
    sleep(LONGEST_PAUSE);
    for _ in 0..LOOKS {
        let before = std::mem::replace(&mut spent, peer.cpu_ns()?);
        if spent.saturating_sub(before) <= RESTING_NS {
            return Ok(spent);
        }
        sleep(BETWEEN_LOOKS);
    }
    Err(format!("{} is still busy {} s after the load.", peer.name, (BETWEEN_LOOKS * LOOKS).as_secs()))
}

/// The 99th percentile at about that many requests each second, in microseconds.
pub fn paced(peer: &Peer, folder: &Path, per_second: u64) -> Outcome<u64> {
    let counted = run(peer, folder, per_second, &peer.keys, "paced")?;
    check(peer, &counted)?;
    Ok(counted.p99_us)
}

fn check(peer: &Peer, counted: &Counted) -> Outcome {
    if counted.requests == 0 || counted.failed > 0 {
        return Err(format!(
            "{} answered {} calls, {} of them with errors.",
            peer.name, counted.requests, counted.failed
        ));
    }
    Ok(())
}

/// Runs wrk to its end, with a key of the file for each call, and the path after it where there is one. Zero requests each second means as many as get through.
pub fn run(peer: &Peer, folder: &Path, per_second: u64, keys: &str, name: &str) -> Outcome<Counted> {
    read(&process::read(command(peer.port, folder, per_second, keys, name)?)?)
}

/// The call of wrk, which stops by itself.
pub fn command(port: u16, folder: &Path, per_second: u64, keys: &str, name: &str) -> Outcome<Command> {
    let script = folder.join(format!("wrk-{name}.lua"));
    let longest_delay = (CONNECTIONS as u64 * 2_000).checked_div(per_second).unwrap_or(0);
    let delay = match per_second {
        0 => String::new(),
        // Milliseconds, so that the mean is what the rate asks for.
        _ => format!("delay = function() return math.random(0, {longest_delay}) end\n"),
    };
    let lua = format!(
        "local requests = {{}}\n\
         init = function(args)\n\
         for line in io.lines('{keys}') do\n\
         local key, path = line:match('(%S+) ?(%S*)')\n\
         if path == '' then path = '/payments/payments' end\n\
         requests[#requests + 1] = wrk.format('GET', path, {{['X-API-Key'] = key}})\n\
         end\n\
         math.randomseed(7)\n\
         end\n\
         request = function() return requests[math.random(#requests)] end\n{delay}\
         done = function(summary, latency, requests)\n\
         local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout\n\
         io.write(string.format('RESULT %d %d %d %d\\n', summary.requests, bad, latency:percentile(50), latency:percentile(99)))\n\
         end\n"
    );
    fs::write(&script, lua).map_err(|why| format!("{} cannot be written: {why}.", script.display()))?;
    let (connections, seconds) = (format!("-c{CONNECTIONS}"), format!("-d{SECONDS}s"));
    let (script, address) = (script.to_string_lossy(), format!("http://127.0.0.1:{port}"));
    let arguments = ["-c", "1", "wrk", "-t1", &connections, &seconds, "-s", &script, &address];
    Ok(process::program("taskset", arguments, folder))
}

/// Reads what wrk printed.
pub fn read(output: &str) -> Outcome<Counted> {
    let line = output.lines().find_map(|line| line.strip_prefix("RESULT "));
    let numbers: Vec<u64> =
        line.unwrap_or_default().split(' ').filter_map(|number| number.trim().parse().ok()).collect();
    match numbers[..] {
        [requests, failed, p50_us, p99_us] => Ok(Counted { requests, failed, p50_us, p99_us }),
        _ => Err(format!("wrk printed no result: {output}")),
    }
}
