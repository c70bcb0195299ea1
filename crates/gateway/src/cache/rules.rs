//! A product's cache as the snapshot has it: its policy, and the live entries, which outlive every snapshot.

use super::{
    entries::{Entries, Which},
    flights::Flights,
    freshness::Fallback,
};
use domain::{
    id::ProductId,
    policy::{Authentication, Cache, CachePrice},
};
use metrics::{Counter, Gauge, counter, gauge};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// What a product keeps and how.
pub(crate) struct Rules {
    pub public: bool,
    /// Where the upstream hears who calls, each key has answers of its own.
    pub by_key: bool,
    pub price: CachePrice,
    pub(super) max_bytes: usize,
    pub(super) max_body_bytes: usize,
    pub(super) fallback: Fallback,
    pub(super) metrics: Metrics,
}

impl Rules {
    pub(crate) fn compile(product: &str, policy: &Cache, authentication: &Authentication) -> Self {
        let identified = authentication.identity_headers || authentication.client_authorities.is_some();
        let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            public: policy.public,
            by_key: identified && !policy.public,
            price: policy.price,
            max_bytes: bytes(policy.max_bytes),
            max_body_bytes: bytes(policy.max_body_bytes),
            fallback: Fallback {
                fresh: u64::from(policy.default_fresh_seconds),
                stale_while_revalidate: u64::from(policy.stale_while_revalidate_seconds),
            },
            metrics: Metrics::new(product),
        }
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules")
            .field("public", &self.public)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// What became of calls, by product.
pub(super) struct Metrics {
    results: [Counter; 6],
    bytes: Gauge,
}

/// What the cache did for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Result {
    Hit,
    /// Given although it was stale.
    Stale,
    /// Another call's fetch was waited for.
    Collapsed,
    /// The upstream said that what is kept is still right.
    Revalidated,
    Miss,
    /// The call had nothing to do with the cache.
    Bypass,
}

impl Metrics {
    fn new(product: &str) -> Self {
        let results = ["hit", "stale", "collapsed", "revalidated", "miss", "bypass"];
        Self {
            results: results.map(|result| {
                counter!("turnpike_gateway_cache_calls_total", "product" => product.to_owned(), "result" => result)
            }),
            bytes: gauge!("turnpike_gateway_cache_bytes", "product" => product.to_owned()),
        }
    }

    pub(super) fn count(&self, result: Result) {
        self.results[result as usize].increment(1);
    }

    pub(super) fn bytes(&self) -> Gauge {
        self.bytes.clone()
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.set(bytes as f64);
    }
}

/// What is kept of one product, and what is being fetched.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) entries: Entries,
    pub(super) flights: Arc<Flights>,
}

/// The live side of all products' caches, shared by all cores.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    by_product: RwLock<HashMap<ProductId, Arc<Shelf>>>,
}

impl Shelves {
    pub(super) fn of(&self, product: ProductId) -> Arc<Shelf> {
        if let Some(shelf) = self.by_product.read().unwrap_or_else(PoisonError::into_inner).get(&product) {
            return shelf.clone();
        }
        self.by_product.write().unwrap_or_else(PoisonError::into_inner).entry(product).or_default().clone()
    }

    /// Lets answers of a product go, or those of all products, and says how many they were. `now` is monotonic.
    pub(crate) fn purge(&self, product: Option<ProductId>, which: &Which, now: u64) -> usize {
        let shelves = self.by_product.read().unwrap_or_else(PoisonError::into_inner);
        let chosen = shelves.iter().filter(|(id, _)| product.is_none_or(|product| product == **id));
        chosen.map(|(_, shelf)| shelf.entries.purge(which, now)).sum()
    }

    /// Frees what is kept for products that keep nothing any more.
    pub(crate) fn keep_only(&self, cached: impl Fn(ProductId) -> bool) {
        self.by_product.write().unwrap_or_else(PoisonError::into_inner).retain(|product, _| cached(*product));
    }
}
