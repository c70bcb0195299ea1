//! Who Postgres runs as: never root, because initdb and postgres refuse it.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::{env, io};

use super::PrivateError;

/// The user that runs Postgres and owns its files.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    /// Whoever runs the server.
    Ourselves { uid: u32 },
    /// Another user, because the server runs as root.
    Other { uid: u32, gid: u32 },
}

impl Owner {
    /// Ourselves; `postgres`, else `nobody`, where we are root.
    pub(super) fn find(data_dir: &Path) -> Result<Self, PrivateError> {
        let uid = our_uid().map_err(|why| PrivateError::Folder { path: data_dir.to_owned(), why })?;
        if uid != 0 {
            return Ok(Self::Ourselves { uid });
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"].iter().find_map(|name| in_passwd(&users, name)).ok_or(PrivateError::NobodyToRunAs)
    }

    /// The owner of a folder that is already there, where we may act for them: a user `postgres` that appears later must
    /// not lock us out of what `nobody` wrote.
    pub(super) fn of(self, folder: &Path) -> Self {
        match (&self, fs::metadata(folder)) {
            (Self::Other { .. }, Ok(found)) if found.uid() != 0 => Self::Other { uid: found.uid(), gid: found.gid() },
            _ => self,
        }
    }

    pub(super) fn uid(&self) -> u32 {
        match self {
            Self::Ourselves { uid } | Self::Other { uid, .. } => *uid,
        }
    }

    /// Hands a file or folder over to this user.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Ourselves { .. } => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// A command that runs as this user, from a folder that every user may enter.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/");
        if let Self::Other { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Whether this user may pass through a folder on the way to what lies in it.
    pub(super) fn may_enter(&self, folder: &fs::Metadata) -> bool {
        match self {
            Self::Ourselves { .. } => true,
            Self::Other { uid, .. } if folder.uid() == *uid => folder.mode() & 0o100 != 0,
            Self::Other { gid, .. } if folder.gid() == *gid => folder.mode() & 0o010 != 0,
            Self::Other { .. } => folder.mode() & 0o001 != 0,
        }
    }
}

/// The user this process runs as; where there is no /proc, read off a file that we make.
fn our_uid() -> io::Result<u32> {
    if let Ok(process) = fs::metadata("/proc/self") {
        return Ok(process.uid());
    }
    let probe = env::temp_dir().join(format!("turnpike-{}", std::process::id()));
    let uid = fs::File::create(&probe)?.metadata()?.uid();
    fs::remove_file(probe)?;
    Ok(uid)
}

fn in_passwd(users: &str, name: &str) -> Option<Owner> {
    let fields: Vec<&str> =
        users.lines().map(|line| line.split(':').collect()).find(|fields: &Vec<&str>| fields.first() == Some(&name))?;
    let uid = fields.get(2)?.parse().ok()?;
    let gid = fields.get(3)?.parse().ok()?;
    (uid != 0).then_some(Owner::Other { uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name_and_root_never_is() {
        let users = "root:x:0:0::/root:/bin/sh\npostgresql:x:7:7::/:\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\nzero:x:0:0::/:\n";
        assert!(matches!(in_passwd(users, "postgres"), Some(Owner::Other { uid: 101, gid: 104 })));
        assert!(in_passwd(users, "nobody").is_none());
        assert!(in_passwd(users, "zero").is_none());
    }
}
