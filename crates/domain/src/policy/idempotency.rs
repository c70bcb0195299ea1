//! How long answers to calls with an Idempotency-Key are kept.
//!
//! Every whole answer of the upstream is kept and given again, errors too: a 4xx and a 5xx say what came of the request as
//! much as a 200 does, and a 5xx may come after the work was done (so does the draft, section 2.6, and Stripe). A key is free
//! again only where the upstream was not sent anything. What was sent and is not answered, or is answered with more than
//! `max_body_bytes` or a stream of events, leaves a key that answers 409 `idempotency-unknown`.

use crate::plan::Problem;
use serde::{Deserialize, Serialize};

/// The product's rule; which operations take the header is with each operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Idempotency {
    /// Seconds that an answer is replayed for, one minute to 30 days.
    pub keep_seconds: u32,
    /// The longest answer that can be kept, in bytes. A longer one is passed on, and its key then answers 409.
    pub max_body_bytes: u32,
    /// The longest request that such a call may bring, in bytes: it is read whole before it is sent on. Longer ones are
    /// answered with 413.
    pub max_request_bytes: u32,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self { keep_seconds: 86_400, max_body_bytes: 1 << 20, max_request_bytes: 1 << 20 }
    }
}

impl Idempotency {
    pub(super) fn problems(&self, problems: &mut Vec<Problem>) {
        if !(60..=2_592_000).contains(&self.keep_seconds) {
            problems
                .push(Problem::new("idempotency.keep_seconds", "Answers are kept for 60 seconds to 30 days (2592000)"));
        }
        for (field, bytes) in [("max_body_bytes", self.max_body_bytes), ("max_request_bytes", self.max_request_bytes)] {
            if !(1..=16 << 20).contains(&bytes) {
                problems.push(Problem::new(format!("idempotency.{field}"), "This is 1 byte to 16 MiB (16777216)"));
            }
        }
    }
}
