//! The last directory on disk, so that a gateway can start while Postgres is down.

use crate::data_dir::{DataDir, replace};
use domain::directory::Directory;
use std::io;

/// The directory that was kept, if there is one that can be read.
pub fn read(data: &DataDir) -> Option<Directory> {
    let path = data.directory();
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the last directory cannot be read");
            return None;
        }
    };
    let directory = serde_json::from_slice(&text);
    directory.inspect_err(|error| tracing::warn!(%error, path = %path.display(), "the last directory is damaged")).ok()
}

/// Keeps this directory in the place of the one before.
///
/// # Errors
/// The disk is full or the folder cannot be written.
pub fn keep(data: &DataDir, directory: &Directory) -> io::Result<()> {
    replace(&data.directory(), &serde_json::to_vec(directory)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_and_damage_is_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(folder.path()).expect("a data directory");
        assert_eq!(read(&data), None);
        let directory = Directory { version: 7, ..Directory::default() };
        keep(&data, &directory).expect("kept");
        assert_eq!(read(&data), Some(directory));
        std::fs::write(data.directory(), "{\"version\": 7").expect("written");
        assert_eq!(read(&data), None);
    }
}
