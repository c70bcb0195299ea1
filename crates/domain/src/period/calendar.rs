//! Where periods lie: from the instant on at which a subscription begins, or with the calendar of the partner's time zone.
//!
//! Calendar days begin at midnight, weeks on Monday, months, quarters, half-years and years on their first day. Whoever begins within such a
//! period has the rest of it first: a part of the whole, as after a change of plan. So there is one kind of [`Cycle`], and one period object
//! for gateways, pages and invoices.

use super::{Cycle, Interval, Length, Period, PeriodError, zone};
use jiff::{
    Span, Timestamp, ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

/// What periods follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Alignment {
    /// The instant at which the subscription begins.
    #[default]
    Anchored,
    /// The calendar of the partner's time zone.
    Calendar,
}

impl Alignment {
    pub const ALL: [Self; 2] = [Self::Anchored, Self::Calendar];

    /// As the set-up file and the terms have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Anchored => "anchored",
            Self::Calendar => "calendar",
        }
    }

    /// Whether it is what most plans have.
    pub fn is_anchored(&self) -> bool {
        *self == Self::Anchored
    }
}

impl std::str::FromStr for Alignment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|alignment| alignment.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: anchored or calendar"))
    }
}

impl Interval {
    /// When its calendar periods begin, in a sentence: `on the first of the month`.
    pub const fn begins(self) -> &'static str {
        match self {
            Self::Day => "at midnight",
            Self::Week => "on Monday",
            Self::Month => "on the first of the month",
            Self::Quarter => "on the first of January, April, July and October",
            Self::HalfYear => "on the first of January and July",
            Self::Year => "on the first of January",
        }
    }
}

impl Cycle {
    /// The periods of whoever begins `at`; the zone is an IANA name. Calendar periods lie around that instant: the first of them has begun.
    ///
    /// # Errors
    /// The zone is not known, or a date leaves the calendar.
    pub fn begin(
        at: Timestamp,
        interval: Interval,
        alignment: Alignment,
        time_zone: &str,
    ) -> Result<Self, PeriodError> {
        let anchor = match alignment {
            Alignment::Anchored => at,
            Alignment::Calendar => boundary(at, interval, &zone(time_zone)?)?,
        };
        Ok(Self { anchor, interval, time_zone: time_zone.to_owned() })
    }

    /// What counts together with `at` of the period that holds it, where units of one period count from the instant `from` on: the rest of
    /// that period, or what lies before that instant.
    ///
    /// # Errors
    /// As [`Cycle::period_at`].
    pub fn counted_at(&self, at: Timestamp, from: Option<Timestamp>) -> Result<Period, PeriodError> {
        let whole = self.period_at(at)?;
        Ok(match from.filter(|from| whole.start < *from && *from < whole.end) {
            Some(from) if at < from => Period { end: from, ..whole },
            Some(from) => Period { start: from, ..whole },
            None => whole,
        })
    }
}

/// The begin of a calendar period not after `at`, as midnight: the others follow from it by local time, so it is none that the zone's clocks
/// skip.
fn boundary(at: Timestamp, interval: Interval, zone: &TimeZone) -> Result<Timestamp, PeriodError> {
    let out = |_| PeriodError::OutOfRange;
    let back: Span = match interval.length() {
        Length::Days(days) => days.days(),
        Length::Months(months) => months.months(),
    };
    let mut first = first_day(at.to_zoned(zone.clone()).date(), interval).map_err(out)?;
    loop {
        let begins = first.to_zoned(zone.clone()).map_err(out)?;
        if begins.date() == first && begins.time() == Time::midnight() {
            return Ok(begins.timestamp());
        }
        first = first.checked_sub(back).map_err(out)?;
    }
}

