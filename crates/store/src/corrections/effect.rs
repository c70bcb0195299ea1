//! What a correction would change, event by event.

use crate::{
    Store, StoreError, Ts,
    outside::{self, Catalogue, ClosedStretch},
    row::ReadRow as _,
};
use domain::{
    correction::{BackFill, Change, Counted, Filter, MOST_EVENTS, NewCorrection},
    id::{AllocationId, OperationId, PartnerId, ProductId, SubscriptionId, TeamId},
    key_text::Environment,
    period::Period,
};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

/// One event, and how it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    pub at: Timestamp,
    pub node: String,
    pub lane: i32,
    pub sequence: i64,
    /// As `usage_events.kind`; 2 for a back-fill.
    pub kind: i16,
    pub environment: Environment,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    /// Codes, as rating goes by them.
    pub product_code: String,
    pub operation_code: String,
    /// Of the quota that it was held against.
    pub quota_start: Option<Timestamp>,
    /// Of which some of its credit came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation: Option<AllocationId>,
    /// Whose usage it is. It follows from the event, so that nothing that was approved has it.
    #[serde(skip)]
    pub team: Option<TeamId>,
    pub before: Counted,
    pub delta: Counted,
    /// The closed stretch that it lies in, where that makes it an adjustment.
    pub closed: Option<(SubscriptionId, Period)>,
}

/// All that a correction would change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effect {
    /// In the order of time.
    pub hits: Vec<Hit>,
}

impl Effect {
    /// The same for the same changes of the same events, open or closed.
    ///
    /// # Errors
    /// Never, but for an event that cannot be written down.
    pub fn hash(&self) -> Result<[u8; 32], StoreError> {
        let text = serde_json::to_vec(&self.hits).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        Ok(Sha256::digest(text).into())
    }
}

impl Store {
    /// What the correction would change if it were applied now.
    ///
    /// # Errors
    /// It names what is not known, hits nothing or too much, or reaches back to what is no longer kept.
    pub async fn correction_effect(
        &self,
        partner: PartnerId,
        correction: &NewCorrection,
        now: Timestamp,
    ) -> Result<Effect, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        sqlx::query("select from partners where id = $1").bind(partner.0).fetch_one(&mut *tx).await?;
        let effect = read(&mut tx, partner, correction, now).await?;
        tx.commit().await?;
        Ok(effect)
    }
}

/// Reads it in a transaction that may go on to write it.
pub(super) async fn read(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    correction: &NewCorrection,
    now: Timestamp,
) -> Result<Effect, StoreError> {
    correction.check(now)?;
    let catalogue = Catalogue::read(tx, partner).await?;
    let closed = outside::closed_stretches(tx, partner).await?;
    let hits = match &correction.change {
        Change::BackFill(fill) => vec![back_fill(tx, partner, fill, &catalogue, &closed).await?],
        change => hits(tx, partner, change, &correction.filter, (&catalogue, &closed), now).await?,
    };
    if hits.is_empty() {
        return Err(StoreError::invalid("filter", "This would change nothing: no usage that counts is chosen"));
    }
    still_kept(tx, &hits).await?;
    Ok(Effect { hits })
}

/// Nothing is changed of which the sums can no longer be counted again.
pub(super) async fn still_kept(tx: &mut Transaction<'_, Postgres>, hits: &[Hit]) -> Result<(), StoreError> {
    let (live_from, test_from) = outside::kept_from(tx).await?;
    let is_kept = |hit: &Hit| {
        let needed = hit.closed.map_or(hit.at, |(_, period)| period.start);
        needed >= if hit.environment == Environment::Live { live_from } else { test_from }
    };
    if hits.iter().all(is_kept) {
        return Ok(());
    }
    let message = "Usage of that time is no longer kept here; nothing of it can be changed";
    Err(StoreError::invalid("from", message))
}

