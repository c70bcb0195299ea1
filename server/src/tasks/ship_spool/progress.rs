//! How far shipping is: for those who wait for it, and for those who look at the spool from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::leases::Earlier;
use tokio::{sync::watch, time::timeout};

/// Shared by the shipper and everybody who asks.
#[derive(Debug, Clone)]
pub struct Progress {
    stored: Arc<Mutex<BTreeMap<u32, spool::Position>>>,
    earlier: watch::Sender<Option<Earlier>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { stored: Arc::default(), earlier: watch::Sender::new(None) }
    }
}

impl Progress {
    /// Where the lane stands in Postgres, as far as this process has heard.
    pub fn stored(&self, lane: u32) -> Option<spool::Position> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).get(&lane).copied()
    }

    /// What is known of the node's earlier life; `None` while its usage is being shipped, or Postgres is away.
    pub fn earlier(&self) -> Option<Earlier> {
        *self.earlier.borrow()
    }

    /// Waits at most so long until it is known.
    pub async fn settled(&self, patience: Duration) {
        let mut earlier = self.earlier.subscribe();
        let _ = timeout(patience, earlier.wait_for(Option::is_some)).await;
    }

    pub(in crate::tasks) fn note(&self, lane: u32, position: spool::Position) {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(lane, position);
    }

    /// What one round over all lanes has found: which were shipped to their end once, and which stopped.
    pub(in crate::tasks) fn settle(&self, lanes: &[u32], shipped: &BTreeSet<u32>, stopped: &BTreeSet<u32>) {
        let earlier = if lanes.iter().all(|lane| shipped.contains(lane)) {
            Some(Earlier::Stored)
        } else if lanes.iter().all(|lane| shipped.contains(lane) || stopped.contains(lane)) {
            Some(Earlier::Hidden)
        } else {
            return;
        };
        self.earlier.send_if_modified(|known| std::mem::replace(known, earlier) != earlier);
    }
}
