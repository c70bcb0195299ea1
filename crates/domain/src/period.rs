//! The billing period: one object for the gateway's quota, the dashboard and the invoice.
//!
//! A period starts at the anchor's local date and time in the partner's time zone, every day, week, month, quarter, half-year
//! or year. An anchor on the 31st falls on the last day of a shorter month and returns to the 31st after it, and one on 29 February
//! on the 28th of other years; a local time that a clock change skips
//! or doubles resolves as RFC 5545 does (the later offset in a gap, the earlier instant in a fold). Each instant is in
//! exactly one period. The anchor of calendar periods is one of their own midnights ([`Alignment`]).

mod calendar;

pub use calendar::Alignment;

use jiff::{Span, Timestamp, ToSpan, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Day,
    Week,
    #[default]
    Month,
    /// Three months.
    Quarter,
    /// Six months.
    HalfYear,
    Year,
}

impl Interval {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::HalfYear, Self::Year];

    /// As the set-up file and the terms have it: `half_year`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::HalfYear => "half_year",
            Self::Year => "year",
        }
    }

    /// In a sentence: `half-year`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::HalfYear => "half-year",
            other => other.code(),
        }
    }

    /// How many of them make a usual year, for comparing fees: a year has 365 days and 52 weeks.
    pub const fn in_a_year(self) -> i64 {
        match self {
            Self::Day => 365,
            Self::Week => 52,
            Self::Month => 12,
            Self::Quarter => 4,
            Self::HalfYear => 2,
            Self::Year => 1,
        }
    }

    /// Calendar months, or days.
    const fn length(self) -> Length {
        match self {
            Self::Day => Length::Days(1),
            Self::Week => Length::Days(7),
            Self::Month => Length::Months(1),
            Self::Quarter => Length::Months(3),
            Self::HalfYear => Length::Months(6),
            Self::Year => Length::Months(12),
        }
    }
}

impl std::str::FromStr for Interval {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|interval| interval.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: day, week, month, quarter, half_year or year"))
    }
}

enum Length {
    Days(i64),
    Months(i64),
}

/// A half-open range of time: `start` belongs to it, `end` to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Period {
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// The time zone's name is not in the IANA database, or a date left the calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    #[error("{0:?} is not an IANA time zone, as Europe/Zurich")]
    UnknownZone(String),
    #[error("the period leaves the calendar")]
    OutOfRange,
}

/// Where periods begin: an instant, an interval and a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    pub anchor: Timestamp,
    #[serde(default)]
    pub interval: Interval,
    /// IANA name, as `Pacific/Auckland`.
    pub time_zone: String,
}

impl Cycle {
    /// Calendar months, local time.
    pub fn calendar_month(at: Timestamp, time_zone: &str) -> Result<Self, PeriodError> {
        Self::begin(at, Interval::Month, Alignment::Calendar, time_zone)
    }

    /// The period that holds `at`, which may lie before the anchor.
    pub fn period_at(&self, at: Timestamp) -> Result<Period, PeriodError> {
        Ok(self.find(at)?.1)
    }

    /// How many periods lie between the one that holds `from` and the one that holds `to`: 0 where it is the same one, or an
    /// earlier one.
    pub fn periods_between(&self, from: Timestamp, to: Timestamp) -> Result<u64, PeriodError> {
        let (first, last) = (self.find(from)?.0, self.find(to)?.0);
        Ok(u64::try_from(last - first).unwrap_or(0))
    }

    /// Where the period begins that is so many after the one that holds `from`.
    pub fn later(&self, from: Timestamp, periods: u64) -> Result<Timestamp, PeriodError> {
        let anchor = self.anchor.to_zoned(zone(&self.time_zone)?);
        let index = i64::try_from(periods).ok().and_then(|periods| self.find(from).ok()?.0.checked_add(periods));
        self.nth(&anchor, index.ok_or(PeriodError::OutOfRange)?)
    }

    fn find(&self, at: Timestamp) -> Result<(i64, Period), PeriodError> {
        let anchor = self.anchor.to_zoned(zone(&self.time_zone)?);
        let local = at.to_zoned(anchor.time_zone().clone());
        let mut index = self.guess(&anchor, &local);
        // The guess is off by at most one either way, where the anchor's day or hour is later than the instant's.
        loop {
            let start = self.nth(&anchor, index)?;
            let end = self.nth(&anchor, index + 1)?;
            if at < start {
                index -= 1;
            } else if at >= end {
                index += 1;
            } else {
                return Ok((index, Period { start, end }));
            }
        }
    }

    fn guess(&self, anchor: &Zoned, local: &Zoned) -> i64 {
        let years = i64::from(local.year()) - i64::from(anchor.year());
        let months = i64::from(local.month()) - i64::from(anchor.month());
        match self.interval.length() {
            Length::Days(days) => {
                (local.timestamp().as_second() - anchor.timestamp().as_second()).div_euclid(86_400 * days)
            }
            Length::Months(each) => (years * 12 + months).div_euclid(each),
        }
    }

    fn nth(&self, anchor: &Zoned, index: i64) -> Result<Timestamp, PeriodError> {
        let span = match self.interval.length() {
            Length::Days(days) => Span::new().try_days(index.saturating_mul(days)),
            Length::Months(months) => Span::new().try_months(index.saturating_mul(months)),
        };
        span.and_then(|span| anchor.checked_add(span)).map(|at| at.timestamp()).map_err(|_| PeriodError::OutOfRange)
    }
}

