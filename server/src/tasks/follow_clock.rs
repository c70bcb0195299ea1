//! Follows the development clock: how far an operator has moved time ahead. In production it stays at zero.

use super::TaskError;
use app::state::Clock;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "follow_clock";
pub const PERIOD: Duration = Duration::from_millis(500);

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock) -> Result<(), TaskError> {
    clock.set_ahead_seconds(store.clock_ahead().await?.as_secs());
    Ok(())
}
