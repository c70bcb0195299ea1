//! Appending: one writer per lane, one `write()` per record, or for all that were gathered since the last.

use crate::{
    Position, SpoolError, disk,
    home::hold,
    record::{self, HEADER_BYTES, MAX_PAYLOAD_BYTES},
    scan::{self, Tail},
    seal::{self, Chain, Seal, Sealing},
    segment,
    void::{self, Void},
};
use std::{
    fs::{self, File, OpenOptions},
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
    /// Bytes behind the last record that were cut off: a record that was never whole, or room that was never written.
    pub cut_bytes: u64,
    /// Damage was found in the last segment and left as it is for the reader to report; new records go to a new segment.
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
    left: Left,
    /// The segment's name may not survive the loss of power yet.
    unnamed: bool,
    /// The next segment could not be opened, so this one grows beyond its size.
    outgrown: bool,
    /// The segment before this one was closed without a record in it.
    behind_empty: bool,
    recovery: Recovery,
    /// Records that are gathered and not written, as bytes, and how many they are.
    gathered: Vec<u8>,
    gathered_records: u64,
    chain: Option<Chain>,
    _lock: File,
}

/// What a failed append left behind, to be dealt with before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Less than a record, which no reader can have taken for one.
    Torn,
    /// Records whose append failed, and which a reader may have seen. `past` is the first number that none of them has.
    Doubtful {
        past: u64,
    },
}

/// What stays allocated for records that are gathered, in bytes.
const KEPT_BYTES: usize = 256 << 10;

/// On a full disk a segment of this size is closed, so that it can be let go once it was taken in, in bytes.
const SMALL_BYTES: u64 = 64 << 10;

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
            left: Left::Nothing,
            unnamed: false,
            outgrown: false,
            behind_empty: false,
            recovery,
            gathered: Vec::new(),
            gathered_records: 0,
            chain: None,
            _lock: lock,
        };
        disk::keep_spare(&writer.lane_dir);
        writer.count()?;
        Ok(writer)
    }

    /// The same, and seals the lane: what an earlier writer has not sealed at once, what this one writes from time to time.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_sealed(dir: &Path, lane: u32, options: Options, sealing: Sealing) -> Result<Self, SpoolError> {
        let mut writer = Self::open(dir, lane, options)?;
        writer.chain = Some(Chain::resume(&writer.lane_dir, lane, sealing, writer.end)?);
        Ok(writer)
    }

    /// Seals what was written, where there is enough of it or it has waited long enough. To be called each second or so;
    /// failing costs nothing but another try.
    pub fn seal_if_due(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.seal_if_due(self.end);
        }
    }

    /// Seals all that was written: nothing more will come for now.
    pub fn seal(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.seal(self.end);
        }
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
        let next = match self.left {
            Left::Doubtful { past } => past,
            Left::Nothing | Left::Torn => self.end.sequence,
        };
        record::put(next + self.gathered_records, payload, &mut self.gathered);
        self.gathered_records += 1;
        Ok(())
    }

    /// Appends all that was gathered by one `write()`, in that order, and returns the place after the last.
    ///
    /// # Errors
    /// The writer can be used again. None of the gathered records counts, and they are gathered no more: what of them is in the
    /// file is marked as void before anything else is written, and their numbers are not given again.
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
            self.roll();
        }
        if self.unnamed && self.options.durability == Durability::Host {
            self.folder.sync_all().map_err(SpoolError::io(&self.lane_dir))?;
            self.unnamed = false;
        }
        let past = self.end.sequence + self.gathered_records;
        let written = disk::append(&self.file, &self.gathered).map_err(|error| (self.left_by_write(past), error));
        let written = written.and_then(|()| match self.options.durability {
            Durability::Process => Ok(()),
            // Asked again, the system would say that all is well, without having the records: see `disk`.
            Durability::Host => disk::sync_data(&self.file).map_err(|error| (Left::Doubtful { past }, error)),
        });
        let Err((left, error)) = written else {
            if let Some(chain) = &mut self.chain {
                chain.add(&self.gathered);
            }
            self.end.byte_offset += self.gathered.len() as u64;
            self.end.sequence = past;
            self.behind_empty = false;
            return Ok(());
        };
        let failure = SpoolError::io(segment::file(&self.lane_dir, self.end.segment))(error);
        self.left = left;
        // Now or before the next append, whichever works first.
        let is_clean = self.clean().is_ok();
        // What stands in an open segment keeps its room even when it was taken in: a disk that is full of open segments would
        // stay full.
        if is_clean && disk::is_full(&failure) {
            match self.end.byte_offset {
                0 if self.elsewhere > 0 && !self.behind_empty => self.leave_empty(),
                SMALL_BYTES.. => self.roll(),
                _ => {}
            }
        }
        Err(failure)
    }

    /// As long as a segment is empty the one before it is needed, which has the number of the next record. Where that one fills the
    /// disk there is never room for a first record: so the empty one gets a mark, which knows the number too, and takes no room
    /// that was not kept for it.
    fn leave_empty(&mut self) {
        self.left = Left::Doubtful { past: self.end.sequence };
        self.behind_empty = true;
        let _ = self.clean();
    }

    /// What a write left that was cut short: a group may have lost its end only.
    fn left_by_write(&self, past: u64) -> Left {
        let visible = self.file.metadata().map(|metadata| metadata.len().saturating_sub(self.end.byte_offset));
        let first = record::header(&self.gathered).map_or(0, |(length, _)| (HEADER_BYTES + length) as u64);
        if visible.is_ok_and(|visible| visible < first) { Left::Torn } else { Left::Doubtful { past } }
    }

    fn clean(&mut self) -> Result<(), SpoolError> {
        match self.left {
            Left::Nothing => {}
            Left::Torn => {
                let path = segment::file(&self.lane_dir, self.end.segment);
                self.file.set_len(self.end.byte_offset).map_err(SpoolError::io(path))?;
            }
            Left::Doubtful { past } => {
                let Position { segment, byte_offset, sequence } = self.end;
                let void = Void { byte_offset, first: sequence, past };
                if let Err(error) = void::write(&self.lane_dir, segment, void) {
                    if !disk::is_full(&error) || !disk::use_spare(&self.lane_dir) {
                        return Err(error);
                    }
                    void::write(&self.lane_dir, segment, void)?;
                }
                let file = open_segment(&self.lane_dir, segment + 1)?;
                self.go_on_in(file, past);
                if past > sequence {
                    tracing::error!(
                        segment = %segment::file(&self.lane_dir, segment).display(),
                        records = past - sequence,
                        "records could not be written safely: their calls were refused, and the usage log goes on in a new segment"
                    );
                }
            }
        }
        self.left = Left::Nothing;
        Ok(())
    }

    /// The next record will be that one, the first of the next segment.
    fn go_on_in(&mut self, file: File, sequence: u64) {
        self.seal();
        self.file = file;
        self.outgrown = false;
        self.elsewhere += self.end.byte_offset;
        self.end = Position { segment: self.end.segment + 1, byte_offset: 0, sequence };
        if let Some(chain) = &mut self.chain {
            chain.begin(self.end);
        }
        self.unnamed = true;
        disk::keep_spare(&self.lane_dir);
        // Without a count what was known before still bounds the lane.
        let _ = self.count();
    }

    /// Goes on in a new segment. Where none can be opened, for want of descriptors above all, this one simply grows: usage is
    /// the last thing to suffer from that.
    fn roll(&mut self) {
        match open_segment(&self.lane_dir, self.end.segment + 1) {
            Ok(file) => self.go_on_in(file, self.end.sequence),
            Err(error) => {
                if !std::mem::replace(&mut self.outgrown, true) {
                    tracing::warn!(%error, "the next segment cannot be opened; the last one grows until it can");
                }
            }
        }
    }

    fn count(&mut self) -> Result<(), SpoolError> {
        let segments = segment::list(&self.lane_dir)?;
        // Those that were taken in make way, so they do not count.
        let others = segments.iter().filter(|other| other.number != self.end.segment && !other.kept);
        self.elsewhere = others.map(|other| other.bytes).sum();
        self.counted_at = Instant::now();
        Ok(())
    }
}

