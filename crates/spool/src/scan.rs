//! Reading a whole segment without believing any of it: where its good records end, and what stands behind them.

use crate::{
    SpoolError,
    record::{self, Found, HEADER_BYTES},
    segment::{self, Segment},
    void::{self, Void},
};
use std::path::Path;

/// What stands behind the last good record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    Nothing,
    /// The beginning of a record, or room that was never written: this many bytes.
    Torn(u64),
    /// Bytes that were a record once.
    Damaged,
    /// Records that do not count.
    Void,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Where the good records end, in bytes; before the first damage.
    pub good: u64,
    /// A number that no record before has. Where damage hides how many there were, the most that there can have been.
    pub next: u64,
    pub tail: Tail,
}

/// Scans one of the lane's segments.
pub(crate) fn scan(lane_dir: &Path, segments: &[Segment], index: usize) -> Result<Scan, SpoolError> {
    let Some(number) = segments.get(index).map(|segment| segment.number) else {
        return Ok(Scan { good: 0, next: 0, tail: Tail::Nothing });
    };
    let bytes = segment::read(lane_dir, number)?;
    let void = void::read(lane_dir, number)?;
    // Where it does not say itself which numbers it has, its predecessor does.
    let knows = matches!(record::find(&bytes), Found::Whole { .. });
    let first = match index.checked_sub(1) {
        Some(before) if !knows => {
            let before = scan(lane_dir, segments, before)?;
            match before.tail {
                // Nobody cuts it off any more, and whoever reads on behind it must see that something is missing.
                Tail::Torn(bytes) => before.next + most(bytes as usize),
                _ => before.next,
            }
        }
        _ => 0,
    };
    let Some(Void { byte_offset, past, .. }) = void else { return Ok(scan_bytes(&bytes, first)) };
    let good = bytes.get(..usize::try_from(byte_offset).unwrap_or(usize::MAX)).unwrap_or(&bytes);
    let found = scan_bytes(good, first);
    let tail = if found.tail == Tail::Damaged { Tail::Damaged } else { Tail::Void };
    Ok(Scan { next: found.next.max(past), tail, ..found })
}

/// `first` is the number of the first record, where it cannot say so itself.
pub(crate) fn scan_bytes(bytes: &[u8], first: u64) -> Scan {
    let mut scan = Scan { good: 0, next: first, tail: Tail::Nothing };
    let mut rest = bytes;
    let step = |scan: &mut Scan, bytes: usize| {
        if scan.tail != Tail::Damaged {
            scan.good += bytes as u64;
        }
    };
    loop {
        match record::find(rest) {
            Found::Whole { sequence, bytes, .. } => {
                scan.next = sequence + 1;
                step(&mut scan, bytes);
                rest = &rest[bytes..];
            }
            Found::Partial => {
                if scan.tail != Tail::Damaged && !rest.is_empty() {
                    scan.tail = Tail::Torn(rest.len() as u64);
                }
                return scan;
            }
            Found::Damaged(_) if scan.tail != Tail::Damaged && is_unwritten(rest) => {
                scan.tail = Tail::Torn(rest.len() as u64);
                return scan;
            }
            Found::Damaged(_) => {
                scan.tail = Tail::Damaged;
                match record::header(rest) {
                    // The header is right, so it is known where the record ends and that it was one.
                    Some((length, sequence)) if sequence >= scan.next => {
                        scan.next = sequence + 1;
                        rest = rest.get(HEADER_BYTES + length..).unwrap_or_default();
                    }
                    _ => match record::next_header(rest.get(1..).unwrap_or_default(), scan.next) {
                        Some((offset, _)) => rest = rest.get(1 + offset..).unwrap_or_default(),
                        None => {
                            scan.next += most(rest.len());
                            return scan;
                        }
                    },
                }
            }
        }
    }
}

/// Whether it is room that a file was given and nothing was written to, as a loss of power leaves it.
pub(crate) fn is_unwritten(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// How many records so many bytes can have been.
fn most(bytes: usize) -> u64 {
    (bytes / HEADER_BYTES).max(1) as u64
}
