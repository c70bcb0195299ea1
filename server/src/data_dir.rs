//! The folder in which a node keeps what must outlive it: its spool, the last directory, and in development the master
//! secret.

use app::secrets::{Secrets, fill_random};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// An existing folder that only its owner can read.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("{path} cannot be used: {source}")]
    Unusable { path: PathBuf, source: io::Error },
    #[error("{0} does not hold a master secret; restore it, or remove it together with the data that it protects")]
    BadSecret(PathBuf),
}

impl DataDir {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        DirBuilder::new()
            .recursive(true)
            // Others may pass through but not list: the private Postgres runs as another user where we are root.
            .mode(0o711)
            .create(root)
            .map_err(|source| DataDirError::Unusable { path: root.to_owned(), source })?;
        let data = Self { root: root.to_owned() };
        let spool = data.spool();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&spool)
            .map_err(|source| DataDirError::Unusable { path: spool, source })?;
        Ok(data)
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// Where the gateway keeps the counts of limits over a restart.
    pub fn limits(&self) -> PathBuf {
        self.root.join("limits")
    }

    /// The last directory that was seen, for a start without Postgres.
    pub fn directory(&self) -> PathBuf {
        self.root.join("directory.json")
    }

    /// What changed in the directory since that file was written.
    pub fn directory_changes(&self) -> PathBuf {
        self.root.join("directory.changes")
    }

    /// When Postgres last said that the directory is still the newest.
    pub fn directory_checked(&self) -> PathBuf {
        self.root.join("directory.checked")
    }

    /// Which program wrote the directory as a whole.
    pub fn directory_keeper(&self) -> PathBuf {
        self.root.join("directory.keeper")
    }

    /// What everything secret is derived from: the configured master, or one made here in development.
    ///
    /// # Errors
    /// It can be neither read nor written, or what is there is not a master secret.
    pub fn secrets(&self, configured: Option<[u8; 32]>) -> Result<Secrets, DataDirError> {
        if let Some(master) = configured {
            return Ok(Secrets::from_master(master));
        }
        let path = self.root.join("secret");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut random = [0_u8; 32];
                fill_random(&mut random);
                let text = BASE64_STANDARD.encode(random);
                replace(&path, text.as_bytes())
                    .map_err(|source| DataDirError::Unusable { path: path.clone(), source })?;
                text
            }
            Err(source) => return Err(DataDirError::Unusable { path, source }),
        };
        let master = crate::config::secret::decode_master(&text).ok_or(DataDirError::BadSecret(path))?;
        Ok(Secrets::from_master(master))
    }
}

/// Puts a whole new content in a file's place, readable by its owner only: a crash leaves the old or the new one.
///
/// # Errors
/// The disk is full or the folder cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Lets the file's name, too, survive the loss of power.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Adds to the end of a file that only its owner reads, and gives its length. What a crash or an error leaves may be cut off.
///
/// # Errors
/// The disk is full or the folder cannot be written.
pub fn append(path: &Path, content: &[u8]) -> io::Result<u64> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_data()?;
    if is_new {
        sync_folder(path)?;
    }
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_self_made_secret_stays_the_same_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(&folder.path().join("new")).expect("a data directory");
        let first = data.secrets(None).expect("secrets").pepper();
        assert_eq!(data.secrets(None).expect("secrets").pepper(), first);
        let mode = std::fs::metadata(data.path().join("secret")).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(data.secrets(Some([7; 32])).expect("secrets").pepper(), first);
    }

    #[test]
    fn a_damaged_secret_is_refused_and_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(folder.path()).expect("a data directory");
        std::fs::write(folder.path().join("secret"), "gone").expect("written");
        assert!(matches!(data.secrets(None), Err(DataDirError::BadSecret(_))));
        assert_eq!(std::fs::read_to_string(folder.path().join("secret")).expect("read"), "gone");
    }
}
