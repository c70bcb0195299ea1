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

/// `1 Nov 2026 to 30 Nov 2026`, both days included; with times where the period does not turn at midnight.
pub fn period_text(period: Period, zone: &TimeZone) -> String {
    let (start, end) = (period.start.to_zoned(zone.clone()), period.end.to_zoned(zone.clone()));
    let midnight = |at: &jiff::Zoned| at.hour() == 0 && at.minute() == 0 && at.second() == 0;
    if midnight(&start) && midnight(&end) {
        let last = end.yesterday().unwrap_or(end);
        format!("{} to {}", start.strftime("%-d %b %Y"), last.strftime("%-d %b %Y"))
    } else {
        format!("{} to {}", start.strftime("%-d %b %Y, %H:%M"), end.strftime("%-d %b %Y, %H:%M"))
    }
}
