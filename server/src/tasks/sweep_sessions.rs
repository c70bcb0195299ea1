//! Forgets what is over: sessions, one-time links, old sign-in failures and sent mails.

use super::TaskError;
use app::state::Clock;
use jiff::SignedDuration;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "sweep_sessions";
pub const PERIOD: Duration = Duration::from_secs(300);
/// Links that are over are kept for a while, so that one can be told from one that never was.
const KEEP_LINKS: SignedDuration = SignedDuration::from_hours(24 * 7);
const KEEP_FAILURES: SignedDuration = SignedDuration::from_hours(24);
const KEEP_MAILS: SignedDuration = SignedDuration::from_hours(24 * 30);

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock) -> Result<(), TaskError> {
    let now = clock.now();
    store.delete_expired_sessions(now).await?;
    store.prune_tokens(now - KEEP_LINKS).await?;
    store.prune_sign_in_attempts(now - KEEP_FAILURES).await?;
    store.prune_mails(now - KEEP_MAILS).await?;
    Ok(())
}
