//! Where the private Postgres keeps its data, its socket, its log and its lock.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::PrivateError;
use super::owner::Owner;

/// A longer socket path does not fit into the address of a unix socket.
const LONGEST_SOCKET: usize = 103;
/// Where data goes when the user that runs Postgres cannot reach the data directory (a clone under /root, for instance).
const REACHABLE: &str = "/var/lib/turnpike";

/// The folders and files of one private Postgres.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) data: PathBuf,
    /// The folder that holds the socket.
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
}

impl Place {
    /// Makes the folders, each 0700 and belonging to whoever runs Postgres.
    pub(super) fn prepare(data_dir: &Path, owner: &Owner) -> Result<Self, PrivateError> {
        let problem = |why| PrivateError::Folder { path: data_dir.to_owned(), why };
        fs::create_dir_all(data_dir).map_err(problem)?;
        let data_dir = data_dir.canonicalize().map_err(problem)?;
        let root = Self::root(&data_dir, owner)?;
        let owner = owner.clone().of(&root);
        own_folder(&root, &owner)?;
        // The postmaster is known by its working folder, which has no links in it.
        let root = root.canonicalize().map_err(problem)?;
        let socket = Self::socket(&root);
        own_folder(&socket, &owner)?;
        Ok(Self { data: root.join("data"), log: root.join("postgres.log"), socket, root })
    }

    /// The major version that wrote the data; `None` where there is none yet.
    pub(super) fn written_by(&self) -> Option<u32> {
        fs::read_to_string(self.data.join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// The file whose lock says who holds this Postgres; the lock goes with the process, however it ends.
    pub(super) fn lock_file(&self) -> Result<File, PrivateError> {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.root.join("lock"))
            .map_err(|why| self.problem(why))
    }

    pub(super) fn problem(&self, why: io::Error) -> PrivateError {
        PrivateError::Folder { path: self.root.clone(), why }
    }

    /// `postgres` in the data directory: the folder itself, or a link to one that its user can reach.
    fn root(data_dir: &Path, owner: &Owner) -> Result<PathBuf, PrivateError> {
        let wanted = data_dir.join("postgres");
        let problem = |why| PrivateError::Folder { path: wanted.clone(), why };
        if let Ok(target) = fs::read_link(&wanted) {
            return Ok(target);
        }
        let reachable =
            data_dir.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|folder| owner.may_enter(&folder)));
        if reachable {
            return Ok(wanted);
        }
        let elsewhere = Path::new(REACHABLE).join(short_hash(data_dir));
        fs::create_dir_all(REACHABLE).map_err(|why| PrivateError::Folder { path: REACHABLE.into(), why })?;
        symlink(&elsewhere, &wanted).map_err(problem)?;
        tracing::info!(
            folder = %elsewhere.display(),
            "the user that runs PostgreSQL cannot reach the data directory, so its data is kept elsewhere"
        );
        Ok(elsewhere)
    }

    fn socket(root: &Path) -> PathBuf {
        let beside = root.join("socket");
        let plain = !beside.to_string_lossy().contains(['"', ',', '\'', '\\']);
        if plain && beside.join(".s.PGSQL.5432").as_os_str().len() <= LONGEST_SOCKET {
            return beside;
        }
        Path::new("/tmp").join(format!("turnpike-{}", short_hash(root)))
    }
}

/// Makes a folder 0700 for its owner. One that is there already must be a real folder of theirs: /tmp is everybody's.
fn own_folder(path: &Path, owner: &Owner) -> Result<(), PrivateError> {
    let problem = |why| PrivateError::Folder { path: path.to_owned(), why };
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => owner.give(path).map_err(problem),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).map_err(problem)?;
            if found.is_dir() && found.uid() == 0 {
                owner.give(path).map_err(problem)?;
            } else if !found.is_dir() || found.uid() != owner.uid() {
                return Err(problem(io::Error::other("it belongs to another user, or is not a folder")));
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(problem)
        }
        Err(why) => Err(problem(why)),
    }
}

fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_too_long_for_a_socket_moves_only_the_socket() {
        assert_eq!(Place::socket(Path::new("/srv/turnpike/postgres")), Path::new("/srv/turnpike/postgres/socket"));
        let deep = PathBuf::from("/srv").join("x".repeat(90));
        let socket = Place::socket(&deep);
        assert!(socket.starts_with("/tmp") && socket.join(".s.PGSQL.5432").as_os_str().len() <= LONGEST_SOCKET);
        assert_ne!(socket, Place::socket(&deep.join("other")), "two installations must not share a socket");
    }
}
