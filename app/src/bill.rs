//! The bill of the current period, by the engine that makes the invoice.

use crate::{page::PageError, state::AppState};
use domain::{id::PartnerId, money::Money, period::Period, rating::Rated};
use jiff::Timestamp;

/// What a partner's current period holds.
pub struct BillSoFar {
    /// What will be on one invoice: the whole period, or the part since the plan changed.
    pub period: Period,
    /// Live units.
    pub units: u64,
    pub rated: Rated,
    /// The total, if the rest of the period is used as the part before now was.
    pub estimate: Money,
}

impl BillSoFar {
    pub fn total(&self) -> Money {
        self.rated.total
    }
}

/// The bill of the active subscription; nothing where there is none.
pub async fn so_far(state: &AppState, partner: PartnerId, now: Timestamp) -> Result<Option<BillSoFar>, PageError> {
    let projected = billing::project(&state.store, partner, now).await.map_err(|error| {
        tracing::error!(%error, "the bill so far cannot be rated");
        PageError::Unavailable
    })?;
    Ok(projected.map(|projected| BillSoFar {
        period: projected.period,
        units: projected.used.iter().map(|line| line.used.units).sum(),
        rated: projected.so_far,
        estimate: projected.estimate.total,
    }))
}
