//! Calendar periods in every zone of the IANA database: whoever begins at an instant is in the calendar period of that instant, whichever
//! instant of it that is, and each begins at the first day's midnight, or right after clocks that skip it.
//!
//! The days are those of a calendar of this file's own, which knows nothing but the Gregorian rules; only which local time a zone has at an
//! instant is taken from the database that both sides read.

use domain::period::{Alignment, Cycle, Interval};
use jiff::{
    Timestamp, ToSpan,
    civil::DateTime,
    tz::{self, TimeZone},
};

/// Instants around ends of months, a leap day, clock changes of both hemispheres, and a day that Samoa left out.
const INSTANTS: [&str; 9] = [
    "2024-01-31T23:59:59Z",
    "2024-02-29T12:00:00Z",
    "2024-03-31T01:00:00Z",
    "2024-10-27T01:30:00Z",
    "2024-04-26T05:00:00Z",
    "2023-10-01T06:00:00Z",
    "2026-12-31T10:00:00Z",
    "2026-07-15T00:00:00Z",
    "2011-12-31T12:00:00Z",
];

fn zones() -> Vec<(String, TimeZone)> {
    let names: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
    assert!(names.len() > 400, "the database has {} zones", names.len());
    names.into_iter().filter_map(|name| tz::db().get(&name).ok().map(|zone| (name, zone))).collect()
}

/// Days since 1 January 1970, by the rules of the calendar.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let before = |year: i64| (year - 1) * 365 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let in_year: i64 = months.iter().take(usize::try_from(month - 1).expect("a month")).sum();
    before(year) - before(1970) + in_year + day - 1
}

/// What period of the calendar the local date is in, as a number that grows by one with each.
fn index(local: DateTime, interval: Interval) -> i64 {
    let (year, month, day) = (i64::from(local.year()), i64::from(local.month()), i64::from(local.day()));
    let months = year * 12 + month - 1;
    match interval {
        Interval::Day => day_number(year, month, day),
        // 1 January 1970 was a Thursday.
        Interval::Week => (day_number(year, month, day) + 3).div_euclid(7),
        Interval::Month => months,
        Interval::Quarter => months.div_euclid(3),
        Interval::HalfYear => months.div_euclid(6),
        Interval::Year => year,
    }
}

#[test]
fn who_begins_at_an_instant_is_in_the_calendar_period_of_that_instant() {
    let mut periods = 0;
    for (name, zone) in zones() {
        for interval in Interval::ALL {
            for text in INSTANTS {
                let at: Timestamp = text.parse().expect("a timestamp");
                let cycle = Cycle::begin(at, interval, Alignment::Calendar, &name).expect("a cycle");
                let what = format!("{name}, {interval:?}, {at}");
                let mut period = cycle.period_at(at).expect("a period");
                for _ in 0..4 {
                    let of = |at: Timestamp| index(zone.to_datetime(at), interval);
                    let (own, last) = (of(period.start), period.end - 1.nanosecond());
                    assert_eq!((of(last), of(period.start - 1.nanosecond()) < own), (own, true), "{what}: {period:?}");
                    assert!(of(period.end) > own, "{what}: {period:?}");
                    // Whoever begins later in it has the same period, to the instant.
                    let later = period.start + period.end.duration_since(period.start) / 2;
                    let other = Cycle::begin(later, interval, Alignment::Calendar, &name).expect("a cycle");
                    assert_eq!(other.period_at(later), Ok(period), "{what}: {later}");
                    periods += 1;
                    period = cycle.period_at(period.end).expect("a period");
                }
            }
        }
    }
    println!("{periods} periods");
}
