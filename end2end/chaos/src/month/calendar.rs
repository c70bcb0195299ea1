//! The month that is tried: a partner's in Auckland, from 20 March on, in which the clocks are set back. All of it by arithmetic on
//! microseconds since 1970, and by what New Zealand's law says: UTC+13 until 3 in the morning of the first Sunday of April, then UTC+12.

use crate::Trouble;
use std::time::{SystemTime, UNIX_EPOCH};
use stripe_stand_in::instant;

pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// What the partners' time zone is called.
pub const ZONE: &str = "Pacific/Auckland";

/// The instants of one year.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    /// Midnight of 20 March there.
    first_day: i64,
    /// When the clocks go back from three to two.
    pub set_back: i64,
}

impl Calendar {
    /// Of the next March that has not begun yet.
    pub fn next() -> Result<Self, Trouble> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
        (1970..9_999)
            .map(Self::of)
            .find(|calendar| calendar.opening() > now + DAY)
            .ok_or("there is no such year".into())
    }

    fn of(year: i64) -> Self {
        let april = days_since_1970(year, 4, 1);
        // 1 January 1970 was a Thursday.
        let until_sunday = (7 - (april + 4).rem_euclid(7)) % 7;
        Self {
            first_day: days_since_1970(year, 3, 20) * DAY - 13 * HOUR,
            set_back: (april + until_sunday) * DAY - 10 * HOUR,
        }
    }

    /// Half past nine of 20 March there: a plan that begins then, or within an hour of it, has the month.
    pub const fn opening(&self) -> i64 {
        self.first_day + 9 * HOUR + 30 * MINUTE
    }

    /// A quarter past ten, in UTC, of the day of the opening or of one so many days later.
    pub const fn at_noon(&self, day: i64) -> i64 {
        self.first_day + 23 * HOUR + 15 * MINUTE + day * DAY
    }

    /// Where the month ends that began at that instant: on 20 April at the same local time.
    pub const fn end_of_month(&self, start: i64) -> i64 {
        start + 31 * DAY + HOUR
    }

    /// Where the month after it ends, in which no clock is moved.
    pub const fn end_of_next(&self, start: i64) -> i64 {
        self.end_of_month(start) + 30 * DAY
    }

    /// Local midnights from that of the opening on, up to an instant.
    pub fn midnights(&self, until: i64) -> Vec<i64> {
        let midnight = |day: i64| {
            let at = self.first_day + day * DAY;
            if at > self.set_back { at + HOUR } else { at }
        };
        (0..).map(midnight).take_while(|at| *at < until).collect()
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years from March on, so that a leap day is the last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// `2027-04-03T14:00:00.000001Z`
pub fn text(at: i64) -> String {
    let whole = instant(at.div_euclid(SECOND));
    format!("{}.{:06}Z", whole.trim_end_matches(".000Z"), at.rem_euclid(SECOND))
}

/// What an answer writes as an instant, with any offset and any fraction down to microseconds.
pub fn read(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let mut parts = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let place = rest.find(['Z', '+', '-'])?;
    let (time, offset) = rest.split_at(place);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let offset = match offset {
        "Z" => 0,
        other => minutes(&other[1..])? * MINUTE * if other.starts_with('-') { -1 } else { 1 },
    };
    let fraction = format!("{fraction:0<6}").get(..6)?.parse::<i64>().ok()?;
    let (whole, seconds) = clock.rsplit_once(':')?;
    let of_day = minutes(whole)? * MINUTE + seconds.parse::<i64>().ok()? * SECOND + fraction;
    Some(days_since_1970(year, month, day) * DAY + of_day - offset)
}

/// `02:30`
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    Some(hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_of_2027_has_an_hour_more_and_32_days_are_touched() {
        let calendar = Calendar::of(2027);
        assert_eq!(text(calendar.opening()), "2027-03-19T20:30:00.000000Z");
        assert_eq!(text(calendar.set_back), "2027-04-03T14:00:00.000000Z");
        assert_eq!(text(calendar.at_noon(0)), "2027-03-20T10:15:00.000000Z");
        let end = calendar.end_of_month(calendar.opening());
        assert_eq!(text(end), "2027-04-19T21:30:00.000000Z");
        let days = calendar.midnights(end);
        assert_eq!(days.len(), 32);
        assert_eq!(
            (text(days[15]), text(days[16])),
            ("2027-04-03T11:00:00.000000Z".into(), "2027-04-04T12:00:00.000000Z".into())
        );
        // 1 April 2029 is a Sunday, 7 April 2030 another.
        assert_eq!(text(Calendar::of(2029).set_back), "2029-03-31T14:00:00.000000Z");
        assert_eq!(text(Calendar::of(2030).set_back), "2030-04-06T14:00:00.000000Z");
    }

    #[test]
    fn instants_are_read_as_answers_write_them() {
        let at = read("2027-04-03T14:00:00.000001Z").expect("an instant");
        assert_eq!(text(at), "2027-04-03T14:00:00.000001Z");
        assert_eq!(read("2027-04-04T02:00:00+12:00"), read("2027-04-03T14:00:00Z"));
        assert_eq!(read("2027-04-03T14:00:00.5Z"), Some(read("2027-04-03T14:00:00Z").expect("one") + SECOND / 2));
        assert_eq!(read("tomorrow"), None);
    }
}