async fn hits(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    change: &Change,
    filter: &Filter,
    (catalogue, closed): (&Catalogue, &[ClosedStretch]),
    now: Timestamp,
) -> Result<Vec<Hit>, StoreError> {
    let product = product(catalogue, filter.product.as_deref())?;
    let operation = operation(catalogue, product, filter.operation.as_deref())?;
    let (kept, _) = outside::kept_from(tx).await?;
    let rows = sqlx::query(
        "select e.*, coalesce(p.code, 'unknown') as product_code, coalesce(o.code, 'unknown') as operation_code,
             coalesce(c.calls, 0)::bigint as more_calls, coalesce(c.units, 0)::bigint as more_units,
             coalesce(c.credits, 0)::bigint as more_credits, coalesce(c.allocated, 0)::bigint as more_allocated, coalesce(c.bytes_in, 0)::bigint as more_bytes_in,
             coalesce(c.bytes_out, 0)::bigint as more_bytes_out, coalesce(c.duration_us, 0)::bigint as more_duration_us
         from (
             select at, node, lane, sequence, kind, environment, product_id, operation_id, period_start as quota_start, calls,
                 units, credits, bytes_in, bytes_out, duration_us, allocation_id, allocated, team_id
             from usage_events
             where partner_id = $1 and at >= $2 and at < $3 and kind in (0, 1)
                 and ($4::text is null or environment = $4) and ($5::uuid is null or product_id = $5)
                 and ($6::uuid is null or operation_id = $6) and ($7::uuid is null or app_id = $7)
                 and ($8::uuid is null or key_id = $8) and ($9::text is null or request_id = $9)
                 and ($10::text is null or source = $10)
             union all
             select at, 'outside', 0, sequence, 1::smallint, 'live', product_id, operation_id, null, 1, units, 0, 0, 0, 0, null, 0, team_id
             from usage_adjustments
             where partner_id = $1 and at >= $2 and at < $3 and correction_id is null and node is null
                 and ($4::text is null or $4 = 'live') and ($5::uuid is null or product_id = $5)
                 and ($6::uuid is null or operation_id = $6) and ($7::uuid is null or app_id = $7)
                 and $8::uuid is null and ($9::text is null or id = $9) and ($10::text is null or source = $10)
         ) e
         left join products p on p.id = e.product_id
         left join operations o on o.id = e.operation_id
         left join lateral (
             select sum(calls) as calls, sum(units) as units, sum(credits) as credits, sum(allocated) as allocated,
                 sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out, sum(duration_us) as duration_us
             from usage_correction_events c
             where c.partner_id = $1 and c.of_at = e.at and c.of_node = e.node and c.of_lane = e.lane
                 and c.of_sequence = e.sequence
         ) c on true
         order by e.at, e.node, e.lane, e.sequence limit $11",
    )
    .bind(partner.0)
    .bind(Ts(filter.from.unwrap_or(kept)))
    .bind(Ts(filter.to.unwrap_or(now)))
    .bind(filter.environment.map(Environment::code))
    .bind(product.map(|id| id.0))
    .bind(operation.map(|id| id.0))
    .bind(filter.app.map(|id| id.0))
    .bind(filter.key.map(|id| id.0))
    .bind(filter.request_id.as_deref())
    .bind(filter.source.as_deref())
    .bind(i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX).saturating_add(1))
    .fetch_all(&mut **tx)
    .await?;
    if rows.len() > MOST_EVENTS {
        let message = format!("More than {MOST_EVENTS} events are chosen; make several corrections, of shorter times");
        return Err(StoreError::invalid("filter", message));
    }
    let mut hits = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut hit = hit(row)?;
        hit.delta = change.delta(hit.before, filter.request_id.is_some());
        if !hit.delta.is_nothing() {
            hit.closed = within(closed, hit.environment, hit.at);
            hits.push(hit);
        }
    }
    Ok(hits)
}

