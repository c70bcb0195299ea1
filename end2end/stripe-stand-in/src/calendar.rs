//! When periods end: a subscription's anchor and so many of its intervals after it, in UTC, as Stripe counts.
//!
//! Months count from the anchor itself: one on the 31st ends on the last day of a shorter month and returns to the 31st after it.

const DAY: i64 = 86_400;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    Days(i64),
    Months(i64),
}

impl Interval {
    /// As prices have it: `month` and 3.
    pub fn new(interval: &str, count: i64) -> Option<Self> {
        match interval {
            "day" => Some(Self::Days(count)),
            "week" => Some(Self::Days(count.checked_mul(7)?)),
            "month" => Some(Self::Months(count)),
            "year" => Some(Self::Months(count.checked_mul(12)?)),
            _ => None,
        }
    }
}

/// The instant so many intervals after the anchor, which may be fewer than none; both in seconds since 1970.
pub fn after(anchor: i64, interval: Interval, count: i64) -> i64 {
    match interval {
        Interval::Days(days) => anchor + days * count * DAY,
        Interval::Months(months) => {
            let (year, month, day) = date_of(anchor.div_euclid(DAY));
            let month = year * 12 + month - 1 + months * count;
            let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
            day_of(year, month, day.min(last_day(year, month))) * DAY + anchor.rem_euclid(DAY)
        }
    }
}

/// The first end of a period after that instant.
pub fn end_after(anchor: i64, interval: Interval, at: i64) -> i64 {
    let length = match interval {
        Interval::Days(days) => days * DAY,
        Interval::Months(months) => months * 31 * DAY,
    };
    // A month is at most 31 days long: this is never too late.
    let mut count = (at - anchor).div_euclid(length) - 1;
    while after(anchor, interval, count) <= at {
        count += 1;
    }
    after(anchor, interval, count)
}

fn last_day(year: i64, month: i64) -> i64 {
    let (year_after, month_after) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    date_of(day_of(year_after, month_after, 1) - 1).2
}

/// Year, month and day of so many days since 1970: days since 0000-03-01 are counted in eras of 400 years.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    match month {
        0..=9 => (era * 400 + year_of_era, month + 3, day),
        _ => (era * 400 + year_of_era + 1, month - 9, day),
    }
}

/// Its inverse.
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{events::seconds, instant};

    #[test]
    fn a_month_ends_on_its_last_day_and_the_one_after_it_on_the_31st_again() {
        let anchor = seconds("2026-01-31T11:30:00Z").expect("an instant");
        let ends = |count| instant(after(anchor, Interval::Months(1), count));
        assert_eq!(ends(1), "2026-02-28T11:30:00.000Z");
        assert_eq!(ends(2), "2026-03-31T11:30:00.000Z");
        assert_eq!(ends(25), "2028-02-29T11:30:00.000Z");
        assert_eq!(ends(-1), "2025-12-31T11:30:00.000Z");
        let end = |at: &str| instant(end_after(anchor, Interval::Months(1), seconds(at).expect("an instant")));
        assert_eq!(end("2026-02-28T11:30:00Z"), "2026-03-31T11:30:00.000Z");
        assert_eq!(end("2026-02-28T11:29:59Z"), "2026-02-28T11:30:00.000Z");
        assert_eq!(end("2025-11-30T12:00:00Z"), "2025-12-31T11:30:00.000Z");
        assert_eq!(end_after(100, Interval::Days(1), 100 + 86_400), 100 + 2 * 86_400);
    }
}
