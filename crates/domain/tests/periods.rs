//! Each instant is in exactly one billing period, in every zone of the IANA database (R18): clock changes, days that a zone
//! left out, ends of months, 29 February.
//!
//! The boundaries are checked against a calendar of this file's own, which knows nothing but the Gregorian rules; only which
//! offset a zone has at an instant is taken from the database that both sides read.

use domain::period::{Cycle, Interval, Period};
use jiff::{
    Timestamp, ToSpan,
    civil::DateTime,
    tz::{self, TimeZone},
};

/// Anchors as local times: the ends of months, a leap day, hours in which many zones change their clocks.
const ANCHORS: [(i16, i8, i8, i8, i8); 6] = [
    (2024, 1, 1, 0, 0),
    (2024, 1, 31, 0, 0),
    (2024, 2, 29, 2, 30),
    (2024, 3, 30, 23, 59),
    (2024, 10, 31, 1, 30),
    (2011, 11, 30, 0, 0),
];

fn zones() -> Vec<(String, TimeZone)> {
    let names: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
    assert!(names.len() > 400, "the database has {} zones", names.len());
    names.into_iter().filter_map(|name| tz::db().get(&name).ok().map(|zone| (name, zone))).collect()
}

/// Days of a month by the Gregorian rules.
fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The local date so many intervals after the anchor's, held at the month's end.
fn expected_date(anchor: DateTime, interval: Interval, index: i64) -> (i64, i64, i64) {
    let (mut year, mut month, mut day) = (i64::from(anchor.year()), i64::from(anchor.month()), i64::from(anchor.day()));
    match interval {
        Interval::Year => year += index,
        Interval::Month | Interval::Quarter | Interval::HalfYear => {
            let each = match interval {
                Interval::Quarter => 3,
                Interval::HalfYear => 6,
                _ => 1,
            };
            let months = year * 12 + month - 1 + index * each;
            (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        }
        Interval::Day | Interval::Week => {
            day += if interval == Interval::Week { index * 7 } else { index };
            while day > days_in(year, month) {
                day -= days_in(year, month);
                (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            }
        }
    }
    (year, month, day.min(days_in(year, month)))
}

/// So many that they pass clock changes, ends of months and a leap year.
fn count(interval: Interval) -> usize {
    match interval {
        Interval::Day => 60,
        Interval::Month | Interval::Year => 26,
        Interval::Week | Interval::Quarter | Interval::HalfYear => 10,
    }
}

/// The periods one after the other, from the anchor's.
fn periods(cycle: &Cycle, count: usize) -> Vec<Period> {
    let mut periods = vec![cycle.period_at(cycle.anchor).expect("a period")];
    while periods.len() < count {
        let next = cycle.period_at(periods[periods.len() - 1].end).expect("a period");
        periods.push(next);
    }
    periods
}

/// Instants where something could go wrong: both sides of each boundary and of each change of the zone's clocks.
fn edges(zone: &TimeZone, periods: &[Period]) -> Vec<Timestamp> {
    let (from, to) = (periods[0].start, periods[periods.len() - 1].end);
    let changes = zone.following(from).map(|change| change.timestamp()).take_while(|at| *at < to);
    let boundaries = periods.iter().map(|period| period.start);
    let near = |at: Timestamp| [at - 1.microsecond(), at, at + 30.minutes()];
    changes.chain(boundaries).flat_map(near).filter(|at| from <= *at && *at < to).collect()
}

#[test]
fn each_instant_is_in_exactly_one_period_in_every_zone() {
    let mut instants = 0;
    for (name, zone) in zones() {
        for interval in Interval::ALL {
            for (year, month, day, hour, minute) in ANCHORS {
                let local = DateTime::new(year, month, day, hour, minute, 0, 0).expect("a local time");
                let anchor = zone.to_timestamp(local).expect("an instant");
                let cycle = Cycle { anchor, interval, time_zone: name.clone() };
                let periods = periods(&cycle, count(interval));
                let what = format!("{name}, {interval:?}, {local}");
                assert_eq!(periods[0].start, anchor, "{what}");
                for pair in periods.windows(2) {
                    assert!(pair[0].start < pair[0].end && pair[0].end == pair[1].start, "{what}: {pair:?}");
                }
                for at in edges(&zone, &periods) {
                    let holds: Vec<_> = periods.iter().filter(|period| period.start <= at && at < period.end).collect();
                    assert_eq!(holds.len(), 1, "{what}: {at}");
                    assert_eq!(cycle.period_at(at).as_ref(), Ok(holds[0]), "{what}: {at}");
                    instants += 1;
                }
            }
        }
    }
    println!("{instants} instants");
}

#[test]
fn each_period_begins_at_the_anchors_local_time_of_its_day() {
    for (name, zone) in zones() {
        for interval in Interval::ALL {
            for (year, month, day, hour, minute) in ANCHORS {
                let local = DateTime::new(year, month, day, hour, minute, 0, 0).expect("a local time");
                let anchor = zone.to_timestamp(local).expect("an instant");
                // An anchor that its zone leaves out is another local time.
                if zone.to_datetime(anchor) != local {
                    continue;
                }
                let cycle = Cycle { anchor, interval, time_zone: name.clone() };
                let mut index = 0;
                for period in periods(&cycle, count(interval)) {
                    let begins = zone.to_datetime(period.start);
                    let found = (i64::from(begins.year()), i64::from(begins.month()), i64::from(begins.day()));
                    // A zone may leave a whole day out; then the next period begins.
                    while expected_date(local, interval, index) < found && interval == Interval::Day {
                        index += 1;
                    }
                    let expected = expected_date(local, interval, index);
                    index += 1;
                    let exact = found == expected && (begins.hour(), begins.minute()) == (hour, minute);
                    assert!(
                        exact || is_left_out(&zone, expected, hour, minute),
                        "{name}, {interval:?}, {local}: {begins} in place of {expected:?}"
                    );
                }
            }
        }
    }
}

/// Whether the zone's clocks never show that local time.
fn is_left_out(zone: &TimeZone, (year, month, day): (i64, i64, i64), hour: i8, minute: i8) -> bool {
    let small = |number: i64| i8::try_from(number).expect("a month or a day");
    let year = i16::try_from(year).expect("a year");
    let local = DateTime::new(year, small(month), small(day), hour, minute, 0, 0).expect("a local time");
    // Clocks were never off by more than a day.
    let naive = TimeZone::UTC.to_timestamp(local).expect("an instant");
    let offsets = zone.following(naive - 48.hours()).take_while(|change| change.timestamp() < naive + 48.hours());
    let mut offsets: Vec<_> = offsets.map(|change| change.offset()).collect();
    offsets.push(zone.to_offset(naive - 48.hours()));
    !offsets.iter().any(|offset| offset.to_timestamp(local).is_ok_and(|at| zone.to_datetime(at) == local))
}
