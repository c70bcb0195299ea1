//! Appending: one writer per lane, one `write()` per record, or for all that were gathered since the last.

use crate::{
    Position, SpoolError,
    home::hold,
    record::{self, Found, HEADER_BYTES, MAX_PAYLOAD_BYTES},
    segment,
};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a record that was taken survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The end of the process, `kill -9` included: the bytes are in the kernel's page cache.
    #[default]
    Process,
    /// The loss of power too: each append is followed by `fdatasync`.
    Host,
}

/// How a lane is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub durability: Durability,
    /// A segment that has reached this size is closed, in bytes; at most a quarter of `max_bytes`, so that a full lane
    /// always has something to remove.
    pub segment_bytes: u64,
    /// All segments of the lane together, in bytes; one more record is [`SpoolError::Full`].
    pub max_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::Process, segment_bytes: 16 << 20, max_bytes: 1 << 30 }
    }
}

/// What opening a lane found after the last process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Bytes of a record that was never whole, which were cut off.
    pub cut_bytes: u64,
    /// Damage was found in the last segment and left as it is for the reader to report.
    pub damaged: bool,
}

/// The only writer of a lane.
#[derive(Debug)]
pub struct Writer {
    lane_dir: PathBuf,
    /// The lane's folder, held open so that making its names durable needs no descriptor.
    folder: File,
    options: Options,
    file: File,
    end: Position,
    /// Bytes of the other segments, at the last count.
    elsewhere: u64,
    counted_at: Instant,
    /// A failed append left bytes behind that have to go before the next.
    dirty: bool,
    /// The next segment could not be opened, so this one grows beyond its size.
    outgrown: bool,
    recovery: Recovery,
    /// Records that are gathered and not written, as bytes, and how many they are.
    gathered: Vec<u8>,
    gathered_records: u64,
    _lock: File,
}

/// What stays allocated for records that are gathered, in bytes.
const KEPT_BYTES: usize = 256 << 10;

/// Counting the folder again is worth it only this often while the lane is full.
const RECOUNT_EVERY: Duration = Duration::from_millis(100);

impl Writer {
    /// Opens the lane, creating it where needed: reads its last segment, cuts off a torn end, continues the sequence.
    ///
    /// # Errors
    /// [`SpoolError::InUse`] if the lane has a writer already.
    pub fn open(dir: &Path, lane: u32, options: Options) -> Result<Self, SpoolError> {
        let options = Options { segment_bytes: options.segment_bytes.min(options.max_bytes / 4), ..options };
        let lane_dir = segment::lane_dir(dir, lane);
        fs::create_dir_all(&lane_dir).map_err(SpoolError::io(&lane_dir))?;
        let lock = hold(&lane_dir.join("lock"))?;
        let (end, recovery) = recover(&lane_dir)?;
        let folder = File::open(&lane_dir).map_err(SpoolError::io(&lane_dir))?;
        let file = open_segment(&lane_dir, end.segment)?;
        folder.sync_all().map_err(SpoolError::io(&lane_dir))?;
        let mut writer = Self {
            lane_dir,
            folder,
            options,
            file,
            end,
            elsewhere: 0,
            counted_at: Instant::now(),
            dirty: false,
            outgrown: false,
            recovery,
            gathered: Vec::new(),
            gathered_records: 0,
            _lock: lock,
        };
        writer.count()?;
        Ok(writer)
    }

    /// What opening found.
    pub const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The place after the last record.
    pub const fn end(&self) -> Position {
        self.end
    }

    /// Bytes of all segments together, at the last count.
    pub const fn used_bytes(&self) -> u64 {
        self.elsewhere + self.end.byte_offset
    }

    /// Whether that many more bytes fit. It counts the folder again when they do not, as the shipper removes segments.
    pub fn has_room(&mut self, bytes: u64) -> bool {
        let fits = |writer: &Self| writer.used_bytes().saturating_add(bytes) <= writer.options.max_bytes;
        if fits(self) {
            return true;
        }
        self.counted_at.elapsed() >= RECOUNT_EVERY && self.count().is_ok() && fits(self)
    }

    /// Counts the folder again and says what it holds, in bytes.
    pub fn recount(&mut self) -> Result<u64, SpoolError> {
        self.count()?;
        Ok(self.used_bytes())
    }

    /// Appends one record, behind all that are gathered, and returns the place after it.
    ///
    /// # Errors
    /// As [`Self::gather`] and [`Self::flush`].
    pub fn append(&mut self, payload: &[u8]) -> Result<Position, SpoolError> {
        self.gather(payload)?;
        self.flush()
    }

