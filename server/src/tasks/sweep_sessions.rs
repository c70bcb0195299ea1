//! Forgets what is over: sessions, one-time links, old sign-in failures, sent mails and kept answers of the REST API.

use super::TaskError;
use app::state::Clock;
use jiff::{SignedDuration, Timestamp};
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
    // Sessions end in real time: a test clock that is moved ahead signs nobody out.
    store.delete_expired_sessions(Timestamp::now()).await?;
    store.prune_tokens(now - KEEP_LINKS).await?;
    store.prune_sign_in_attempts(now - KEEP_FAILURES).await?;
    store.prune_mails(now - KEEP_MAILS).await?;
    store.forget_api_requests(now).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{SessionRow, test_db};

    #[tokio::test]
    async fn a_test_clock_that_is_moved_ahead_signs_nobody_out() {
        let store = test_db::store().await;
        let real = Timestamp::now();
        let session = |id: u8, hours: i64| SessionRow {
            id_hash: [id; 32],
            data: serde_json::json!({}),
            account: None,
            expires_at: real + SignedDuration::from_hours(hours),
        };
        for session in [session(1, 1), session(2, -1)] {
            assert!(store.create_session(&session, real).await.expect("created"));
        }
        let clock = Clock::default();
        clock.set_ahead_seconds(40 * 86_400);
        run(store.handle(), clock).await.expect("swept");
        let before = real - SignedDuration::from_hours(2);
        assert!(store.load_session([1; 32], before).await.expect("an answer").is_some());
        assert!(store.load_session([2; 32], before).await.expect("an answer").is_none(), "what has ended is forgotten");
    }
}
