//! Sliding windows: never more than the limit in any span of time as long as the window, wherever it begins.
//!
//! A token bucket (GCRA) with a full burst lets nearly twice the limit through a window, and counters that start anew
//! with each minute do the same at the turn, so neither is used. A limit of up to 256 calls is counted call by call and
//! is exact. A larger one is counted in 128 sub-windows, each of which counts until its last instant has left the window:
//! never too many, and at least 128/129 (0.992) of the limit under constant pressure.
//!
//! Memory for each partner and environment: at most 2 KiB for a window with a small limit, 536 bytes for one with a
//! large limit, so at most 8 KiB with four windows. The counts live in memory and begin anew with the process.

//!
//! The presets [`Preset::Spread`](crate::policy::Preset::Spread) and Hybrid hold calls apart besides ([`super::pacer`]):
//! eight bytes more for each window.

use super::{
    Limit, Window,
    counter::{Counter, length},
    pacer::Pacer,
    rule::Rule,
};
use crate::policy::Throttle;

/// The live counts of one caller, for all windows.
///
/// Limits are given with each call and not kept: where a plan's limit changes, the counts stay and the new limit holds at
/// once. A window that a plan gains begins empty.
#[derive(Debug, Clone, Default)]
pub struct Windows {
    pub(super) counters: [Option<Counter>; Window::ALL.len()],
    pub(super) pacers: [Pacer; Window::ALL.len()],
    pub(super) latest: u64,
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
    /// Nanoseconds until every limit admits a call.
    pub wait: u64,
}

impl Reached {
    /// The same in seconds, rounded up and at least one.
    pub fn retry_after_seconds(self) -> u32 {
        seconds(self.wait).max(1)
    }
}

impl Windows {
    /// Whether one more call fits every limit at `now`, in nanoseconds of a clock that does not go back. Counts nothing.
    pub fn check(&mut self, rule: Rule<'_>, now: u64) -> Result<(), Reached> {
        let now = self.advance(rule, now);
        self.room(rule, now)
    }

    /// Counts one call in every window, and returns the time at which it counts. A limit that only tells is passed by
    /// counting after [`Self::check`] said no.
    pub fn count(&mut self, rule: Rule<'_>, now: u64) -> u64 {
        let now = self.advance(rule, now);
        self.add(rule, now);
        now
    }

    /// Takes back the call that [`Self::count`] counted at that time.
    pub fn withdraw(&mut self, rule: Rule<'_>, at: u64) {
        for limit in own(rule) {
            if let Some(counter) = &mut self.counters[limit.window as usize] {
                counter.remove(limit.window, at);
                self.pacers[limit.window as usize].remove(limit, rule.preset);
            }
        }
    }

    /// Checks and counts: one call in every window, or in none.
    pub fn admit(&mut self, rule: Rule<'_>, now: u64) -> Result<u64, Reached> {
        let now = self.advance(rule, now);
        self.room(rule, now)?;
        self.add(rule, now);
        Ok(now)
    }

    /// How each limit stands at `now`, in the limits' order.
    pub fn standings<'a>(&mut self, rule: Rule<'a>, now: u64) -> impl Iterator<Item = Standing> + use<'_, 'a> {
        let now = self.advance(rule, now);
        self.standings_now(rule, now)
    }

    /// The same right after another look at this time.
    pub(super) fn standings_now<'a>(&self, rule: Rule<'a>, now: u64) -> impl Iterator<Item = Standing> + use<'_, 'a> {
        rule.limits.iter().zip(own(rule)).map(move |(whole, limit)| {
            let counter = self.counters[limit.window as usize].as_ref();
            let pacer = self.pacers[limit.window as usize];
            let calls = counter.map_or(0, Counter::calls);
            let wait = counter.map_or(0, |c| c.wait(limit.window, calls.saturating_sub(limit.calls), now));
            let paced = pacer.remaining(limit, rule.preset, now);
            let remaining = limit.calls.saturating_sub(calls).min(paced);
            let wait = if paced == 0 { wait.max(pacer.wait(limit, rule.preset, now)) } else { wait };
            Standing { limit: *whole, remaining, reset_seconds: seconds(wait) }
        })
    }

    /// How long a call waits that would be the next one, in milliseconds: nothing up to `from_percent` of a limit, and
    /// `max_delay_ms` for its last call. The limit that is nearest decides.
    pub fn delay(&mut self, rule: Rule<'_>, throttle: Throttle, now: u64) -> u64 {
        self.advance(rule, now);
        let delays = own(rule).map(|limit| {
            let calls = self.counters[limit.window as usize].as_ref().map_or(0, Counter::calls);
            let (limit, place) = (u64::from(limit.calls), u64::from(calls) + 1);
            let from = limit * u64::from(throttle.from_percent) / 100;
            let beyond = place.min(limit).saturating_sub(from);
            u64::from(throttle.max_delay_ms) * beyond / limit.saturating_sub(from).max(1)
        });
        delays.max().unwrap_or(0)
    }

    /// That time, or the latest that was counted if it is later.
    pub(super) const fn latest(&self, now: u64) -> u64 {
        if now > self.latest { now } else { self.latest }
    }

    /// Whether nothing counts any more, so that the whole value can be dropped.
    pub fn is_idle(&self, now: u64) -> bool {
        let windows = Window::ALL.into_iter().zip(&self.counters);
        let longest = windows.filter(|(_, counter)| counter.is_some()).map(|(window, _)| length(window)).max();
        now.saturating_sub(self.latest) > longest.unwrap_or(0) * 2
    }

    /// Whether all admit a call, right after [`Self::advance`] to `now`; else the limit that keeps it waiting for the longest time.
    fn room(&self, rule: Rule<'_>, now: u64) -> Result<(), Reached> {
        let reached = rule.limits.iter().zip(own(rule)).filter_map(|(whole, limit)| {
            let counter = self.counters[limit.window as usize].as_ref()?;
            let full = counter.calls().checked_sub(limit.calls);
            let full = full.map(|over| counter.wait(limit.window, over, now).max(1));
            let paced = self.pacers[limit.window as usize].wait(limit, rule.preset, now);
            let wait = full.unwrap_or(0).max(paced);
            (wait > 0).then_some(Reached { wait, limit: *whole })
        });
        reached.max_by_key(|reached| reached.wait).map_or(Ok(()), Err)
    }

    /// Counts a call in every window, right after [`Self::advance`] to `now`.
    fn add(&mut self, rule: Rule<'_>, now: u64) {
        for limit in own(rule) {
            if let Some(counter) = &mut self.counters[limit.window as usize] {
                counter.add(limit.window, now);
                self.pacers[limit.window as usize].add(limit, rule.preset, now);
            }
        }
    }

    /// Cores read the clock before they take turns here, so a time may be a little older than the latest one.
    fn advance(&mut self, rule: Rule<'_>, now: u64) -> u64 {
        let now = now.max(self.latest);
        self.latest = now;
        for limit in own(rule) {
            let counter = self.counters[limit.window as usize].get_or_insert_with(Counter::new);
            counter.advance(limit.window, limit.calls, now);
            self.pacers[limit.window as usize].advance(limit, rule.preset, now);
        }
        now
    }
}

/// This node's part of each limit.
fn own(rule: Rule<'_>) -> impl Iterator<Item = Limit> {
    rule.limits.iter().map(move |limit| Limit { calls: rule.share.calls(limit.calls), ..*limit })
}

/// Rounded up.
fn seconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
