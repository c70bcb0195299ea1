//! The spool's directory: who may write to it, and the node's name.

use crate::SpoolError;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The directory, held by this process until it is dropped.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    node: String,
    epoch: u64,
    _lock: File,
}

impl Home {
    /// Creates the directory where needed, and holds it.
    ///
    /// # Errors
    /// [`SpoolError::InUse`] if another process holds it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, SpoolError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(SpoolError::io(&dir))?;
        let lock = hold(&dir.join("lock"))?;
        let node = node(&dir)?;
        let epoch = raise_epoch(&dir)?;
        Ok(Self { dir, node, epoch, _lock: lock })
    }

    /// The node's name, which never changes for this directory.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// How often this directory was held, this time included: 1 the first time. No two processes have the same.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The node's name, made on the first call: positions in the database belong to it.
///
/// A directory that was emptied gets a new name, so that old positions never meet new records.
pub fn node(dir: &Path) -> Result<String, SpoolError> {
    let path = dir.join("node");
    loop {
        match fs::read_to_string(&path) {
            Ok(name) => return Ok(name.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_node(dir, &path)?,
            Err(error) => return Err(SpoolError::io(path)(error)),
        }
    }
}

/// Raises the number beside the node's name, durably, and says what it is now. The directory is held.
///
/// It is written over itself, which takes no room: a gateway starts on a full disk too.
fn raise_epoch(dir: &Path) -> Result<u64, SpoolError> {
    let path = dir.join("epoch");
    let raise = || {
        let last: u64 = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        // Of one length always and in one sector: a loss of power leaves this number or the one before.
        let text = format!("{:020}\n", last + 1);
        match last {
            0 => {
                let aside = dir.join("epoch.next");
                let mut file = File::create(&aside)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                fs::rename(&aside, &path)?;
                sync_dir(dir)?;
            }
            _ => {
                let mut file = OpenOptions::new().write(true).open(&path)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
            }
        }
        Ok(last + 1)
    };
    raise().map_err(SpoolError::io(&path))
}

/// Writes the name aside and links it into place, so that whoever comes first wins and no half name is ever read.
fn create_node(dir: &Path, path: &Path) -> Result<(), SpoolError> {
    fs::create_dir_all(dir).map_err(SpoolError::io(dir))?;
    let name = uuid::Uuid::new_v4();
    let aside = dir.join(format!("node.{}", name.simple()));
    let written = File::create_new(&aside).and_then(|mut file| {
        writeln!(file, "{name}")?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&aside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&aside);
    linked.and(removed).and_then(|()| sync_dir(dir)).map_err(SpoolError::io(path))
}

/// The lanes that the directory holds, which may be more than there are cores now.
pub fn lanes(dir: &Path) -> Result<Vec<u32>, SpoolError> {
    let mut lanes = Vec::new();
    for entry in fs::read_dir(dir).map_err(SpoolError::io(dir))? {
        let entry = entry.map_err(SpoolError::io(dir))?;
        let is_dir = entry.file_type().map_err(SpoolError::io(entry.path()))?.is_dir();
        if let Some(lane) = entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_dir) {
            lanes.push(lane);
        }
    }
    lanes.sort_unstable();
    Ok(lanes)
}

/// Takes the lock at that path, or says that somebody has it.
pub(crate) fn hold(path: &Path) -> Result<File, SpoolError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(SpoolError::io(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(SpoolError::io(path)(error)),
    }
}

/// Makes names that were created or removed in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
