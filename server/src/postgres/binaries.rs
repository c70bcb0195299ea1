//! Where the programs of PostgreSQL are, and which version they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OLDEST, PrivateError};

/// One installed PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    folder: PathBuf,
    /// The major version, 15 for instance.
    pub(super) major: u32,
}

impl Binaries {
    /// The folder named by TURNPIKE_PG_BIN and no other; else PATH and /usr/lib/postgresql. Data that is already there
    /// (`written` by a major version) wants that very version, a new folder takes the highest.
    pub(super) fn find(data: &Path, written: Option<u32>) -> Result<Self, PrivateError> {
        let installed = match std::env::var_os("TURNPIKE_PG_BIN") {
            Some(folder) => {
                let folder = PathBuf::from(folder);
                vec![Self::in_folder(&folder).ok_or(PrivateError::WrongFolder(folder))?]
            }
            None => Self::installed(),
        };
        Self::choose(installed, data, written)
    }

    fn choose(installed: Vec<Self>, data: &Path, written: Option<u32>) -> Result<Self, PrivateError> {
        if let Some(fitting) = installed.iter().find(|one| Some(one.major) == written) {
            return Ok(fitting.clone());
        }
        let highest = installed.into_iter().max_by_key(|one| one.major).ok_or(PrivateError::NotInstalled)?;
        match written {
            Some(written) => Err(PrivateError::OtherVersion { data: data.to_owned(), written, found: highest.major }),
            None if highest.major < OLDEST => {
                Err(PrivateError::TooOld { found: highest.major, folder: highest.folder })
            }
            None => Ok(highest),
        }
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn installed() -> Vec<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        std::env::split_paths(&path)
            .chain(debian.map(|entry| entry.path().join("bin")))
            .filter_map(|folder| Self::in_folder(&folder))
            .collect()
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        if !["initdb", "postgres", "pg_ctl"].iter().all(|program| folder.join(program).is_file()) {
            return None;
        }
        let said = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&said.stdout))?;
        Some(Self { folder: folder.to_owned(), major })
    }
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_of(said: &str) -> Option<u32> {
    let version = said.split_once("(PostgreSQL) ")?.1;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "/srv/data";

    fn installed(major: u32) -> Binaries {
        Binaries { folder: PathBuf::from("/nowhere"), major }
    }

    #[test]
    fn the_version_is_read_from_releases_and_betas() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major_of("something else"), None);
    }

    #[test]
    fn new_data_takes_the_highest_version_and_old_data_its_own() {
        let both = vec![installed(15), installed(17)];
        assert_eq!(Binaries::choose(both.clone(), DATA.as_ref(), None).unwrap().major, 17);
        assert_eq!(Binaries::choose(both, DATA.as_ref(), Some(15)).unwrap().major, 15);
    }

    #[test]
    fn data_of_a_version_that_is_gone_is_refused() {
        let refused = Binaries::choose(vec![installed(17)], DATA.as_ref(), Some(15)).unwrap_err();
        assert!(matches!(refused, PrivateError::OtherVersion { written: 15, found: 17, .. }));
    }

    #[test]
    fn nothing_installed_and_too_old_are_told_apart() {
        assert!(matches!(Binaries::choose(Vec::new(), DATA.as_ref(), None), Err(PrivateError::NotInstalled)));
        assert!(matches!(
            Binaries::choose(vec![installed(13)], DATA.as_ref(), None),
            Err(PrivateError::TooOld { found: 13, .. })
        ));
    }
}
