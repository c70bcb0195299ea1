//! The chain while it grows: hashed with each write, sealed now and then.

use super::{SEAL_BYTES, Seal, SealHash, Sealing, beginning, file};
use crate::{
    Position, SpoolError,
    record::{self, Found},
    segment, void,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// So many records are sealed at the next occasion.
const MANY: u64 = 4_096;
/// So long a record waits for its seal at most. Each seal is a row in Postgres too.
const LONG: Duration = Duration::from_secs(30);

/// The end of a lane's chain.
#[derive(Debug)]
pub(crate) struct Chain {
    lane_dir: PathBuf,
    lane: u32,
    sealing: Sealing,
    /// Where the first record stands that is not sealed.
    from: Position,
    previous: [u8; 32],
    hash: SealHash,
    /// When that record was written.
    since: Option<Instant>,
    /// Seals that could not be written, by segment.
    unwritten: BTreeMap<u64, Vec<u8>>,
}

impl Chain {
    /// Goes on behind the lane's last seal: what was written after it is read and sealed.
    pub(crate) fn resume(lane_dir: &Path, lane: u32, sealing: Sealing, end: Position) -> Result<Self, SpoolError> {
        let last = file::last(lane_dir)?;
        let previous = last.map_or_else(|| beginning(&sealing.node, lane), |last| last.hash);
        let hash = SealHash::behind(&previous);
        let (since, unwritten) = (None, BTreeMap::new());
        let mut chain =
            Self { lane_dir: lane_dir.to_owned(), lane, sealing, from: end, previous, hash, since, unwritten };
        let segments = segment::list(lane_dir)?;
        // A lane that was never sealed begins with its last segment: a long backlog is not read at a start.
        let begins = last.map_or(segments.last().map_or(0, |last| last.number), |last| last.segment);
        for number in segments.iter().map(|one| one.number).filter(|number| *number >= begins) {
            let bytes = segment::read(lane_dir, number)?;
            let good = void::read(lane_dir, number)?.map_or(u64::MAX, |void| void.byte_offset);
            let bytes = bytes.get(..usize::try_from(good).unwrap_or(usize::MAX)).unwrap_or(&bytes);
            let sealed = last.filter(|last| last.segment == number).map_or(0, |last| last.to_byte);
            let known = last.map_or(0, |last| last.past);
            for (from, to) in ranges(bytes, sealed, (number, known)) {
                chain.begin(from);
                let whole = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                chain.hash.add(bytes.get(whole(from.byte_offset)..whole(to.byte_offset)).unwrap_or_default());
                chain.seal(to);
            }
        }
        chain.begin(end);
        Ok(chain)
    }

    /// The next record will stand there.
    pub(crate) fn begin(&mut self, from: Position) {
        self.from = from;
    }

    /// These records were written.
    pub(crate) fn add(&mut self, records: &[u8]) {
        self.hash.add(records);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Seals where it is worth it, at most so that a record waits half a minute.
    pub(crate) fn seal_if_due(&mut self, end: Position) {
        let unsealed = end.sequence.saturating_sub(self.from.sequence);
        if unsealed >= MANY || self.since.is_some_and(|since| since.elapsed() >= LONG) || !self.unwritten.is_empty() {
            self.seal(end);
        }
    }

    /// Seals all that was written.
    pub(crate) fn seal(&mut self, end: Position) {
        if end.sequence > self.from.sequence {
            let hash = std::mem::replace(&mut self.hash, SealHash::behind(&self.previous)).finish();
            let seal = Seal {
                lane: self.lane,
                epoch: self.sealing.epoch,
                segment: end.segment,
                from_byte: self.from.byte_offset,
                to_byte: end.byte_offset,
                first: self.from.sequence,
                past: end.sequence,
                at_us: now_us(),
                previous: self.previous,
                hash,
                key: [0; 8],
                signature: [0; 64],
            };
            let seal = self.sealing.key.sign(&self.sealing.node, seal);
            self.unwritten.entry(end.segment).or_insert_with(|| Vec::with_capacity(SEAL_BYTES)).extend(seal.to_bytes());
            self.previous = hash;
            self.hash = SealHash::behind(&hash);
            self.from = end;
            self.since = None;
        }
        while let Some(first) = self.unwritten.first_entry() {
            if let Err(error) = file::append(&self.lane_dir, *first.key(), first.get()) {
                // Calls never wait for it, and the next occasion tries again.
                tracing::warn!(%error, lane = self.lane, "a seal of the usage log cannot be written yet");
                return;
            }
            first.remove();
        }
    }
}

/// Where whole records follow each other without a gap, each stretch from its first to behind its last. `known` is the segment's
/// number and a sequence number that nothing here is below.
pub(crate) fn ranges(bytes: &[u8], from_byte: u64, (segment, known): (u64, u64)) -> Vec<(Position, Position)> {
    let mut ranges: Vec<(Position, Position)> = Vec::new();
    let mut offset = usize::try_from(from_byte).unwrap_or(usize::MAX);
    let mut least = known;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        match record::find(rest) {
            Found::Whole { sequence, bytes, .. } if sequence >= least => {
                let at = Position { segment, byte_offset: offset as u64, sequence };
                let behind = Position { segment, byte_offset: (offset + bytes) as u64, sequence: sequence + 1 };
                match ranges.last_mut() {
                    Some((_, end)) if *end == at => *end = behind,
                    _ => ranges.push((at, behind)),
                }
                (offset, least) = (offset + bytes, sequence + 1);
            }
            _ => match record::next_header(rest.get(1..).unwrap_or_default(), least) {
                Some((further, _)) => offset += 1 + further,
                None => break,
            },
        }
    }
    ranges
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
