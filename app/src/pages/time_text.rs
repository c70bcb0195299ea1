//! Times as a partner reads them: in the company's time zone.

use domain::period::Period;
use jiff::{Timestamp, tz::TimeZone};

/// The zone of that name; UTC where the name is unknown, which the settings page prevents.
pub fn local_zone(name: &str) -> TimeZone {
    domain::period::zone(name).unwrap_or(TimeZone::UTC)
}

/// `20 Nov, 23:04:11`
pub fn local_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b, %H:%M:%S").to_string()
}

/// `20 Nov 2026`
pub fn local_date(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

/// `1 May 2026, 00:00 NZST`
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y, %H:%M %Z").to_string()
}

/// `1 Nov to 30 Nov 2026`, both days included; with times where the period does not turn at midnight.
pub fn period_text(period: Period, zone: &TimeZone) -> String {
    let (start, end) = (period.start.to_zoned(zone.clone()), period.end.to_zoned(zone.clone()));
    let whole_days = turns_at_midnight(period, zone);
    let end = if whole_days { end.yesterday().unwrap_or(end) } else { end };
    let (day, time) =
        (if start.year() == end.year() { "%-d %b" } else { "%-d %b %Y" }, if whole_days { "" } else { ", %H:%M" });
    format!("{} to {}", start.strftime(&format!("{day}{time}")), end.strftime(&format!("%-d %b %Y{time}")))
}

/// The same with the zone, where there are times: `21 Nov, 15:26 to 21 Dec 2026, 15:26 CET`.
pub fn period_in_zone(period: Period, zone: &TimeZone) -> String {
    let text = period_text(period, zone);
    if turns_at_midnight(period, zone) {
        return text;
    }
    let [start, end] = [period.start, period.end].map(|at| at.to_zoned(zone.clone()).strftime("%Z").to_string());
    if start == end { format!("{text} {end}") } else { format!("{text} {start}/{end}") }
}

fn turns_at_midnight(period: Period, zone: &TimeZone) -> bool {
    [period.start, period.end]
        .map(|at| at.to_zoned(zone.clone()).time())
        .iter()
        .all(|time| (time.hour(), time.minute(), time.second()) == (0, 0, 0))
}

/// `21 Nov to 21 Dec 2026`: the days alone, where there is no room for more.
pub fn period_days(period: Period, zone: &TimeZone) -> String {
    let (start, end) = (period.start.to_zoned(zone.clone()), period.end.to_zoned(zone.clone()));
    let day = if start.year() == end.year() { "%-d %b" } else { "%-d %b %Y" };
    format!("{} to {}", start.strftime(day), end.strftime("%-d %b %Y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(start: &str, end: &str) -> Result<Period, jiff::Error> {
        Ok(Period { start: start.parse()?, end: end.parse()? })
    }

    #[test]
    fn a_period_says_only_what_is_needed() -> Result<(), jiff::Error> {
        let month = period("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")?;
        assert_eq!(period_text(month, &TimeZone::UTC), "1 Nov to 30 Nov 2026");
        let odd = period("2026-12-20T23:47:00Z", "2027-01-20T23:47:00Z")?;
        assert_eq!(period_text(odd, &TimeZone::UTC), "20 Dec 2026, 23:47 to 20 Jan 2027, 23:47");
        assert_eq!(period_days(odd, &TimeZone::UTC), "20 Dec 2026 to 20 Jan 2027");
        assert_eq!(period_in_zone(month, &TimeZone::UTC), "1 Nov to 30 Nov 2026");
        assert_eq!(period_in_zone(odd, &TimeZone::UTC), "20 Dec 2026, 23:47 to 20 Jan 2027, 23:47 UTC");
        let winter = period("2026-10-22T13:26:00Z", "2026-11-22T14:26:00Z")?;
        let berlin = local_zone("Europe/Berlin");
        assert_eq!(period_in_zone(winter, &berlin), "22 Oct, 15:26 to 22 Nov 2026, 15:26 CEST/CET");
        Ok(())
    }
}
