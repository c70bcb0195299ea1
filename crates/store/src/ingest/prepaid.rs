//! Units that prepaid credit paid, summed up by hour and operation: bills leave them out, and the ledger books them. Those of allocations are
//! summed up besides.

use super::signed;
use crate::time::Ts;
use domain::usage::{Allocated, UsageEvent, whole_micros};
use jiff::Timestamp;
use sqlx::{Postgres, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

const HOUR_MICROS: i64 = 3_600_000_000;

type Key = (Uuid, Timestamp, Uuid, Uuid);

/// What events add to the sums.
#[derive(Default)]
pub(super) struct Sums {
    units: BTreeMap<Key, i64>,
    /// Of those, the allocations'.
    allocated: BTreeMap<(Key, Uuid), i64>,
}

impl Sums {
    pub(super) fn add<Text>(&mut self, event: &UsageEvent<Text>) {
        if event.credits == 0 {
            return;
        }
        let micros = whole_micros(event.at);
        let hour = Timestamp::from_microsecond(micros - micros.rem_euclid(HOUR_MICROS)).unwrap_or(event.at);
        let product = event.product.map(|id| id.0).unwrap_or_default();
        let operation = event.operation.map(|id| id.0).unwrap_or_default();
        let key = (event.partner.0, hour, product, operation);
        let sum = self.units.entry(key).or_default();
        *sum = sum.saturating_add(signed(event.credits));
        if let Some(Allocated { allocation, units }) = event.of_allocation() {
            let sum = self.allocated.entry((key, allocation.0)).or_default();
            *sum = sum.saturating_add(signed(units));
        }
    }

    /// Adds them to those that Postgres has, in the order of their keys, as everywhere.
    pub(super) async fn merge(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
        let Self { units: sums, allocated: own } = self;
        if sums.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into usage_credit_hourly as held (partner_id, hour, product_id, operation_id, units)
             select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::bigint[])
             on conflict (partner_id, hour, product_id, operation_id) do update set units = held.units + excluded.units",
        )
        .bind(sums.keys().map(|(partner, ..)| *partner).collect::<Vec<_>>())
        .bind(sums.keys().map(|(_, hour, ..)| Ts(*hour)).collect::<Vec<_>>())
        .bind(sums.keys().map(|(.., product, _)| *product).collect::<Vec<_>>())
        .bind(sums.keys().map(|(.., operation)| *operation).collect::<Vec<_>>())
        .bind(sums.values().copied().collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        if own.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into usage_allocated_hourly as held (partner_id, hour, product_id, operation_id, allocation_id, units)
             select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[])
             on conflict (partner_id, hour, product_id, operation_id, allocation_id)
             do update set units = held.units + excluded.units",
        )
        .bind(own.keys().map(|((partner, ..), _)| *partner).collect::<Vec<_>>())
        .bind(own.keys().map(|((_, hour, ..), _)| Ts(*hour)).collect::<Vec<_>>())
        .bind(own.keys().map(|((.., product, _), _)| *product).collect::<Vec<_>>())
        .bind(own.keys().map(|((.., operation), _)| *operation).collect::<Vec<_>>())
        .bind(own.keys().map(|(_, allocation)| *allocation).collect::<Vec<_>>())
        .bind(own.values().copied().collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
