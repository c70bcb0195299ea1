//! When a partner's part of a bulk move is in force: at the end of the first billing period that ends after the notice, or with the
//! trial that runs then.
//!
//! 30 days' notice from 5 July on are over on 4 August: who is billed by calendar months has the other plan from 1 September on.

use crate::{
    period::{Cycle, PeriodError},
    rating::trial,
};
use jiff::{SignedDuration, Timestamp};

/// A notice is so many full days long at most.
pub const MOST_NOTICE_DAYS: u32 = 366;

/// The instant for somebody who is told `now`; `trial_until` is when a trial of the plan that is held ends.
///
/// # Errors
/// The period is beyond the calendar.
pub fn in_force_at(
    held: &Cycle,
    trial_until: Option<Timestamp>,
    notice_days: u32,
    now: Timestamp,
) -> Result<Timestamp, PeriodError> {
    let notice = SignedDuration::from_hours(24 * i64::from(notice_days));
    let earliest = now.checked_add(notice).map_err(|_| PeriodError::OutOfRange)?;
    let period = held.period_at(earliest)?;
    // A trial may be longer than a period.
    Ok(trial_until.filter(|_| trial::is_in(trial_until, period)).unwrap_or(period.end))
}

/// Whether a change can still be made then: it is to come, and a period begins then.
pub fn is_possible_at(held: &Cycle, at: Timestamp, now: Timestamp) -> bool {
    at > now && held.period_at(at).is_ok_and(|period| period.start == at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::Interval;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn monthly(anchor: &str, zone: &str) -> Cycle {
        Cycle { anchor: at(anchor), interval: Interval::Month, time_zone: zone.to_owned() }
    }

    #[test]
    fn it_is_the_end_of_the_first_period_that_ends_after_the_notice() {
        let cycle = monthly("2026-06-01T00:00:00Z", "UTC");
        let from = |days, now| in_force_at(&cycle, None, days, at(now)).expect("in the calendar").to_string();
        assert_eq!(from(30, "2026-07-05T12:00:00Z"), "2026-09-01T00:00:00Z");
        assert_eq!(from(26, "2026-07-05T12:00:00Z"), "2026-08-01T00:00:00Z");
        assert_eq!(from(27, "2026-07-05T00:00:00.000001Z"), "2026-09-01T00:00:00Z");
        // What ends with the notice does not end after it.
        assert_eq!(from(27, "2026-07-05T00:00:00Z"), "2026-09-01T00:00:00Z");
    }

    #[test]
    fn periods_are_those_of_the_partners_time_zone_through_its_clock_changes() {
        // Midnight in Auckland is 12:00 UTC in winter and 11:00 in summer, which begins on 27 September 2026.
        let cycle = monthly("2026-06-30T12:00:00Z", "Pacific/Auckland");
        let got = in_force_at(&cycle, None, 30, at("2026-08-30T00:00:00Z")).expect("in the calendar");
        assert_eq!(got, at("2026-09-30T11:00:00Z"));
    }

    #[test]
    fn a_trial_is_not_cut_off_though_periods_end_within_it() {
        let cycle = monthly("2026-08-20T00:00:00Z", "UTC");
        let trial = Some(at("2026-08-20T00:00:00Z"));
        let told = |days| in_force_at(&cycle, trial, days, at("2026-06-05T00:00:00Z")).expect("in the calendar");
        assert_eq!((told(1), told(30)), (at("2026-08-20T00:00:00Z"), at("2026-08-20T00:00:00Z")));
        assert_eq!(told(76), at("2026-09-20T00:00:00Z"));
    }

    #[test]
    fn it_can_be_made_where_a_period_begins_that_is_to_come() {
        let cycle = monthly("2026-06-01T00:00:00Z", "UTC");
        let (end, now) = (at("2026-09-01T00:00:00Z"), at("2026-07-05T00:00:00Z"));
        assert!(is_possible_at(&cycle, end, now));
        assert!(!is_possible_at(&cycle, end, end) && !is_possible_at(&cycle, at("2026-09-02T00:00:00Z"), now));
    }
}