/// The zone of that IANA name.
pub fn zone(name: &str) -> Result<TimeZone, PeriodError> {
    TimeZone::get(name).map_err(|_| PeriodError::UnknownZone(name.to_owned()))
}

/// Midnights, local time, from the day of `from` to the day of `to`: the days that a chart draws.
pub fn days(from: Timestamp, to: Timestamp, time_zone: &str) -> Result<Vec<Timestamp>, PeriodError> {
    windows(from, to, time_zone, Step::Day, usize::MAX - 1)
}

/// What a range is cut into, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Hour,
    Day,
    /// From Monday on.
    Week,
    Month,
}

/// Where windows begin, local time, from the one that holds `from` to the last that begins before `to`: at most one more than
/// `most`. An hour that a clock change doubles is two windows, and a day with one is longer or shorter.
pub fn windows(
    from: Timestamp,
    to: Timestamp,
    time_zone: &str,
    step: Step,
    most: usize,
) -> Result<Vec<Timestamp>, PeriodError> {
    let out = |_| PeriodError::OutOfRange;
    let local = from.to_zoned(zone(time_zone)?);
    let mut begin = match step {
        // By what is left of the hour, not by its name, which a doubled hour shares with another.
        Step::Hour => {
            let into = i64::from(local.minute()) * 60 + i64::from(local.second());
            let nanos = i64::from(local.subsec_nanosecond());
            local.checked_sub(into.seconds().nanoseconds(nanos)).map_err(out)?
        }
        Step::Day => local.start_of_day().map_err(out)?,
        Step::Week => {
            let since_monday = i64::from(local.weekday().to_monday_zero_offset());
            local
                .date()
                .checked_sub(since_monday.days())
                .and_then(|day| day.to_zoned(local.time_zone().clone()))
                .map_err(out)?
        }
        Step::Month => local.first_of_month().and_then(|day| day.start_of_day()).map_err(out)?,
    };
    let mut begins = Vec::new();
    while begin.timestamp() < to && begins.len() <= most {
        begins.push(begin.timestamp());
        begin = match step {
            Step::Hour => begin.checked_add(1.hour()),
            // By the date: a midnight that a clock change skipped does not move those after it.
            Step::Day => begin.date().tomorrow().and_then(|day| day.to_zoned(begin.time_zone().clone())),
            Step::Week => begin.date().checked_add(1.week()).and_then(|day| day.to_zoned(begin.time_zone().clone())),
            Step::Month => begin.date().checked_add(1.month()).and_then(|day| day.to_zoned(begin.time_zone().clone())),
        }
        .map_err(out)?;
    }
    Ok(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn an_anchor_on_the_31st_returns_to_the_31st() {
        let cycle =
            Cycle { anchor: at("2026-01-31T00:00:00Z"), interval: Interval::Month, time_zone: "UTC".to_owned() };
        let feb = cycle.period_at(at("2026-03-01T00:00:00Z")).expect("a period");
        assert_eq!(feb, Period { start: at("2026-02-28T00:00:00Z"), end: at("2026-03-31T00:00:00Z") });
    }

    #[test]
    fn periods_are_counted_from_the_one_in_which_something_began() {
        let cycle =
            Cycle { anchor: at("2026-01-31T00:00:00Z"), interval: Interval::Month, time_zone: "UTC".to_owned() };
        let between = |from: &str, to: &str| cycle.periods_between(at(from), at(to)).expect("in the calendar");
        assert_eq!(between("2026-02-10T00:00:00Z", "2026-02-27T23:59:59Z"), 0);
        assert_eq!(between("2026-02-10T00:00:00Z", "2026-02-28T00:00:00Z"), 1);
        assert_eq!(between("2026-02-10T00:00:00Z", "2027-02-10T00:00:00Z"), 12);
        assert_eq!(between("2026-02-10T00:00:00Z", "2025-02-10T00:00:00Z"), 0);
    }

    #[test]
    fn a_day_with_a_clock_change_is_23_hours() {
        let cycle = Cycle {
            anchor: at("2026-03-01T00:00:00+01:00"),
            interval: Interval::Day,
            time_zone: "Europe/Zurich".to_owned(),
        };
        let day = cycle.period_at(at("2026-03-29T12:00:00+02:00")).expect("a period");
        assert_eq!((day.end - day.start).total(jiff::Unit::Hour).expect("hours"), 23.0);
    }

    proptest! {
        #[test]
        fn every_instant_is_in_its_period_and_periods_touch(
            anchor in 0_i64..4_000_000_000, offset in -2_000_000_000_i64..2_000_000_000, zone in 0_usize..5,
        ) {
            let zones = ["UTC", "Europe/Zurich", "Pacific/Auckland", "America/St_Johns", "Australia/Lord_Howe"];
            for interval in Interval::ALL {
                let cycle = Cycle {
                    anchor: Timestamp::from_second(anchor).expect("in range"),
                    interval,
                    time_zone: zones[zone].to_owned(),
                };
                let instant = Timestamp::from_second(anchor + offset).expect("in range");
                let period = cycle.period_at(instant).expect("a period");
                prop_assert!(period.contains(instant));
                prop_assert_eq!(cycle.period_at(period.end).expect("a period").start, period.end);
            }
        }
    }
}
