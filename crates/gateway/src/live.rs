//! The live counts of limits, which outlive every snapshot.

use domain::{id::PartnerId, key_text::Environment, limit::sliding::Windows};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

const SHARDS: usize = 16;

/// A partner's test calls and live calls are limited apart from each other.
type Who = (PartnerId, Environment);

/// The windows of every partner and environment that called.
#[derive(Debug, Default)]
pub(crate) struct LiveLimits {
    shards: [RwLock<HashMap<Who, Arc<Mutex<Windows>>>>; SHARDS],
}

impl LiveLimits {
    pub(crate) fn of(&self, partner: PartnerId, environment: Environment) -> Arc<Mutex<Windows>> {
        let shard = &self.shards[partner.0.as_u128() as usize % SHARDS];
        let who = (partner, environment);
        if let Some(windows) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&who) {
            return windows.clone();
        }
        shard.write().unwrap_or_else(PoisonError::into_inner).entry(who).or_default().clone()
    }

    /// Drops windows in which nothing counts any more.
    pub(crate) fn forget_idle(&self, now: u64) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, windows| {
                // Whoever holds a second reference is about to count.
                Arc::strong_count(windows) > 1 || !windows.lock().unwrap_or_else(PoisonError::into_inner).is_idle(now)
            });
        }
    }
}
