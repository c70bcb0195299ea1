//! Meters besides units, as the invoice counts them.

use super::{MeterQuery, UsageFilter, UsageQuery};
use crate::{Store, StoreError};
use domain::{
    id::{PartnerId, ProductId},
    key_text::Environment,
    period::Period,
    rating::MeterUsed,
    usage::MeterKind,
};
use jiff::Timestamp;

/// What a range came to on one meter, with what the line shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredUnits {
    pub product: Option<ProductId>,
    /// For people, as `payments, Tokens`.
    pub label: String,
    pub kind: MeterKind,
    pub used: MeterUsed,
}

impl MeteredUnits {
    /// Whether twice the time is twice as much.
    pub const fn grows(&self) -> bool {
        matches!(self.kind, MeterKind::Sum | MeterKind::Gauge)
    }
}

impl Store {
    /// What live calls of the range counted for on meters: sums, how many different values, the largest and the latest, and levels by
    /// the hour, rounded down. Levels hold until `now` at the latest.
    pub async fn metered_between(
        &self,
        partner: PartnerId,
        range: Period,
        now: Timestamp,
    ) -> Result<Vec<MeteredUnits>, StoreError> {
        let filter = UsageFilter { environment: Some(Environment::Live), ..UsageFilter::EVERYTHING };
        let query = MeterQuery { usage: UsageQuery::whole(range, filter), meter: None, now };
        let rows = self.metered(partner, &query).await?.rows;
        let units = rows.into_iter().map(|row| {
            let (quantity, what) = match row.kind {
                MeterKind::Sum | MeterKind::Unique => (row.quantity, ""),
                MeterKind::Maximum => (row.quantity, ", the largest"),
                MeterKind::Latest => (row.quantity, ", the latest"),
                MeterKind::Gauge => (row.level_seconds.unwrap_or(0) / 3_600, ", hours"),
            };
            MeteredUnits {
                product: row.product,
                label: format!("{}, {}{what}", row.product_code, row.name),
                kind: row.kind,
                used: MeterUsed {
                    product: row.product_code,
                    meter: row.meter,
                    quantity: u64::try_from(quantity).unwrap_or(0),
                    calls: row.events,
                },
            }
        });
        Ok(units.collect())
    }
}
