//! How much of a lane waits to be taken in, by its files alone: it can be asked while Postgres is down.

use crate::{
    Position, Reader, SpoolError,
    record::{self, Found, HEADER_BYTES, MAX_PAYLOAD_BYTES},
    segment,
    void::{self, Void},
};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// What waits behind a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    pub records: u64,
    pub bytes: u64,
    /// Where reading will stop, if it will.
    pub damage: Option<Position>,
}

/// Follows the end of a lane. Each look reads what came since the last.
#[derive(Debug)]
pub struct Backlog {
    dir: PathBuf,
    lane: u32,
    lane_dir: PathBuf,
    /// Everything between the two was looked at.
    from: Position,
    to: Position,
    damage: Option<Position>,
}

/// How much one look reads at most, so that a long backlog is looked at in several.
const LOOK_BYTES: u64 = 256 << 20;
const CHUNK: usize = 4 << 20;

impl Backlog {
    pub fn open(dir: &Path, lane: u32) -> Self {
        let (from, to) = (Position::default(), Position::default());
        Self { dir: dir.to_owned(), lane, lane_dir: segment::lane_dir(dir, lane), from, to, damage: None }
    }

    /// What waits where the lane stands at `stored`.
    pub fn look(&mut self, stored: Position) -> Result<Waiting, SpoolError> {
        if stored < self.from || stored > self.to {
            (self.from, self.to, self.damage) = (stored, stored, None);
        }
        self.damage = self.damage.filter(|damage| *damage >= stored);
        let mut left = LOOK_BYTES;
        while left > 0 && self.advance(&mut left)? {}
        let segments = segment::list(&self.lane_dir)?;
        let bytes: u64 = segments.iter().filter(|one| one.number >= stored.segment).map(|one| one.bytes).sum();
        Ok(Waiting {
            records: self.to.sequence.saturating_sub(stored.sequence),
            bytes: bytes.saturating_sub(stored.byte_offset),
            damage: self.damage,
        })
    }

    /// The payload of the first record behind `stored` that can be read.
    pub fn oldest(&self, stored: Position) -> Result<Option<Vec<u8>>, SpoolError> {
        let mut reader = Reader::open(&self.dir, self.lane, stored)?;
        if let Some(payload) = self.payload_at(stored)? {
            return Ok(Some(payload));
        }
        if reader.skip_damage()?.to == stored {
            return Ok(None);
        }
        self.payload_at(reader.position())
    }

    fn payload_at(&self, position: Position) -> Result<Option<Vec<u8>>, SpoolError> {
        let Some(file) = segment::open(&self.lane_dir, position.segment)? else { return Ok(None) };
        for most in [4 << 10, HEADER_BYTES + MAX_PAYLOAD_BYTES] {
            let bytes = read_at(&file, position.byte_offset, most).map_err(SpoolError::io(&self.lane_dir))?;
            if let Found::Whole { payload, .. } = record::find(&bytes) {
                return Ok(Some(payload.to_vec()));
            }
        }
        Ok(None)
    }

    /// Reads on; false where there is nothing more for now.
    fn advance(&mut self, left: &mut u64) -> Result<bool, SpoolError> {
        let Some(file) = segment::open(&self.lane_dir, self.to.segment)? else { return self.leave_missing() };
        let void = void::read(&self.lane_dir, self.to.segment)?;
        let closed = void.is_some() || segment::exists(&self.lane_dir, self.to.segment + 1);
        let mut most = CHUNK;
        if let Some(Void { byte_offset, past, .. }) = void {
            let good = byte_offset.saturating_sub(self.to.byte_offset);
            if good == 0 {
                self.to =
                    Position { segment: self.to.segment + 1, byte_offset: 0, sequence: self.to.sequence.max(past) };
                return Ok(true);
            }
            most = most.min(usize::try_from(good).unwrap_or(usize::MAX));
        }
        let bytes = read_at(&file, self.to.byte_offset, most).map_err(SpoolError::io(&self.lane_dir))?;
        *left = left.saturating_sub(bytes.len() as u64).saturating_sub(1);
        let is_end = bytes.len() < most || void.is_some();
        let walked = self.walk(&bytes);
        if walked > 0 {
            return Ok(true);
        }
        if !is_end {
            // A whole chunk without a record: its damage was noted, and the rest of it is looked at next.
            self.to.byte_offset += (bytes.len() - HEADER_BYTES) as u64;
            return Ok(true);
        }
        if !closed {
            return Ok(false);
        }
        if !bytes.is_empty() {
            self.damage.get_or_insert(self.to);
        }
        self.to = Position { segment: self.to.segment + 1, byte_offset: 0, ..self.to };
        Ok(true)
    }

    /// Goes over the records, and over damage where records follow it; how many bytes that were.
    fn walk(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        loop {
            match record::find(rest) {
                Found::Whole { sequence, bytes, .. } => {
                    if sequence != self.to.sequence {
                        self.damage.get_or_insert(self.to);
                    }
                    self.to.byte_offset += bytes as u64;
                    self.to.sequence = sequence + 1;
                    rest = &rest[bytes..];
                }
                Found::Damaged(_) if crate::scan::is_unwritten(rest) => break,
                Found::Damaged(_) => {
                    self.damage.get_or_insert(self.to);
                    let behind = rest.get(1..).unwrap_or_default();
                    let Some((offset, _)) = record::next_header(behind, self.to.sequence) else { break };
                    self.to.byte_offset += 1 + offset as u64;
                    rest = behind.get(offset..).unwrap_or_default();
                }
                Found::Partial => break,
            }
        }
        bytes.len() - rest.len()
    }

    fn leave_missing(&mut self) -> Result<bool, SpoolError> {
        if !self.lane_dir.exists() {
            return Ok(false);
        }
        let later = segment::list(&self.lane_dir)?.into_iter().find(|one| one.number > self.to.segment);
        let Some(later) = later else { return Ok(false) };
        self.damage.get_or_insert(self.to);
        self.to = Position { segment: later.number, byte_offset: 0, ..self.to };
        Ok(true)
    }
}

fn read_at(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let there = file.metadata()?.len().saturating_sub(offset);
    let most = most.min(usize::try_from(there).unwrap_or(usize::MAX));
    let mut bytes = vec![0; most];
    let mut length = 0;
    while length < most {
        match file.read_at(&mut bytes[length..], offset + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
