//! `turnpike spool`: how this node's usage log stands, and the way on where it is damaged.

use super::{CommandError, reach::with_installation};
use crate::{
    config::Config,
    data_dir::DataDir,
    tasks::ship_spool::{to_spool, to_store},
};
use ::spool::{Backlog, Position, Reader, SpoolError};
use domain::usage::wire;
use jiff::Timestamp;
use std::{collections::BTreeMap, path::Path, process::ExitCode, time::Duration};
use store::{Actor, Store, ingest::IngestError};
use tokio::time::sleep;

/// Records that are read at once, and their bytes.
const RECORDS: usize = 20_000;
const BYTES: usize = 8 << 20;
/// How often a lane is looked at; each look goes over 256 MiB at most.
const PARTS: u32 = 64;
/// A running server needs a moment to ship what stands before the damage.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// One line for each lane, and one for what is wrong with it.
pub async fn list(config: Config) -> Result<ExitCode, CommandError> {
    let spool = DataDir::open(&config.data_dir)?.spool();
    let lanes = ::spool::lanes(&spool)?;
    if lanes.is_empty() {
        println!("No gateway has run from this data directory: it has no usage log.");
        return Ok(ExitCode::SUCCESS);
    }
    let node = ::spool::node(&spool)?;
    let mut positions = None;
    let asked = with_installation(&config, async |store, _, _| {
        positions = Some(store.positions(&node).await?);
        Ok(ExitCode::SUCCESS)
    });
    if let Err(error) = asked.await {
        println!("Postgres does not answer ({error}): where the lanes stand is what the server noted last.");
    }
    println!("node {node}");
    println!(
        "{:>4}  {:>12}  {:>12}  {:>12}  {:>14}  oldest",
        "lane", "stored to", "records to", "waiting", "bytes waiting"
    );
    for lane in lanes {
        let stored = match &positions {
            Some(positions) => known(positions, lane),
            None => ::spool::stored(&spool, lane)?,
        };
        show(&spool, lane, stored)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn known(positions: &BTreeMap<u16, store::ingest::Position>, lane: u32) -> Position {
    let position = u16::try_from(lane).ok().and_then(|lane| positions.get(&lane)).copied();
    to_spool(position.unwrap_or_default())
}

fn show(spool: &Path, lane: u32, stored: Position) -> Result<(), CommandError> {
    let mut backlog = Backlog::open(spool, lane);
    let mut waiting = backlog.look(stored)?;
    // A long backlog is looked at in parts; one that grows under our eyes is left at some point.
    for _ in 0..PARTS {
        let more = backlog.look(stored)?;
        if more == waiting {
            break;
        }
        waiting = more;
    }
    let oldest = match backlog.oldest(stored)? {
        Some(payload) if waiting.records > 0 => wire::decode(&payload).ok().map(|event| event.at),
        _ => None,
    };
    let oldest = oldest.map_or_else(|| "-".to_owned(), |at: Timestamp| format!("{at:.0}"));
    let end = stored.sequence + waiting.records;
    println!("{lane:>4}  {:>12}  {end:>12}  {:>12}  {:>14}  {oldest}", stored.sequence, waiting.records, waiting.bytes);
    match stopped_at(spool, lane, stored)? {
        None => {}
        Some((at, what)) => println!(
            "      stops at record {}, segment {} byte {}: {what}\n      turnpike spool skip-damage {lane} goes on behind it",
            at.sequence, at.segment, at.byte_offset
        ),
    }
    Ok(())
}

/// Where reading on from there stops, and why.
fn stopped_at(spool: &Path, lane: u32, from: Position) -> Result<Option<(Position, String)>, SpoolError> {
    let mut reader = Reader::open(spool, lane, from)?;
    loop {
        let batch = match reader.next_batch(RECORDS, BYTES) {
            Ok(batch) => batch,
            Err(error @ SpoolError::Io { .. }) => return Err(error),
            Err(error) => return Ok(Some((reader.position(), error.to_string()))),
        };
        for record in &batch.records {
            if let Err(error) = wire::decode(&record.payload) {
                return Ok(Some((record.at, format!("the record is no event: {error}"))));
            }
        }
        if batch.is_all {
            return Ok(None);
        }
    }
}

/// Goes on behind what cannot be read.
pub async fn skip_damage(config: Config, lane: u16, note: String) -> Result<ExitCode, CommandError> {
    let spool = DataDir::open(&config.data_dir)?.spool();
    if !::spool::lanes(&spool)?.contains(&u32::from(lane)) {
        return Err(format!("there is no lane {lane}; turnpike spool list shows those that there are").into());
    }
    let node = ::spool::node(&spool)?;
    with_installation(&config, async |store, _, now| skip(store, &spool, (&node, lane), &note, now).await).await
}

async fn skip(
    store: &Store,
    spool: &Path,
    (node, lane): (&str, u16),
    note: &str,
    now: Timestamp,
) -> Result<ExitCode, CommandError> {
    for _ in 0..TRIES {
        let from = known(&store.positions(node).await?, u32::from(lane));
        let Some((at, what)) = stopped_at(spool, u32::from(lane), from)? else {
            println!("Nothing is damaged: lane {lane} can be read to its end.");
            return Ok(ExitCode::SUCCESS);
        };
        if at != from {
            sleep(BETWEEN_TRIES).await;
            continue;
        }
        let to = behind(spool, u32::from(lane), from)?;
        if to == from {
            return Err(
                "nothing can be read behind it yet: start the server, which begins a new segment, and try again".into(),
            );
        }
        match store.skip_damage(node, lane, (to_store(from), to_store(to)), note, Actor::System, now).await {
            Ok(()) => {}
            Err(IngestError::Moved { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        println!("{what}");
        println!(
            "Lane {lane} goes on at record {}. At most {} records are given up; that is written down.",
            to.sequence,
            to.sequence.saturating_sub(from.sequence)
        );
        return Ok(ExitCode::SUCCESS);
    }
    Err("records before the damage are not stored yet: start the server, which ships them, and try again".into())
}

/// The first place behind what cannot be read there.
fn behind(spool: &Path, lane: u32, from: Position) -> Result<Position, SpoolError> {
    let mut reader = Reader::open(spool, lane, from)?;
    match reader.next_batch(1, 1) {
        // A whole record that is no event.
        Ok(batch) => Ok(batch.end),
        Err(error @ SpoolError::Io { .. }) => Err(error),
        Err(_) => Ok(reader.skip_damage()?.to),
    }
}
