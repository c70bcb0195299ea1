//! Units, as the invoice and the quota count them.

use super::{
    UsageFilter,
    source::{Detail, Ranges, from_used, used},
};
use crate::{
    Store, StoreError,
    pool::{plan_as_usual, plan_for_values},
    row::ReadRow as _,
    time::Ts,
};
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

/// Of ranges whose units are at hand, by operation as [`BY_OPERATION`] has them; else one row that says that they are not. Migration 0077
/// has the functions: what is above answers for any time, and takes longer to plan than to run.
const AT_HAND: &str = "
    select asked.part, at_hand.are_all, used.product_id, used.operation_id, coalesce(p.code, 'unknown') as product,
        coalesce(o.code, 'unknown') as operation,
        coalesce(p.name || ', ' || o.method || ' ' || o.path, 'Unknown operation') as label, used.units, used.prepaid
    from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) with ordinality as asked (partner_id, first, past, part)
    cross join lateral (
        select are_units_at_hand(asked.partner_id, asked.first, asked.past, $4) as are_all offset 0
    ) as at_hand
    left join lateral (
        select * from units_by_operation(asked.partner_id, asked.first, asked.past, $4) where at_hand.are_all offset 0
    ) as used on true
    left join operations o on o.id = used.operation_id
    left join products p on p.id = used.product_id
    order by asked.part, product, operation";

/// All of them, where they are at hand; `null` else.
const COUNTED: &str =
    "select case when are_units_at_hand($1, $2, $3, $4) then units_counted($1, $2, $3, $4) end as units";

impl Store {
    /// Units used in the range, by product and operation, and how many of them credit paid.
    pub async fn units_between(
        &self,
        partner: PartnerId,
        range: Period,
        environment: Environment,
    ) -> Result<Vec<UsedUnits>, StoreError> {
        let mut tx = self.one_instant().await?;
        let units = units_of(&mut tx, &[(partner, range)], environment).await?.pop();
        tx.commit().await?;
        Ok(units.unwrap_or_default())
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
        let mut tx = self.one_instant().await?;
        let units = units_stored(&mut tx, partner, range, environment).await?;
        tx.commit().await?;
        Ok(units)
    }
}

/// Units of partners in ranges of their own, by product and operation and in the order of the ranges, as a transaction sees them.
pub(crate) async fn units_of(
    connection: &mut PgConnection,
    ranges: &[(PartnerId, Period)],
    environment: Environment,
) -> Result<Vec<Vec<UsedUnits>>, StoreError> {
    let rows = sqlx::query(AT_HAND)
        .bind(ranges.iter().map(|(partner, _)| partner.0).collect::<Vec<_>>())
        .bind(ranges.iter().map(|(_, range)| Ts(range.start)).collect::<Vec<_>>())
        .bind(ranges.iter().map(|(_, range)| Ts(range.end)).collect::<Vec<_>>())
        .bind(environment.code())
        .fetch_all(&mut *connection)
        .await?;
    let mut at_hand: Vec<Option<Vec<UsedUnits>>> = vec![None; ranges.len()];
    for row in &rows {
        let are_all: bool = row.try_get("are_all")?;
        let Some(of_range) = at_hand.get_mut(row.place("part")?).filter(|_| are_all) else { continue };
        let of_range = of_range.get_or_insert_default();
        if row.try_get::<Option<Uuid>, _>("product_id")?.is_some() {
            of_range.push(units(row)?);
        }
    }
    let mut all = Vec::with_capacity(ranges.len());
    for (at_hand, (partner, range)) in at_hand.into_iter().zip(ranges) {
        all.push(match at_hand {
            Some(units) => units,
            None => units_of_any_time(connection, *partner, *range, environment).await?,
        });
    }
    Ok(all)
}

async fn units_of_any_time(
    connection: &mut PgConnection,
    partner: PartnerId,
    range: Period,
    environment: Environment,
) -> Result<Vec<UsedUnits>, StoreError> {
    let filter = UsageFilter { environment: Some(environment), ..UsageFilter::default() };
    plan_for_values(connection).await?;
    let rows = used(BY_OPERATION, Some(partner), Ranges::new(&[range]), &filter, Detail::Operations)
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .fetch_all(&mut *connection)
        .await?;
    plan_as_usual(connection).await?;
    Ok(rows.iter().map(units).collect::<Result<_, _>>()?)
}

/// All units used in the range, as a transaction sees them.
pub(crate) async fn units_stored(
    connection: &mut PgConnection,
    partner: PartnerId,
    range: Period,
    environment: Environment,
) -> Result<u64, StoreError> {
    let row = sqlx::query(COUNTED)
        .bind(partner.0)
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .bind(environment.code())
        .fetch_one(&mut *connection)
        .await?;
    if row.try_get::<Option<i64>, _>("units")?.is_some() {
        return Ok(row.count("units")?);
    }
    let filter = UsageFilter { environment: Some(environment), ..UsageFilter::default() };
    plan_for_values(connection).await?;
    let counted = used(UNITS, Some(partner), Ranges::new(&[range]), &filter, Detail::Brief);
    let rows = counted.fetch_all(&mut *connection).await?;
    plan_as_usual(connection).await?;
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
