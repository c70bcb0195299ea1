//! A small disk: a tmpfs of a few MiB, where mounting is allowed.

use crate::Trouble;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Mounted as long as it lives.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// `None` where this machine does not let us mount; says so in one line.
    pub fn mount(folder: &Path, mib: u64) -> Result<Option<Self>, Trouble> {
        fs::create_dir_all(folder)?;
        let size = format!("size={mib}m,mode=0711");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        match output {
            Ok(output) if output.status.success() => {
                fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
                Ok(Some(Self { folder: folder.to_owned() }))
            }
            _ => Ok(None),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Result<(), Trouble> {
        let output = Command::new("dd")
            .args(["if=/dev/zero", "bs=4096", &format!("of={}", self.filler().display())])
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() { Err("a disk that cannot be filled".into()) } else { Ok(()) }
    }

    /// Gives that room back.
    pub fn make_room(&self) -> Result<(), Trouble> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that ends may still have a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).stderr(Stdio::null()).status();
    }
}
