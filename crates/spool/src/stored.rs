//! A note beside a lane of where it stands in Postgres, for those who look at it while Postgres cannot be asked.
//!
//! It decides nothing: what is read next is what Postgres says. It is not synced, and after a crash it may be an older one.

use crate::{Position, SpoolError, segment};
use std::{fs, path::Path};

/// Notes it.
pub fn note_stored(dir: &Path, lane: u32, position: Position) -> Result<(), SpoolError> {
    let path = segment::lane_dir(dir, lane).join("stored");
    let aside = path.with_extension("new");
    let Position { segment, byte_offset, sequence } = position;
    let written = fs::write(&aside, format!("{segment} {byte_offset} {sequence} .\n"));
    written.and_then(|()| fs::rename(&aside, &path)).map_err(SpoolError::io(path))
}

/// What was noted last; else the beginning of the first segment that is not known to be taken in.
pub fn stored(dir: &Path, lane: u32) -> Result<Position, SpoolError> {
    let lane_dir = segment::lane_dir(dir, lane);
    let text = fs::read_to_string(lane_dir.join("stored")).unwrap_or_default();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let [segment, byte_offset, sequence, "."] = words.as_slice()
        && let (Ok(segment), Ok(byte_offset), Ok(sequence)) = (segment.parse(), byte_offset.parse(), sequence.parse())
    {
        return Ok(Position { segment, byte_offset, sequence });
    }
    let segments = segment::list(&lane_dir)?;
    let Some(first) = segments.iter().find(|segment| !segment.kept) else { return Ok(Position::default()) };
    let bytes = segment::read(&lane_dir, first.number)?;
    let sequence = crate::record::header(&bytes).map_or(0, |(_, sequence)| sequence);
    Ok(Position { segment: first.number, byte_offset: 0, sequence })
}
