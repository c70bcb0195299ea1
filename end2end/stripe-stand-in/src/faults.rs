//! Faults on demand, drawn by a generator with a known beginning so that a run can be repeated.

use serde::{Deserialize, Serialize};

/// How many of a hundred requests meet each fault.
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
    /// Every request is refused with 503: Stripe is down.
    pub down: bool,
    pub timeout_ms: u64,
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
            down: false,
            timeout_ms: 60_000,
            seed: 0x9e37_79b9_7f4a_7c15,
        }
    }
}

impl Faults {
    /// The next request's fault, if any.
    pub fn draw(&mut self) -> Option<Fault> {
        if self.down {
            return Some(Fault::Down);
        }
        self.seed = self.seed.max(1);
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let mut drawn = (self.seed >> 16) % 100;
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
}
