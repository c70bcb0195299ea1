//! Sliding windows: never more than the limit in any span of time as long as the window, wherever it begins.
//!
//! A token bucket (GCRA) with a full burst lets nearly twice the limit through a window, and counters that start anew
//! with each minute do the same at the turn, so neither is used. A limit of up to 256 calls is counted call by call and
//! is exact. A larger one is counted in 128 sub-windows, each of which counts until its last instant has left the window:
//! never too many, and at least 128/129 (0.992) of the limit under constant pressure.
//!
//! Memory for each partner and environment: at most 2 KiB for a window with a small limit, 536 bytes for one with a
//! large limit, so at most 8 KiB with four windows. The counts live in memory and begin anew with the process.

use super::{
    Limit, Window,
    counter::{Counter, length},
};

/// The live counts of one caller, for all windows.
///
/// Limits are given with each call and not kept: where a plan's limit changes, the counts stay and the new limit holds at
/// once. A window that a plan gains begins empty.
#[derive(Debug, Clone, Default)]
pub struct Windows {
    counters: [Option<Counter>; Window::ALL.len()],
    latest: u64,
}

/// How one limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub limit: Limit,
    /// Calls that would be admitted now.
    pub remaining: u32,
    /// Seconds, rounded up, until `remaining` grows; zero where nothing is counted.
    pub reset_seconds: u32,
}

/// No: at least one limit is reached. Nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The one that takes longest to admit a call again.
    pub limit: Limit,
    /// Seconds, rounded up and at least one, until every limit admits a call.
    pub retry_after_seconds: u32,
}

impl Windows {
    /// Whether one more call fits every limit at `now`, in nanoseconds of a clock that does not go back. Counts nothing.
    pub fn check(&mut self, limits: &[Limit], now: u64) -> Result<(), Reached> {
        let now = self.advance(limits, now);
        let reached = limits.iter().filter_map(|limit| {
            let counter = self.counters[limit.window as usize].as_ref()?;
            let over = counter.calls().checked_sub(limit.calls)?;
            Some((counter.wait(limit.window, over, now).max(1), *limit))
        });
        match reached.max_by_key(|(wait, _)| *wait) {
            Some((wait, limit)) => Err(Reached { limit, retry_after_seconds: seconds(wait) }),
            None => Ok(()),
        }
    }

    /// Counts one call in every window. Only after [`Self::check`] said yes at the same `now`.
    pub fn count(&mut self, limits: &[Limit], now: u64) {
        let now = self.advance(limits, now);
        for limit in limits {
            if let Some(counter) = &mut self.counters[limit.window as usize] {
                counter.add(limit.window, now);
            }
        }
    }

    /// Checks and counts: one call in every window, or in none.
    pub fn admit(&mut self, limits: &[Limit], now: u64) -> Result<(), Reached> {
        self.check(limits, now)?;
        self.count(limits, now);
        Ok(())
    }

    /// How each limit stands at `now`, in the limits' order.
    pub fn standings(&mut self, limits: &[Limit], now: u64) -> impl Iterator<Item = Standing> {
        let now = self.advance(limits, now);
        limits.iter().map(move |limit| {
            let counter = self.counters[limit.window as usize].as_ref();
            let calls = counter.map_or(0, Counter::calls);
            let wait = counter.map_or(0, |c| c.wait(limit.window, calls.saturating_sub(limit.calls), now));
            Standing { limit: *limit, remaining: limit.calls.saturating_sub(calls), reset_seconds: seconds(wait) }
        })
    }

    /// Whether nothing counts any more, so that the whole value can be dropped.
    pub fn is_idle(&self, now: u64) -> bool {
        let windows = Window::ALL.into_iter().zip(&self.counters);
        let longest = windows.filter(|(_, counter)| counter.is_some()).map(|(window, _)| length(window)).max();
        now.saturating_sub(self.latest) > longest.unwrap_or(0) * 2
    }

    /// Cores read the clock before they take turns here, so a time may be a little older than the latest one.
    fn advance(&mut self, limits: &[Limit], now: u64) -> u64 {
        let now = now.max(self.latest);
        self.latest = now;
        for limit in limits {
            let counter = self.counters[limit.window as usize].get_or_insert_with(Counter::new);
            counter.advance(limit.window, limit.calls, now);
        }
        now
    }
}

fn seconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
