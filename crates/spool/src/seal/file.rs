//! The files that hold seals.

use super::{BadSeal, SEAL_BYTES, Seal};
use crate::SpoolError;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The seals of a segment.
pub(crate) fn path(lane_dir: &Path, segment: u64) -> PathBuf {
    lane_dir.join(format!("{segment:020}.seal"))
}

/// What a file of seals holds.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub seals: Vec<Result<Seal, BadSeal>>,
    /// Bytes behind them: the beginning of one.
    pub torn: usize,
}

/// The seals of a segment, none where it has no such file.
pub(crate) fn entries(lane_dir: &Path, segment: u64) -> Result<Entries, SpoolError> {
    let path = path(lane_dir, segment);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entries::default()),
        Err(error) => return Err(SpoolError::io(path)(error)),
    };
    let (seals, torn) = bytes.as_chunks::<SEAL_BYTES>();
    Ok(Entries { seals: seals.iter().map(Seal::from_bytes).collect(), torn: torn.len() })
}

/// The segments that have seals, in order.
pub(crate) fn numbers(lane_dir: &Path) -> Result<Vec<u64>, SpoolError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(lane_dir).map_err(SpoolError::io(lane_dir))? {
        let name = entry.map_err(SpoolError::io(lane_dir))?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".seal")).and_then(|name| name.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The lane's last seal that can be read.
pub(crate) fn last(lane_dir: &Path) -> Result<Option<Seal>, SpoolError> {
    for number in numbers(lane_dir)?.into_iter().rev() {
        let last = entries(lane_dir, number)?.seals.into_iter().rev().find_map(Result::ok);
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// Appends the seals, behind whole ones: what an earlier try has left of one is cut off. Where it fails nothing is appended, so
/// that trying again appends none twice.
pub(super) fn append(lane_dir: &Path, segment: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path(lane_dir, segment))?;
    let length = file.metadata()?.len();
    let torn = length % SEAL_BYTES as u64;
    if torn > 0 {
        file.set_len(length - torn)?;
    }
    file.write_all(bytes).inspect_err(|_| {
        let _ = file.set_len(length - torn);
    })
}
