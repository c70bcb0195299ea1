//! What the examples share.

use jiff::{Timestamp, ToSpan};

/// A name that is far longer than anybody planned for.
pub const LONG: &str = "Internationale Zahlungsabwicklungsgesellschaft mit beschränkter Haftung und Compagnie Kommanditgesellschaft auf Aktien";

/// `ago` hours before `now`.
pub fn before(now: Timestamp, hours: i64) -> Timestamp {
    now.checked_sub(hours.hours()).unwrap_or(now)
}
