//! Writes the revenue journal of days that are over, one after the other.

use super::TaskError;
use app::state::Clock;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "close_journal";
pub const PERIOD: Duration = Duration::from_secs(60);

/// # Errors
/// Postgres does not answer; the days before are written.
pub async fn run(store: Store, clock: Clock) -> Result<(), TaskError> {
    while let Some(day) = store.close_journal_day(clock.now()).await? {
        tracing::info!(%day, "wrote a day of the revenue journal");
    }
    Ok(())
}
