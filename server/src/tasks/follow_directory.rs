//! Brings every change of the directory to the gateway within a second, and keeps it on disk for a start without Postgres.
//!
//! Postgres tells when something changed; because such a notice can be lost, the version is asked for each second too. Then what
//! changed since the version in force is read, and everything where the list of changes does not tell. Because that list is
//! made by triggers, which an operator can switch off, everything is also read now and then, and what it has otherwise is put
//! in force.

use super::{Board, Stop, TaskError, report};
use crate::serve::{
    data_plane,
    directory_file::{DirectoryFile, Place},
};
use app::secrets::Secrets;
use domain::directory::{Changes, Directory};
use gateway::Snapshot;
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store::{Store, directory::DirectoryListener};
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{sleep, timeout},
};

pub const NAME: &str = "follow_directory";
const PERIOD: Duration = Duration::from_millis(900);
/// How long one look may take, so that a connection that went silent for ever does not keep changes away for ever.
const LONGEST: Duration = Duration::from_secs(60);
/// Almost all calls are over after that.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// How often everything is read though nothing seems to be missing.
pub const WHOLE_PERIOD: Duration = Duration::from_secs(300);
/// Reading everything takes no more than this part of the time.
const WHOLE_SHARE: u32 = 100;

/// Follows one store.
pub struct Follower {
    pub store: Store,
    /// Where it is kept on disk.
    pub place: Place,
    pub secrets: Arc<Secrets>,
    pub gateway: gateway::Directory,
    /// What the gateway decides by; `None` while that is being changed, and after a change that came to no end.
    pub in_force: Option<InForce>,
    /// Whether the schema is up to date; not known after a start without Postgres.
    pub migrated: bool,
    /// See [`WHOLE_PERIOD`].
    pub whole_period: Duration,
    pub whole_due: Instant,
}

/// The directory that the gateway decides by, and what keeps it on disk.
pub struct InForce {
    pub directory: Directory,
    pub file: DirectoryFile,
}

