//! Takes usage from this node's spool into Postgres, in order and exactly once.
//!
//! Each lane is read from the position that Postgres has stored, and the position moves in the transaction that stores
//! the events. So whatever is interrupted, by us or by Postgres, is simply read again. A segment is removed only after
//! all of it was taken in.

use super::{Board, Stop, TaskError, report};
use app::state::Clock;
use domain::usage::{UsageEvent, wire};
use jiff::Timestamp;
use spool::{Batch, Reader};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use store::{
    Store, give_way,
    ingest::{IngestError, Position},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout, timeout_at},
};

pub const NAME: &str = "ship_spool";
/// Between two looks at an empty spool.
const PERIOD: Duration = Duration::from_millis(250);
/// How long one run may take, so that a connection that went silent for ever does not keep usage for ever.
const LONGEST: Duration = Duration::from_secs(300);
/// Fewer and larger transactions: each of them merges a row for every key and operation that was called.
const BATCH_RECORDS: usize = 20_000;
const BATCH_BYTES: usize = 8 << 20;

/// Reads the lanes of one spool.
pub struct Shipper {
    store: Store,
    clock: Clock,
    spool: PathBuf,
    node: String,
    lanes: BTreeMap<u32, Reader>,
    caught_up: Arc<AtomicBool>,
}

impl Shipper {
    pub fn new(store: Store, clock: Clock, spool: PathBuf, node: String) -> Self {
        Self { store, clock, spool, node, lanes: BTreeMap::new(), caught_up: Arc::default() }
    }

    /// Ships all that is there now, and says how many events that were.
    ///
    /// # Errors
    /// Postgres does not answer, the disk fails, or the spool is damaged. Nothing is lost; the next call goes on.
    pub async fn ship(&mut self) -> Result<u64, TaskError> {
        let dir = self.spool.clone();
        let lanes = spawn_blocking(move || spool::lanes(&dir)).await??;
        if lanes.iter().any(|lane| !self.lanes.contains_key(lane)) {
            self.open(&lanes).await?;
        }
        let mut shipped = 0;
        for lane in lanes {
            shipped += self.ship_lane(lane).await?;
        }
        self.caught_up.store(true, Ordering::Release);
        Ok(shipped)
    }

    /// Whether all was shipped once: what an earlier life of this node left, at least.
    pub fn caught_up(&self) -> Arc<AtomicBool> {
        self.caught_up.clone()
    }

    async fn stands_at(&self, lane: u32) -> Result<Position, TaskError> {
        let positions = self.store.positions(&self.node).await?;
        Ok(positions.get(&narrow(lane)?).copied().unwrap_or_default())
    }

    async fn open(&mut self, lanes: &[u32]) -> Result<(), TaskError> {
        let positions = self.store.positions(&self.node).await?;
        for lane in lanes.iter().filter(|lane| !self.lanes.contains_key(lane)).copied().collect::<Vec<_>>() {
            let stands_at = positions.get(&narrow(lane)?).copied().unwrap_or_default();
            self.lanes.insert(lane, Reader::open(&self.spool, lane, to_spool(stands_at))?);
        }
        Ok(())
    }

    async fn ship_lane(&mut self, lane: u32) -> Result<u64, TaskError> {
        let mut shipped = 0;
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
            let batch = batch?;
            // Where a segment was begun and holds nothing yet, there is still a place to move to.
            if batch.records.is_empty() && to_store(batch.end) == to_store(from) {
                // Reading nothing says nothing where the stored position was set back: the reader is dropped.
                if self.stands_at(lane).await? != to_store(from) {
                    tracing::warn!(lane, "the lane stands elsewhere; reading again from there");
                    return Ok(shipped);
                }
                self.store.caught_up(&self.node, narrow(lane)?, now).await?;
                self.lanes.insert(lane, reader);
                return Ok(shipped);
            }
            // The reader is dropped where the lane stands elsewhere, and nothing is removed or said to be complete.
            let Some(taken) = self.take_in(lane, to_store(from), &batch, now).await? else { return Ok(shipped) };
            shipped += taken;
            let is_all = batch.is_all;
            let reader = spawn_blocking(move || reader.remove_before(batch.end).map(|()| reader)).await??;
            self.lanes.insert(lane, reader);
            // Under steady traffic there is always more by now, and the other lanes wait.
            if is_all {
                self.store.caught_up(&self.node, narrow(lane)?, now).await?;
                return Ok(shipped);
            }
        }
        Ok(shipped)
    }

    /// `None` where the lane does not stand where the batch begins.
    async fn take_in(
        &self,
        lane: u32,
        from: Position,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Option<u64>, TaskError> {
        let event = |record: &spool::Record| Ok((record.sequence, wire::decode(&record.payload)?));
        let events =
            give_way(batch.records.iter()).map(event).collect::<Result<Vec<(u64, UsageEvent)>, wire::BadEvent>>()?;
        let taken = self.store.ingest(&self.node, narrow(lane)?, events, from, to_store(batch.end), now).await;
        let taken = match taken {
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
            Err(error) => return Err(error.into()),
        };
        if taken.missing > 0 {
            tracing::error!(lane, missing = taken.missing, "records are missing between two positions of the spool");
        }
        metrics::counter!("turnpike_events_shipped_total").increment(taken.events);
        Ok(Some(taken.events))
    }
}

/// Ships until the end, then once more: by then the gateway has recorded its last call.
pub async fn run(mut shipper: Shipper, board: Board, mut stop: Stop, last_try: Duration) {
    while !stop.is_requested() {
        // Cut off, it goes on where Postgres says that the lane stands.
        let outcome = timeout(LONGEST, shipper.ship()).await;
        let outcome = outcome.unwrap_or_else(|_| Err("it took too long and was given up".into()));
        report(&board, NAME, outcome.map(drop));
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = stop.requested() => {}
        }
    }
    match timeout_at(Instant::now() + last_try, shipper.ship()).await {
        Ok(Ok(events)) => tracing::info!(events, "the spool is empty"),
        _ => tracing::warn!("some usage stays in the spool; the next start ships it"),
    }
}

fn narrow(lane: u32) -> Result<u16, TaskError> {
    u16::try_from(lane).map_err(|_| format!("lane {lane} is beyond what a node can have").into())
}

const fn to_store(position: spool::Position) -> Position {
    let spool::Position { segment, byte_offset, sequence } = position;
    Position { segment, byte_offset, sequence }
}

const fn to_spool(position: Position) -> spool::Position {
    let Position { segment, byte_offset, sequence } = position;
    spool::Position { segment, byte_offset, sequence }
}

#[cfg(test)]
mod tests;
