//! Units, as the invoice and the quota count them.

use super::{
    UsageFilter,
    source::{Detail, HOUR_MICROS, Ranges, from_used, used},
};
use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::{
    id::{OperationId, PartnerId, ProductId, SubscriptionId},
    key_text::Environment,
    period::Period,
    rating::Used,
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// Units of one operation, with its ids beside the codes that rating goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUnits {
    /// `None` for units of a product that is not known: they are counted, so that they are seen.
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    /// For people, as `Payments, POST /payments`.
    pub label: String,
    pub used: Used,
}

/// What the bill of a closed stretch has of one meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledMeter {
    /// Product code.
    pub product: String,
    /// Meter code; `None` on lines of long ago, which do not say it.
    pub meter: Option<String>,
    pub quantity: u64,
    /// Calls that it counts; `None` on lines from before this was kept.
    pub calls: Option<u64>,
}

const BY_OPERATION: &str = from_used!(
    one;
    ", paid as materialized (
         select * from units_prepaid($1, $28, $29) where $12 = 'live'
     )
     select used.product_id, operation_id, coalesce(max(p.code), 'unknown') as product,
         coalesce(max(o.code), 'unknown') as operation,
         coalesce(max(p.name || ', ' || o.method || ' ' || o.path), 'Unknown operation') as label, sum(used.units)::bigint as units,
         coalesce((select paid.units from paid
             where paid.product_id = used.product_id and paid.operation_id = used.operation_id), 0) as prepaid
     from used left join operations o on o.id = operation_id left join products p on p.id = used.product_id
     group by used.product_id, used.operation_id having sum(used.units) > 0 order by product, operation"
);

/// Codes as [`BY_OPERATION`] has them.
const BILLED: &str = "
    select l.product_id, l.operation_id, coalesce(p.code, 'unknown') as product, coalesce(o.code, 'unknown') as operation,
        coalesce(p.name || ', ' || o.method || ' ' || o.path, 'Unknown operation') as label, sum(l.quantity)::bigint as units,
        coalesce(sum(l.prepaid), 0)::bigint as prepaid
    from billing_periods b
    join invoice_lines l on l.partner_id = b.partner_id and l.invoice_id = b.invoice_id and l.kind = 'usage'
    left join products p on p.id = l.product_id
    left join operations o on o.id = l.operation_id
    where b.partner_id = $1 and b.subscription_id = $2 and b.period_start = $3
    group by 1, 2, 3, 4, 5 order by product, operation";

const BILLED_METERS: &str = "
    select coalesce(p.code, '') as product, l.meter, l.quantity, l.calls
    from billing_periods b
    join invoice_lines l on l.partner_id = b.partner_id and l.invoice_id = b.invoice_id and l.kind = 'meter'
    left join products p on p.id = l.product_id
    where b.partner_id = $1 and b.subscription_id = $2 and b.period_start = $3
    order by l.position";

const UNITS: &str = from_used!(one; "select coalesce(sum(units), 0)::bigint as units from used");

/// The same of whole hours that are all kept, where no day of them changed after it was made; `null` else. Every period that is closed
/// is counted once more while others wait, and what is above takes longer to plan than to run.
const UNITS_OF_WHOLE_HOURS: &str = "
    select case when hourly_from <= $2 and not exists (
            select from usage_days_changed c
            where c.partner_id = $1 and c.day >= ($2 at time zone 'UTC')::date and c.day <= ($3 at time zone 'UTC')::date
        ) then (
            select coalesce(sum(units), 0) from usage_brief b
            where b.partner_id = $1 and b.hour >= $2 and b.hour < $3 and b.hour < made_before and b.environment = $4
        ) + (
            select coalesce(sum(units), 0) from usage_hourly h
            where h.partner_id = $1 and h.hour >= $2 and h.hour < $3 and h.hour >= made_before and h.environment = $4
        ) end::bigint as units
    from usage_upkeep";