impl Follower {
    /// Puts the newest directory in force, if it is not already.
    ///
    /// # Errors
    /// Postgres does not answer; what was in force stays.
    pub async fn follow(&mut self) -> Result<(), TaskError> {
        let asked = Timestamp::now();
        self.look().await?;
        self.place.freshness().note(asked);
        let Some(InForce { directory, file }) = &mut self.in_force else { return Ok(()) };
        if file.is_note_due(directory.version, asked) {
            let (place, version) = (self.place.clone(), directory.version);
            spawn_blocking(move || place.note_checked(version, asked)).await??;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), TaskError> {
        if !self.migrated {
            // After a start without Postgres nobody has brought the schema up to date. sqlx's migration cannot be proven
            // to be `Send`, so it gets a thread.
            self.store.ping().await?;
            let (store, runtime) = (self.store.clone(), Handle::current());
            spawn_blocking(move || runtime.block_on(store.migrate())).await??;
            self.migrated = true;
        }
        // While Postgres was away it may have been put back to an earlier instant and gone on from there.
        let newest = self.store.directory_edition().await.inspect_err(|_| self.whole_due = Instant::now())?;
        let known = self.in_force.as_ref().map(|known| (known.directory.version, known.directory.edition));
        let changes = match known {
            Some(known) if known == newest => None,
            // By another way it came to the same version.
            Some((since, _)) if since == newest.0 => return self.read_whole().await,
            Some((since, _)) => match self.store.directory_changes(since).await {
                Ok(Some(changes)) => Some(changes),
                Ok(None) => return self.read_whole().await,
                // Whatever is the matter with the list of changes, a revoked key must not wait for it.
                Err(error) => {
                    tracing::warn!(%error, "the list of changes cannot be read; reading everything");
                    return self.read_whole().await;
                }
            },
            None => return self.read_whole().await,
        };
        if let Some(changes) = changes {
            self.take_in(changes).await?;
        }
        if Instant::now() >= self.whole_due {
            self.read_whole().await?;
        }
        Ok(())
    }

    async fn take_in(&mut self, changes: Changes) -> Result<(), TaskError> {
        let InForce { mut directory, mut file } = self.in_force.take().ok_or("no directory is known")?;
        let (gateway, secrets, runtime) = (self.gateway.clone(), self.secrets.clone(), Handle::current());
        let (place, now) = (self.place.clone(), Timestamp::now());
        let taken_in = spawn_blocking(move || {
            let line = place.line(&changes, now);
            let touched = directory.apply(changes)?;
            let new = data_plane::patch(&gateway.load(), &directory, &touched, &secrets);
            runtime.spawn(retire(gateway.swap(Arc::new(new))));
            // After the swap, which is what partners wait for.
            let kept = line.and_then(|line| file.keep_changes(touched.since, &line, &directory, now));
            Some((InForce { directory, file }, kept))
        });
        let (in_force, kept) = taken_in.await?.ok_or("the changes follow another version")?;
        tracing::debug!(version = in_force.directory.version, "the directory changed");
        self.in_force = Some(in_force);
        Ok(kept?)
    }

    async fn read_whole(&mut self) -> Result<(), TaskError> {
        let (began, now) = (Instant::now(), Timestamp::now());
        let directory = self.store.load_directory().await?;
        let (gateway, secrets, runtime) = (self.gateway.clone(), self.secrets.clone(), Handle::current());
        let (before, place) = (self.in_force.take(), self.place.clone());
        let put_in_force = spawn_blocking(move || {
            let (before, mut file) = match before {
                Some(InForce { directory, file }) => (Some(directory), file),
                None => (None, DirectoryFile::new(place)),
            };
            if before.as_ref() == Some(&directory) {
                let kept = if file.is_of(directory.version) { Ok(()) } else { file.keep(&directory, now) };
                return (InForce { directory, file }, kept);
            }
            if before.is_some_and(|before| (before.version, before.edition) == (directory.version, directory.edition)) {
                metrics::counter!("turnpike_directory_missed_changes_total").increment(1);
                tracing::warn!(
                    version = directory.version,
                    "the directory was changed behind its triggers; what was missed is in force now"
                );
            }
            runtime.spawn(retire(gateway.swap(Arc::new(data_plane::compile(&directory, &secrets)))));
            let kept = file.keep(&directory, now);
            (InForce { directory, file }, kept)
        });
        let (in_force, kept) = put_in_force.await?;
        tracing::debug!(version = in_force.directory.version, "the directory was read as a whole");
        self.in_force = Some(in_force);
        self.whole_due = Instant::now() + self.whole_period.max(began.elapsed() * WHOLE_SHARE);
        Ok(kept?)
    }
}

/// Waits until no call is decided by the snapshot any more, so that it is freed here: a large one takes a while, and the last call
/// to hold it would wait for that, and all others of its core.
async fn retire(snapshot: Arc<Snapshot>) {
    let began = Instant::now();
    while Arc::strong_count(&snapshot) > 1 && began.elapsed() < LONGEST_CALL {
        sleep(PERIOD).await;
    }
}

/// Follows until the end.
pub async fn run(mut follower: Follower, board: Board, mut stop: Stop) {
    let mut listener: Option<DirectoryListener> = None;
    while !stop.is_requested() {
        if listener.is_none() {
            listener = follower.store.listen_directory().await.ok();
        }
        let outcome = timeout(LONGEST, follower.follow()).await;
        let outcome = outcome.unwrap_or_else(|_| {
            // Which database answers next is not known either.
            follower.whole_due = Instant::now();
            Err("it took too long and was given up".into())
        });
        report(&board, NAME, outcome);
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = heard(&mut listener) => {}
            () = stop.requested() => {}
        }
    }
}

/// Returns at a notice; a listener that breaks is dropped and made anew at the next turn.
async fn heard(listener: &mut Option<DirectoryListener>) {
    let outcome = match listener {
        Some(listening) => listening.changed().await,
        None => std::future::pending().await,
    };
    if outcome.is_err() {
        *listener = None;
        sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests;
