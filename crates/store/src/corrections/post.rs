//! Writing a correction down, or its opposite: counter-events, roll-ups, adjustments, allowances.

use super::{effect::Hit, node, own_credit};
use crate::{
    StoreError, Ts, hooks,
    ingest::{batches, days, signed},
    outside::Catalogue,
    row::ReadRow as _,
};
use domain::{
    allowance::Kind,
    correction::{BackFill, Change},
    id::{CorrectionId, PartnerId, SubscriptionId},
    key_text::Environment,
};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Which of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Apply = 0,
    Revert = 1,
}

/// Where it is written.
pub(super) struct Posting<'a> {
    pub partner: PartnerId,
    pub correction: CorrectionId,
    pub step: Step,
    pub change: &'a Change,
    pub now: Timestamp,
}

impl Posting<'_> {
    /// Writes all of it. The partner's row of `outside_usage` is locked, and the days are entered. What allocations give back is known only
    /// when what is taken of them is locked, and that comes after all sums.
    pub(super) async fn write(&self, tx: &mut Transaction<'_, Postgres>, hits: &mut [Hit]) -> Result<(), StoreError> {
        let open: Vec<&Hit> = hits.iter().filter(|hit| hit.closed.is_none()).collect();
        match self.change {
            Change::BackFill(fill) => {
                if let [hit] = open.as_slice() {
                    self.back_fill(tx, fill, hit).await?;
                }
            }
            Change::Void | Change::SetUnits { .. } => self.counter_events(tx, &open).await?,
        }
        self.roll_up(tx, &open).await?;
        self.sum_credits(tx, hits).await?;
        if own_credit::clip(tx, self.partner, hits).await? {
            let open: Vec<&Hit> = hits.iter().filter(|hit| hit.closed.is_none()).collect();
            self.lower_allocated(tx, &open).await?;
        }
        own_credit::sum(tx, self.partner, hits).await?;
        let closed: Vec<&Hit> = hits.iter().filter(|hit| hit.closed.is_some()).collect();
        self.adjust(tx, &closed).await?;
        let row = sqlx::query(
            "update outside_usage set corrected = corrected + 1, correction_events = correction_events + $2 where partner_id = $1
             returning correction_events - $2 as first",
        )
        .bind(self.partner.0)
        .bind(signed(hits.len() as u64))
        .fetch_one(&mut **tx)
        .await?;
        let first = row.count("first")?;
        self.note(tx, hits, first).await?;
        // Those who follow usage find them by their numbers.
        let records = (first..).take(hits.len()).map(|number| (number, self.now));
        batches::note(tx, (hooks::CORRECTED, 0, Some(self.partner)), records, self.now).await?;
        self.move_allowances(tx, hits).await
    }

    const fn lane(&self) -> i32 {
        self.step as i32
    }

    /// What the events were, but for the figures.
    async fn counter_events(&self, tx: &mut Transaction<'_, Postgres>, hits: &[&Hit]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (hits.first(), hits.last()) else { return Ok(()) };
        let written = sqlx::query(
            "insert into usage_events (partner_id, at, node, lane, sequence, kind, request_id, app_id, key_id, team_id, member_id,
                 environment, plan_version_id, product_id, operation_id, method, path, status, outcome, refusal, region,
                 price_rule, source, period_start, period_end, upstream_us, calls, units, credits, bytes_in, bytes_out,
                 duration_us, allocation_id, allocated)
             select e.partner_id, e.at, $4, $5, n.place - 1, 2, e.request_id, e.app_id, e.key_id, e.team_id, e.member_id,
                 e.environment, e.plan_version_id, e.product_id, e.operation_id, e.method, e.path, e.status, e.outcome,
                 e.refusal, e.region, 'correction', e.source, e.period_start, e.period_end, 0, n.calls, n.units, n.credits,
                 n.bytes_in, n.bytes_out, n.duration_us, e.allocation_id, n.allocated
             from unnest($6::timestamptz[], $7::text[], $8::int[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
                 $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[]) with ordinality
                 as n (at, node, lane, sequence, calls, units, credits, bytes_in, bytes_out, duration_us, allocated, place)
             join usage_events e on e.partner_id = $1 and e.at = n.at and e.node = n.node and e.lane = n.lane
                 and e.sequence = n.sequence and e.kind in (0, 1) and e.at >= $2 and e.at <= $3",
        )
        .bind(self.partner.0)
        .bind(Ts(first.at))
        .bind(Ts(last.at))
        .bind(node(self.correction.0))
        .bind(self.lane())
        .bind(hits.iter().map(|hit| Ts(hit.at)).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.node.as_str()).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.lane).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.sequence).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.calls).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.units).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.credits).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.bytes_in).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.bytes_out).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.duration_us).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.allocated).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        if written.rows_affected() != hits.len() as u64 {
            let message = "An event that this corrects is stored twice or not at all; have usage reconciled first";
            return Err(StoreError::conflict("", message));
        }
        Ok(())
    }

    /// Says in the counter-events what allocations give back of them.
    async fn lower_allocated(&self, tx: &mut Transaction<'_, Postgres>, hits: &[&Hit]) -> Result<(), StoreError> {
        sqlx::query(
            "update usage_events e set allocated = n.allocated
             from unnest($4::timestamptz[], $5::bigint[]) with ordinality as n (at, allocated, place)
             where e.partner_id = $1 and e.node = $2 and e.lane = $3 and e.at = n.at and e.sequence = n.place - 1
                 and e.at >= $6 and e.at <= $7",
        )
        .bind(self.partner.0)
        .bind(node(self.correction.0))
        .bind(self.lane())
        .bind(hits.iter().map(|hit| Ts(hit.at)).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.allocated).collect::<Vec<_>>())
        .bind(hits.first().map(|hit| Ts(hit.at)))
        .bind(hits.last().map(|hit| Ts(hit.at)))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn back_fill(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        fill: &BackFill,
        hit: &Hit,
    ) -> Result<(), StoreError> {
        let catalogue = Catalogue::read(tx, self.partner).await?;
        let operation = match (hit.product, &fill.operation) {
            (Some(product), Some(text)) => catalogue.operation(product, text).ok(),
            _ => None,
        };
        sqlx::query(
            "insert into usage_events (partner_id, at, node, lane, sequence, kind, request_id, app_id, key_id, environment,
                 product_id, operation_id, method, path, status, outcome, price_rule, upstream_us, calls, units, bytes_in,
                 bytes_out, duration_us, team_id)
             values ($1, $2, $3, $4, 0, 2, $5, $6, '00000000-0000-0000-0000-000000000000', $7, $8, $9, $10, $11, 200, 'served',
                 'correction', 0, $12, $13, 0, 0, 0, $14)",
        )
        .bind(self.partner.0)
        .bind(Ts(hit.at))
        .bind(node(self.correction.0))
        .bind(self.lane())
        .bind(self.correction.to_string())
        .bind(fill.app.map(|app| app.0).unwrap_or_default())
        .bind(hit.environment.code())
        .bind(hit.product.map(|id| id.0))
        .bind(hit.operation.map(|id| id.0))
        .bind(operation.map_or("EVENT", |operation| &operation.method))
        .bind(operation.map_or("", |operation| &operation.path))
        .bind(hit.delta.calls)
        .bind(hit.delta.units)
        .bind(hit.team.map(|id| id.0))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The hourly roll-ups move by just what was written, in the order of their keys.
    async fn roll_up(&self, tx: &mut Transaction<'_, Postgres>, hits: &[&Hit]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (hits.first(), hits.last()) else { return Ok(()) };
        let rows = sqlx::query(
            "insert into usage_hourly as held (partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id,
                 member_id, plan_version_id, outcome, status_class, calls, units, bytes_in, bytes_out, duration_us, durations)
             select partner_id, date_trunc('hour', at, 'UTC'), environment,
                 coalesce(product_id, '00000000-0000-0000-0000-000000000000'),
                 coalesce(operation_id, '00000000-0000-0000-0000-000000000000'), app_id, key_id,
                 coalesce(team_id, '00000000-0000-0000-0000-000000000000'),
                 coalesce(member_id, '00000000-0000-0000-0000-000000000000'),
                 coalesce(plan_version_id, '00000000-0000-0000-0000-000000000000'), outcome, (status / 100)::smallint,
                 sum(calls)::bigint, sum(units)::bigint, sum(bytes_in)::bigint, sum(bytes_out)::bigint,
                 sum(duration_us)::bigint,
                 array[
                     sum(calls * (slot = 1)::int), sum(calls * (slot = 2)::int), sum(calls * (slot = 3)::int),
                     sum(calls * (slot = 4)::int), sum(calls * (slot = 5)::int), sum(calls * (slot = 6)::int),
                     sum(calls * (slot = 7)::int), sum(calls * (slot = 8)::int), sum(calls * (slot = 9)::int),
                     sum(calls * (slot = 10)::int), sum(calls * (slot = 11)::int), sum(calls * (slot = 12)::int),
                     sum(calls * (slot = 13)::int)
                 ]::bigint[]
             from (
                 select *, 1 + width_bucket(abs(duration_us), array[1001, 2001, 5001, 10001, 20001, 50001, 100001, 200001,
                     500001, 1000001, 2000001, 5000001]::bigint[]) as slot
                 from usage_events where partner_id = $1 and at >= $2 and at <= $3 and node = $4 and lane = $5
             ) e
             group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
             on conflict (partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id, member_id,
                 plan_version_id, outcome, status_class)
             do update set
                 calls = held.calls + excluded.calls,
                 units = held.units + excluded.units,
                 bytes_in = held.bytes_in + excluded.bytes_in,
                 bytes_out = held.bytes_out + excluded.bytes_out,
                 duration_us = held.duration_us + excluded.duration_us,
                 durations = (
                     select array_agg(one + other order by slot)
                     from unnest(held.durations, excluded.durations) with ordinality as both_arrays (one, other, slot)
                 )
             returning hour",
        )
        .bind(self.partner.0)
        .bind(Ts(first.at))
        .bind(Ts(last.at))
        .bind(node(self.correction.0))
        .bind(self.lane())
        .fetch_all(&mut **tx)
        .await?;
        let hours = rows.iter().map(|row| row.at("hour")).collect::<Result<Vec<_>, _>>()?;
        days::mark(tx, hours.into_iter().map(|hour| (self.partner.0, hour))).await?;
        Ok(())
    }

    /// What credit paid, by the hour: for bills that are still to be made, and for the ledger in any case.
    async fn sum_credits(&self, tx: &mut Transaction<'_, Postgres>, hits: &[Hit]) -> Result<(), StoreError> {
        let moved: Vec<&Hit> = hits.iter().filter(|hit| hit.delta.credits != 0).collect();
        if moved.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into usage_credit_hourly as held (partner_id, hour, product_id, operation_id, units, closed_units)
             select $1, date_trunc('hour', at, 'UTC'), product, operation, sum(credits * (not is_closed)::int)::bigint,
                 sum(credits * is_closed::int)::bigint
             from unnest($2::timestamptz[], $3::uuid[], $4::uuid[], $5::bigint[], $6::boolean[])
                 as moved (at, product, operation, credits, is_closed)
             group by 1, 2, 3, 4 order by 1, 2, 3, 4
             on conflict (partner_id, hour, product_id, operation_id) do update
                 set units = held.units + excluded.units, closed_units = held.closed_units + excluded.closed_units",
        )
        .bind(self.partner.0)
        .bind(moved.iter().map(|hit| Ts(hit.at)).collect::<Vec<_>>())
        .bind(moved.iter().map(|hit| hit.product.map(|id| id.0).unwrap_or_default()).collect::<Vec<_>>())
        .bind(moved.iter().map(|hit| hit.operation.map(|id| id.0).unwrap_or_default()).collect::<Vec<_>>())
        .bind(moved.iter().map(|hit| hit.delta.credits).collect::<Vec<_>>())
        .bind(moved.iter().map(|hit| hit.closed.is_some()).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// By operation and team, as an invoice has it. Numbers below zero are those of corrections.
    async fn adjust(&self, tx: &mut Transaction<'_, Postgres>, hits: &[&Hit]) -> Result<(), StoreError> {
        type Stretch = (SubscriptionId, Timestamp, Timestamp);
        type Of = (Stretch, Option<Uuid>, Option<Uuid>, Option<Uuid>);
        let mut sums: BTreeMap<Of, (Timestamp, i64, i64)> = BTreeMap::new();
        for hit in hits {
            let Some((subscription, period)) = hit.closed else { continue };
            let stretch = (subscription, period.start, period.end);
            let team = hit.team.map(|id| id.0);
            let of = (stretch, hit.product.map(|id| id.0), hit.operation.map(|id| id.0), team);
            let sum = sums.entry(of).or_insert((hit.at, 0, 0));
            let credits = sum.2.saturating_add(hit.delta.credits);
            *sum = (sum.0.min(hit.at), sum.1.saturating_add(hit.delta.units), credits);
        }
        sums.retain(|_, (_, units, credits)| (*units, *credits) != (0, 0));
        let row = sqlx::query(
            // Those of late calls are lower still.
            "select least(coalesce(min(sequence), 0), 0) as lowest from usage_adjustments
             where partner_id = $1 and sequence > -4611686018427387904",
        )
        .bind(self.partner.0)
        .fetch_one(&mut **tx)
        .await?;
        let mut sequence: i64 = row.try_get("lowest")?;
        for (((subscription, start, end), product, operation, team), (at, units, credits)) in sums {
            sequence -= 1;
            sqlx::query(
                "insert into usage_adjustments (partner_id, sequence, source, id, subscription_id, period_start, period_end, at,
                     product_id, operation_id, units, received_at, correction_id, credits, team_id)
                 values ($1, $2, 'correction', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(self.partner.0)
            .bind(sequence)
            .bind(self.correction.to_string())
            .bind(subscription.0)
            .bind(Ts(start))
            .bind(Ts(end))
            .bind(Ts(at))
            .bind(product)
            .bind(operation)
            .bind(units)
            .bind(Ts(self.now))
            .bind(self.correction.0)
            .bind(credits)
            .bind(team)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    /// Event by event, so that another correction of the same one knows how it counts now.
    async fn note(&self, tx: &mut Transaction<'_, Postgres>, hits: &[Hit], first: u64) -> Result<(), StoreError> {
        let own = node(self.correction.0);
        sqlx::query(
            "insert into usage_correction_events (partner_id, correction_id, step, of_at, of_node, of_lane, of_sequence, of_kind,
                 environment, product_id, operation_id, quota_start, in_place, calls, units, credits, bytes_in, bytes_out,
                 duration_us, allocation_id, allocated, number, team_id)
             select $1, $2, $3, n.at, n.node, n.lane, n.sequence, n.kind, n.environment, n.product, n.operation, n.quota, n.in_place,
                 n.calls, n.units, n.credits, n.bytes_in, n.bytes_out, n.duration_us, n.allocation, n.allocated, $20 + n.place - 1, n.team
             from unnest($4::timestamptz[], $5::text[], $6::int[], $7::bigint[], $8::smallint[], $9::text[], $10::uuid[],
                 $11::uuid[], $12::timestamptz[], $13::boolean[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
                 $18::bigint[], $19::bigint[], $21::uuid[], $22::bigint[], $23::uuid[]) with ordinality
                 as n (at, node, lane, sequence, kind, environment, product, operation, quota, in_place, calls, units, credits,
                     bytes_in, bytes_out, duration_us, allocation, allocated, team, place)",
        )
        .bind(self.partner.0)
        .bind(self.correction.0)
        .bind(self.step as i16)
        .bind(hits.iter().map(|hit| Ts(hit.at)).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| if hit.kind == 2 { own.as_str() } else { &hit.node }).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.lane).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.sequence).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.kind).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.environment.code()).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.product.map(|id| id.0)).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.operation.map(|id| id.0)).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.quota_start.map(Ts)).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.closed.is_none()).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.calls).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.units).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.credits).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.bytes_in).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.bytes_out).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.duration_us).collect::<Vec<_>>())
        .bind(signed(first))
        .bind(hits.iter().map(|hit| hit.allocation.map(|id| id.0)).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.delta.allocated).collect::<Vec<_>>())
        .bind(hits.iter().map(|hit| hit.team.map(|id| id.0)).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// What gateways counted against a quota or paid with credit goes back, or is taken: whatever period it is of, if its
    /// allowance is still there.
    async fn move_allowances(&self, tx: &mut Transaction<'_, Postgres>, hits: &[Hit]) -> Result<(), StoreError> {
        let mut quotas: BTreeMap<Timestamp, i64> = BTreeMap::new();
        let mut credit = 0_i64;
        for hit in hits.iter().filter(|hit| hit.kind == 0 && hit.environment == Environment::Live) {
            let Some(start) = hit.quota_start else { continue };
            let units = quotas.entry(start).or_default();
            *units = units.saturating_add(hit.delta.units).saturating_sub(hit.delta.credits);
            credit = credit.saturating_add(hit.delta.credits);
        }
        // In the order of their keys, as everywhere.
        let own = own_credit::by_allocation(hits);
        credit = own.values().fold(credit, |credit, units| credit.saturating_sub(*units));
        let credit = own.into_iter().chain([(self.partner.0, credit)]);
        let credit = credit.map(|(holder, units)| (holder, Kind::Credit, None, units));
        let quotas = quotas.into_iter().map(|(start, units)| (self.partner.0, Kind::Quota, Some(start), units));
        let mut all: Vec<_> = credit.chain(quotas).filter(|(.., units)| *units != 0).collect();
        all.sort_by_key(|(holder, kind, start, _)| (*holder, *kind, *start));
        for (holder, kind, start, units) in all {
            sqlx::query(
                "update allowances set taken = greatest(0, taken + $4)
                 where partner_id = $1 and kind = $2 and ($3::timestamptz is null or period_start = $3)",
            )
            .bind(holder)
            .bind(kind.code())
            .bind(start.map(Ts))
            .bind(units)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}
