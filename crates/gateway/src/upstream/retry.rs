//! How many calls may be sent again: a share of all, so that a failing upstream does not get a multiple of its load.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Seconds over which the share is counted.
const SECONDS: u64 = 10;

/// Always allowed within a second, so that a quiet product can retry at all.
const LEAST: u32 = 3;

/// The calls and retries of one product on one core; only that core writes, so plain loads and stores do.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    second: AtomicU64,
    calls: [AtomicU32; SECONDS as usize],
    retries: [AtomicU32; SECONDS as usize],
}

impl Budget {
    /// Counts a call. `second` only rises.
    pub(crate) fn count_call(&self, second: u64) {
        self.turn_to(second);
        add_one(&self.calls[slot(second)]);
    }

    /// Takes one retry out of the budget, or says that it is used up.
    pub(crate) fn take(&self, second: u64, percent: u8) -> bool {
        self.turn_to(second);
        let sum = |counts: &[AtomicU32]| counts.iter().map(|count| u64::from(count.load(Relaxed))).sum::<u64>();
        let now = &self.retries[slot(second)];
        let fits = (sum(&self.retries) + 1) * 100 <= sum(&self.calls) * u64::from(percent);
        let taken = fits || now.load(Relaxed) < LEAST;
        if taken {
            add_one(now);
        }
        taken
    }

    fn turn_to(&self, second: u64) {
        let last = self.second.load(Relaxed);
        if last == second {
            return;
        }
        for passed in (last + 1..=second).rev().take(SECONDS as usize) {
            self.calls[slot(passed)].store(0, Relaxed);
            self.retries[slot(passed)].store(0, Relaxed);
        }
        self.second.store(second, Relaxed);
    }
}

const fn slot(second: u64) -> usize {
    (second % SECONDS) as usize
}

fn add_one(count: &AtomicU32) {
    count.store(count.load(Relaxed).saturating_add(1), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_at_most_their_share_of_the_last_ten_seconds() {
        let budget = Budget::default();
        for second in 0..10 {
            (0..10).for_each(|_| budget.count_call(second));
        }
        assert_eq!((0..100).filter(|_| budget.take(9, 20)).count(), 20);
        // Nine seconds later the calls of one second count, and the retries that were made then.
        assert_eq!((0..100).filter(|_| budget.take(18, 20)).count(), 3);
        (0..100).for_each(|_| budget.count_call(40));
        assert_eq!((0..100).filter(|_| budget.take(40, 20)).count(), 20);
    }

    #[test]
    fn a_quiet_product_may_retry_three_times_a_second() {
        let budget = Budget::default();
        for second in [0, 1, 2, 77] {
            budget.count_call(second);
            assert_eq!((0..100).filter(|_| budget.take(second, 20)).count(), 3, "{second}");
        }
    }
}
