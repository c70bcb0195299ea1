//! The private Postgres: used when DATABASE_URL is unset, for evaluation and small installations.
//!
//! It lives in one folder of the data directory, listens on a unix socket only, and never runs as root. A server that is
//! killed leaves it running; the next start takes it over, so a crash costs no recovery and blocks nothing.

mod binaries;
mod cluster;
mod owner;
mod place;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use binaries::Binaries;
use owner::Owner;
use place::Place;

/// The database and the superuser of the private Postgres; trust authentication, guarded by the 0700 folder of the socket.
const NAME: &str = "turnpike";
/// The oldest major version that the schema is tested with.
const OLDEST: u32 = 15;
/// How long a start may take; the longest part is recovery after a power cut.
const START: Duration = Duration::from_secs(120);

/// A running private Postgres. The process that started it stops it: by [`Private::stop`], or on drop.
#[derive(Debug)]
pub struct Private {
    place: Place,
    /// Present where this process holds the folder; absent where another `turnpike` does and this one is a guest.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    binaries: Binaries,
    owner: Owner,
    /// Absent where a running Postgres was taken over from a server that was killed.
    child: Option<Child>,
    _lock: File,
}

/// Why there is no private Postgres. Each text is one line and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    #[error(
        "PostgreSQL was not found. Install it (on Debian: apt-get install postgresql), or name the folder of its programs in \
         TURNPIKE_PG_BIN, or set DATABASE_URL to a database of your own."
    )]
    NotInstalled,
    #[error("TURNPIKE_PG_BIN is {0}, but there is no initdb, postgres and pg_ctl in it. Correct it or unset it.")]
    WrongFolder(PathBuf),
    #[error("PostgreSQL {found} in {folder} is too old. Install PostgreSQL {OLDEST} or newer.")]
    TooOld { found: u32, folder: PathBuf },
    #[error(
        "The data in {data} was written by PostgreSQL {written}, and only {found} is installed. Install PostgreSQL {written} \
         beside it (on Debian: apt-get install postgresql-{written}), or move the data with pg_upgrade."
    )]
    OtherVersion { data: PathBuf, written: u32, found: u32 },
    #[error("Another turnpike is running on {0}. Stop it, or choose another TURNPIKE_DATA_DIR.")]
    InUse(PathBuf),
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as. Create one, or do not run turnpike as root."
    )]
    NobodyToRunAs,
    #[error("{program} failed: {said}. See {log}.")]
    Failed { program: &'static str, said: String, log: PathBuf },
    #[error("PostgreSQL was not ready after {} s. See {log}.", START.as_secs())]
    TooSlow { log: PathBuf },
    #[error("The private PostgreSQL cannot use {path}: {why}. Check that the folder exists and may be written.")]
    Folder { path: PathBuf, why: io::Error },
}

impl Private {
    /// Starts Postgres in `data_dir` and holds it for this process: prepares the folder on first use, takes over one that
    /// a killed server left running.
    ///
    /// # Errors
    /// Another process holds the folder ([`PrivateError::InUse`]), Postgres is missing or does not fit, or it does not start.
    pub async fn start(data_dir: &Path) -> Result<Self, PrivateError> {
        let data_dir = data_dir.to_owned();
        aside(move || Self::start_now(&data_dir)).await
    }

    /// Uses the Postgres of a server that is running on `data_dir`, or starts it as [`Private::start`] does where there is
    /// none. For commands such as `turnpike apply`.
    ///
    /// # Errors
    /// As [`Private::start`], except that a running server is welcome.
    pub async fn attach(data_dir: &Path) -> Result<Self, PrivateError> {
        let data_dir = data_dir.to_owned();
        aside(move || match Self::start_now(&data_dir) {
            Err(PrivateError::InUse(_)) => Self::join(&data_dir),
            other => other,
        })
        .await
    }

    /// Where to connect, in the form that sqlx and libpq read.
    pub fn url(&self) -> String {
        format!("postgres:///{NAME}?host={}&user={NAME}", encode(&self.place.socket.to_string_lossy()))
    }

    /// Stops Postgres cleanly where this process holds it (open transactions are rolled back, all else is on disk); leaves
    /// it alone where another process does.
    ///
    /// # Errors
    /// Postgres did not stop; the next start takes it over.
    pub async fn stop(mut self) -> Result<(), PrivateError> {
        aside(move || self.stop_now()).await
    }

    fn start_now(data_dir: &Path) -> Result<Self, PrivateError> {
        let owner = Owner::find(data_dir)?;
        let place = Place::prepare(data_dir, &owner)?;
        let lock = place.lock_file()?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PrivateError::InUse(data_dir.to_owned())),
            Err(TryLockError::Error(why)) => return Err(place.problem(why)),
        }
        let owner = owner.of(&place.root);
        let binaries = Binaries::find(&place.data, place.written_by())?;
        if place.written_by().is_none() {
            tracing::info!(folder = %place.data.display(), version = binaries.major, "preparing a private PostgreSQL");
            cluster::create(&place, &binaries, &owner)?;
        }
        cluster::configure(&place, &owner)?;
        let child = cluster::start(&place, &binaries, &owner)?;
        tracing::info!(
            folder = %place.root.display(),
            version = binaries.major,
            taken_over = child.is_none(),
            "private PostgreSQL is running; it is for evaluation and small installations: set DATABASE_URL for anything larger"
        );
        Ok(Self { place, held: Some(Held { binaries, owner, child, _lock: lock }) })
    }

    fn join(data_dir: &Path) -> Result<Self, PrivateError> {
        let place = Place::prepare(data_dir, &Owner::find(data_dir)?)?;
        let deadline = Instant::now() + START;
        while !cluster::is_ready(&place) {
            if Instant::now() > deadline {
                return Err(PrivateError::TooSlow { log: place.log });
            }
            sleep(Duration::from_millis(50));
        }
        Ok(Self { place, held: None })
    }

    fn stop_now(&mut self) -> Result<(), PrivateError> {
        let Some(Held { binaries, owner, child, _lock }) = self.held.take() else { return Ok(()) };
        let stopped = cluster::stop(&self.place, &binaries, &owner);
        if let (Ok(()), Some(mut child)) = (&stopped, child) {
            // Only to collect the ended process; pg_ctl has already waited for it.
            let _ = child.wait();
        }
        stopped
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = self.stop_now() {
            tracing::warn!(%error, "private PostgreSQL did not stop; the next start takes it over");
        }
    }
}

/// Runs what waits for processes and files away from the async threads.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PrivateError> + Send + 'static,
) -> Result<T, PrivateError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(PrivateError::Folder { path: PathBuf::from("."), why: io::Error::other(stopped) }),
    }
}

/// Percent-encodes all but what is safe in a query value.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
