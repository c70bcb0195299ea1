//! What is asked of the disk itself.

use crate::SpoolError;
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

/// What the last room of a full disk is kept for: a mark takes one block. Less where there is no more.
const SPARE_BYTES: [usize; 3] = [16 << 10, 8 << 10, 4 << 10];

/// Appends to the file.
pub(crate) fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    let bytes = faults::room_for(bytes);
    file.write_all(bytes)?;
    #[cfg(test)]
    faults::was_all()?;
    Ok(())
}

/// Whether it is for want of room that something was not written.
pub(crate) fn is_full(error: &SpoolError) -> bool {
    let SpoolError::Io { source, .. } = error else { return false };
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Keeps some room in that folder for when there is none; where there is none already, it waits for the next time.
pub(crate) fn keep_spare(folder: &Path) {
    let path = folder.join("spare");
    if path.exists() {
        return;
    }
    for bytes in SPARE_BYTES {
        // Not zeros, which some file systems give no room to.
        if File::create(&path).and_then(|file| append(&file, &vec![b'.'; bytes])).is_ok() {
            return;
        }
        let _ = fs::remove_file(&path);
    }
}

/// Gives that room up; whether there was any.
pub(crate) fn use_spare(folder: &Path) -> bool {
    fs::remove_file(folder.join("spare")).is_ok()
}

/// Waits until the file's bytes are on the disk.
///
/// After an error nobody knows which of them are, and asking again proves nothing: Linux tells it once, and lets go of the
/// pages.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    #[cfg(test)]
    faults::next()?;
    file.sync_data()
}

/// Makes the next syncs of this thread fail as those of a broken disk do: once, and then no more.
#[cfg(test)]
pub(crate) mod faults {
    use std::{cell::Cell, io};

    thread_local! {
        /// Syncs that go well, then syncs that fail.
        static NEXT: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
        /// Bytes that still fit on the disk, and whether the last did not.
        static ROOM: Cell<Option<usize>> = const { Cell::new(None) };
        static WAS_CUT: Cell<bool> = const { Cell::new(false) };
    }

    /// From here on only so many bytes fit.
    pub(crate) fn leave_room(bytes: Option<usize>) {
        ROOM.set(bytes);
    }

    pub(super) fn room_for(bytes: &[u8]) -> &[u8] {
        let fits = ROOM.get().map_or(bytes.len(), |room| room.min(bytes.len()));
        ROOM.set(ROOM.get().map(|room| room - fits));
        WAS_CUT.set(fits < bytes.len());
        &bytes[..fits]
    }

    pub(super) fn was_all() -> io::Result<()> {
        // ENOSPC.
        if WAS_CUT.get() { Err(io::Error::from_raw_os_error(28)) } else { Ok(()) }
    }

    pub(crate) fn fail(times: u32) {
        skip_and_fail(0, times);
    }

    pub(crate) fn skip_and_fail(skip: u32, times: u32) {
        NEXT.set((skip, times));
    }

    pub(super) fn next() -> io::Result<()> {
        match NEXT.get() {
            (0, 0) => Ok(()),
            (0, left) => {
                NEXT.set((0, left - 1));
                // EIO.
                Err(io::Error::from_raw_os_error(5))
            }
            (skip, left) => {
                NEXT.set((skip - 1, left));
                Ok(())
            }
        }
    }
}
