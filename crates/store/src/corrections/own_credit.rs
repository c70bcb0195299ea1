//! What corrections change of credit that apps and teams had for themselves.
//!
//! An allocation gives back no more than is taken of it: what its calls used beyond it is taken of what is common ([`crate::credits`]), and
//! that is where it goes back to. So what is written down of an event is what its allocation gave back, which a revert takes again.

use super::effect::Hit;
use crate::{StoreError, Ts, credits::lock, row::ReadRow as _};
use domain::{credit::hour_of, id::PartnerId, key_text::Environment};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Lowers what events give back to their allocations to what these paid in the events' hours, and locks all that the correction moves of
/// what gateways take from, where it moves anything of allocations. Whether anything was lowered.
///
/// By the hour, as it is booked: what an allocation had no more in one hour is not given back for what it paid in another.
pub(super) async fn clip(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    hits: &mut [Hit],
) -> Result<bool, StoreError> {
    if moved(hits).next().is_none() {
        return Ok(false);
    }
    lock::allowances(tx, partner, &quotas(hits)).await?;
    let mut paid = paid(tx, partner, hits).await?;
    let mut is_lowered = false;
    for hit in hits.iter_mut() {
        let Some(allocation) = hit.allocation else { continue };
        let back = hit.delta.allocated.saturating_neg();
        if back <= 0 {
            continue;
        }
        let left = paid.entry((allocation.0, hour_of(hit.at))).or_default();
        let part = back.min(*left);
        *left -= part;
        (hit.delta.allocated, is_lowered) = (-part, is_lowered || part < back);
    }
    Ok(is_lowered)
}

/// What allocations paid in the hours of these events: what is booked of them as used, and what is still to be booked. The sums by the hour are
/// locked, and with them their booking.
async fn paid(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    hits: &[Hit],
) -> Result<BTreeMap<(Uuid, Timestamp), i64>, StoreError> {
    let asked: BTreeSet<(Uuid, Timestamp)> =
        moved(hits).map(|(allocation, hit)| (allocation, hour_of(hit.at))).collect();
    let (allocations, hours): (Vec<Uuid>, Vec<Ts>) =
        asked.into_iter().map(|(allocation, hour)| (allocation, Ts(hour))).unzip();
    let rows = sqlx::query(
        "select allocation, at, greatest(0,
             coalesce((select sum(l.units) from ledger_unit_entries l
                 where l.partner_id = $1 and l.hour = at and l.account = 'used' and l.allocation_id = allocation), 0)
             + coalesce((select sum(u.units - u.settled) from usage_allocated_hourly u
                 where u.partner_id = $1 and u.hour = at and u.allocation_id = allocation), 0))::bigint as paid
         from unnest($2::uuid[], $3::timestamptz[]) as asked (allocation, at)",
    )
    .bind(partner.0)
    .bind(allocations)
    .bind(hours)
    .fetch_all(&mut **tx)
    .await?;
    let of = |row: &PgRow| Ok(((row.try_get("allocation")?, row.at("at")?), row.try_get("paid")?));
    Ok(rows.iter().map(of).collect::<Result<_, sqlx::Error>>()?)
}

/// Units by the allocation, where any are moved.
pub(super) fn by_allocation(hits: &[Hit]) -> BTreeMap<Uuid, i64> {
    let mut sums = BTreeMap::new();
    for (allocation, hit) in moved(hits) {
        let sum: &mut i64 = sums.entry(allocation).or_default();
        *sum = sum.saturating_add(hit.delta.allocated);
    }
    sums
}

/// Of which quotas gateways counted some of it.
fn quotas(hits: &[Hit]) -> Vec<Timestamp> {
    let counted = hits.iter().filter(|hit| hit.kind == 0 && hit.environment == Environment::Live);
    let mut all: Vec<_> = counted.filter_map(|hit| hit.quota_start).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn moved(hits: &[Hit]) -> impl Iterator<Item = (Uuid, &Hit)> {
    hits.iter().filter(|hit| hit.delta.allocated != 0).filter_map(|hit| Some((hit.allocation?.0, hit)))
}

/// Moves the sums by the hour, in the order of their keys.
pub(super) async fn sum(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    hits: &[Hit],
) -> Result<(), StoreError> {
    let own: Vec<_> = moved(hits).collect();
    if own.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into usage_allocated_hourly as held (partner_id, hour, product_id, operation_id, allocation_id, units)
         select $1, date_trunc('hour', at, 'UTC'), product, operation, allocation, sum(units)::bigint
         from unnest($2::timestamptz[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[])
             as moved (at, product, operation, allocation, units)
         group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
         on conflict (partner_id, hour, product_id, operation_id, allocation_id)
         do update set units = held.units + excluded.units",
    )
    .bind(partner.0)
    .bind(own.iter().map(|(_, hit)| Ts(hit.at)).collect::<Vec<_>>())
    .bind(own.iter().map(|(_, hit)| hit.product.map(|id| id.0).unwrap_or_default()).collect::<Vec<_>>())
    .bind(own.iter().map(|(_, hit)| hit.operation.map(|id| id.0).unwrap_or_default()).collect::<Vec<_>>())
    .bind(own.iter().map(|(allocation, _)| *allocation).collect::<Vec<_>>())
    .bind(own.iter().map(|(_, hit)| hit.delta.allocated).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