    /// Takes one record into memory. It is in the log after the next [`Self::flush`], and nowhere before.
    ///
    /// # Errors
    /// The record is not taken; those gathered before it are.
    pub fn gather(&mut self, payload: &[u8]) -> Result<(), SpoolError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(SpoolError::TooLarge { bytes: payload.len() });
        }
        if !self.has_room((self.gathered.len() + HEADER_BYTES + payload.len()) as u64) {
            return Err(SpoolError::Full { used: self.used_bytes(), max: self.options.max_bytes });
        }
        record::put(self.end.sequence + self.gathered_records, payload, &mut self.gathered);
        self.gathered_records += 1;
        Ok(())
    }

    /// Appends all that was gathered by one `write()`, in that order, and returns the place after the last.
    ///
    /// # Errors
    /// The writer can be used again. None of the gathered records is in the log, except where only its `fdatasync` failed;
    /// either way they are gathered no more.
    pub fn flush(&mut self) -> Result<Position, SpoolError> {
        if self.gathered_records == 0 {
            return Ok(self.end);
        }
        let written = self.write();
        self.gathered.clear();
        self.gathered.shrink_to(KEPT_BYTES);
        self.gathered_records = 0;
        written.map(|()| self.end)
    }

    fn write(&mut self) -> Result<(), SpoolError> {
        self.clean()?;
        if self.end.byte_offset >= self.options.segment_bytes {
            self.roll()?;
        }
        if let Err(error) = self.file.write_all(&self.gathered) {
            let error = SpoolError::io(segment::file(&self.lane_dir, self.end.segment))(error);
            self.dirty = true;
            // Now or before the next append, whichever works first.
            let _ = self.clean();
            return Err(error);
        }
        self.end.byte_offset += self.gathered.len() as u64;
        self.end.sequence += self.gathered_records;
        if self.options.durability == Durability::Host {
            // The records stay where this fails: a reader may have seen them.
            self.file.sync_data().map_err(SpoolError::io(segment::file(&self.lane_dir, self.end.segment)))?;
        }
        Ok(())
    }

    fn clean(&mut self) -> Result<(), SpoolError> {
        if self.dirty {
            let path = segment::file(&self.lane_dir, self.end.segment);
            self.file.set_len(self.end.byte_offset).map_err(SpoolError::io(path))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Goes on in a new segment. Where none can be opened, for want of descriptors above all, this one simply grows: usage is
    /// the last thing to suffer from that.
    fn roll(&mut self) -> Result<(), SpoolError> {
        let path = segment::file(&self.lane_dir, self.end.segment);
        if self.options.durability == Durability::Host {
            self.file.sync_all().map_err(SpoolError::io(path))?;
        }
        match open_segment(&self.lane_dir, self.end.segment + 1) {
            Ok(file) => self.file = file,
            Err(error) => {
                if !std::mem::replace(&mut self.outgrown, true) {
                    tracing::warn!(%error, "the next segment cannot be opened; the last one grows until it can");
                }
                return Ok(());
            }
        }
        self.outgrown = false;
        self.elsewhere += self.end.byte_offset;
        self.end.segment += 1;
        self.end.byte_offset = 0;
        self.folder.sync_all().map_err(SpoolError::io(&self.lane_dir))?;
        // Without a count what was known before still bounds the lane.
        let _ = self.count();
        Ok(())
    }

    fn count(&mut self) -> Result<(), SpoolError> {
        let segments = segment::list(&self.lane_dir)?;
        let others = segments.iter().filter(|(number, _)| *number != self.end.segment);
        self.elsewhere = others.map(|(_, bytes)| bytes).sum();
        self.counted_at = Instant::now();
        Ok(())
    }
}

fn open_segment(lane_dir: &Path, number: u64) -> Result<File, SpoolError> {
    let path = segment::file(lane_dir, number);
    OpenOptions::new().create(true).append(true).open(&path).map_err(SpoolError::io(&path))
}

/// Finds the end of the lane. The sequence continues even where the last segment is still empty.
fn recover(lane_dir: &Path) -> Result<(Position, Recovery), SpoolError> {
    let segments = segment::list(lane_dir)?;
    let Some(&(last, _)) = segments.last() else { return Ok((Position::default(), Recovery::default())) };
    let (mut end, recovery) = recover_segment(lane_dir, last)?;
    if end.byte_offset == 0 && segments.len() > 1 {
        // Nothing was written since it was opened: its predecessor knows the sequence.
        let previous = segments[segments.len() - 2].0;
        end.sequence = recover_segment(lane_dir, previous)?.0.sequence;
        return Ok((end, recovery));
    }
    if recovery.damaged {
        // The damage stays for the reader to report; new records go to a new segment.
        return Ok((Position { segment: end.segment + 1, byte_offset: 0, ..end }, recovery));
    }
    Ok((end, recovery))
}

fn recover_segment(lane_dir: &Path, number: u64) -> Result<(Position, Recovery), SpoolError> {
    let path = segment::file(lane_dir, number);
    let bytes = fs::read(&path).map_err(SpoolError::io(&path))?;
    let mut end = Position { segment: number, byte_offset: 0, sequence: 0 };
    let mut rest = bytes.as_slice();
    let mut damaged = false;
    loop {
        match record::find(rest) {
            Found::Whole { sequence, bytes, .. } => {
                end.sequence = sequence + 1;
                end.byte_offset += bytes as u64;
                rest = &rest[bytes..];
            }
            Found::Partial if !damaged => break,
            // Whole records after bytes that are none: this is damage and not the end of the log.
            Found::Partial | Found::Damaged(_) => match record::next_header(&rest[1.min(rest.len())..], end.sequence) {
                Some((offset, _)) => {
                    damaged = true;
                    end.byte_offset += offset as u64 + 1;
                    rest = &rest[offset + 1..];
                }
                None => break,
            },
        }
    }
    if damaged {
        tracing::error!(segment = %path.display(), "the segment is damaged; its reader will stop there and say where");
        return Ok((end, Recovery { cut_bytes: 0, damaged }));
    }
    let cut_bytes = rest.len() as u64;
    if cut_bytes > 0 {
        tracing::warn!(segment = %path.display(), cut_bytes, "cut off a record that was never whole");
        let file = OpenOptions::new().write(true).open(&path).map_err(SpoolError::io(&path))?;
        file.set_len(end.byte_offset).and_then(|()| file.sync_all()).map_err(SpoolError::io(&path))?;
    }
    Ok((end, Recovery { cut_bytes, damaged }))
}
