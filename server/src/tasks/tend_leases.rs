//! Looks after the units that this gateway holds: gives back what an earlier life left, tells the others that it runs, keeps
//! headers fresh, and lets idle units go.

use super::{TaskError, ship_spool::Progress};
use app::state::Clock;
use gateway::{Held, Leases};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use store::{Store, leases::Known};
use tokio::time::timeout;

pub const NAME: &str = "tend_leases";
pub const PERIOD: Duration = Duration::from_secs(1);
/// How long a look waits for what an earlier life left in the spool. Other nodes hear of this one between two looks.
const EARLIER: Duration = Duration::from_secs(3);
/// Allowances are kept this long after their period, for usage that comes late.
const KEEP: SignedDuration = SignedDuration::from_hours(24 * 400);

/// What the task is made of.
#[derive(Clone)]
pub struct Tender {
    pub store: Store,
    pub clock: Clock,
    pub leases: Arc<Leases>,
    pub node: Arc<str>,
    /// By the clock of events.
    pub started_at: Timestamp,
    /// Whether all usage of an earlier life is stored.
    pub progress: Progress,
}

impl Tender {
    /// One look.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn tend(&self) -> Result<(), TaskError> {
        // What runs is told by real time, which is the same on all nodes.
        let nodes = self.store.heartbeat(&self.node, Timestamp::now()).await?;
        if !self.leases.has_begun() {
            self.progress.settled(EARLIER).await;
            let Some(earlier) = self.progress.earlier() else { return Ok(()) };
            self.store.prune_allowances(self.started_at - KEEP).await?;
            let known = self.store.begin_leases(&self.node, self.started_at, earlier).await?;
            self.leases.begin(known.into_iter().map(held).collect());
        }
        Ok(self.leases.tend(self.clock.now(), nodes < 2).await?)
    }

    /// Gives everything back, after the last call.
    pub async fn finish(&self, patience: Duration) {
        let back = async {
            self.leases.close().await?;
            Ok::<_, TaskError>(self.store.sign_off(&self.node).await?)
        };
        if !matches!(timeout(patience, back).await, Ok(Ok(()))) {
            tracing::warn!("some units stay with this node; its next start gives them back");
        }
    }
}

fn held(known: Known) -> Held {
    let Known { of, base, elsewhere, limit } = known;
    Held { allowance: of, base, elsewhere, limit }
}

#[cfg(test)]
mod tests;
