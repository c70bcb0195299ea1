//! Segment files: their names, and which of them a lane has.
//!
//! `<segment>.log` waits to be taken in, or is written to. `<segment>.kept` was taken in and stays a while, see [`crate::Keep`].

use crate::SpoolError;
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// One segment of a lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub number: u64,
    pub bytes: u64,
    /// It was taken in.
    pub kept: bool,
    /// When it was last written to, or taken in.
    pub changed: Option<SystemTime>,
}

/// The folder of a lane.
pub(crate) fn lane_dir(dir: &Path, lane: u32) -> PathBuf {
    dir.join(lane.to_string())
}

/// The file of a segment that waits; names sort as numbers do.
pub(crate) fn file(lane_dir: &Path, segment: u64) -> PathBuf {
    lane_dir.join(format!("{segment:020}.log"))
}

/// The file of a segment that was taken in.
pub(crate) fn kept_file(lane_dir: &Path, segment: u64) -> PathBuf {
    lane_dir.join(format!("{segment:020}.kept"))
}

/// Opens the segment for reading, under whichever name it has.
pub(crate) fn open(lane_dir: &Path, segment: u64) -> Result<Option<File>, SpoolError> {
    for path in [file(lane_dir, segment), kept_file(lane_dir, segment)] {
        match File::open(&path) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(SpoolError::io(path)(error)),
        }
    }
    Ok(None)
}

/// All bytes of the segment; none where it is not there.
pub(crate) fn read(lane_dir: &Path, segment: u64) -> Result<Vec<u8>, SpoolError> {
    let mut bytes = Vec::new();
    if let Some(mut file) = open(lane_dir, segment)? {
        file.read_to_end(&mut bytes).map_err(SpoolError::io(self::file(lane_dir, segment)))?;
    }
    Ok(bytes)
}

/// Whether the lane has the segment.
pub(crate) fn exists(lane_dir: &Path, segment: u64) -> bool {
    file(lane_dir, segment).exists() || kept_file(lane_dir, segment).exists()
}

/// The lane's segments in order.
pub(crate) fn list(lane_dir: &Path) -> Result<Vec<Segment>, SpoolError> {
    let mut segments: Vec<Segment> = Vec::new();
    for entry in fs::read_dir(lane_dir).map_err(SpoolError::io(lane_dir))? {
        let entry = entry.map_err(SpoolError::io(lane_dir))?;
        let name = entry.file_name();
        let Some((number, ending)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        let Ok(number) = number.parse() else { continue };
        let kept = ending == "kept";
        if !kept && ending != "log" {
            continue;
        }
        // It may have been renamed or removed since the folder was read.
        if let Ok(metadata) = entry.metadata() {
            segments.push(Segment { number, bytes: metadata.len(), kept, changed: metadata.modified().ok() });
        }
    }
    segments.sort_unstable_by_key(|segment| (segment.number, segment.kept));
    // Seen under both names, where it was renamed meanwhile.
    segments.dedup_by_key(|segment| segment.number);
    Ok(segments)
}
