//! Reading: from a position, in batches, stopping at damage.

use crate::{
    Keep, Position, SpoolError, disk,
    home::sync_dir,
    keep,
    record::{self, Found, HEADER_BYTES, MAX_PAYLOAD_BYTES},
    scan::{self, is_unwritten},
    segment,
    void::{self, Void},
};
use bytes::Bytes;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Reads a lane while its writer appends to it.
#[derive(Debug)]
pub struct Reader {
    lane_dir: PathBuf,
    at: Position,
    open: Option<(u64, File)>,
    /// A segment whose sync failed, and its length then: up to there its bytes may be in memory only.
    doubtful: Option<(u64, u64)>,
}

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub sequence: u64,
    /// A part of what was read at once, which lives as long as any of its records.
    pub payload: Bytes,
    /// The place before it.
    pub at: Position,
}

/// Records in order, and the place after the last of them. Empty when there are no more for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub records: Vec<Record>,
    pub end: Position,
    /// Numbers that were given to records which do not count, as the first and the first behind them: the calls were refused
    /// because the disk failed.
    pub void: Vec<(u64, u64)>,
    /// Whether everything is in it that was written before the reading began.
    pub is_all: bool,
}

/// What was lost where somebody decided to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    pub from: Position,
    pub to: Position,
    /// Records between the two that can no longer be read; the most that there can have been.
    pub lost_records: u64,
}

impl Reader {
    /// A reader at that place. A lane that does not exist yet is an empty one.
    pub fn open(dir: &Path, lane: u32, from: Position) -> Result<Self, SpoolError> {
        Ok(Self { lane_dir: segment::lane_dir(dir, lane), at: from, open: None, doubtful: None })
    }

    /// The place of the next record.
    pub const fn position(&self) -> Position {
        self.at
    }

    /// The next records: at most `max_records`, and of about `max_bytes` (at least one, if there is one).
    ///
    /// What is returned is on the disk itself. On an error the reader stays where it is: records before the damage were
    /// handed out by earlier calls or are returned by this one, and the next call reports the damage.
    ///
    /// # Errors
    /// After [`SpoolError::Io`] go on with the same reader: it knows which bytes the disk may not have.
    pub fn next_batch(&mut self, max_records: usize, max_bytes: usize) -> Result<Batch, SpoolError> {
        let mut batch = Batch { records: Vec::new(), end: self.at, void: Vec::new(), is_all: false };
        let mut room = max_bytes;
        batch.is_all = loop {
            match self.read_segment(&mut batch, max_records, &mut room) {
                Ok(More::Segment) => {
                    batch.end = Position { segment: batch.end.segment + 1, byte_offset: 0, ..batch.end };
                }
                Ok(More::Later) => break false,
                Ok(More::No) => break true,
                // Where the disk fails nobody knows what it has of them.
                Err(error @ SpoolError::Io { .. }) => return Err(error),
                // What stands before the damage is good and goes first.
                Err(_) if batch.end.sequence > self.at.sequence => break false,
                Err(error) => return Err(error),
            }
        };
        self.at = batch.end;
        Ok(batch)
    }

    /// Goes to the next readable record after damage, and says what was lost. An operator decides on this, not code.
    ///
    /// Where there is none yet, it goes to the segment that the next one will be in; where that does not exist either, it
    /// stays: the next start of the writer begins one.
    pub fn skip_damage(&mut self) -> Result<Damage, SpoolError> {
        let from = self.at;
        let to = self.behind_damage(from)?;
        (self.open, self.at) = (None, to);
        Ok(Damage { from, to, lost_records: to.sequence.saturating_sub(from.sequence) })
    }

    fn behind_damage(&self, from: Position) -> Result<Position, SpoolError> {
        let segments = segment::list(&self.lane_dir)?;
        for number in segments.iter().map(|one| one.number).filter(|number| *number >= from.segment) {
            let mut bytes = segment::read(&self.lane_dir, number)?;
            if let Some(void) = void::read(&self.lane_dir, number)? {
                bytes.truncate(usize::try_from(void.byte_offset).unwrap_or(usize::MAX));
            }
            let start =
                if number == from.segment { usize::try_from(from.byte_offset).unwrap_or(usize::MAX) } else { 0 };
            let mut start = start.min(bytes.len());
            while let Some((offset, sequence)) = record::next_header(&bytes[start..], from.sequence) {
                start += offset;
                if let Found::Whole { .. } = record::find(&bytes[start..]) {
                    return Ok(Position { segment: number, byte_offset: start as u64, sequence });
                }
                start += 1;
            }
        }
        match segments.last() {
            Some(last) if last.number > from.segment => {
                let sequence = scan::scan(&self.lane_dir, &segments, segments.len() - 1)?.next;
                Ok(Position { segment: last.number, byte_offset: 0, sequence: sequence.max(from.sequence) })
            }
            _ => Ok(from),
        }
    }

    /// Lets go of the segments that lie wholly before the position, but for what is to be kept of them.
    pub fn remove_before(&self, position: Position, keep: Keep) -> Result<(), SpoolError> {
        keep::put_aside(&self.lane_dir, position, keep)
    }

