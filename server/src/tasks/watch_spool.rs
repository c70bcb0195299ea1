//! How much usage waits for Postgres, and since when: from the spool's files, so that it is right while Postgres is away too.
//!
//! It lets go as well of what was taken in and need not stay: what waits needs the room.

use super::{TaskError, ship_spool::Progress};
use app::state::Clock;
use domain::usage::wire;
use jiff::Timestamp;
use metrics::gauge;
use spool::{Backlog, Keep, Position, SpoolError, Waiting};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

pub const NAME: &str = "watch_spool";
pub const PERIOD: Duration = Duration::from_secs(1);

/// With less room on the disk than this nothing is kept that was taken in.
const SPARE_BYTES: u64 = 256 << 20;

/// Watches all lanes of one spool. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    spool: PathBuf,
    clock: Clock,
    progress: Progress,
    /// Of each lane.
    keep: Keep,
    lanes: Arc<Mutex<HashMap<u32, Lane>>>,
}

/// What one lane's last look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub lane: u32,
    pub waiting: Waiting,
    /// Seconds since the call of the oldest record that waits; zero where none does.
    pub lag: u64,
}

struct Lane {
    backlog: Backlog,
    /// Where the lane stood when its oldest record was looked at, when that call was, and when we saw it first.
    oldest: Option<(Position, Option<Timestamp>, Instant)>,
}

impl Watch {
    pub fn new(spool: PathBuf, clock: Clock, progress: Progress, keep: Keep) -> Self {
        Self { spool, clock, progress, keep, lanes: Arc::default() }
    }

    /// Looks once and sets the metrics.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn run(self) -> Result<(), TaskError> {
        for Standing { lane, waiting, lag } in spawn_blocking(move || self.look()).await?? {
            let lane = lane.to_string();
            gauge!("turnpike_spool_lag_seconds", "lane" => lane.clone()).set(lag as f64);
            gauge!("turnpike_spool_backlog_records", "lane" => lane.clone()).set(waiting.records as f64);
            gauge!("turnpike_spool_backlog_bytes", "lane" => lane.clone()).set(waiting.bytes as f64);
            gauge!("turnpike_spool_damaged", "lane" => lane).set(f64::from(u8::from(waiting.damage.is_some())));
        }
        Ok(())
    }

    /// Whether the disk itself has hardly room for what comes next, whatever may be kept: calls are refused without it.
    fn disk_is_full(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.spool) else { return false };
        disk.f_bavail.saturating_mul(disk.f_frsize) < SPARE_BYTES
    }

    /// How every lane stands.
    pub fn look(&self) -> Result<Vec<Standing>, SpoolError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut standings = Vec::new();
        let keep = if self.disk_is_full() { Keep { bytes: 0, ..self.keep } } else { self.keep };
        for number in spool::lanes(&self.spool)? {
            let stored = match self.progress.stored(number) {
                Some(stored) => stored,
                None => spool::stored(&self.spool, number)?,
            };
            spool::trim(&self.spool, number, stored, keep)?;
            let lane = lanes.entry(number).or_insert_with(|| Lane::open(&self.spool, number));
            let waiting = lane.backlog.look(stored)?;
            let lag = if waiting.records == 0 && waiting.damage.is_none() { 0 } else { lane.lag(stored, &self.clock)? };
            standings.push(Standing { lane: number, waiting, lag });
        }
        Ok(standings)
    }
}

impl Lane {
    fn open(spool: &Path, number: u32) -> Self {
        Self { backlog: Backlog::open(spool, number), oldest: None }
    }

    /// Seconds for which what stands there has waited.
    fn lag(&mut self, stored: Position, clock: &Clock) -> Result<u64, SpoolError> {
        let known = self.oldest.filter(|(position, at, _)| *position == stored && at.is_some());
        let (at, seen) = match known {
            Some((_, at, seen)) => (at, seen),
            None => {
                let payload = self.backlog.oldest(stored)?;
                let at = payload.and_then(|payload| wire::decode(&payload).ok()).map(|event| event.at);
                let seen = match self.oldest {
                    Some((position, _, seen)) if position == stored => seen,
                    _ => Instant::now(),
                };
                self.oldest = Some((stored, at, seen));
                (at, seen)
            }
        };
        // Where no call can be read, it is at least as long as we know of it.
        let lag = at.map_or(0, |at| clock.now().duration_since(at).as_secs());
        Ok(u64::try_from(lag).unwrap_or(0).max(if at.is_none() { seen.elapsed().as_secs() } else { 0 }))
    }
}

#[cfg(test)]
mod tests;
