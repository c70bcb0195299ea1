//! What is counted of each caller while the gateway runs, which outlives every snapshot.

use crate::quick_hash::QuickMap;
use domain::{
    id::PartnerId,
    key_text::Environment,
    limit::{caller::Counts, spending::Spending},
};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicU32, Ordering},
};

mod keep;

pub(crate) use keep::{Keeper, read};

const SHARDS: usize = 16;

/// A partner's test calls and live calls are limited apart from each other.
type Who = (PartnerId, Environment);

/// The counts of every partner and environment that called.
#[derive(Debug, Default)]
pub(crate) struct LiveLimits {
    shards: [RwLock<QuickMap<Who, Arc<Live>>>; SHARDS],
}

/// The counts of one partner and environment, on all cores.
#[derive(Debug, Default)]
pub(crate) struct Live {
    counts: Mutex<Counts>,
    spending: Mutex<Spending>,
    in_flight: AtomicU32,
    waiting: AtomicU32,
}

/// Which places a caller's calls take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// From its admission to its end.
    InFlight,
    /// While it is throttled.
    Waiting,
}

/// A place among a caller's calls, given back by its drop, exactly once.
#[derive(Debug)]
pub(crate) struct Place {
    live: Arc<Live>,
    kind: Kind,
}

impl Live {
    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spending(&self) -> MutexGuard<'_, Spending> {
        self.spending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more place, where fewer than that many are taken.
    pub(crate) fn enter(self: &Arc<Self>, kind: Kind, places: u32) -> Option<Place> {
        let taken = self.taken(kind);
        let entered = taken.try_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
            if taken < places { taken.checked_add(1) } else { None }
        });
        entered.is_ok().then(|| Place { live: self.clone(), kind })
    }

    const fn taken(&self, kind: Kind) -> &AtomicU32 {
        match kind {
            Kind::InFlight => &self.in_flight,
            Kind::Waiting => &self.waiting,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.live.taken(self.kind).fetch_sub(1, Ordering::AcqRel);
    }
}

impl LiveLimits {
    pub(crate) fn of(&self, partner: PartnerId, environment: Environment) -> Arc<Live> {
        let shard = self.shard(partner);
        let who = (partner, environment);
        if let Some(live) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&who) {
            return live.clone();
        }
        shard.write().unwrap_or_else(PoisonError::into_inner).entry(who).or_default().clone()
    }

    fn shard(&self, partner: PartnerId) -> &RwLock<QuickMap<Who, Arc<Live>>> {
        &self.shards[partner.0.as_u128() as usize % SHARDS]
    }

    /// Drops counts in which nothing counts any more.
    pub(crate) fn forget_idle(&self, now: u64) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, live| {
                // Whoever holds a second reference is about to count, or is in flight.
                let mut counts = live.counts();
                counts.forget_idle(now);
                Arc::strong_count(live) > 1 || !counts.is_idle(now) || !live.spending().is_idle(now)
            });
        }
    }
}
