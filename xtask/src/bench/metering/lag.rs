//! How long after a call its usage can be read, under steady load.

use super::postgres::{Postgres, number};
use crate::{
    Outcome,
    bench::gateway::{SECONDS, load, peer::Peer},
};
use std::{
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

const CALLS_PER_SECOND: u64 = 10_000;
/// Before the first look: a load that begins has no usage yet.
const BEGINNING: Duration = Duration::from_secs(2);
/// After the last look at the newest usage the load has not ended yet.
const LOOKING: Duration = Duration::from_millis(3_500);
/// More are asked for than wanted: a call's own time comes on top of the pause that wrk makes after it.
const ASKED_FOR: u64 = CALLS_PER_SECOND + CALLS_PER_SECOND / 10;

pub struct Lag {
    pub calls_per_second: u64,
    pub median: Duration,
    pub longest: Duration,
}

pub fn measure(ours: &Peer, folder: &Path, postgres: &Postgres) -> Outcome<Lag> {
    let mut wrk = load::command(ours.port, folder, ASKED_FOR, &ours.keys, "lag")?;
    let begin = Instant::now();
    let load = wrk.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|why| format!("wrk: {why}."))?;
    sleep(BEGINNING);
    let mut ages = Vec::new();
    while begin.elapsed() < BEGINNING + LOOKING {
        let age = "select coalesce((extract(epoch from clock_timestamp() - max(at)) * 1000000)::bigint, 9000000)
                   from usage_events";
        ages.push(Duration::from_micros(number(&postgres.ask(age)?)?));
        sleep(Duration::from_millis(30));
    }
    let output = load.wait_with_output().map_err(|why| format!("wrk: {why}."))?;
    let counted = load::read(&String::from_utf8_lossy(&output.stdout))?;
    if counted.failed > 0 {
        return Err(format!("{} of {} calls failed.", counted.failed, counted.requests));
    }
    ages.sort_unstable();
    let (Some(median), Some(longest)) = (ages.get(ages.len() / 2), ages.last()) else {
        return Err("The lag was never looked at.".to_owned());
    };
    Ok(Lag { calls_per_second: counted.requests / SECONDS, median: *median, longest: *longest })
}