fn open_segment(lane_dir: &Path, number: u64) -> Result<File, SpoolError> {
    let path = segment::file(lane_dir, number);
    OpenOptions::new().create(true).append(true).open(&path).map_err(SpoolError::io(&path))
}

/// Finds the end of the lane, and cuts off what was never whole. The sequence continues even where the last segment is empty.
fn recover(lane_dir: &Path) -> Result<(Position, Recovery), SpoolError> {
    let segments = segment::list(lane_dir)?;
    let sealed = seal::last(lane_dir)?;
    let Some(last) = segments.last() else {
        let Some(sealed) = sealed else { return Ok((Position::default(), Recovery::default())) };
        return Ok(behind_lost(lane_dir, sealed, Position { segment: sealed.segment, ..Position::default() }));
    };
    let found = scan::scan(lane_dir, &segments, segments.len() - 1)?;
    let here = Position { segment: last.number, byte_offset: found.good, sequence: found.next };
    let next = Position { segment: last.number + 1, byte_offset: 0, sequence: found.next };
    let path = segment::file(lane_dir, last.number);
    // A seal has seen more than there is.
    if let Some(sealed) = sealed.filter(|sealed| (sealed.segment, sealed.to_byte) > (last.number, found.good))
        && found.tail != Tail::Damaged
    {
        return Ok(behind_lost(lane_dir, sealed, here));
    }
    match found.tail {
        Tail::Nothing if !last.kept => Ok((here, Recovery::default())),
        Tail::Nothing | Tail::Void => Ok((next, Recovery::default())),
        Tail::Damaged => {
            tracing::error!(segment = %path.display(), "the segment is damaged; its reader will stop there and say where");
            let sequence = found.next.max(sealed.map_or(0, |sealed| sealed.past));
            Ok((Position { sequence, ..next }, Recovery { cut_bytes: 0, damaged: true }))
        }
        Tail::Torn(cut_bytes) => {
            tracing::warn!(segment = %path.display(), cut_bytes, "cut off what was never a whole record");
            let file = OpenOptions::new().write(true).open(&path).map_err(SpoolError::io(&path))?;
            file.set_len(found.good).and_then(|()| file.sync_all()).map_err(SpoolError::io(&path))?;
            Ok((here, Recovery { cut_bytes, damaged: false }))
        }
    }
}

/// Goes on behind records that were sealed and are not there any more: their numbers are not given again.
fn behind_lost(lane_dir: &Path, sealed: Seal, end: Position) -> (Position, Recovery) {
    tracing::error!(
        lane = %lane_dir.display(),
        segment = end.segment,
        records = sealed.past.saturating_sub(end.sequence),
        "records that were sealed are gone from the end of the usage log"
    );
    let sequence = end.sequence.max(sealed.past);
    (Position { segment: end.segment + 1, byte_offset: 0, sequence }, Recovery { cut_bytes: 0, damaged: true })
}

#[cfg(test)]
mod tests;