    fn read_segment(&mut self, batch: &mut Batch, max_records: usize, room: &mut usize) -> Result<More, SpoolError> {
        let Batch { records, end: at, void: voids, .. } = batch;
        if records.len() >= max_records || (*room == 0 && !records.is_empty()) {
            return Ok(More::Later);
        }
        // Asked before reading: a segment that has a successor, or whose end does not count, gets no more records.
        let void = void::read(&self.lane_dir, at.segment)?;
        let closed = void.is_some() || segment::exists(&self.lane_dir, at.segment + 1);
        let path = segment::file(&self.lane_dir, at.segment);
        let Some(file) = self.file(at.segment)? else {
            let nothing_yet = *at == Position { segment: at.segment, byte_offset: 0, sequence: at.sequence };
            return if nothing_yet && !closed && !self.has_later(at.segment)? {
                Ok(More::No)
            } else {
                Err(missing(*at))
            };
        };
        let mut leave = |at: &mut Position, Void { past, .. }: Void| {
            if past > at.sequence {
                voids.push((at.sequence, past));
                at.sequence = past;
            }
            Ok(More::Segment)
        };
        if let Some(void) = void.filter(|void| at.byte_offset >= void.byte_offset) {
            return leave(at, void);
        }
        let length = file.metadata().map_err(SpoolError::io(&path))?.len();
        if length < at.byte_offset {
            return Err(missing(*at));
        }
        let good = void.map_or(length, |void| void.byte_offset.min(length));
        let wanted = (*room).clamp(HEADER_BYTES + MAX_PAYLOAD_BYTES, 64 << 20) as u64;
        let start = at.byte_offset;
        let bytes = Bytes::from(read_at(file, start, wanted.min(good - start)).map_err(SpoolError::io(&path))?);
        let mut rest = &bytes[..];
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
                Found::Whole { sequence, payload, bytes: long } => {
                    records.push(Record { sequence, payload: bytes.slice_ref(payload), at: *at });
                    *room = room.saturating_sub(long);
                    at.byte_offset += long as u64;
                    at.sequence += 1;
                    rest = &rest[long..];
                }
                // Also where it grew since it was measured.
                Found::Partial if at.byte_offset + (rest.len() as u64) < good => break Ok(More::Later),
                Found::Partial if rest.is_empty() && closed => break Ok(More::Segment),
                Found::Partial if closed => break Err(damaged("the segment ends within a record")),
                Found::Partial => break Ok(More::No),
                // Its writer cuts that off when it opens the lane.
                Found::Damaged(_) if !closed && is_unwritten(rest) => break Ok(More::No),
                Found::Damaged(what) => break Err(damaged(what)),
            }
        };
        let (segment, end) = (at.segment, at.byte_offset);
        let found = match (found, void) {
            (Ok(More::Segment), Some(void)) if end == void.byte_offset => leave(at, void),
            (found, _) => found,
        };
        if records.len() > taken_before {
            let taken = usize::try_from(end - start).unwrap_or(bytes.len());
            self.make_durable(segment, start, bytes.get(..taken).unwrap_or(&bytes))?;
        }
        found
    }

    /// Returns once the disk has these bytes of the segment, which were read there.
    ///
    /// A sync that failed tells it once; the next one may succeed although the disk has nothing. So after a failure the same
    /// bytes are written to their place again, which makes the system keep them anew.
    fn make_durable(&mut self, number: u64, start: u64, bytes: &[u8]) -> Result<(), SpoolError> {
        let path = segment::file(&self.lane_dir, number);
        let doubtful = self.doubtful.filter(|(segment, until)| *segment == number && start < *until);
        let synced = match doubtful {
            None => match &self.open {
                Some((open, file)) if *open == number => disk::sync_data(file),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            Some(_) => {
                let mut names =
                    [segment::file(&self.lane_dir, number), segment::kept_file(&self.lane_dir, number)].into_iter();
                let again = names.find_map(|name| OpenOptions::new().write(true).open(name).ok());
                again.ok_or(io::ErrorKind::NotFound.into()).and_then(|again| {
                    again.write_all_at(bytes, start)?;
                    disk::sync_data(&again)
                })
            }
        };
        match synced {
            Ok(()) => {
                if doubtful.is_some_and(|(_, until)| start + bytes.len() as u64 >= until) {
                    self.doubtful = None;
                }
                Ok(())
            }
            Err(error) => {
                let length =
                    self.open.as_ref().and_then(|(_, file)| file.metadata().ok()).map(|metadata| metadata.len());
                self.doubtful = Some((number, length.unwrap_or(u64::MAX).max(doubtful.map_or(0, |(_, until)| until))));
                Err(SpoolError::io(path)(error))
            }
        }
    }

    /// The open segment; its name is durable by then.
    fn file(&mut self, number: u64) -> Result<Option<&File>, SpoolError> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            self.open = None;
            if let Some(file) = segment::open(&self.lane_dir, number)? {
                sync_dir(&self.lane_dir).map_err(SpoolError::io(&self.lane_dir))?;
                self.open = Some((number, file));
            }
        }
        Ok(self.open.as_ref().map(|(_, file)| file))
    }

    fn has_later(&self, number: u64) -> Result<bool, SpoolError> {
        if !self.lane_dir.exists() {
            return Ok(false);
        }
        Ok(segment::list(&self.lane_dir)?.iter().any(|later| later.number > number))
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
    // Grown by doubling, a segment of megabytes would be copied, and pages cleared for it, several times.
    let there = file.metadata()?.len().saturating_sub(offset).min(max);
    let mut bytes = Vec::with_capacity(usize::try_from(there).unwrap_or(0));
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
