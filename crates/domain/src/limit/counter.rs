//! The calls of one window, exactly for a small limit and in 128 sub-windows for a large one.

use super::Window;
use std::collections::VecDeque;

/// The largest limit that is counted call by call.
pub(super) const EXACT_CALLS: u32 = 256;

/// Sub-windows of a window. One more is kept: the window that ends now cuts through two of them, and both count whole.
pub(super) const PARTS: u64 = 128;
const KEPT: usize = PARTS as usize + 1;

#[derive(Debug, Clone)]
pub(super) enum Counter {
    /// When each call was admitted, oldest first: 8 bytes a call, at most 2 KiB.
    Exact(VecDeque<u64>),
    /// 536 bytes whatever the limit.
    Parts(Box<Parts>),
}

#[derive(Debug, Clone)]
pub(super) struct Parts {
    /// Calls of sub-window `n` are at `n % KEPT`.
    calls: [u32; KEPT],
    /// The latest sub-window, counted from time zero.
    latest: u64,
    /// No sub-window before this one counts a call.
    oldest: u64,
    total: u32,
}

impl Counter {
    pub(super) fn new() -> Self {
        Self::Exact(VecDeque::new())
    }

    /// Forgets what no window that ends at `now` holds, and takes the form that suits the limit.
    pub(super) fn advance(&mut self, window: Window, limit: u32, now: u64) {
        match self {
            Self::Exact(times) => {
                let length = length(window);
                while times.front().is_some_and(|at| now - at >= length) {
                    times.pop_front();
                }
                if limit > EXACT_CALLS {
                    let mut parts = Box::new(Parts::new(part(window, now)));
                    times.iter().for_each(|at| parts.add(part(window, *at)));
                    *self = Self::Parts(parts);
                }
            }
            Self::Parts(parts) => {
                parts.advance(part(window, now));
                if parts.total == 0 && limit <= EXACT_CALLS {
                    *self = Self::new();
                }
            }
        }
    }

    /// Calls that a window which ends now may hold. Never too few.
    pub(super) fn calls(&self) -> u32 {
        match self {
            Self::Exact(times) => u32::try_from(times.len()).unwrap_or(u32::MAX),
            Self::Parts(parts) => parts.total,
        }
    }

    /// Of calls beyond a limit that only tells, the latest are enough to know that it is passed.
    pub(super) fn add(&mut self, window: Window, now: u64) {
        match self {
            Self::Exact(times) => {
                if times.len() >= EXACT_CALLS as usize {
                    times.pop_front();
                }
                times.push_back(now);
            }
            Self::Parts(parts) => parts.add(part(window, now)),
        }
    }

    /// Takes back one call that was added at that time, if it still counts.
    pub(super) fn remove(&mut self, window: Window, at: u64) {
        match self {
            Self::Exact(times) => {
                if let Some(index) = times.iter().rposition(|time| *time == at) {
                    times.remove(index);
                }
            }
            Self::Parts(parts) => parts.remove(part(window, at)),
        }
    }

    /// Nanoseconds until the `nth` oldest of the calls no longer counts; zero where there are fewer.
    pub(super) fn wait(&self, window: Window, nth: u32, now: u64) -> u64 {
        let leaves_at = match self {
            Self::Exact(times) => times.get(nth as usize).map(|at| at + length(window)),
            Self::Parts(parts) => parts.nth(nth).map(|part| (part + KEPT as u64) * (length(window) / PARTS)),
        };
        leaves_at.unwrap_or(now).saturating_sub(now)
    }
}

impl Parts {
    fn new(latest: u64) -> Self {
        Self { calls: [0; KEPT], latest, oldest: latest.saturating_sub(PARTS), total: 0 }
    }

    fn advance(&mut self, latest: u64) {
        let steps = latest.saturating_sub(self.latest).min(KEPT as u64);
        for step in 0..steps {
            let slot = slot(latest - step);
            self.total = self.total.saturating_sub(self.calls[slot]);
            self.calls[slot] = 0;
        }
        self.latest = self.latest.max(latest);
        self.oldest = self.oldest.max(self.latest.saturating_sub(PARTS));
        while self.oldest < self.latest && self.calls[slot(self.oldest)] == 0 {
            self.oldest += 1;
        }
    }

    fn add(&mut self, part: u64) {
        self.calls[slot(part)] = self.calls[slot(part)].saturating_add(1);
        self.total = self.total.saturating_add(1);
        self.oldest = self.oldest.min(part);
    }

    fn remove(&mut self, part: u64) {
        let counts = part <= self.latest && self.latest - part < KEPT as u64;
        if counts && self.calls[slot(part)] > 0 {
            self.calls[slot(part)] -= 1;
            self.total = self.total.saturating_sub(1);
        }
    }

    fn nth(&self, nth: u32) -> Option<u64> {
        let mut passed = 0_u32;
        (self.oldest..=self.latest).find(|part| {
            passed = self.calls[slot(*part)].saturating_add(passed);
            passed > nth
        })
    }
}

const fn slot(part: u64) -> usize {
    (part % KEPT as u64) as usize
}

/// A window's length in nanoseconds.
pub(super) const fn length(window: Window) -> u64 {
    window.seconds() as u64 * 1_000_000_000
}

const fn part(window: Window, at: u64) -> u64 {
    at / (length(window) / PARTS)
}
