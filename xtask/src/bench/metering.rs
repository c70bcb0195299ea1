//! Metering: how fast usage comes from the log into committed sums, beside Postgres' own COPY of the same rows; and how long
//! after a call its usage can be read while 10,000 calls come each second.
//!
//! All of it is looked at from outside: the server is the one that is shipped, the calls come over TCP, and what was stored is
//! asked of Postgres. For the backlog another session holds a lock that the shipper needs while calls are made; the clock runs
//! from the lock's end until Postgres says that the last event is in, with nobody calling.

mod copy;
mod lag;
mod postgres;

use super::{
    gateway::{
        Bench, load,
        peer::{Peer, median},
        turnpike::Installation,
    },
    report,
};
use crate::{Outcome, progress};
use copy::Twin;
use postgres::Postgres;
use std::{fs, path::Path};

const METERED: Installation = Installation { name: "Turnpike", port: 4803, core: None, postgres_niceness: 0 };
/// The first one warms up.
const ROUNDS: usize = 4;
/// Runs of the load in a round; each takes some seconds.
const LOADS: usize = 3;

/// One round: how many events, and the microseconds that each way of storing them took.
struct Round {
    events: u64,
    ours: u64,
    indexed: u64,
    plain: u64,
}

pub fn measure() -> Outcome {
    let Bench { mut services, folder, ours, .. } = Bench::start(METERED)?;
    let postgres = Postgres::of(&folder.join("data"))?;

    // First, while there are few events to look through for the newest.
    let lag = lag::measure(&ours, &folder, &postgres)?;
    report("Calls each second", &lag.calls_per_second.to_string(), "10,000");
    report("Age of the newest usage that can be read, median", &progress::time(lag.median), "at most 2 s");
    report("Age of the newest usage that can be read, longest", &progress::time(lag.longest), "at most 2 s");

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(&ours, &folder, &postgres)?);
    }
    let counted = rounds.get(1..).unwrap_or_default();
    let rate = |micros: fn(&Round) -> u64| {
        median(counted.iter().map(|round| round.events * 1_000_000 / micros(round).max(1)).collect())
    };
    let (ours, indexed, plain) = (rate(|round| round.ours), rate(|round| round.indexed), rate(|round| round.plain));
    let events: Vec<String> = counted.iter().map(|round| round.events.to_string()).collect();
    println!("Rounds that count: {} events. Medians:", events.join(", "));
    let per_second = |rate: u64| format!("{rate} events/s");
    report("From the log to committed sums", &per_second(ours), "100,000 events/s");
    report("COPY into a table with the same indexes", &per_second(indexed), "beside it");
    report("COPY into a table without an index", &per_second(plain), "beside it");
    report("Ours by COPY with indexes", &hundredths(ours, indexed), "at least 0.50");
    report("Ours by COPY without an index", &hundredths(ours, plain), "published");
    services.stop();
    Ok(())
}

fn round(ours: &Peer, folder: &Path, postgres: &Postgres) -> Outcome<Round> {
    let before = postgres.shipped()?;
    let held = postgres.hold_shipping()?;
    let mut calls = 0;
    for _ in 0..LOADS {
        calls += load::run(ours, folder, 0, &ours.keys, "full")?.requests;
    }
    let released = held.release()?;
    postgres.wait_for(before + calls)?;
    let took = released.elapsed();
    // What was under way when the load ended was metered too.
    let events = postgres.settled()? - before;
    let rows = postgres.write_rows(folder, before)?;
    let time = |twin: Twin| twin.time(postgres, &rows);
    let (indexed, plain) = (time(Twin::Indexed)?, time(Twin::Plain)?);
    fs::remove_file(&rows).map_err(|why| why.to_string())?;
    println!("{events} events: ours {took:?}, COPY with indexes {indexed:?}, without {plain:?}");
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Ok(Round { events, ours: micros(took), indexed: micros(indexed), plain: micros(plain) })
}

fn hundredths(one: u64, other: u64) -> String {
    let ratio = one * 100 / other.max(1);
    format!("{}.{:02}", ratio / 100, ratio % 100)
}
