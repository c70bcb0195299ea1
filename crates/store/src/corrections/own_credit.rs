//! What corrections change of credit that apps and teams had for themselves.
//!
//! An allocation gives back no more than is taken of it: what its calls used beyond it is taken of what is common ([`crate::credits`]), and
//! that is where it goes back to. So what is written down of an event is what its allocation gave back, which a revert takes again.

use super::effect::Hit;
use crate::{StoreError, Ts, credits::lock};
use domain::{id::PartnerId, key_text::Environment};
use jiff::Timestamp;
use sqlx::{Postgres, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Lowers what events give back to their allocations to what is taken of these, and locks all that the correction moves of what gateways take
/// from, where it moves anything of allocations. Whether anything was lowered.
pub(super) async fn clip(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    hits: &mut [Hit],
) -> Result<bool, StoreError> {
    let moved = by_allocation(hits);
    if moved.is_empty() {
        return Ok(false);
    }
    let taken = lock::allowances(tx, partner, &quotas(hits)).await?;
    let mut is_lowered = false;
    for (allocation, units) in moved {
        let taken = taken.get(&allocation).copied().unwrap_or(0);
        let mut beyond = units.saturating_neg().saturating_sub(taken).max(0);
        for hit in hits.iter_mut().filter(|hit| hit.allocation.is_some_and(|of| of.0 == allocation)) {
            let part = beyond.min(hit.delta.allocated.saturating_neg().max(0));
            (hit.delta.allocated, beyond) = (hit.delta.allocated + part, beyond - part);
            is_lowered |= part > 0;
        }
    }
    Ok(is_lowered)
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
