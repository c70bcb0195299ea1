//! What can go wrong with a spool.

use std::{io, path::PathBuf};

/// Why the spool could not take or give records.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process holds the directory, or another writer the lane.
    #[error("{path} is in use by another process: two gateways cannot share a spool", path = .0.display())]
    InUse(PathBuf),
    /// The lane has reached its configured size; ingest has to catch up first.
    #[error("the spool is full: {used} of {max} bytes wait to be ingested")]
    Full { used: u64, max: u64 },
    /// The payload is larger than a record can be.
    #[error("a record of {bytes} bytes is too large")]
    TooLarge { bytes: usize },
    /// Bytes on the disk are not what was written. Reading stops here until somebody decides.
    #[error("damage in segment {segment} at byte {byte_offset} (record {sequence}): {what}")]
    Damaged { segment: u64, byte_offset: u64, sequence: u64, what: &'static str },
    /// The position names a segment that is not there while later ones are, or a place after the end.
    #[error("segment {segment} is missing or shorter than byte {byte_offset}")]
    Missing { segment: u64, byte_offset: u64 },
    #[error("{path}: {source}", path = .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl SpoolError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
