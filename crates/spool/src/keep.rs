//! Segments that were taken in stay for a while: a Postgres that was restored to an earlier instant gets their events again.

use crate::{Position, SpoolError, home::sync_dir, seal, segment, void};
use std::{
    fs::{self, File},
    io,
    path::Path,
    time::{Duration, SystemTime},
};

/// How much stays after it was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of a lane; the oldest segments go first.
    pub bytes: u64,
    /// Since it was taken in.
    pub age: Duration,
    /// Bytes of the whole lane: what is kept makes way for what waits.
    pub lane_bytes: u64,
}

impl Keep {
    pub const NOTHING: Self = Self { bytes: 0, age: Duration::ZERO, lane_bytes: 0 };
}

/// The first segment that may still be needed, where a lane stands at that position.
///
/// The one just before it is, until the position's own segment holds a record: a lane whose only segment is empty would
/// not know its sequence after a crash.
fn needed(position: Position) -> u64 {
    if position.byte_offset > 0 { position.segment } else { position.segment.saturating_sub(1) }
}

/// Puts the segments aside that lie wholly before the position, and lets go of those that need not stay.
pub(crate) fn put_aside(lane_dir: &Path, position: Position, keep: Keep) -> Result<(), SpoolError> {
    let mut changed = false;
    let segments = segment::list(lane_dir)?;
    for number in segments.iter().filter(|one| one.number < needed(position) && !one.kept).map(|one| one.number) {
        let path = segment::file(lane_dir, number);
        // From here on its age counts.
        let aged = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        let moved = aged.and_then(|()| fs::rename(&path, segment::kept_file(lane_dir, number)));
        gone_is_well(moved).map_err(SpoolError::io(path))?;
        changed = true;
    }
    if changed {
        sync_dir(lane_dir).map_err(SpoolError::io(lane_dir))?;
    }
    trim(lane_dir, position, keep)
}

/// Lets go of segments that were taken in and need not stay, the oldest first.
fn trim(lane_dir: &Path, position: Position, keep: Keep) -> Result<(), SpoolError> {
    let segments = segment::list(lane_dir)?;
    let is_done = |one: &&segment::Segment| one.kept && one.number < needed(position);
    let mut kept: u64 = segments.iter().filter(is_done).map(|one| one.bytes).sum();
    let waiting: u64 = segments.iter().filter(|one| !is_done(one)).map(|one| one.bytes).sum();
    let room = keep.bytes.min(keep.lane_bytes.saturating_sub(waiting));
    let now = SystemTime::now();
    for one in segments.iter().filter(is_done) {
        // One from the future is young: somebody moved the clock.
        let age = one.changed.and_then(|changed| now.duration_since(changed).ok()).unwrap_or_default();
        if kept <= room && age < keep.age {
            break;
        }
        let (marks, seals) = (void::file(lane_dir, one.number), seal::path(lane_dir, one.number));
        // Seals without their records are a fault, and records that do not count must not be without their mark.
        for path in [seals, segment::kept_file(lane_dir, one.number), marks] {
            gone_is_well(fs::remove_file(&path)).map_err(SpoolError::io(path))?;
        }
        kept = kept.saturating_sub(one.bytes);
    }
    Ok(())
}

fn gone_is_well(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
