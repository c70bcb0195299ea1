//! Comparing on demand: any range, day by day, so that whoever compares all the time is let in between; one such run at a time.

use super::{Kind, Reconciliation, days_of};
use crate::{Store, StoreError};
use domain::period::Period;
use jiff::Timestamp;
use sqlx::{Postgres, pool::PoolConnection};
use std::time::Duration;
use tokio::time::sleep;

/// Of the advisory lock that a run holds to its end.
const ON_DEMAND: i64 = 0x7475_726e_7265_6f64;
/// How often a day is tried again where somebody else compares just now.
const TRIES: u32 = 3_600;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The right to compare on demand. Others are refused while it is there.
pub struct OnDemand {
    store: Store,
    /// Holds the lock; closed with it whatever happens.
    connection: PoolConnection<Postgres>,
}

impl Store {
    /// Takes the right to compare on demand.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody has it.
    pub async fn begin_to_reconcile(&self) -> Result<OnDemand, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let is_free: bool =
            sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(ON_DEMAND).fetch_one(&mut *connection).await?;
        if !is_free {
            return Err(StoreError::conflict("", "A comparison that was asked for is still running; wait for its end"));
        }
        connection.close_on_drop();
        Ok(OnDemand { store: self.clone(), connection })
    }
}

impl OnDemand {
    /// Compares all usage of all partners in the range, each day as it was at one instant. The numbers of lanes are compared at the end
    /// and in one go, as a gap may be longer than a day. What is found is kept as it is found.
    pub async fn run(mut self, range: Period, kinds: &[Kind], now: Timestamp) -> Result<Reconciliation, StoreError> {
        let outcome = self.compare(range, kinds, now).await;
        sqlx::query("select pg_advisory_unlock($1)").bind(ON_DEMAND).execute(&mut *self.connection).await?;
        outcome
    }

    async fn compare(&self, range: Period, kinds: &[Kind], now: Timestamp) -> Result<Reconciliation, StoreError> {
        let (sequence, others): (Vec<_>, Vec<_>) = kinds.iter().copied().partition(|kind| *kind == Kind::Sequence);
        let days = days_of(range).map(|day| (day, others.as_slice()));
        let mut all = Reconciliation::default();
        for (range, kinds) in days.chain([(range, sequence.as_slice())]).filter(|(_, kinds)| !kinds.is_empty()) {
            let done = self.patiently(range, kinds, now).await?;
            all.compared = all.compared.saturating_add(done.compared);
            all.findings.extend(done.findings);
        }
        self.store.note_run(range, &all, now).await?;
        Ok(all)
    }

    async fn patiently(&self, range: Period, kinds: &[Kind], now: Timestamp) -> Result<Reconciliation, StoreError> {
        for _ in 0..TRIES {
            match self.store.compare(range, kinds, now).await {
                Err(StoreError::Conflict { .. }) => sleep(BETWEEN_TRIES).await,
                done => return done,
            }
        }
        self.store.compare(range, kinds, now).await
    }
}
