//! Sums up the days that are over, and those again that changed since.

use super::TaskError;
use app::state::Clock;
use metrics::gauge;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "make_usage_days";
pub const PERIOD: Duration = Duration::from_secs(60);

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock) -> Result<(), TaskError> {
    let again = store.make_usage_days(clock.now()).await?;
    if again > 0 {
        tracing::debug!(days = again, "days with late calls were summed up again");
    }
    let storage = store.usage_storage().await?;
    for table in storage.tables {
        gauge!("turnpike_usage_bytes", "table" => table.name.clone()).set(table.bytes as f64);
        gauge!("turnpike_usage_partitions", "table" => table.name.clone()).set(table.partitions as f64);
        gauge!("turnpike_usage_stray_rows", "table" => table.name).set(table.stray_rows as f64);
    }
    gauge!("turnpike_usage_days_waiting").set(storage.days_changed as f64);
    Ok(())
}
