//! Reading: from a position, in batches, stopping at damage.

use crate::{
    Position, SpoolError,
    home::sync_dir,
    record::{self, Found, HEADER_BYTES, MAX_PAYLOAD_BYTES},
    segment,
};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Reads a lane while its writer appends to it.
#[derive(Debug)]
pub struct Reader {
    lane_dir: PathBuf,
    at: Position,
    open: Option<(u64, File)>,
}

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub sequence: u64,
    pub payload: Vec<u8>,
}

/// Records in order, and the place after the last of them. Empty when there are no more for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub records: Vec<Record>,
    pub end: Position,
    /// Whether everything is in it that was written before the reading began.
    pub is_all: bool,
}

/// What was lost where somebody decided to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    pub from: Position,
    pub to: Position,
    /// Records between the two that can no longer be read.
    pub lost_records: u64,
}

impl Reader {
    /// A reader at that place. A lane that does not exist yet is an empty one.
    pub fn open(dir: &Path, lane: u32, from: Position) -> Result<Self, SpoolError> {
        Ok(Self { lane_dir: segment::lane_dir(dir, lane), at: from, open: None })
    }

    /// The place of the next record.
    pub const fn position(&self) -> Position {
        self.at
    }

    /// The next records: at most `max_records`, and of about `max_bytes` (at least one, if there is one).
    ///
    /// What is returned is on the disk itself. On an error the reader stays where it is: records before the damage were
    /// handed out by earlier calls or are returned by this one, and the next call reports the damage.
    pub fn next_batch(&mut self, max_records: usize, max_bytes: usize) -> Result<Batch, SpoolError> {
        let mut records = Vec::new();
        let mut at = self.at;
        let mut room = max_bytes;
        let is_all = loop {
            match self.read_segment(&mut at, &mut records, max_records, &mut room) {
                Ok(More::Segment) => at = Position { segment: at.segment + 1, byte_offset: 0, ..at },
                Ok(More::Later) => break false,
                Ok(More::No) => break true,
                // What stands before the damage is good and goes first.
                Err(_) if !records.is_empty() => break false,
                Err(error) => return Err(error),
            }
        };
        self.at = at;
        Ok(Batch { records, end: at, is_all })
    }

    /// Goes to the next readable record after damage, and says what was lost. An operator decides on this, not code.
    pub fn skip_damage(&mut self) -> Result<Damage, SpoolError> {
        let from = self.at;
        let segments = segment::list(&self.lane_dir)?;
        for (number, _) in segments.into_iter().filter(|(number, _)| *number >= from.segment) {
            let path = segment::file(&self.lane_dir, number);
            let bytes = fs::read(&path).map_err(SpoolError::io(&path))?;
            let start =
                if number == from.segment { usize::try_from(from.byte_offset).unwrap_or(usize::MAX) } else { 0 };
            let mut start = start.min(bytes.len());
            while let Some((offset, sequence)) = record::next_header(&bytes[start..], from.sequence) {
                start += offset;
                if let Found::Whole { .. } = record::find(&bytes[start..]) {
                    self.open = None;
                    self.at = Position { segment: number, byte_offset: start as u64, sequence };
                    return Ok(Damage { from, to: self.at, lost_records: sequence - from.sequence });
                }
                start += 1;
            }
        }
        Ok(Damage { from, to: from, lost_records: 0 })
    }

    /// Deletes the segments that lie wholly before the position.
    ///
    /// The one just before it stays until the position's own segment holds a record: a lane whose only segment is empty
    /// would not know its sequence after a crash.
    pub fn remove_before(&self, position: Position) -> Result<(), SpoolError> {
        let keep_from = if position.byte_offset > 0 { position.segment } else { position.segment.saturating_sub(1) };
        let mut removed = false;
        for (number, _) in segment::list(&self.lane_dir)?.into_iter().take_while(|(n, _)| *n < keep_from) {
            let path = segment::file(&self.lane_dir, number);
            fs::remove_file(&path).map_err(SpoolError::io(path))?;
            removed = true;
        }
        if removed { sync_dir(&self.lane_dir).map_err(SpoolError::io(&self.lane_dir)) } else { Ok(()) }
    }

    fn read_segment(
        &mut self,
        at: &mut Position,
        records: &mut Vec<Record>,
        max_records: usize,
        room: &mut usize,
    ) -> Result<More, SpoolError> {
        if records.len() >= max_records || (*room == 0 && !records.is_empty()) {
            return Ok(More::Later);
        }
        // Asked before reading: a segment that has a successor gets no more records.
        let closed = segment::file(&self.lane_dir, at.segment + 1).exists();
        let path = segment::file(&self.lane_dir, at.segment);
        let Some(file) = self.file(at.segment)? else {
            let nothing_yet = *at == Position { segment: at.segment, byte_offset: 0, sequence: at.sequence };
            return if nothing_yet && !closed && !self.has_later(at.segment)? {
                Ok(More::No)
            } else {
                Err(missing(*at))
            };
        };
        let length = file.metadata().map_err(SpoolError::io(&path))?.len();
        if length < at.byte_offset {
            return Err(missing(*at));
        }
        let wanted = (*room).clamp(HEADER_BYTES + MAX_PAYLOAD_BYTES, 64 << 20) as u64;
        let bytes = read_at(file, at.byte_offset, wanted).map_err(SpoolError::io(&path))?;
        let mut rest = bytes.as_slice();
        let taken_before = records.len();
        let found = loop {
            if records.len() >= max_records || (*room == 0 && !records.is_empty()) {
                break Ok(More::Later);
            }
            let damaged = |what| SpoolError::Damaged {
                segment: at.segment,
                byte_offset: at.byte_offset,
                sequence: at.sequence,
                what,
            };
            match record::find(rest) {
                Found::Whole { sequence, .. } if sequence != at.sequence => {
                    break Err(damaged("records are missing before this one"));
                }
                Found::Whole { sequence, payload, bytes } => {
                    records.push(Record { sequence, payload: payload.to_vec() });
                    *room = room.saturating_sub(bytes);
                    at.byte_offset += bytes as u64;
                    at.sequence += 1;
                    rest = &rest[bytes..];
                }
                Found::Partial if at.byte_offset + (rest.len() as u64) < length => break Ok(More::Later),
                Found::Partial if rest.is_empty() && closed => break Ok(More::Segment),
                Found::Partial if closed => break Err(damaged("the segment ends within a record")),
                Found::Partial => break Ok(More::No),
                Found::Damaged(what) => break Err(damaged(what)),
            }
        };
        if records.len() > taken_before {
            file.sync_data().map_err(SpoolError::io(&path))?;
        }
        found
    }

    fn file(&mut self, number: u64) -> Result<Option<&File>, SpoolError> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            let path = segment::file(&self.lane_dir, number);
            self.open = match File::open(&path) {
                Ok(file) => Some((number, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(SpoolError::io(path)(error)),
            };
        }
        Ok(self.open.as_ref().map(|(_, file)| file))
    }

    fn has_later(&self, number: u64) -> Result<bool, SpoolError> {
        if !self.lane_dir.exists() {
            return Ok(false);
        }
        Ok(segment::list(&self.lane_dir)?.iter().any(|(later, _)| *later > number))
    }
}

enum More {
    /// The next segment goes on.
    Segment,
    /// The batch is as large as it may be.
    Later,
    /// All was read that was written before the reading began.
    No,
}

const fn missing(at: Position) -> SpoolError {
    SpoolError::Missing { segment: at.segment, byte_offset: at.byte_offset }
}

fn read_at(mut file: &File, offset: u64, max: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
