//! The last directory on disk, so that a gateway can start while Postgres is down: a whole one, and beside it a line for each
//! change since, so that keeping one change of a large directory costs what the change is worth.

use crate::data_dir::{DataDir, append, replace};
use domain::directory::{Changes, Directory};
use std::{fs, io};

/// When the lines take more, the directory is written as a whole again.
const MOST_CHANGES: u64 = 4 << 20;

/// What keeps it.
#[derive(Debug)]
pub struct DirectoryFile {
    data: DataDir,
    /// The version that the files make together, where this process has written all of it.
    version: Option<i64>,
    changes_bytes: u64,
}

impl DirectoryFile {
    pub const fn new(data: DataDir) -> Self {
        Self { data, version: None, changes_bytes: 0 }
    }

    /// Whether the files are known to make up the directory of that version.
    pub fn is_of(&self, version: i64) -> bool {
        self.version == Some(version)
    }

    /// Keeps this directory in the place of all before.
    ///
    /// # Errors
    /// The disk is full or the folder cannot be written.
    pub fn keep(&mut self, directory: &Directory) -> io::Result<()> {
        self.version = None;
        replace(&self.data.directory(), &serde_json::to_vec(directory)?)?;
        // Where this is not reached, its lines are of versions that the whole has in it.
        match fs::remove_file(self.data.directory_changes()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        (self.version, self.changes_bytes) = (Some(directory.version), 0);
        Ok(())
    }

    /// Adds the line of a change, see [`line`], which led to this directory.
    ///
    /// # Errors
    /// The disk is full or the folder cannot be written; then the next change keeps all.
    pub fn keep_changes(&mut self, since: i64, line: &[u8], directory: &Directory) -> io::Result<()> {
        if self.version != Some(since) || self.changes_bytes > MOST_CHANGES {
            return self.keep(directory);
        }
        self.version = None;
        self.changes_bytes = append(&self.data.directory_changes(), line)?;
        self.version = Some(directory.version);
        Ok(())
    }
}

/// Changes as a line of the file.
///
/// # Errors
/// They cannot be written as JSON.
pub fn line(changes: &Changes) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(changes)?;
    line.push(b'\n');
    Ok(line)
}

/// The directory that was kept, if there is one that can be read.
pub fn read(data: &DataDir) -> Option<Directory> {
    let path = data.directory();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the last directory cannot be read");
            return None;
        }
    };
    let directory = serde_json::from_slice(&text);
    let damaged = |error: &_| tracing::warn!(%error, path = %path.display(), "the last directory is damaged");
    let mut directory: Directory = directory.inspect_err(damaged).ok()?;
    directory.sort();
    read_changes(data, &mut directory);
    Some(directory)
}

/// Takes in what changed, up to the first line that does not follow.
fn read_changes(data: &DataDir, directory: &mut Directory) {
    let path = data.directory_changes();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the last changes of the directory cannot be read");
            return;
        }
    };
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let changes: Changes = match serde_json::from_slice(line) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the last change of the directory was cut off");
                return;
            }
        };
        let is_in_whole = changes.found.version <= directory.version;
        if !is_in_whole && directory.apply(changes).is_none() {
            tracing::warn!(path = %path.display(), "the last changes of the directory have a gap");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        directory::{Key, KeyKind},
        id::{AppId, KeyId, PartnerId},
        key_text::Environment,
    };
    use jiff::Timestamp;
    use uuid::Uuid;

    fn key(number: u128) -> Key {
        Key {
            id: KeyId(Uuid::from_u128(number)),
            hash: [7; 32],
            partner: PartnerId(Uuid::from_u128(1)),
            app: AppId(Uuid::from_u128(1)),
            team: None,
            environment: Environment::Live,
            kind: KeyKind::Key,
            allowed_addresses: Vec::new(),
            scopes: Vec::new(),
            expires_at: None,
            revoked_at: None,
        }
    }

    /// The next version, in which this key is as it is here.
    fn changed(directory: &mut Directory, key: Key) -> (i64, Vec<u8>) {
        let since = directory.version;
        let found = Directory { version: since + 1, keys: vec![key.clone()], ..Directory::default() };
        let changes = Changes { since, products: Vec::new(), partners: Vec::new(), keys: vec![key.id], found };
        let line = line(&changes).expect("a line");
        directory.apply(changes).expect("it follows");
        (since, line)
    }

    fn folder() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(folder.path()).expect("a data directory");
        (folder, data)
    }

    #[test]
    fn what_was_kept_is_read_and_damage_is_not_believed() {
        let (_folder, data) = folder();
        assert_eq!(read(&data), None);
        let directory = Directory { version: 7, ..Directory::default() };
        DirectoryFile::new(data.clone()).keep(&directory).expect("kept");
        assert_eq!(read(&data), Some(directory));
        fs::write(data.directory(), "{\"version\": 7").expect("written");
        assert_eq!(read(&data), None);
    }

    #[test]
    fn changes_are_kept_beside_the_whole_and_a_revoked_key_stays_revoked() {
        let (_folder, data) = folder();
        let (mut file, mut directory) = (DirectoryFile::new(data.clone()), Directory::default());
        directory.keys = vec![key(1), key(2)];
        file.keep(&directory).expect("kept");
        let whole = fs::read(data.directory()).expect("a file");
        for key in [Key { revoked_at: Some(Timestamp::UNIX_EPOCH), ..key(1) }, key(3)] {
            let (since, line) = changed(&mut directory, key);
            file.keep_changes(since, &line, &directory).expect("kept");
        }
        assert_eq!(fs::read(data.directory()).expect("a file"), whole, "the whole was not written again");
        let kept = read(&data).expect("a directory");
        assert_eq!(kept, directory);
        assert!(kept.keys.len() == 3 && kept.keys[0].revoked_at.is_some());
    }

    #[test]
    fn a_line_that_was_cut_off_ends_what_is_believed_and_the_next_process_writes_the_whole() {
        let (_folder, data) = folder();
        let (mut file, mut directory) = (DirectoryFile::new(data.clone()), Directory::default());
        file.keep(&directory).expect("kept");
        let (since, line) = changed(&mut directory, key(1));
        file.keep_changes(since, &line, &directory).expect("kept");
        let believed = directory.clone();
        let (_, line) = changed(&mut directory, key(2));
        append(&data.directory_changes(), &line[..line.len() / 2]).expect("cut off");
        assert_eq!(read(&data), Some(believed));

        let mut file = DirectoryFile::new(data.clone());
        let (since, line) = changed(&mut directory, key(3));
        file.keep_changes(since, &line, &directory).expect("kept");
        assert_eq!(read(&data), Some(directory));
    }

    #[test]
    fn lines_of_versions_that_the_whole_has_are_passed_over_and_a_gap_ends_them() {
        let (_folder, data) = folder();
        let mut directory = Directory::default();
        let mut lines = [key(1), key(2), key(3)].map(|key| (changed(&mut directory, key).1, directory.clone()));
        let (last, whole) = (lines[2].1.clone(), lines[0].1.clone());
        DirectoryFile::new(data.clone()).keep(&whole).expect("kept");
        let text = lines.each_ref().map(|(line, _)| line.as_slice()).concat();
        append(&data.directory_changes(), &text).expect("added");
        assert_eq!(read(&data), Some(last));

        lines.swap(1, 2);
        fs::write(data.directory_changes(), lines.map(|(line, _)| line).concat()).expect("written");
        assert_eq!(read(&data), Some(whole));
    }
}
