//! Numbers that were given to records of which nobody knows whether the disk has them: their calls were refused.
//!
//! `<segment>.void` beside a segment says from which byte on its records do not count, and which numbers they have. The
//! segment is closed with it, and no number is given a second time.

use crate::{SpoolError, disk, home::sync_dir};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The end of a segment that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Void {
    /// Where the last record ends that does.
    pub byte_offset: u64,
    /// The first number, and the first that is given again.
    pub first: u64,
    pub past: u64,
}

impl Void {
    /// With the one before, where no number lies between them: no record that counts does then.
    pub(crate) fn behind(self, before: Option<Self>) -> Self {
        let first = before.filter(|before| before.past == self.first).map_or(self.first, |before| before.first);
        Self { first, ..self }
    }
}

pub(crate) fn file(lane_dir: &Path, segment: u64) -> PathBuf {
    lane_dir.join(format!("{segment:020}.void"))
}

/// Says it so that it survives the loss of power.
pub(crate) fn write(lane_dir: &Path, segment: u64, void: Void) -> Result<(), SpoolError> {
    let path = file(lane_dir, segment);
    let aside = path.with_extension("void.new");
    let text = text(void);
    let written = File::create(&aside).and_then(|file| {
        disk::append(&file, text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&aside, &path)).and_then(|()| sync_dir(lane_dir)).map_err(SpoolError::io(path))
}

/// What is said of the segment, if anything. A mark that is damaged itself says nothing: then the segment is read as it is, and
/// what it lost is told as damage.
pub(crate) fn read(lane_dir: &Path, segment: u64) -> Result<Option<Void>, SpoolError> {
    let path = file(lane_dir, segment);
    let found = match fs::read_to_string(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SpoolError::io(path)(error)),
    };
    let mut numbers = found.split_ascii_whitespace().map(str::parse::<u64>);
    let void = match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(byte_offset)), Some(Ok(first)), Some(Ok(past))) => Some(Void { byte_offset, first, past }),
        _ => None,
    };
    let void = void.filter(|void| text(*void) == found);
    if void.is_none() {
        tracing::error!(mark = %path.display(), "the mark is damaged; records whose calls were refused may be billed");
    }
    Ok(void)
}

fn text(Void { byte_offset, first, past }: Void) -> String {
    let numbers = format!("{byte_offset} {first} {past}");
    let checksum = crc32fast::hash(numbers.as_bytes());
    format!("{numbers} {checksum}\n")
}
