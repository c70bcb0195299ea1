//! Segment files: their names, and which of them a lane has.

use crate::SpoolError;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of a lane.
pub(crate) fn lane_dir(dir: &Path, lane: u32) -> PathBuf {
    dir.join(lane.to_string())
}

/// The file of a segment; names sort as numbers do.
pub(crate) fn file(lane_dir: &Path, segment: u64) -> PathBuf {
    lane_dir.join(format!("{segment:020}.log"))
}

/// The lane's segments in order, each with its size in bytes.
pub(crate) fn list(lane_dir: &Path) -> Result<Vec<(u64, u64)>, SpoolError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(lane_dir).map_err(SpoolError::io(lane_dir))? {
        let entry = entry.map_err(SpoolError::io(lane_dir))?;
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|n| n.parse().ok()) else {
            continue;
        };
        // The shipper may have removed it since the folder was read.
        if let Ok(metadata) = entry.metadata() {
            segments.push((number, metadata.len()));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}
