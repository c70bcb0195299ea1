//! Calls that come when the bill of their period is made already.
//!
//! It happens where a gateway was forgotten and came back. Its calls are in all sums, as what any gateway recorded; and because no
//! bill has them, they become an adjustment of the closed period, as usage from outside does that comes late.
//!
//! Calls that are not fresh hold the partner's row of `outside_usage` together, which whoever closes a period holds alone: so each is
//! either seen by the bill or knows that it was not.

use crate::{
    StoreError,
    outside::{self, ClosedStretch},
    row::ReadRow as _,
    time::Ts,
};
use domain::{id::SubscriptionId, key_text::Environment, period::Period, usage::UsageEvent};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// No period is closed so soon after a call of it, but where somebody moves the clock: then its end says so.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// Calls of one operation in one closed stretch.
struct Late {
    subscription: Uuid,
    period_end: Timestamp,
    at: Timestamp,
    units: i64,
    first: u64,
    last: u64,
}

/// Partner, start of the stretch, product, operation.
type Of = (Uuid, Timestamp, Option<Uuid>, Option<Uuid>);

/// What of the batch came too late for its bill. To be done before anything else of it is written.
pub(super) struct LateCalls(BTreeMap<Of, Late>);

impl LateCalls {
    pub(super) async fn find(
        tx: &mut Transaction<'_, Postgres>,
        batch: &[(u64, UsageEvent)],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let fresh_from = now - FRESH;
        let closed_until: Option<Ts> =
            sqlx::query_scalar("select max(period_end) from billing_periods").fetch_one(&mut **tx).await?;
        let can_be = |event: &UsageEvent| {
            event.environment == Environment::Live
                && event.units > 0
                && (event.at < fresh_from || closed_until.is_some_and(|until| event.at < until.0))
        };
        let mut of_partner: BTreeMap<Uuid, Vec<&(u64, UsageEvent)>> = BTreeMap::new();
        for record in batch.iter().filter(|(_, event)| can_be(event)) {
            of_partner.entry(record.1.partner.0).or_default().push(record);
        }
        let mut late = BTreeMap::new();
        if of_partner.is_empty() {
            return Ok(Self(late));
        }
        outside::share(tx, &of_partner.keys().copied().collect::<Vec<_>>()).await?;
        let first = of_partner.values().flatten().map(|(_, event)| event.at).min().unwrap_or(now);
        let closed = closed(tx, &of_partner, first).await?;
        for (partner, records) in of_partner {
            let Some(closed) = closed.get(&partner) else { continue };
            for (sequence, event) in records {
                let Some(stretch) = closed.iter().find(|stretch| stretch.period.contains(event.at)) else { continue };
                let (product, operation) = (event.product.map(|id| id.0), event.operation.map(|id| id.0));
                let units = super::signed(event.units);
                let of = (partner, stretch.period.start, product, operation);
                late.entry(of)
                    .and_modify(|late: &mut Late| {
                        late.at = late.at.min(event.at);
                        late.units = late.units.saturating_add(units);
                        late.first = late.first.min(*sequence);
                        late.last = late.last.max(*sequence);
                    })
                    .or_insert(Late {
                        subscription: stretch.subscription.0,
                        period_end: stretch.period.end,
                        at: event.at,
                        units,
                        first: *sequence,
                        last: *sequence,
                    });
            }
        }
        Ok(Self(late))
    }

    /// Writes them down as adjustments.
    pub(super) async fn note(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        (node, lane): (&str, u16),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for ((partner, period_start, product, operation), late) in &self.0 {
            sqlx::query(
                "insert into usage_adjustments (partner_id, sequence, source, id, subscription_id, period_start, period_end, at,
                     product_id, operation_id, units, received_at, node, lane, first_sequence, last_sequence)
                 values ($1, nextval('late_call_numbers'), 'gateway', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(partner)
            .bind(format!("{node}/{lane}/{}-{}", late.first, late.last))
            .bind(late.subscription)
            .bind(Ts(*period_start))
            .bind(Ts(late.period_end))
            .bind(Ts(late.at))
            .bind(product)
            .bind(operation)
            .bind(late.units)
            .bind(Ts(now))
            .bind(node)
            .bind(i32::from(lane))
            .bind(super::signed(late.first))
            .bind(super::signed(late.last))
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

/// What is closed and ends after `first`, by partner. To be read when the partners' rows are held.
async fn closed<T>(
    tx: &mut Transaction<'_, Postgres>,
    partners: &BTreeMap<Uuid, T>,
    first: Timestamp,
) -> Result<BTreeMap<Uuid, Vec<ClosedStretch>>, StoreError> {
    let rows = sqlx::query(
        "select partner_id, subscription_id, period_start, period_end from billing_periods
         where partner_id = any($1) and period_end > $2 order by partner_id, period_start",
    )
    .bind(partners.keys().copied().collect::<Vec<_>>())
    .bind(Ts(first))
    .fetch_all(&mut **tx)
    .await?;
    let mut closed: BTreeMap<Uuid, Vec<ClosedStretch>> = BTreeMap::new();
    for row in &rows {
        let period = Period { start: row.at("period_start")?, end: row.at("period_end")? };
        let subscription = SubscriptionId(row.try_get("subscription_id")?);
        closed.entry(row.try_get("partner_id")?).or_default().push(ClosedStretch { subscription, period });
    }
    Ok(closed)
}