impl Store {
    /// Units used in the range, by product and operation, and how many of them credit paid.
    pub async fn units_between(
        &self,
        partner: PartnerId,
        range: Period,
        environment: Environment,
    ) -> Result<Vec<UsedUnits>, StoreError> {
        let filter = UsageFilter { environment: Some(environment), ..UsageFilter::default() };
        let mut tx = self.one_planned_instant().await?;
        let rows = used(BY_OPERATION, Some(partner), Ranges::new(&[range]), &filter, Detail::Operations)
            .bind(Ts(range.start))
            .bind(Ts(range.end))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(rows.iter().map(units).collect::<Result<_, _>>()?)
    }

    /// Units of a closed stretch as its bill has them, whatever was stored since; none where nothing was owed.
    pub async fn billed_units(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        period: Period,
    ) -> Result<Vec<UsedUnits>, StoreError> {
        let rows = sqlx::query(BILLED)
            .bind(partner.0)
            .bind(subscription.0)
            .bind(Ts(period.start))
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(units).collect::<Result<_, _>>()?)
    }

    /// Meters of a closed stretch as its bill has them, whatever was stored since; none where nothing was owed.
    pub async fn billed_meters(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        period: Period,
    ) -> Result<Vec<BilledMeter>, StoreError> {
        let rows = sqlx::query(BILLED_METERS)
            .bind(partner.0)
            .bind(subscription.0)
            .bind(Ts(period.start))
            .fetch_all(self.pool())
            .await?;
        let billed = |row: &PgRow| {
            let calls: Option<i64> = row.try_get("calls")?;
            Ok(BilledMeter {
                product: row.try_get("product")?,
                meter: row.try_get("meter")?,
                quantity: row.count("quantity")?,
                calls: calls.map(|calls| u64::try_from(calls).unwrap_or(0)),
            })
        };
        Ok(rows.iter().map(billed).collect::<Result<_, sqlx::Error>>()?)
    }

    /// All units used in the range: what a quota holds against the partner.
    pub async fn units_used(
        &self,
        partner: PartnerId,
        range: Period,
        environment: Environment,
    ) -> Result<u64, StoreError> {
        let mut tx = self.one_planned_instant().await?;
        let units = units_stored(&mut tx, partner, range, environment).await?;
        tx.commit().await?;
        Ok(units)
    }
}

/// All units used in the range, as a transaction sees them.
pub(crate) async fn units_stored(
    connection: &mut PgConnection,
    partner: PartnerId,
    range: Period,
    environment: Environment,
) -> Result<u64, StoreError> {
    let is_whole_hours = [range.start, range.end].iter().all(|edge| edge.as_microsecond() % HOUR_MICROS == 0);
    if is_whole_hours && range.start < range.end {
        let row = sqlx::query(UNITS_OF_WHOLE_HOURS)
            .bind(partner.0)
            .bind(Ts(range.start))
            .bind(Ts(range.end))
            .bind(environment.code())
            .fetch_one(&mut *connection)
            .await?;
        if row.try_get::<Option<i64>, _>("units")?.is_some() {
            return Ok(row.count("units")?);
        }
    }
    let filter = UsageFilter { environment: Some(environment), ..UsageFilter::default() };
    let rows = used(UNITS, Some(partner), Ranges::new(&[range]), &filter, Detail::Brief).fetch_all(connection).await?;
    Ok(rows.first().map(|row| row.count("units")).transpose()?.unwrap_or_default())
}

fn units(row: &PgRow) -> Result<UsedUnits, sqlx::Error> {
    let known = |id: Option<Uuid>| id.filter(|id| !id.is_nil());
    Ok(UsedUnits {
        product: known(row.try_get("product_id")?).map(ProductId),
        operation: known(row.try_get("operation_id")?).map(OperationId),
        label: row.try_get("label")?,
        used: Used {
            product: row.try_get("product")?,
            operation: row.try_get("operation")?,
            units: row.count("units")?,
            // Credit that a correction took back before its call was summed up is below nothing for a moment.
            prepaid: u64::try_from(row.try_get::<i64, _>("prepaid")?).unwrap_or(0),
        },
    })
}
