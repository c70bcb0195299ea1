//! Comparing usage on demand: it takes as long as there is usage, so nobody waits for it.

use crate::state::AppState;
use domain::period::Period;
use jiff::Timestamp;
use store::{StoreError, reconcile::Kind};

/// Compares the range beside whatever else is done. Where somebody compares just now, that has to do.
pub fn begin(state: &AppState, range: Period, now: Timestamp) {
    let store = state.store.clone();
    tokio::spawn(async move {
        match store.reconcile_all(range, &Kind::ALL, now).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => tracing::warn!(%error, "usage could not be compared"),
        }
    });
}
