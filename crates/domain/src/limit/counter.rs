//! The calls of one window, exactly for a small limit and in 128 sub-windows for a large one.

use super::Window;
use std::{collections::VecDeque, ops::Range};

/// The largest limit that is counted call by call.
pub(super) const EXACT_CALLS: u32 = 256;

/// Sub-windows of a window. One more is kept: the window that ends now cuts through two of them, and both count whole.
pub(super) const PARTS: u64 = 128;
pub(super) const KEPT: usize = PARTS as usize + 1;

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
    pub(super) calls: [u32; KEPT],
    /// The latest sub-window, counted from time zero.
    pub(super) latest: u64,
    /// No sub-window before this one counts a call.
    pub(super) oldest: u64,
    pub(super) total: u32,
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
                    let mut parts = Box::new(Parts::begin(window, now));
                    times.iter().for_each(|at| parts.add(window, *at, 1));
                    *self = Self::Parts(parts);
                }
            }
            Self::Parts(parts) => {
                parts.move_to(window, now);
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
            Self::Parts(parts) => parts.add(window, now, 1),
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
            Self::Parts(parts) => parts.remove(window, at, 1),
        }
    }

    /// Nanoseconds until the `nth` oldest of the calls no longer counts; zero where there are fewer.
    pub(super) fn wait(&self, window: Window, nth: u32, now: u64) -> u64 {
        let leaves_at = match self {
            Self::Exact(times) => times.get(nth as usize).map(|at| at + length(window)),
            Self::Parts(parts) => return parts.wait(window, nth, now),
        };
        leaves_at.unwrap_or(now).saturating_sub(now)
    }
}

impl Parts {
    pub(super) fn begin(window: Window, now: u64) -> Self {
        let latest = part(window, now);
        Self { calls: [0; KEPT], latest, oldest: latest.saturating_sub(PARTS), total: 0 }
    }

    /// Forgets what no window that ends at `now` holds.
    pub(super) fn move_to(&mut self, window: Window, now: u64) {
        let latest = part(window, now);
        // Most calls come within the sub-window of the last.
        if latest == self.latest && self.oldest + PARTS >= latest && self.calls[slot(self.oldest)] > 0 {
            return;
        }
        let steps = latest.saturating_sub(self.latest).min(KEPT as u64);
        if steps > 0 {
            // What is to be forgotten lies in a row, or at the array's end and its beginning.
            match (slot(latest + 1 - steps), slot(latest)) {
                (first, last) if first <= last => self.forget(first..last + 1),
                (first, last) => {
                    self.forget(first..KEPT);
                    self.forget(0..last + 1);
                }
            }
        }
        self.latest = self.latest.max(latest);
        self.oldest = self.oldest.max(self.latest.saturating_sub(PARTS));
        if self.total == 0 {
            self.oldest = self.latest;
        }
        while self.oldest < self.latest && self.calls[slot(self.oldest)] == 0 {
            self.oldest += 1;
        }
    }

    fn forget(&mut self, slots: Range<usize>) {
        let Some(calls) = self.calls.get_mut(slots) else { return };
        let forgotten: u64 = calls.iter().map(|calls| u64::from(*calls)).sum();
        calls.fill(0);
        self.total = self.total.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
    }

    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    pub(super) fn add(&mut self, window: Window, at: u64, calls: u32) {
        let part = part(window, at);
        self.calls[slot(part)] = self.calls[slot(part)].saturating_add(calls);
        self.total = self.total.saturating_add(calls);
        self.oldest = self.oldest.min(part);
    }

    /// Takes back calls that were added at that time, where they still count.
    pub(super) fn remove(&mut self, window: Window, at: u64, calls: u32) {
        let part = part(window, at);
        if part <= self.latest && self.latest - part < KEPT as u64 {
            let calls = calls.min(self.calls[slot(part)]);
            self.calls[slot(part)] -= calls;
            self.total = self.total.saturating_sub(calls);
        }
    }

    /// Nanoseconds until the `nth` oldest no longer counts; zero where there are fewer.
    pub(super) fn wait(&self, window: Window, nth: u32, now: u64) -> u64 {
        let leaves_at = self.nth(nth).map(|part| (part + KEPT as u64) * (length(window) / PARTS));
        leaves_at.unwrap_or(now).saturating_sub(now)
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

/// The number of the sub-window that holds the time.
pub(super) const fn part(window: Window, at: u64) -> u64 {
    // By a constant each, which is no division.
    const SECOND: u64 = length(Window::Second) / PARTS;
    const MINUTE: u64 = length(Window::Minute) / PARTS;
    const HOUR: u64 = length(Window::Hour) / PARTS;
    const DAY: u64 = length(Window::Day) / PARTS;
    match window {
        Window::Second => at / SECOND,
        Window::Minute => at / MINUTE,
        Window::Hour => at / HOUR,
        Window::Day => at / DAY,
    }
}
