//! One of a plan's billing periods, as its terms see it: which one since the plan began, on what day it begins, and whether it is tried.

use super::trial;
use crate::period::{Cycle, Period, PeriodError, zone};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// See [`crate::plan::PlanTerms::in_force`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPeriod {
    /// Since the partner first had the plan, or since its trial ended; the first is 0.
    pub number: u64,
    /// The day on which it begins, in the time zone of its cycle; where the plan begins within it, the day of that.
    pub begins_on: Date,
    /// Whether it is one of the plan's trial.
    pub in_trial: bool,
}

impl PlanPeriod {
    /// The period `whole` of a plan that the partner has since then, in any version; `trial_until` is when its trial ends.
    ///
    /// A period of a trial is seen as the first one after it.
    ///
    /// # Errors
    /// The time zone is not known, or the period is beyond the calendar.
    pub fn of(
        cycle: &Cycle,
        since: Timestamp,
        trial_until: Option<Timestamp>,
        whole: Period,
    ) -> Result<Self, PeriodError> {
        let in_trial = trial::is_in(trial_until, whole);
        let since = trial_until.filter(|_| in_trial).map_or(since, |until| until.max(since));
        let begins = whole.start.max(since).to_zoned(zone(&cycle.time_zone)?);
        Ok(Self { number: cycle.periods_between(since, whole.start)?, begins_on: begins.date(), in_trial })
    }

    /// The first of a plan that begins on that day, without a trial.
    pub const fn first(begins_on: Date) -> Self {
        Self { number: 0, begins_on, in_trial: false }
    }

    /// One that comes when all that holds for some periods is over.
    pub const fn last() -> Self {
        Self { number: u64::MAX, begins_on: Date::MAX, in_trial: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::Interval;
    use jiff::civil::date;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn the_day_is_the_partner_s_and_not_before_the_plan_began() {
        let anchor = at("2027-03-01T00:00:00+13:00");
        let cycle = Cycle { anchor, interval: Interval::Month, time_zone: "Pacific/Auckland".to_owned() };
        let march = cycle.period_at(anchor).expect("one");
        let of = |since: &str, whole| PlanPeriod::of(&cycle, at(since), None, whole).expect("one");
        // The first of March there is the last of February in UTC.
        let usual = PlanPeriod { number: 2, begins_on: date(2027, 3, 1), in_trial: false };
        assert_eq!(of("2027-01-04T00:00:00Z", march), usual);
        let later = PlanPeriod { number: 0, begins_on: date(2027, 3, 17), in_trial: false };
        assert_eq!(of("2027-03-16T11:05:00Z", march), later);
    }

    #[test]
    fn a_period_of_a_trial_is_seen_as_the_first_after_it() {
        let until = at("2027-03-19T10:00:00Z");
        let cycle = Cycle { anchor: until, interval: Interval::Month, time_zone: "UTC".to_owned() };
        let of_trial = cycle.period_at(at("2027-03-05T10:00:00Z")).expect("one");
        let of = |since: &str, whole| PlanPeriod::of(&cycle, at(since), Some(until), whole).expect("one");
        let tried = of("2027-03-05T10:00:00Z", of_trial);
        let first = of("2027-03-19T10:00:00Z", cycle.period_at(until).expect("one"));
        assert_eq!(PlanPeriod { in_trial: false, ..tried }, first);
        assert_eq!((tried.in_trial, first.number, first.begins_on), (true, 0, date(2027, 3, 19)));
    }
}
