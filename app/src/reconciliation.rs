//! Comparing usage on demand: it takes as long as there is usage, so nobody waits for it.

use crate::state::AppState;
use domain::period::Period;
use jiff::Timestamp;
use store::{StoreError, reconcile::Kind};

/// Compares the range beside whatever else is done, day by day.
///
/// # Errors
/// [`StoreError::Conflict`] where one that was asked for earlier still runs.
pub async fn begin(state: &AppState, range: Period, now: Timestamp) -> Result<(), StoreError> {
    let comparison = state.store.begin_to_reconcile().await?;
    tokio::spawn(async move {
        if let Err(error) = comparison.run(range, &Kind::ALL, now).await {
            tracing::warn!(%error, "usage could not be compared");
        }
    });
    Ok(())
}
