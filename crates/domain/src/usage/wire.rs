//! The event as bytes, as the spool keeps it. The first byte is the format's version.

use super::UsageEvent;

/// The bytes are not an event of a version that we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usage event: {0}")]
pub struct BadEvent(pub String);

const VERSION: u8 = 1;

/// Appends the event to `out`.
pub fn encode(event: &UsageEvent, out: &mut Vec<u8>) {
    out.push(VERSION);
    // A UsageEvent has no map with keys that are not texts, so this cannot fail.
    let _ = serde_json::to_writer(out, event);
}

/// Reads one event that fills all of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<UsageEvent, BadEvent> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => serde_json::from_slice(rest).map_err(|error| BadEvent(error.to_string())),
        Some((version, _)) => Err(BadEvent(format!("version {version} is not known"))),
        None => Err(BadEvent("empty".to_owned())),
    }
}
