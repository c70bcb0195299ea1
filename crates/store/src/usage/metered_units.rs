//! Meters besides units, as the invoice counts them.

use super::{MeterQuery, UsageFilter, UsageQuery};
use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::{
    id::{PartnerId, ProductId},
    key_text::Environment,
    period::Period,
    rating::MeterUsed,
    usage::MeterKind,
};
use jiff::Timestamp;
use sqlx::PgConnection;

/// What a range came to on one meter, with what the line shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredUnits {
    pub product: Option<ProductId>,
    /// For people, as `Payments, Tokens`.
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

/// By the hour, and of the last one what lies in the range. It moves with each call that measures something.
const METERED_CALLS: &str = "
    select (coalesce((
        select sum(events) from usage_meter_hourly
        where partner_id = $1 and environment = 'live' and hour >= date_trunc('hour', $2, 'UTC')
            and hour < date_trunc('hour', $3, 'UTC')), 0) + (
        select count(*) from usage_events
        where partner_id = $1 and at >= date_trunc('hour', $3, 'UTC') and at < $3 and environment = 'live'
            and meters is not null))::bigint as calls";

/// See [`Store::metered_calls`], as a transaction sees it.
pub(crate) async fn metered_calls(
    connection: &mut PgConnection,
    partner: PartnerId,
    range: Period,
) -> Result<u64, StoreError> {
    let row = sqlx::query(METERED_CALLS)
        .bind(partner.0)
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .fetch_one(connection)
        .await?;
    Ok(row.count("calls")?)
}

impl Store {
    /// A number that is another one once a live call of the range that measures something is taken in.
    pub async fn metered_calls(&self, partner: PartnerId, range: Period) -> Result<u64, StoreError> {
        let mut connection = self.pool().acquire().await?;
        metered_calls(&mut connection, partner, range).await
    }

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
            let quantity = match row.kind {
                MeterKind::Gauge => row.level_seconds.unwrap_or(0) / 3_600,
                MeterKind::Sum | MeterKind::Unique | MeterKind::Maximum | MeterKind::Latest => row.quantity,
            };
            MeteredUnits {
                product: row.product,
                label: format!("{}, {}{}", row.product_name, row.name, row.kind.priced()),
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
