//! The bill so far: the current period's usage through the same engine that makes the invoice.

use crate::{page::PageError, state::AppState};
use domain::{
    id::PartnerId,
    key_text::Environment,
    money::Money,
    period::Period,
    rating::{self, Rated, Used},
};
use jiff::Timestamp;
use store::Subscription;

/// What a partner's current period holds.
pub struct BillSoFar {
    pub period: Period,
    /// Live units.
    pub units: u64,
    pub rated: Rated,
}

impl BillSoFar {
    pub fn total(&self) -> Money {
        self.rated.total
    }
}

/// Rates what was used of the subscription's period that holds `now`. A period that a change of plan cut begins at the change.
pub async fn so_far(
    state: &AppState,
    partner: PartnerId,
    subscription: &Subscription,
    now: Timestamp,
) -> Result<BillSoFar, PageError> {
    let period = subscription.cycle().period_at(now).map_err(|_| PageError::Unavailable)?;
    let start = subscription.started_at.map_or(period.start, |started| started.max(period.start));
    let range = Period { start, end: period.end };
    let used = state.store.units_between(partner, range, Environment::Live).await?;
    let used: Vec<Used> = used.into_iter().map(|line| line.used).collect();
    let units = used.iter().map(|line| line.units).sum();
    let rated = rating::rate(&subscription.terms, &used).map_err(|error| {
        tracing::error!(%error, "the bill so far cannot be rated");
        PageError::Unavailable
    })?;
    Ok(BillSoFar { period, units, rated })
}
