//! Follows the development clock: how far an operator has moved time ahead. In production it stays at zero.

use super::TaskError;
use app::state::Clock;
use jiff::Timestamp;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "follow_clock";
pub const PERIOD: Duration = Duration::from_millis(500);
const DAYS_AHEAD: u16 = 1;

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock) -> Result<(), TaskError> {
    let ahead = store.clock_ahead().await?;
    if ahead.as_secs() != clock.ahead_seconds() {
        // The partition of the new day first, so that its events do not come before it.
        store.make_partitions(Timestamp::now() + ahead, DAYS_AHEAD).await?;
        clock.set_ahead_seconds(ahead.as_secs());
    }
    Ok(())
}
