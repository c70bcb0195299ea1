//! Spread and hybrid: how close calls may follow each other, beside what a window holds.
//!
//! One number for each window (GCRA): the time at which the next call is due if calls came evenly. Alone it would let twice
//! the limit through a window; here the window is counted too, so it only ever refuses more.

use super::{Limit, counter::length};
use crate::policy::Preset;

/// When the next call is due, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pacer {
    pub(super) due: u64,
}

impl Pacer {
    /// Takes the limit as it is now: a raised one holds at once.
    pub(super) fn advance(&mut self, limit: Limit, preset: Preset, now: u64) {
        if let Some(burst) = burst(limit, preset) {
            self.due = self.due.min(now.saturating_add(interval(limit).saturating_mul(burst)));
        }
    }

    /// Nanoseconds until the limit's pace admits a call.
    pub(super) fn wait(self, limit: Limit, preset: Preset, now: u64) -> u64 {
        let Some(burst) = burst(limit, preset) else { return 0 };
        self.due.saturating_sub(interval(limit).saturating_mul(burst - 1)).saturating_sub(now)
    }

    /// Calls that the pace would admit at once.
    pub(super) fn remaining(self, limit: Limit, preset: Preset, now: u64) -> u32 {
        let Some(burst) = burst(limit, preset) else { return u32::MAX };
        let debt = self.due.saturating_sub(now).div_ceil(interval(limit));
        u32::try_from(burst.saturating_sub(debt)).unwrap_or(u32::MAX)
    }

    pub(super) fn add(&mut self, limit: Limit, preset: Preset, now: u64) {
        if preset != Preset::BurstThrough {
            self.due = self.due.max(now).saturating_add(interval(limit));
        }
    }

    pub(super) fn remove(&mut self, limit: Limit, preset: Preset) {
        if preset != Preset::BurstThrough {
            self.due = self.due.saturating_sub(interval(limit));
        }
    }
}

/// Calls that may come at once; `None` leaves it to the window.
fn burst(limit: Limit, preset: Preset) -> Option<u64> {
    match preset {
        Preset::BurstThrough => None,
        Preset::Spread => Some(1),
        Preset::Hybrid => Some(u64::from(limit.calls / 10).max(1)),
    }
}

fn interval(limit: Limit) -> u64 {
    length(limit.window).div_ceil(u64::from(limit.calls.max(1)))
}