/// The first day of the calendar period that has that date.
fn first_day(date: Date, interval: Interval) -> Result<Date, jiff::Error> {
    let of_month = |months: i8| Date::new(date.year(), (date.month() - 1) / months * months + 1, 1);
    match interval {
        Interval::Day => Ok(date),
        Interval::Week => date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
        Interval::Month => of_month(1),
        Interval::Quarter => of_month(3),
        Interval::HalfYear => of_month(6),
        Interval::Year => of_month(12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn whole(interval: Interval, zone: &str, instant: &str) -> Period {
        let cycle = Cycle::begin(at(instant), interval, Alignment::Calendar, zone).expect("a cycle");
        cycle.period_at(at(instant)).expect("a period")
    }

    fn period(start: &str, end: &str) -> Period {
        Period { start: at(start), end: at(end) }
    }

    #[test]
    fn a_calendar_period_begins_on_its_first_day_at_midnight_of_the_partner() {
        let noon = "2026-05-20T12:00:00+02:00";
        for (interval, start, end) in [
            (Interval::Day, "2026-05-20T00:00:00+02:00", "2026-05-21T00:00:00+02:00"),
            (Interval::Week, "2026-05-18T00:00:00+02:00", "2026-05-25T00:00:00+02:00"),
            (Interval::Month, "2026-05-01T00:00:00+02:00", "2026-06-01T00:00:00+02:00"),
            (Interval::Quarter, "2026-04-01T00:00:00+02:00", "2026-07-01T00:00:00+02:00"),
            (Interval::HalfYear, "2026-01-01T00:00:00+01:00", "2026-07-01T00:00:00+02:00"),
            (Interval::Year, "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ] {
            assert_eq!(whole(interval, "Europe/Zurich", noon), period(start, end), "{interval:?}");
        }
    }

    #[test]
    fn who_begins_on_the_31st_or_on_29_february_has_the_first_of_the_next_month() {
        let month = |instant: &str| whole(Interval::Month, "UTC", instant);
        assert_eq!(month("2026-01-31T23:59:59Z"), period("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"));
        assert_eq!(month("2028-02-29T12:00:00Z"), period("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"));
        assert_eq!(month("2026-02-01T00:00:00Z"), period("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"));
        let year = whole(Interval::Year, "UTC", "2028-02-29T12:00:00Z");
        assert_eq!(year, period("2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"));
    }

    #[test]
    fn the_month_is_the_partner_s_and_not_that_of_london() {
        let instant = "2026-04-30T14:30:00Z";
        let auckland = whole(Interval::Month, "Pacific/Auckland", instant);
        assert_eq!(auckland, period("2026-05-01T00:00:00+12:00", "2026-06-01T00:00:00+12:00"));
        assert_eq!(whole(Interval::Month, "UTC", instant), period("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"));
    }

    /// In Beirut clocks went from midnight to one o'clock on 27 March 2022, a Sunday; in Asunción on 1 October 2023.
    #[test]
    fn a_midnight_that_the_clocks_skip_moves_no_other_one() {
        let skipped = at("2022-03-27T12:00:00+03:00");
        let days = Cycle::begin(skipped, Interval::Day, Alignment::Calendar, "Asia/Beirut").expect("a cycle");
        let of = |instant| days.period_at(instant).expect("a period");
        assert_eq!(of(skipped), period("2022-03-27T01:00:00+03:00", "2022-03-28T00:00:00+03:00"));
        assert_eq!(of(at("2022-03-28T12:00:00+03:00")).end, at("2022-03-29T00:00:00+03:00"));
        let october = at("2023-10-15T12:00:00-03:00");
        let months = Cycle::begin(october, Interval::Month, Alignment::Calendar, "America/Asuncion").expect("a cycle");
        let period_of = |instant| months.period_at(instant).expect("a period");
        assert_eq!(period_of(october), period("2023-10-01T01:00:00-03:00", "2023-11-01T00:00:00-03:00"));
    }

    #[test]
    fn what_counts_with_an_instant_is_the_part_of_its_period_on_its_side() {
        let from = at("2026-05-20T12:00:00Z");
        let months = Cycle::begin(from, Interval::Month, Alignment::Calendar, "UTC").expect("a cycle");
        let counted = |instant: &str| months.counted_at(at(instant), Some(from)).expect("a period");
        assert_eq!(counted("2026-05-20T12:00:00Z"), period("2026-05-20T12:00:00Z", "2026-06-01T00:00:00Z"));
        assert_eq!(counted("2026-05-20T11:59:59Z"), period("2026-05-01T00:00:00Z", "2026-05-20T12:00:00Z"));
        assert_eq!(counted("2026-06-20T12:00:00Z"), period("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"));
        assert_eq!(months.counted_at(from, None), months.period_at(from));
    }
}
