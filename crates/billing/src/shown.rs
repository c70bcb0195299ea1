//! What somebody was shown, as the commit carries it back: the instant, and a digest of all that no usage changes.

use crate::ChangeRefused;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// How long what was shown can be committed to: it counts from the instant at which it was shown.
pub(crate) const HOLDS: SignedDuration = SignedDuration::from_mins(10);

/// As exact as the database and a token keep an instant.
pub(crate) fn exact(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// What was shown at that instant.
pub(crate) fn token(at: Timestamp, shown: &[u8]) -> String {
    let digest = Sha256::digest(shown);
    let hex = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}.{hex}", at.as_microsecond())
}

/// When that was shown, where a commit may still count from then.
pub(crate) fn instant(token: &str, now: Timestamp) -> Result<Timestamp, ChangeRefused> {
    let shown = token.split_once('.').and_then(|(at, _)| at.parse().ok()).map(Timestamp::from_microsecond);
    let Some(Ok(shown)) = shown else {
        return Err(ChangeRefused::Moved("Look at what the change means first, and confirm that"));
    };
    if shown > now || shown < now - HOLDS {
        return Err(ChangeRefused::Moved(
            "What was shown holds for ten minutes, which are over. Look at what the change means now, and confirm again",
        ));
    }
    Ok(shown)
}
