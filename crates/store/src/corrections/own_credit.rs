//! What corrections change of credit that apps and teams had for themselves.
//!
//! An allocation gives back no more than is taken of it: what its calls used beyond it is taken of what is common ([`crate::credits`]), and
//! that is where it goes back to.

use super::effect::Hit;
use crate::{StoreError, Ts};
use domain::id::PartnerId;
use sqlx::{Postgres, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// By how many units each event changes what was taken of its allocation.
pub(super) struct OwnCredit<'a>(Vec<(Uuid, &'a Hit, i64)>);

impl<'a> OwnCredit<'a> {
    /// Locks the allowances of the allocations.
    pub(super) async fn of(tx: &mut Transaction<'_, Postgres>, hits: &'a [Hit]) -> Result<Self, StoreError> {
        let moved =
            |hit: &'a Hit| Some((hit.allocation?.0, hit, hit.delta.allocated)).filter(|(.., units)| *units != 0);
        let mut own = Self(hits.iter().filter_map(moved).collect());
        for (allocation, units) in own.by_allocation() {
            let taken: Option<i64> =
                sqlx::query_scalar("select taken from allowances where partner_id = $1 and kind = 'credit' for update")
                    .bind(allocation)
                    .fetch_optional(&mut **tx)
                    .await?;
            let mut beyond = units.saturating_neg().saturating_sub(taken.unwrap_or(0)).max(0);
            for (.., units) in own.0.iter_mut().filter(|(of, ..)| *of == allocation) {
                let part = beyond.min(units.saturating_neg().max(0));
                (*units, beyond) = (*units + part, beyond - part);
            }
        }
        Ok(own)
    }

    /// Units by the allocation.
    pub(super) fn by_allocation(&self) -> BTreeMap<Uuid, i64> {
        let mut sums = BTreeMap::new();
        for (allocation, _, units) in &self.0 {
            let sum: &mut i64 = sums.entry(*allocation).or_default();
            *sum = sum.saturating_add(*units);
        }
        sums
    }

    /// Moves the sums by the hour, in the order of their keys.
    pub(super) async fn sum(&self, tx: &mut Transaction<'_, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
        let own: Vec<_> = self.0.iter().filter(|(.., units)| *units != 0).collect();
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
        .bind(own.iter().map(|(_, hit, _)| Ts(hit.at)).collect::<Vec<_>>())
        .bind(own.iter().map(|(_, hit, _)| hit.product.map(|id| id.0).unwrap_or_default()).collect::<Vec<_>>())
        .bind(own.iter().map(|(_, hit, _)| hit.operation.map(|id| id.0).unwrap_or_default()).collect::<Vec<_>>())
        .bind(own.iter().map(|(allocation, ..)| *allocation).collect::<Vec<_>>())
        .bind(own.iter().map(|(.., units)| *units).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
