//! Brings every change of the directory to the gateway within a second, and keeps it on disk for a start without Postgres.
//!
//! Postgres tells when something changed; because such a notice can be lost, the version is asked for each second too.

use super::{Board, Stop, TaskError, report};
use crate::{
    data_dir::DataDir,
    serve::{data_plane, directory_file},
};
use app::{secrets::Secrets, state::Clock};
use domain::directory::Directory;
use gateway::Snapshot;
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

/// Follows one store.
pub struct Follower {
    pub store: Store,
    pub data: DataDir,
    pub clock: Clock,
    pub secrets: Arc<Secrets>,
    pub gateway: gateway::Directory,
    /// What the gateway decides by.
    pub in_force: Arc<Directory>,
    /// Whether the schema is up to date; not known after a start without Postgres.
    pub migrated: bool,
}

impl Follower {
    /// Puts the newest directory in force, if it is not already.
    ///
    /// # Errors
    /// Postgres does not answer; what was in force stays.
    pub async fn follow(&mut self) -> Result<(), TaskError> {
        if !self.migrated {
            // After a start without Postgres nobody has brought the schema up to date. sqlx's migration cannot be proven
            // to be `Send`, so it gets a thread.
            self.store.ping().await?;
            let (store, runtime) = (self.store.clone(), Handle::current());
            spawn_blocking(move || runtime.block_on(store.migrate())).await??;
            self.migrated = true;
        }
        if self.in_force.version != self.store.directory_version().await? {
            self.put_in_force().await?;
        }
        Ok(())
    }

    async fn put_in_force(&mut self) -> Result<(), TaskError> {
        let directory = Arc::new(self.store.load_directory().await?);
        let (gateway, secrets, data, new) =
            (self.gateway.clone(), self.secrets.clone(), self.data.clone(), directory.clone());
        let runtime = Handle::current();
        // Compiling and writing take a while on a large catalogue; the first is what partners wait for.
        let kept = spawn_blocking(move || {
            let old = gateway.swap(Arc::new(data_plane::compile(&new, &secrets)));
            runtime.spawn(retire(old));
            directory_file::keep(&data, &new)
        });
        let kept = kept.await?;
        self.in_force = directory;
        tracing::debug!(version = self.in_force.version, "the directory changed");
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
        let outcome = outcome.unwrap_or_else(|_| Err("it took too long and was given up".into()));
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
