//! Allotments: units that a plan gives at the beginning of each period, and what of them is carried over.
//!
//! A period in which the plan changes gives each plan's units for its part, by the second, together rounded up once: whoever changes there
//! and back gets nothing twice, because what was given before counts; and of what was given for a part that another plan has now, what is unused
//! is taken back.
//!
//! What is left when a period's units expire may be carried over: a share of it, rounded down, and no more than the cap less what is left of
//! what was carried over before. What was carried over is not carried over again.

use crate::{period::Period, plan::Problem};
use serde::{Deserialize, Serialize};

const MOST_UNITS: u64 = 100_000_000_000;
const MOST_PERIODS: u32 = 120;

/// Units at the beginning of each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allotment {
    pub units: u64,
    /// Without it, what is left expires with the period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollover: Option<Rollover>,
}

/// What of a period's rest is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollover {
    /// Of what is left, 1 to 100.
    pub percent: u8,
    /// Units that may be carried over at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
    /// For how many periods they can be used.
    #[serde(default = "one")]
    pub periods: u32,
}

const fn one() -> u32 {
    1
}

impl Allotment {
    pub(crate) fn problems(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: &str| {
            problems.push(Problem::new(format!("admission.credit.allotment.{field}"), message));
        };
        if !(1..=MOST_UNITS).contains(&self.units) {
            add("units", "An allotment is 1 to 100,000,000,000 units");
        }
        let Some(rollover) = self.rollover else { return };
        if !(1..=100).contains(&rollover.percent) {
            add("rollover.percent", "This is 1 to 100 percent");
        }
        if rollover.cap.is_some_and(|cap| !(1..=MOST_UNITS).contains(&cap)) {
            add("rollover.cap", "A cap is 1 to 100,000,000,000 units");
        }
        if !(1..=MOST_PERIODS).contains(&rollover.periods) {
            add("rollover.periods", "This is 1 to 120 periods");
        }
    }
}

impl Rollover {
    /// What of the rest is carried over while so many units that were carried over before are left.
    pub fn carried(&self, rest: u64, held: u64) -> u64 {
        let share = u128::from(rest) * u128::from(self.percent.min(100)) / 100;
        let share = u64::try_from(share).unwrap_or(rest);
        self.cap.map_or(share, |cap| share.min(cap.saturating_sub(held)))
    }
}

/// What plans give together that were in force in parts of a period, each by its units for the whole of it.
pub fn earned(parts: &[(u64, Period)], whole: Period) -> u64 {
    let seconds = |period: Period| u128::from(period.end.duration_since(period.start).as_secs().max(0).unsigned_abs());
    let of = seconds(whole).max(1);
    let weighed: u128 = parts
        .iter()
        .map(|(units, part)| {
            let inside = Period { start: part.start.max(whole.start), end: part.end.min(whole.end) };
            u128::from(*units) * seconds(inside)
        })
        .sum();
    u64::try_from(weighed.div_ceil(of)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};

    fn days(from: i64, to: i64) -> Period {
        let day = |day: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day);
        Period { start: day(from), end: day(to) }
    }

    #[test]
    fn parts_of_a_period_give_their_share_and_the_whole_gives_all() {
        let month = days(0, 30);
        assert_eq!(earned(&[(1000, month)], month), 1000);
        assert_eq!(earned(&[(1000, days(0, 15)), (5000, days(15, 30))], month), 3000);
        // A third of 1,000, and what lies outside counts nothing.
        assert_eq!(earned(&[(1000, days(20, 40))], month), 334);
        assert_eq!(earned(&[], month), 0);
        // There and back: never more than the best of the plans.
        let back = [(1000, days(0, 10)), (5000, days(10, 10)), (1000, days(10, 30))];
        assert_eq!(earned(&back, month), 1000);
    }

    #[test]
    fn a_share_is_carried_over_up_to_the_cap() {
        let rollover = Rollover { percent: 50, cap: Some(800), periods: 1 };
        assert_eq!([999, 1600, 10_000].map(|rest| rollover.carried(rest, 0)), [499, 800, 800]);
        assert_eq!([0, 500, 800, 900].map(|held| rollover.carried(1000, held)), [500, 300, 0, 0]);
        assert_eq!(Rollover { cap: None, percent: 100, ..rollover }.carried(u64::MAX, 9), u64::MAX);
    }
}
