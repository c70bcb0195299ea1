//! Makes the daily partitions of usage events before their day comes.

use super::TaskError;
use app::state::Clock;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "make_partitions";
/// Often enough that a test clock which jumps a month finds its day made.
pub const PERIOD: Duration = Duration::from_secs(60);
const DAYS_AHEAD: u16 = 7;

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock) -> Result<(), TaskError> {
    store.make_partitions(clock.now(), DAYS_AHEAD).await?;
    store.place_strays().await?;
    Ok(())
}
