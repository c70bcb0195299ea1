//! Numbers, money and moments, written the same way everywhere.

use domain::money::{Money, group_thousands};
use jiff::{Timestamp, tz::TimeZone};
use leptos::prelude::*;

/// A count with grouped digits.
#[component]
pub fn Figure(value: u64, #[prop(optional, into)] unit: String) -> impl IntoView {
    let unit = (!unit.is_empty()).then(|| view! { <span class="figure-unit">{format!(" {unit}")}</span> });
    view! { <span class="figure">{group_thousands(value)} {unit}</span> }
}

/// A count that may be below zero.
#[component]
pub fn SignedFigure(value: i64) -> impl IntoView {
    let sign = if value < 0 { "−" } else { "" };
    view! { <span class="figure">{sign}{group_thousands(value.unsigned_abs())}</span> }
}

/// An amount of money.
#[component]
pub fn MoneyText(amount: Money) -> impl IntoView {
    view! { <span class="figure">{amount.to_string()}</span> }
}

/// A moment in UTC: `20 Nov 2026, 22:57`, with seconds where `seconds`.
#[component]
pub fn TimeText(
    at: Timestamp,
    #[prop(optional)] seconds: bool,
    /// Only the day.
    #[prop(optional)]
    date: bool,
) -> impl IntoView {
    let text = match (date, seconds) {
        (true, _) => date_text(at),
        (_, true) => at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M:%S").to_string(),
        _ => at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M").to_string(),
    };
    view! { <time class="figure" datetime=at.to_string() title=full_text(at)>{text}</time> }
}

/// A moment seen from `now`: `3 minutes ago`; the exact one, in UTC, on hover.
#[component]
pub fn RelativeTime(at: Timestamp, now: Timestamp) -> impl IntoView {
    view! { <time datetime=at.to_string() title=full_text(at)>{relative_text(at, now)}</time> }
}

/// `20 Nov 2026`, in UTC.
pub fn date_text(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y").to_string()
}

fn full_text(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `at` as people say it at `now`; a date where it is more than 30 days away.
pub fn relative_text(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let distance = seconds.unsigned_abs();
    let (count, unit) = match distance {
        0..45 => return "just now".to_owned(),
        45..3_600 => ((distance / 60).max(1), "minute"),
        3_600..86_400 => (distance / 3_600, "hour"),
        86_400..2_592_000 => (distance / 86_400, "day"),
        _ => return date_text(at),
    };
    let plural = if count == 1 { "" } else { "s" };
    if seconds < 0 { format!("in {count} {unit}{plural}") } else { format!("{count} {unit}{plural} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_people_say_them() {
        let now = Timestamp::from_second(1_800_000_000).expect("a moment");
        let text = |seconds_ago: i64| {
            relative_text(Timestamp::from_second(1_800_000_000 - seconds_ago).expect("a moment"), now)
        };
        assert_eq!(text(3), "just now");
        assert_eq!(text(60), "1 minute ago");
        assert_eq!(text(50), "1 minute ago");
        assert_eq!(text(3_599), "59 minutes ago");
        assert_eq!(text(7_200), "2 hours ago");
        assert_eq!(text(-86_400), "in 1 day");
        assert_eq!(text(40 * 86_400), "6 Dec 2026");
    }
}
