//! Faults on demand, drawn by a generator with a known beginning: who asks one thing after the other meets the same ones again.

use serde::{Deserialize, Serialize};

/// How many of a hundred requests meet each fault, and what else is hostile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// 500, and nothing was done.
    pub error_before: u64,
    /// 500, though it was done.
    pub error_after: u64,
    /// 409: another request with the same key is running.
    pub conflict: u64,
    /// 429, and nothing was done.
    pub rate_limited: u64,
    /// No answer for `timeout_ms`, though it was done.
    pub timeout: u64,
    /// The connection breaks in the middle of the answer, though it was done.
    pub reset: u64,
    /// Of a hundred meter events that were answered 200, so many are not counted and told of by a report afterwards.
    pub rejected_later: u64,
    /// So many meter event sessions have ended before they are used.
    pub dead_sessions: u64,
    /// So many requests of the stream of meter events are carried out and answered with 500.
    pub lost_streams: u64,
    /// Only requests that change something meet faults.
    pub only_changes: bool,
    /// Every request is refused with 503: Stripe is down.
    pub down: bool,
    pub timeout_ms: u64,
    /// How long each answer takes.
    pub delay_ms: u64,
    /// Requests taken in one second of real time; each more is answered with 429.
    pub most_per_second: u32,
    /// How long idempotency keys and identifiers are remembered, in seconds of the account's clock.
    pub remembered_seconds: i64,
    /// The balance is too low for any refund.
    pub refuses_refunds: bool,
    /// The bank sends each refund back as soon as it is made.
    pub refunds_fail_at_once: bool,
    /// Lists, searches and summaries show nothing, for control runs: who looks before asking again sees nothing.
    pub blind: bool,
    /// Where the generator begins.
    pub seed: u64,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    ErrorBefore,
    ErrorAfter,
    Conflict,
    RateLimited,
    Timeout,
    Reset,
    Down,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            error_before: 0,
            error_after: 0,
            conflict: 0,
            rate_limited: 0,
            timeout: 0,
            reset: 0,
            rejected_later: 0,
            dead_sessions: 0,
            lost_streams: 0,
            only_changes: false,
            down: false,
            timeout_ms: 60_000,
            delay_ms: 0,
            most_per_second: 1_000,
            remembered_seconds: 24 * 3_600,
            refuses_refunds: false,
            refunds_fail_at_once: false,
            blind: false,
            seed: 0x9e37_79b9_7f4a_7c15,
        }
    }
}

impl Faults {
    /// The next request's fault, if any.
    pub fn draw(&mut self, is_change: bool) -> Option<Fault> {
        if self.down {
            return Some(Fault::Down);
        }
        if self.only_changes && !is_change {
            return None;
        }
        let mut drawn = self.below_hundred();
        let shares = [
            (self.error_before, Fault::ErrorBefore),
            (self.error_after, Fault::ErrorAfter),
            (self.conflict, Fault::Conflict),
            (self.rate_limited, Fault::RateLimited),
            (self.timeout, Fault::Timeout),
            (self.reset, Fault::Reset),
        ];
        for (share, fault) in shares {
            if drawn < share {
                return Some(fault);
            }
            drawn -= share;
        }
        None
    }

    /// Whether a meter event that was taken is rejected afterwards.
    pub fn rejects_later(&mut self) -> bool {
        self.rejected_later > 0 && self.below_hundred() < self.rejected_later
    }

    /// Whether the answer to the next request of the stream is lost.
    pub fn loses_stream(&mut self) -> bool {
        let loses = self.lost_streams > 0;
        self.lost_streams = self.lost_streams.saturating_sub(1);
        loses
    }

    /// The next number of the generator, below a hundred.
    pub fn below_hundred(&mut self) -> u64 {
        self.seed = self.seed.max(1);
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 16) % 100
    }
}
