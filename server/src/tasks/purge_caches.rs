//! Carries purges of kept answers out on this node, within a second of their commit.

use super::TaskError;
use gateway::{Purger, Which};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use store::Store;

pub const NAME: &str = "purge_caches";
pub const PERIOD: Duration = Duration::from_millis(500);

/// What a node knows of purges.
#[derive(Clone)]
pub struct Purges {
    store: Store,
    purger: Purger,
    /// The last one that was carried out; negative before the first look.
    done: Arc<AtomicI64>,
}

impl Purges {
    pub fn new(store: Store, purger: Purger) -> Self {
        Self { store, purger, done: Arc::new(AtomicI64::new(-1)) }
    }

    /// Carries out what is new.
    ///
    /// # Errors
    /// Postgres does not answer; the next run does it.
    pub async fn run(self) -> Result<(), TaskError> {
        let done = self.done.load(Ordering::Relaxed);
        if done < 0 {
            // What was kept before this look may be older than purges that nobody told of.
            let newest = self.store.newest_cache_purge().await?;
            self.purger.purge(None, &Which::default());
            self.done.store(newest, Ordering::Relaxed);
            return Ok(());
        }
        for (number, purge) in self.store.cache_purges_after(done).await? {
            let which = Which { partner: purge.partner, path_prefix: purge.path_prefix };
            let answers = self.purger.purge(Some(purge.product), &which);
            self.done.store(number, Ordering::Relaxed);
            tracing::info!(product = %purge.product, answers, "kept answers were let go");
        }
        Ok(())
    }
}
