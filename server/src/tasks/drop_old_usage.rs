//! Drops usage that was kept long enough.

use super::TaskError;
use app::state::Clock;
use std::time::Duration;
use store::{Dropped, Kept, Store};

pub const NAME: &str = "drop_old_usage";
pub const PERIOD: Duration = Duration::from_secs(600);

/// # Errors
/// Postgres does not answer, or is too busy to let a partition go.
pub async fn run(store: Store, clock: Clock, kept: Kept) -> Result<(), TaskError> {
    let Dropped { partitions, events, seals, held_by } = store.drop_old_usage(&kept, clock.now()).await?;
    if partitions > 0 || events > 0 || seals > 0 {
        tracing::info!(partitions, events, seals, "usage that was kept long enough is dropped");
    }
    if let Some(period) = held_by {
        tracing::debug!(%period, "older usage stays: a billing period that begins there is not closed");
    }
    Ok(())
}