async fn back_fill(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    fill: &BackFill,
    catalogue: &Catalogue,
    closed: &[ClosedStretch],
) -> Result<Hit, StoreError> {
    let product = product(catalogue, fill.product.as_deref())?;
    let operation = operation(catalogue, product, fill.operation.as_deref())?;
    if let Some(app) = fill.app {
        catalogue.app(app).map_err(|(_, message)| StoreError::invalid("app", message))?;
    }
    let closed = within(closed, fill.environment, fill.at);
    if closed.is_some() && fill.units == 0 {
        let message =
            "The period of that time is closed and its figures stand: only units can be added, to the next invoice";
        return Err(StoreError::invalid("units", message));
    }
    if closed.is_none() && fill.environment == Environment::Live && fill.units > 0 {
        let subscribed = outside::subscribed(tx, partner).await?;
        if !subscribed.is_empty() && !subscribed.iter().any(|held| held.contains(fill.at)) {
            return Err(StoreError::invalid("at", "The partner had no plan then, so no bill could have it"));
        }
    }
    let codes = sqlx::query(
        "select coalesce((select code from products where id = $1), 'unknown') as product,
             coalesce((select code from operations where id = $2), 'unknown') as operation",
    )
    .bind(product.map(|id| id.0))
    .bind(operation.map(|id| id.0))
    .fetch_one(&mut **tx)
    .await?;
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(Hit {
        at: Timestamp::from_microsecond(domain::usage::whole_micros(fill.at)).unwrap_or(fill.at),
        node: String::new(),
        lane: 0,
        sequence: 0,
        kind: 2,
        environment: fill.environment,
        product,
        operation,
        product_code: codes.try_get("product")?,
        operation_code: codes.try_get("operation")?,
        quota_start: None,
        allocation: None,
        team: catalogue.team(fill.app),
        before: Counted::default(),
        delta: Counted { calls: signed(fill.calls), units: signed(fill.units), ..Counted::default() },
        closed,
    })
}

fn product(catalogue: &Catalogue, text: Option<&str>) -> Result<Option<ProductId>, StoreError> {
    text.map(|text| catalogue.product(text)).transpose().map_err(|(_, message)| StoreError::invalid("product", message))
}

pub(super) fn operation(
    catalogue: &Catalogue,
    product: Option<ProductId>,
    text: Option<&str>,
) -> Result<Option<OperationId>, StoreError> {
    let (Some(product), Some(text)) = (product, text) else { return Ok(None) };
    let found = catalogue.operation(product, text).map_err(|(_, message)| StoreError::invalid("operation", message))?;
    Ok(Some(found.id))
}

/// The closed stretch whose bill has what happened then.
pub(super) fn within(
    closed: &[ClosedStretch],
    environment: Environment,
    at: Timestamp,
) -> Option<(SubscriptionId, Period)> {
    let stretch = closed.iter().find(|stretch| stretch.period.contains(at))?;
    (environment == Environment::Live).then_some((stretch.subscription, stretch.period))
}

fn hit(row: &PgRow) -> Result<Hit, sqlx::Error> {
    let sum = |stored: &str, more: &str| {
        Ok::<i64, sqlx::Error>(row.try_get::<i64, _>(stored)?.saturating_add(row.try_get::<i64, _>(more)?))
    };
    let credits = sum("credits", "more_credits")?;
    Ok(Hit {
        at: row.at("at")?,
        node: row.try_get("node")?,
        lane: row.try_get("lane")?,
        sequence: row.try_get("sequence")?,
        kind: row.try_get("kind")?,
        environment: row.parsed("environment")?,
        product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
        operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
        product_code: row.try_get("product_code")?,
        operation_code: row.try_get("operation_code")?,
        quota_start: row.at_if_any("quota_start")?,
        allocation: row.try_get::<Option<Uuid>, _>("allocation_id")?.map(AllocationId),
        team: row.try_get::<Option<Uuid>, _>("team_id")?.map(TeamId),
        before: Counted {
            calls: sum("calls", "more_calls")?,
            units: sum("units", "more_units")?,
            credits,
            // What an allocation could not give back went back to what is common: of that it has no more.
            allocated: sum("allocated", "more_allocated")?.clamp(0, credits.max(0)),
            bytes_in: sum("bytes_in", "more_bytes_in")?,
            bytes_out: sum("bytes_out", "more_bytes_out")?,
            duration_us: sum("duration_us", "more_duration_us")?,
        },
        delta: Counted::default(),
        closed: None,
    })
}
