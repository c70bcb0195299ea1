//! What is asked of the disk itself.

use std::{fs::File, io};

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
