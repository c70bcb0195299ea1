//! How long answers to calls with an Idempotency-Key are kept.

use crate::plan::Problem;
use serde::{Deserialize, Serialize};

/// The product's rule; which operations take the header is with each operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Idempotency {
    /// Seconds that an answer is replayed for, one minute to 30 days.
    pub keep_seconds: u32,
    /// The longest answer that can be kept, in bytes. A longer one is passed on, and its key then answers 409.
    pub max_body_bytes: u32,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self { keep_seconds: 86_400, max_body_bytes: 1 << 20 }
    }
}

impl Idempotency {
    pub(super) fn problems(&self, problems: &mut Vec<Problem>) {
        if !(60..=2_592_000).contains(&self.keep_seconds) {
            problems
                .push(Problem::new("idempotency.keep_seconds", "Answers are kept for 60 seconds to 30 days (2592000)"));
        }
        if !(1..=16 << 20).contains(&self.max_body_bytes) {
            problems.push(Problem::new("idempotency.max_body_bytes", "This is 1 byte to 16 MiB (16777216)"));
        }
    }
}
