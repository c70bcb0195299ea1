//! Calls that come when the bill of their period is made already.
//!
//! Only units do. What such calls measured besides is on no bill, and whoever takes them in says so where the plan had a price for it.
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
use domain::{
    id::{PartnerId, SubscriptionId},
    key_text::Environment,
    period::Period,
    usage::UsageEvent,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// No period is closed so soon after a call of it, but where somebody moves the clock: then its end says so.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What is looked at of a live call that bills count.
pub(super) struct Counting {
    sequence: u64,
    partner: Uuid,
    at: Timestamp,
    product: Option<Uuid>,
    operation: Option<Uuid>,
    team: Option<Uuid>,
    units: u64,
    credits: u64,
    /// Codes of what it measured.
    meters: Vec<String>,
}

impl Counting {
    /// `None` where no bill counts it.
    pub(super) fn of<Text: AsRef<str>>(sequence: u64, event: &UsageEvent<Text>) -> Option<Self> {
        let counts = event.environment == Environment::Live && (event.units > 0 || !event.meters.is_empty());
        counts.then(|| Self {
            sequence,
            partner: event.partner.0,
            at: event.at,
            product: event.product.map(|id| id.0),
            operation: event.operation.map(|id| id.0),
            team: event.team.map(|id| id.0),
            units: event.units,
            credits: event.credits,
            meters: event.meters.iter().map(|metered| metered.meter.as_ref().to_owned()).collect(),
        })
    }
}

/// Calls of one operation and team in one closed stretch.
struct Late {
    subscription: Uuid,
    period_end: Timestamp,
    at: Timestamp,
    units: i64,
    credits: i64,
    first: u64,
    last: u64,
}

/// Partner, start of the stretch, product, operation, team.
type Of = (Uuid, Timestamp, Option<Uuid>, Option<Uuid>, Option<Uuid>);

/// What of the batch came too late for its bill. To be done before anything else of it is written.
#[derive(Default)]
pub(super) struct LateCalls {
    units: BTreeMap<Of, Late>,
    /// By partner: calls that measured what their plan has a price for, and that no invoice will have.
    metered: BTreeMap<Uuid, u64>,
}

/// A stretch that is closed, and what its plan has a price for.
struct Billed {
    stretch: ClosedStretch,
    /// Product and meter.
    priced: BTreeSet<(Uuid, String)>,
}

impl LateCalls {
    pub(super) async fn find(
        tx: &mut Transaction<'_, Postgres>,
        counting: &[Counting],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let fresh_from = now - FRESH;
        let closed_until: Option<Ts> =
            sqlx::query_scalar("select max(period_end) from billing_periods").fetch_one(&mut **tx).await?;
        let can_be = |call: &&Counting| call.at < fresh_from || closed_until.is_some_and(|until| call.at < until.0);
        let mut of_partner: BTreeMap<Uuid, Vec<&Counting>> = BTreeMap::new();
        for call in counting.iter().filter(can_be) {
            of_partner.entry(call.partner).or_default().push(call);
        }
        let mut all = Self::default();
        if of_partner.is_empty() {
            return Ok(all);
        }
        outside::share(tx, &of_partner.keys().copied().collect::<Vec<_>>()).await?;
        let first = of_partner.values().flatten().map(|call| call.at).min().unwrap_or(now);
        let closed = closed(tx, &of_partner, first).await?;
        for (partner, calls) in of_partner {
            let Some(closed) = closed.get(&partner) else { continue };
            for call in calls {
                let Some(billed) = closed.iter().find(|billed| billed.stretch.period.contains(call.at)) else {
                    continue;
                };
                let stretch = billed.stretch;
                if billed.prices(call) {
                    *all.metered.entry(partner).or_default() += 1;
                }
                if call.units == 0 {
                    continue;
                }
                let units = super::signed(call.units);
                let credits = super::signed(call.credits);
                let of = (partner, stretch.period.start, call.product, call.operation, call.team);
                all.units
                    .entry(of)
                    .and_modify(|late: &mut Late| {
                        late.at = late.at.min(call.at);
                        late.units = late.units.saturating_add(units);
                        late.credits = late.credits.saturating_add(credits);
                        late.first = late.first.min(call.sequence);
                        late.last = late.last.max(call.sequence);
                    })
                    .or_insert(Late {
                        subscription: stretch.subscription.0,
                        period_end: stretch.period.end,
                        at: call.at,
                        units,
                        credits,
                        first: call.sequence,
                        last: call.sequence,
                    });
            }
        }
        Ok(all)
    }

    /// How many calls measured what no invoice will have, though their plan has a price for it. To be asked once the batch is stored.
    pub(super) fn unbilled_meters(&self) -> u64 {
        for (partner, calls) in &self.metered {
            let partner = PartnerId(*partner);
            tracing::warn!(%partner, calls, "calls came after the bill of their period: what they measured is on no invoice");
        }
        self.metered.values().sum()
    }

    /// Writes them down as adjustments.
    pub(super) async fn note(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        (node, lane): (&str, u16),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for ((partner, period_start, product, operation, team), late) in &self.units {
            sqlx::query(
                "insert into usage_adjustments (partner_id, sequence, source, id, subscription_id, period_start, period_end, at,
                     product_id, operation_id, units, received_at, node, lane, first_sequence, last_sequence,
                     credits, team_id)
                 values ($1, nextval('late_call_numbers'), 'gateway', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
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
            .bind(late.credits)
            .bind(team)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

impl Billed {
    fn prices(&self, call: &Counting) -> bool {
        let Some(product) = call.product.filter(|_| !self.priced.is_empty()) else { return false };
        call.meters.iter().any(|meter| self.priced.contains(&(product, meter.clone())))
    }
}

/// What is closed and ends after `first`, by partner. To be read when the partners' rows are held.
async fn closed<T>(
    tx: &mut Transaction<'_, Postgres>,
    partners: &BTreeMap<Uuid, T>,
    first: Timestamp,
) -> Result<BTreeMap<Uuid, Vec<Billed>>, StoreError> {
    let rows = sqlx::query(
        "select b.partner_id, b.subscription_id, b.period_start, b.period_end, priced.products, priced.meters
         from billing_periods b
         join subscriptions s on s.partner_id = b.partner_id and s.id = b.subscription_id
         join plan_versions v on v.id = s.plan_version_id
         cross join lateral (
             select coalesce(array_agg(p.id), '{}') as products, coalesce(array_agg(m.price ->> 'meter'), '{}') as meters
             from jsonb_array_elements(
                 case jsonb_typeof(v.terms -> 'meters') when 'array' then v.terms -> 'meters' else '[]' end) as m (price)
             join products p on p.code = m.price ->> 'product'
         ) as priced
         where b.partner_id = any($1) and b.period_end > $2 order by b.partner_id, b.period_start",
    )
    .bind(partners.keys().copied().collect::<Vec<_>>())
    .bind(Ts(first))
    .fetch_all(&mut **tx)
    .await?;
    let mut closed: BTreeMap<Uuid, Vec<Billed>> = BTreeMap::new();
    for row in &rows {
        let period = Period { start: row.at("period_start")?, end: row.at("period_end")? };
        let subscription = SubscriptionId(row.try_get("subscription_id")?);
        let (products, meters): (Vec<Uuid>, Vec<String>) = (row.try_get("products")?, row.try_get("meters")?);
        let priced = products.into_iter().zip(meters).collect();
        let billed = Billed { stretch: ClosedStretch { subscription, period }, priced };
        closed.entry(row.try_get("partner_id")?).or_default().push(billed);
    }
    Ok(closed)
}
