//! Takes usage from this node's spool into Postgres, in order and exactly once.
//!
//! Each lane is read from the position that Postgres has stored, and the position moves in the transaction that stores
//! the events. So whatever is interrupted, by us or by Postgres, is simply read again. A segment is put aside only after
//! all of it was taken in, and stays a while for a Postgres that is restored to an earlier instant.
//!
//! A lane that cannot be read stops by itself, where the damage is; the others go on.

mod progress;

pub use progress::Progress;

use super::{Board, Stop, TaskError, report};
use crate::logs;
use app::state::Clock;
use domain::usage::wire;
use jiff::Timestamp;
use spool::{Batch, Keep, Reader, Seal, SealReader, SpoolError};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};
use store::{
    Store, StoreError, give_way,
    ingest::{EventBatch, IngestError, Position, StoredSeal},
};
use tokio::{
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

pub const NAME: &str = "ship_spool";
/// Between two looks at an empty spool.
const PERIOD: Duration = Duration::from_millis(250);
/// From the beginning of one run to that of the next while there is much to ship: each merges a row for every key and operation that was called, and waits for the
/// disk, however little time has passed. Balances are to be a second old at most.
const BUSY_PERIOD: Duration = Duration::from_millis(600);
const BUSY_EVENTS: u64 = 1_000;
/// After a run that took longer than that.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// How long one run may take, so that a connection that went silent for ever does not keep usage for ever.
const LONGEST: Duration = Duration::from_secs(300);
/// Fewer and larger transactions: each of them merges a row for every key and operation that was called.
const BATCH_RECORDS: usize = 20_000;
const BATCH_BYTES: usize = 8 << 20;
/// Between two looks at the seals of a lane that has no new records, and seals that are stored at once.
const SEALS_PERIOD: Duration = Duration::from_secs(1);
const BATCH_SEALS: usize = 1_000;

/// Reads the lanes of one spool.
pub struct Shipper {
    store: Store,
    clock: Clock,
    spool: PathBuf,
    node: String,
    keep: Keep,
    lanes: BTreeMap<u32, Reader>,
    seals: BTreeMap<u32, (SealReader, Instant)>,
    /// Lanes that were shipped to their end once.
    shipped: BTreeSet<u32>,
    progress: Progress,
}

/// Why a lane was not shipped to its end.
enum Stopped {
    /// The lane itself: the others can be shipped all the same.
    Lane(TaskError),
    /// Postgres, which the others need too.
    Postgres(TaskError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        if error.is_of_data() { Self::Lane(error.into()) } else { Self::Postgres(error.into()) }
    }
}

impl From<SpoolError> for Stopped {
    fn from(error: SpoolError) -> Self {
        Self::Lane(error.into())
    }
}

impl From<JoinError> for Stopped {
    fn from(error: JoinError) -> Self {
        Self::Lane(error.into())
    }
}

impl Shipper {
    /// `keep` is of each lane.
    pub fn new(store: Store, clock: Clock, spool: PathBuf, node: String, keep: Keep) -> Self {
        let (lanes, seals, shipped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { store, clock, spool, node, keep, lanes, seals, shipped, progress: Progress::default() }
    }

    /// Ships all that is there now, and says how many events that were.
    ///
    /// # Errors
    /// Postgres does not answer, the disk fails, or a lane is damaged. Nothing is lost; the next call goes on. What stops one
    /// lane is told after the others were shipped.
    pub async fn ship(&mut self) -> Result<u64, TaskError> {
        let dir = self.spool.clone();
        let lanes = spawn_blocking(move || spool::lanes(&dir)).await??;
        if lanes.iter().any(|lane| !self.lanes.contains_key(lane)) {
            self.open(&lanes).await?;
        }
        let (mut shipped, mut first, mut stopped) = (0, None, BTreeSet::new());
        for lane in lanes.iter().copied() {
            match self.ship_lane(lane, &mut shipped).await {
                Ok(()) => {}
                Err(Stopped::Postgres(error)) => {
                    self.ask_for_seals();
                    return Err(error);
                }
                Err(Stopped::Lane(error)) => {
                    stopped.insert(lane);
                    first.get_or_insert_with(|| format!("lane {lane}: {}", logs::chain(error.as_ref())));
                }
            }
        }
        self.progress.settle(&lanes, &self.shipped, &stopped);
        first.map_or(Ok(shipped), |error| Err(error.into()))
    }

    /// A Postgres that was away may come back as it was earlier, with fewer seals and no lane elsewhere: from here on it is asked
    /// again which it has.
    fn ask_for_seals(&mut self) {
        self.seals.clear();
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    async fn stands_at(&self, lane: u32) -> Result<Position, Stopped> {
        let positions = self.store.positions(&self.node).await?;
        Ok(positions.get(&narrow(lane)?).copied().unwrap_or_default())
    }

    async fn open(&mut self, lanes: &[u32]) -> Result<(), TaskError> {
        let positions = self.store.positions(&self.node).await?;
        for lane in lanes.iter().filter(|lane| !self.lanes.contains_key(lane)).copied().collect::<Vec<_>>() {
            let stands_at = u16::try_from(lane).ok().and_then(|lane| positions.get(&lane)).copied().unwrap_or_default();
            self.progress.note(lane, to_spool(stands_at));
            self.lanes.insert(lane, Reader::open(&self.spool, lane, to_spool(stands_at))?);
        }
        Ok(())
    }

    async fn ship_lane(&mut self, lane: u32, shipped: &mut u64) -> Result<(), Stopped> {
        // The reader is put back only when all went well: otherwise the next call asks Postgres where the lane stands.
        while let Some(mut reader) = self.lanes.remove(&lane) {
            // Taken before reading: what is recorded from here on is not promised to be there.
            let now = self.clock.now();
            let from = reader.position();
            let (reader, batch) = spawn_blocking(move || {
                let batch = reader.next_batch(BATCH_RECORDS, BATCH_BYTES);
                (reader, batch)
            })
            .await?;
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    // Only this reader knows what the disk may not have.
                    if matches!(error, SpoolError::Io { .. }) {
                        self.lanes.insert(lane, reader);
                    }
                    return Err(error.into());
                }
            };
            // Where a segment was begun and holds nothing yet, there is still a place to move to.
            if batch.records.is_empty() && to_store(batch.end) == to_store(from) {
                // Reading nothing says nothing where the stored position was set back: the reader is dropped.
                if self.stands_at(lane).await? != to_store(from) {
                    tracing::warn!(lane, "the lane stands elsewhere; reading again from there");
                    self.seals.remove(&lane);
                    return Ok(());
                }
                if self.seals.get(&lane).is_none_or(|(_, looked)| looked.elapsed() >= SEALS_PERIOD) {
                    self.ship_seals(lane, from.sequence).await?;
                }
                return self.caught_up(lane, reader, now).await;
            }
            // The reader is dropped where the lane stands elsewhere, and nothing is put aside or said to be complete.
            let Some(taken) = self.take_in(lane, to_store(from), &batch, now).await? else {
                self.seals.remove(&lane);
                return Ok(());
            };
            *shipped += taken;
            // Before anything is put aside, seals and all.
            self.ship_seals(lane, batch.end.sequence).await?;
            let (is_all, end, keep) = (batch.is_all, batch.end, self.keep);
            self.progress.note(lane, end);
            let dir = self.spool.clone();
            let reader = spawn_blocking(move || {
                // On a full disk this is what makes room; the note can wait.
                reader.remove_before(end, keep)?;
                if let Err(error) = spool::note_stored(&dir, lane, end) {
                    tracing::warn!(%error, lane, "where the lane stands cannot be noted beside it");
                }
                Ok::<_, SpoolError>(reader)
            })
            .await??;
            // Under steady traffic there is always more by now, and the other lanes wait.
            if is_all {
                return self.caught_up(lane, reader, now).await;
            }
            self.lanes.insert(lane, reader);
        }
        Ok(())
    }

    /// Copies the lane's seals up to that record, which is stored.
    async fn ship_seals(&mut self, lane: u32, stored: u64) -> Result<(), Stopped> {
        let number = narrow(lane)?;
        let mut reader = match self.seals.remove(&lane) {
            Some((reader, _)) => reader,
            None => SealReader::open(&self.spool, lane, self.store.sealed_past(&self.node, number).await?),
        };
        loop {
            let (back, seals) = spawn_blocking(move || {
                let seals = reader.next(stored, BATCH_SEALS);
                (reader, seals)
            })
            .await?;
            reader = back;
            let seals = match seals {
                Ok(seals) => seals,
                // Usage itself goes on.
                Err(error) => {
                    tracing::warn!(%error, lane, "the seals of the usage log cannot be read");
                    Vec::new()
                }
            };
            if !seals.is_empty() {
                let stored: Vec<StoredSeal> = seals.iter().map(to_stored).collect();
                self.store.keep_seals(&self.node, number, &stored).await?;
            }
            if seals.len() < BATCH_SEALS {
                break;
            }
        }
        self.seals.insert(lane, (reader, Instant::now()));
        Ok(())
    }

    async fn caught_up(&mut self, lane: u32, reader: Reader, now: Timestamp) -> Result<(), Stopped> {
        self.store.caught_up(&self.node, narrow(lane)?, now).await?;
        self.shipped.insert(lane);
        self.lanes.insert(lane, reader);
        Ok(())
    }

    /// `None` where the lane does not stand where the batch begins.
    async fn take_in(&self, lane: u32, from: Position, batch: &Batch, now: Timestamp) -> Result<Option<u64>, Stopped> {
        // What stands before a record that is no event goes first; then the lane stops just there.
        let (node, lane_number) = (&self.node, narrow(lane)?);
        let (events, unreadable) = gather(node, lane_number, batch);
        let to = unreadable.as_ref().map_or(batch.end, |(at, _)| *at);
        let void: Vec<_> = batch.void.iter().copied().filter(|(first, _)| *first < to.sequence).collect();
        if !void.is_empty() {
            self.store.note_unsynced(node, lane_number, &void, now).await?;
        }
        let taken = match self.store.ingest(events, from, to_store(to), now).await {
            Ok(taken) => taken,
            // An earlier commit that came late, or a Postgres that lost some: the next call reads from where it stands.
            Err(IngestError::Moved { stands_at }) => {
                tracing::warn!(
                    lane,
                    segment = stands_at.segment,
                    "the lane stands elsewhere; reading again from there"
                );
                return Ok(None);
            }
            Err(IngestError::Store(error)) => return Err(error.into()),
        };
        let refused: u64 = void.iter().map(|(first, past)| past - first).sum();
        let missing = taken.missing.saturating_sub(refused);
        if missing > 0 {
            tracing::error!(lane, missing, "records are missing between two positions of the spool");
        }
        metrics::counter!("turnpike_events_shipped_total").increment(taken.events);
        if taken.late_meters > 0 {
            metrics::counter!("turnpike_late_meters_total").increment(taken.late_meters);
        }
        match unreadable {
            None => Ok(Some(taken.events)),
            Some((at, error)) => Err(Stopped::Lane(format!("record {} is no event: {error}", at.sequence).into())),
        }
    }
}

/// A record that is no event, and where it stands.
type Unreadable = (spool::Position, wire::BadEvent);

/// The batch's events, up to the first record that is none.
fn gather(node: &str, lane: u16, batch: &Batch) -> (EventBatch, Option<Unreadable>) {
    let mut events = EventBatch::new(node, lane, batch.records.len());
    for record in give_way(batch.records.iter()) {
        match wire::read(&record.payload) {
            Ok(event) => events.add(record.sequence, &event),
            Err(error) => return (events, Some((record.at, error))),
        }
    }
    (events, None)
}

async fn pause(is_busy: bool, begun: Instant) {
    if is_busy {
        sleep_until((begun + BUSY_PERIOD).max(Instant::now() + SHORTEST_PAUSE)).await;
    } else {
        sleep(PERIOD).await;
    }
}

/// Ships until the end, then once more: by then the gateway has recorded its last call.
pub async fn run(mut shipper: Shipper, board: Board, mut stop: Stop, last_try: Duration) {
    while !stop.is_requested() {
        let begun = Instant::now();
        // Cut off, it goes on where Postgres says that the lane stands.
        let outcome = timeout(LONGEST, shipper.ship()).await;
        let outcome = outcome.unwrap_or_else(|_| {
            shipper.ask_for_seals();
            Err("it took too long and was given up".into())
        });
        let is_busy = matches!(outcome, Ok(BUSY_EVENTS..));
        report(&board, NAME, outcome.map(drop));
        tokio::select! {
            () = pause(is_busy, begun) => {}
            () = stop.requested() => {}
        }
    }
    let last_call = shipper.clock.now();
    match timeout_at(Instant::now() + last_try, shipper.ship()).await {
        Ok(Ok(events)) => {
            tracing::info!(events, "the spool is empty");
            let noted = shipper.store.note_end(&shipper.node, last_call, shipper.clock.now());
            if !matches!(timeout(last_try, noted).await, Ok(Ok(()))) {
                tracing::info!("this node counts as silent until it is started again, though nothing is missing of it");
            }
        }
        _ => tracing::warn!("some usage stays in the spool; the next start ships it"),
    }
}

fn to_stored(seal: &Seal) -> StoredSeal {
    StoredSeal {
        first: seal.first,
        past: seal.past,
        sealed_at: Timestamp::from_microsecond(seal.at_us).unwrap_or_default(),
        entry: seal.to_bytes().to_vec(),
    }
}

fn narrow(lane: u32) -> Result<u16, Stopped> {
    u16::try_from(lane).map_err(|_| Stopped::Lane(format!("lane {lane} is beyond what a node can have").into()))
}

pub(crate) const fn to_store(position: spool::Position) -> Position {
    let spool::Position { segment, byte_offset, sequence } = position;
    Position { segment, byte_offset, sequence }
}

pub(crate) const fn to_spool(position: Position) -> spool::Position {
    let Position { segment, byte_offset, sequence } = position;
    spool::Position { segment, byte_offset, sequence }
}

#[cfg(test)]
mod tests;
