//! Letting kept answers go because somebody says so.

use super::{Shelves, Which};
use domain::id::ProductId;
use std::{sync::Arc, time::Instant};

/// Empties the caches of one node, while its gateway runs.
#[derive(Debug, Clone)]
pub struct Purger {
    shelves: Arc<Shelves>,
    started: Instant,
}

impl Purger {
    pub(crate) const fn new(shelves: Arc<Shelves>, started: Instant) -> Self {
        Self { shelves, started }
    }

    /// Lets these answers of the product go, or of all products, and those that are on their way. Says how many were
    /// kept.
    pub fn purge(&self, product: Option<ProductId>, which: &Which) -> usize {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.shelves.purge(product, which, now)
    }
}
