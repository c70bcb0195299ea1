//! What is known of upstreams while the gateway runs: it outlives every snapshot, so that a reload forgets no failure.

use super::{breaker::Breaker, retry::Budget};
use domain::id::ProductId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

/// The upstreams of all products that were called or are watched.
#[derive(Debug)]
pub(crate) struct LiveUpstreams {
    by_product: Mutex<HashMap<ProductId, Arc<LiveUpstream>>>,
    cores: usize,
}

/// One product's upstream.
#[derive(Debug)]
pub(crate) struct LiveUpstream {
    /// In the order of the snapshot's targets.
    pub targets: Box<[Arc<LiveTarget>]>,
    on_core: Box<[OnCore]>,
}

/// One address.
#[derive(Debug)]
pub(crate) struct LiveTarget {
    /// As the policy writes it.
    pub url: Box<str>,
    pub breaker: Breaker,
    /// The active check takes it out.
    pub sick: AtomicBool,
    /// The second in which a failure was last written to the log.
    said_at: AtomicU64,
}

/// What only one core writes, apart from the other cores' so that they do not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct OnCore {
    pub budget: Budget,
    /// The smooth weighted choice's state, for each target.
    pub turns: Box<[AtomicI64]>,
}

impl LiveUpstreams {
    pub(crate) fn new(cores: usize) -> Self {
        Self { by_product: Mutex::default(), cores }
    }

    /// The product's, with these targets; targets that it had before keep what is known of them.
    pub(crate) fn of<'a>(&self, product: ProductId, urls: impl Iterator<Item = &'a str> + Clone) -> Arc<LiveUpstream> {
        let mut by_product = self.by_product.lock().unwrap_or_else(PoisonError::into_inner);
        let known = by_product.get(&product);
        if let Some(same) = known.filter(|live| live.targets.iter().map(|target| &*target.url).eq(urls.clone())) {
            return same.clone();
        }
        let target = |url: &str| {
            let before = known.and_then(|live| live.targets.iter().find(|target| &*target.url == url));
            before.cloned().unwrap_or_else(|| Arc::new(LiveTarget::new(url)))
        };
        let targets: Box<[_]> = urls.map(target).collect();
        let on_core =
            || OnCore { budget: Budget::default(), turns: targets.iter().map(|_| AtomicI64::new(0)).collect() };
        let on_core = (0..self.cores).map(|_| on_core()).collect();
        let live = Arc::new(LiveUpstream { targets, on_core });
        by_product.insert(product, live.clone());
        live
    }

    /// Forgets products that are gone.
    pub(crate) fn retain(&self, exists: impl Fn(ProductId) -> bool) {
        self.by_product.lock().unwrap_or_else(PoisonError::into_inner).retain(|product, _| exists(*product));
    }
}

impl LiveUpstream {
    /// `None` only for a core that does not exist.
    pub(crate) fn on_core(&self, core: usize) -> Option<&OnCore> {
        self.on_core.get(core)
    }
}

impl LiveTarget {
    fn new(url: &str) -> Self {
        let (breaker, sick, said_at) = (Breaker::default(), AtomicBool::new(false), AtomicU64::new(u64::MAX));
        Self { url: url.into(), breaker, sick, said_at }
    }

    /// Whether a call may go there without a further look.
    pub(crate) fn is_well(&self) -> bool {
        self.breaker.is_sound() && !self.sick.load(Relaxed)
    }

    /// Whether to write a failure to the log: the first of each second, so that an outage does not fill the disk.
    pub(crate) fn may_say(&self, second: u64) -> bool {
        self.said_at.swap(second, Relaxed) != second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_target_keeps_what_is_known_of_it_while_others_come_and_go() {
        let lives = LiveUpstreams::new(2);
        let product = ProductId(Uuid::from_u128(1));
        let first = lives.of(product, ["http://a", "http://b"].into_iter());
        first.targets[1].sick.store(true, Relaxed);
        let same = lives.of(product, ["http://a", "http://b"].into_iter());
        assert!(Arc::ptr_eq(&first, &same));
        let other = lives.of(product, ["http://b", "http://c"].into_iter());
        assert!(other.targets[0].sick.load(Relaxed) && !other.targets[1].sick.load(Relaxed));
        assert!(!lives.of(ProductId(Uuid::from_u128(2)), ["http://b"].into_iter()).targets[0].sick.load(Relaxed));
        lives.retain(|id| id != product);
        assert!(lives.of(product, ["http://b"].into_iter()).targets[0].is_well());
    }
}
