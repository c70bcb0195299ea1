//! The response cache of a product (RFC 9111).

use crate::plan::Problem;
use serde::{Deserialize, Serialize};

/// Which answers are kept, for whom, and what a hit costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Shares answers between partners. Only for products whose answers are the same for everybody.
    pub public: bool,
    /// The most bytes of bodies that are kept for the product on each node.
    pub max_bytes: u64,
    /// The longest body that is kept, in bytes.
    pub max_body_bytes: u64,
    /// Seconds that an answer without its own word (Cache-Control, Expires) is fresh; zero keeps only answers that say so.
    pub default_fresh_seconds: u32,
    /// Seconds that a stale answer may be given while a new one is fetched, where the answer does not say.
    pub stale_while_revalidate_seconds: u32,
    /// What a call that the cache answers costs.
    pub price: CachePrice,
}

/// What a call that the cache answers costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CachePrice {
    /// The same as a call that the upstream answers.
    #[default]
    Full,
    /// That many units, whatever the operation's weight.
    Units(u32),
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            public: false,
            max_bytes: 64 << 20,
            max_body_bytes: 1 << 20,
            default_fresh_seconds: 0,
            stale_while_revalidate_seconds: 0,
            price: CachePrice::Full,
        }
    }
}

impl Cache {
    pub(super) fn problems(&self, problems: &mut Vec<Problem>) {
        if self.max_body_bytes == 0 || self.max_body_bytes > self.max_bytes {
            problems.push(Problem::new("cache.max_body_bytes", "This is at least one byte and at most max_bytes"));
        }
    }
}
