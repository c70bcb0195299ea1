//! The allowance of one process: an atomic counter for each partner and period.
//!
//! Not for each subscription: a change of plan begins another one in the same period, and must not bring a new quota.

use crate::ports::{Allowance, QuotaExceeded};
use domain::{
    id::PartnerId,
    period::Period,
    quota::{Beyond, Quota},
};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

const SHARDS: usize = 16;

/// Counters by partner and the period's start.
type Counters = HashMap<(PartnerId, Timestamp), Arc<AtomicU64>>;

/// Counts units in this process.
///
/// Before the gateway starts it is told what Postgres knows of each running period ([`Self::seed`]), after what the spool
/// held was ingested; a period that was not seeded begins at zero. One process only: more of them each hold a whole quota.
#[derive(Debug, Default)]
pub struct InProcess {
    shards: [RwLock<Counters>; SHARDS],
}

impl InProcess {
    /// Tells that the partner has used at least that many units of the period that starts then. It never lowers what
    /// is counted, so it is safe while calls reserve.
    pub fn seed(&self, partner: PartnerId, period_start: Timestamp, used: u64) {
        self.counter(partner, period_start).fetch_max(used, Ordering::Relaxed);
    }

    fn counter(&self, partner: PartnerId, period_start: Timestamp) -> Arc<AtomicU64> {
        let shard = &self.shards[partner.0.as_u128() as usize % SHARDS];
        let key = (partner, period_start);
        if let Some(counter) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return counter.clone();
        }
        let mut counters = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Of the periods before it only the last can still see a release.
        let mut earlier: Vec<_> =
            counters.keys().filter(|(id, start)| *id == partner && *start < period_start).copied().collect();
        earlier.sort_unstable_by_key(|(_, start)| *start);
        earlier.pop();
        earlier.iter().for_each(|key| drop(counters.remove(key)));
        counters.entry(key).or_default().clone()
    }
}

impl Allowance for InProcess {
    fn reserve(&self, partner: PartnerId, period: Period, units: u64, quota: Quota) -> Result<u64, QuotaExceeded> {
        let counter = self.counter(partner, period.start);
        let taken = counter.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let after = used.checked_add(units)?;
            let fits = units == 0 || after <= quota.units || quota.beyond != Beyond::Block;
            fits.then_some(after)
        });
        taken.map(|before| before + units).map_err(|used| QuotaExceeded { used })
    }

    fn release(&self, partner: PartnerId, period: Period, units: u64) {
        self.counter(partner, period.start)
            .update(Ordering::Relaxed, Ordering::Relaxed, |used| used.saturating_sub(units));
    }

    fn used(&self, partner: PartnerId, period: Period) -> u64 {
        self.counter(partner, period.start).load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const PARTNER: PartnerId = PartnerId(Uuid::from_u128(1));

    fn period(month: i64) -> Period {
        let at = |n: i64| Timestamp::from_second(n * 2_592_000).expect("in range");
        Period { start: at(month), end: at(month + 1) }
    }

    #[test]
    fn a_hard_quota_is_never_overshot_by_racing_reservations() {
        let allowance = InProcess::default();
        allowance.seed(PARTNER, period(0).start, 40);
        let quota = Quota { units: 100, beyond: Beyond::Block };
        let granted: usize = std::thread::scope(|scope| {
            let reserve = || (0..100).filter(|_| allowance.reserve(PARTNER, period(0), 1, quota).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(reserve)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(granted, 60);
        assert_eq!(allowance.used(PARTNER, period(0)), 100);
        allowance.release(PARTNER, period(0), 3);
        assert_eq!(allowance.reserve(PARTNER, period(0), 4, quota), Err(QuotaExceeded { used: 97 }));
        assert_eq!(allowance.reserve(PARTNER, period(0), 3, quota), Ok(100));
    }

    #[test]
    fn only_block_refuses_and_a_new_period_begins_at_zero() {
        let allowance = InProcess::default();
        for beyond in [Beyond::Bill, Beyond::Warn] {
            assert!(allowance.reserve(PARTNER, period(1), 10, Quota { units: 5, beyond }).is_ok());
        }
        assert_eq!(allowance.used(PARTNER, period(1)), 20);
        assert_eq!(allowance.used(PARTNER, period(2)), 0);
    }
}
