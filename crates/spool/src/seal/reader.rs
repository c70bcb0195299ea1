//! Seals on their way to Postgres.

use super::{SEAL_BYTES, Seal, file};
use crate::{SpoolError, segment};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Reads the seals of a lane while its writer adds to them.
#[derive(Debug)]
pub struct SealReader {
    lane_dir: PathBuf,
    /// The last record of the seals before is before this one.
    behind: u64,
    /// Where the next seal stands: the segment, and the byte in its file of seals.
    at: (u64, u64),
}

impl SealReader {
    /// Begins behind the seal of which that is the first record that it does not seal.
    pub fn open(dir: &Path, lane: u32, behind: u64) -> Self {
        Self { lane_dir: segment::lane_dir(dir, lane), behind, at: (0, 0) }
    }

    /// The next seals, at most so many, that seal nothing behind record number `stored`. What is returned is on the disk itself.
    ///
    /// One that is damaged is left out; [`crate::verify`] finds it.
    pub fn next(&mut self, stored: u64, most: usize) -> Result<Vec<Seal>, SpoolError> {
        let mut seals = Vec::new();
        let (mut at, mut behind) = (self.at, self.behind);
        let numbers = match file::numbers(&self.lane_dir) {
            Err(SpoolError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(seals),
            numbers => numbers?,
        };
        let begins = at.0;
        'files: for number in numbers.into_iter().filter(|number| *number >= begins) {
            if number > at.0 {
                at = (number, 0);
            }
            let path = file::path(&self.lane_dir, number);
            let failed = |error| SpoolError::io(&path)(error);
            let mut file = File::open(&path).map_err(failed)?;
            file.seek(SeekFrom::Start(at.1)).map_err(failed)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            let before = seals.len();
            for entry in bytes.as_chunks::<SEAL_BYTES>().0 {
                let seal = Seal::from_bytes(entry);
                if seals.len() >= most || seal.is_ok_and(|seal| seal.past > stored) {
                    make_durable(&file, seals.len() > before).map_err(failed)?;
                    break 'files;
                }
                at.1 += SEAL_BYTES as u64;
                match seal {
                    Ok(seal) if seal.past > behind => {
                        behind = seal.past;
                        seals.push(seal);
                    }
                    Ok(_) => {}
                    Err(error) => tracing::error!(path = %path.display(), byte = at.1, %error, "a seal is left out"),
                }
            }
            make_durable(&file, seals.len() > before).map_err(failed)?;
        }
        (self.at, self.behind) = (at, behind);
        Ok(seals)
    }
}

fn make_durable(file: &File, needed: bool) -> io::Result<()> {
    if needed { file.sync_data() } else { Ok(()) }
}
