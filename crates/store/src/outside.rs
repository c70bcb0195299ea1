//! Usage that others tell us: each event once, for ever.
//!
//! All of a partner's events go through one locked row (`outside_usage`), which whoever closes a period locks too. So an event
//! whose period is still open is in that period's bill, and one that comes later is known to be late: it is kept as an
//! adjustment, in no total of the closed period. The first of a (source, id) stands; another one is kept as a conflict.

mod adjust;
mod catalogue;
mod keep;
mod listed;
mod on_invoice;

pub(crate) use adjust::bill;
pub use adjust::{LateUnits, Moved};
pub(crate) use catalogue::Catalogue;
pub use listed::{Adjustment, AdjustmentFilter, ConflictFilter, OutsideConflict};
pub use on_invoice::{AdjustedPage, AdjustedUnits};

use crate::{
    Store, StoreError, Ts, ingest,
    pool::{plan_as_usual, plan_for_values},
    row::ReadRow as _,
};
use domain::{
    id::{AppId, KeyId, PartnerId, SubscriptionId, TokenId},
    key_text::Environment,
    period::Period,
    usage::{UsageEvent, outside::Outside},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::HashMap;
use uuid::Uuid;

/// What the column `node` holds for them.
pub const NODE: &str = "outside";

/// How far ahead of our clock a producer's may be.
const FARTHEST_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// How late an event may come.
const LATEST: SignedDuration = SignedDuration::from_hours(24 * 400);

/// Who tells it.
#[derive(Debug, Clone, Copy)]
pub struct Teller {
    pub token: TokenId,
    /// Whether the token is the partner's own.
    pub is_partner: bool,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It counts in its period.
    Accepted,
    /// Its period is closed: the next invoice has it as an adjustment.
    Late(Period),
    /// It was told before, and counts once.
    Duplicate,
    /// Another event has the same source and id. That one stands, and this one is kept beside it.
    Conflict,
    /// It cannot be taken: the field by JSON pointer, and what to do.
    Invalid { pointer: &'static str, message: String },
}

/// How far a partner's usage is, but for what gateways record: it moves with what is told from outside and with corrections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ToldMark {
    /// Events that were ever accepted.
    pub accepted: u64,
    /// Corrections and reverts that were ever carried out.
    pub corrected: u64,
    /// What [`Store::metered_calls`] said of the range, where its meters are billed. No mark that is kept has it.
    pub metered: Option<u64>,
}

/// A stretch that is closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClosedStretch {
    pub(crate) subscription: SubscriptionId,
    pub(crate) period: Period,
}

/// An event on its way in.
struct New<'a> {
    told: &'a Outside,
    hash: [u8; 32],
    sequence: u64,
    event: UsageEvent,
    late: Option<ClosedStretch>,
}

impl Store {
    /// Takes in what was told of a partner's usage, all or nothing of what can be taken. The answers are in the order of the
    /// events.
    pub async fn take_in_outside(
        &self,
        partner: PartnerId,
        teller: Teller,
        events: &[Outside],
        now: Timestamp,
    ) -> Result<Vec<Told>, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("select from partners where id = $1 for key share").bind(partner.0).fetch_one(&mut *tx).await?;
        // Who waits here for others of the partner keeps nobody from making partitions.
        let accepted = lock(&mut tx, partner).await?.accepted;
        ingest::days::enter(&mut tx).await?;
        let kept = kept_from(&mut tx).await?;
        let mut known = known(&mut tx, partner, teller, events).await?;
        let closed = closed_stretches(&mut tx, partner).await?;
        let subscribed = subscribed(&mut tx, partner).await?;
        let catalogue = Catalogue::read(&mut tx, partner).await?;
        let (mut answers, mut new, mut others) = (Vec::with_capacity(events.len()), Vec::new(), Vec::new());
        for told in events {
            let hash = hash(told)?;
            let name = (told.source.clone(), told.id.clone());
            let answer = match known.get(&name) {
                Some(first) if *first == hash => Told::Duplicate,
                Some(_) => {
                    others.push((told, hash));
                    Told::Conflict
                }
                None => match event(partner, told, &catalogue, now) {
                    Err((pointer, message)) => Told::Invalid { pointer, message },
                    Ok(event) => {
                        let is_live = event.environment == Environment::Live;
                        let billed =
                            |closed: &&ClosedStretch| is_live && event.units > 0 && closed.period.contains(event.at);
                        let stretch = closed.iter().find(billed).copied();
                        let units = is_live && event.units > 0;
                        // A partner that never had one is not billed at all.
                        let unbilled = !subscribed.is_empty() && !subscribed.iter().any(|held| held.contains(event.at));
                        if units && stretch.is_none() && unbilled {
                            let message = "The partner had no plan then, so no bill could have it".to_owned();
                            answers.push(Told::Invalid { pointer: "/time", message });
                            continue;
                        }
                        let needed = stretch.map_or(event.at, |stretch| stretch.period.start);
                        if needed < if is_live { kept.0 } else { kept.1 } {
                            let message =
                                "Usage of that time is no longer kept here; nothing can be added to it".to_owned();
                            answers.push(Told::Invalid { pointer: "/time", message });
                            continue;
                        }
                        known.insert(name, hash);
                        new.push(New { told, hash, sequence: accepted + new.len() as u64, event, late: stretch });
                        stretch.map_or(Told::Accepted, |stretch| Told::Late(stretch.period))
                    }
                },
            };
            answers.push(answer);
        }
        keep::events(&mut tx, partner, teller, &new, now).await?;
        keep::conflicts(&mut tx, partner, teller, &others, now).await?;
        sqlx::query("update outside_usage set accepted = accepted + $2 where partner_id = $1")
            .bind(partner.0)
            .bind(i64::try_from(new.len()).unwrap_or(i64::MAX))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(answers)
    }

    /// How far the partner's usage is, but for what gateways record. Whoever reads usage to close a period reads this before.
    pub async fn outside_mark(&self, partner: PartnerId) -> Result<ToldMark, StoreError> {
        let row = sqlx::query("select accepted, corrected from outside_usage where partner_id = $1")
            .bind(partner.0)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.as_ref().map(mark).transpose()?.unwrap_or_default())
    }
}

/// Keeps others from taking events of the partner in, correcting its usage and closing its periods, until the transaction ends.
pub(crate) async fn lock(tx: &mut Transaction<'_, Postgres>, partner: PartnerId) -> Result<ToldMark, StoreError> {
    const HELD: &str = "select accepted, corrected from outside_usage where partner_id = $1 for update";
    if let Some(row) = sqlx::query(HELD).bind(partner.0).fetch_optional(&mut **tx).await? {
        return Ok(mark(&row)?);
    }
    sqlx::query("insert into outside_usage (partner_id, accepted) values ($1, 0) on conflict do nothing")
        .bind(partner.0)
        .execute(&mut **tx)
        .await?;
    Ok(mark(&sqlx::query(HELD).bind(partner.0).fetch_one(&mut **tx).await?)?)
}

/// Keeps others from closing periods of these partners, and lets others take in with us, until the transaction ends. They are in
/// the order of their ids; those that nobody knows are passed by.
pub(crate) async fn share(tx: &mut Transaction<'_, Postgres>, partners: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into outside_usage (partner_id, accepted)
         select id, 0 from partners where id = any($1) and not exists (select from outside_usage where partner_id = id) order by id
         on conflict do nothing",
    )
    .bind(partners)
    .execute(&mut **tx)
    .await?;
    sqlx::query("select from outside_usage where partner_id = any($1) order by partner_id for share")
        .bind(partners)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn mark(row: &sqlx::postgres::PgRow) -> Result<ToldMark, sqlx::Error> {
    Ok(ToldMark { accepted: row.count("accepted")?, corrected: row.count("corrected")?, metered: None })
}

/// Whether one of the events from that number on counts in the range's bill. Others may come without end.
pub(crate) async fn is_billed_since(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    range: Period,
    first: u64,
) -> Result<bool, StoreError> {
    plan_for_values(tx).await?;
    let is_billed = sqlx::query_scalar(
        "select exists (select from usage_events
             where partner_id = $1 and at >= $2 and at < $3 and node = $4 and lane = 0 and sequence >= $5
                 and environment = 'live' and units > 0)",
    )
    .bind(partner.0)
    .bind(Ts(range.start))
    .bind(Ts(range.end))
    .bind(NODE)
    .bind(i64::try_from(first).unwrap_or(i64::MAX))
    .fetch_one(&mut **tx)
    .await?;
    plan_as_usual(tx).await?;
    Ok(is_billed)
}

/// From when on live and test usage is still kept as a whole, roll-ups included.
pub(crate) async fn kept_from(tx: &mut Transaction<'_, Postgres>) -> Result<(Timestamp, Timestamp), StoreError> {
    let row = sqlx::query(
        "select greatest(live_from, hourly_from) as live_from, greatest(test_from, hourly_from) as test_from from usage_upkeep",
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((row.at("live_from")?, row.at("test_from")?))
}

/// The hashes of those that were told before, by source and id.
async fn known(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    teller: Teller,
    events: &[Outside],
) -> Result<HashMap<(String, String), [u8; 32]>, StoreError> {
    let rows = sqlx::query(
        "select source, id, payload_hash from outside_events
         where partner_id = $1 and by_partner = $2 and (source, id) in (select * from unnest($3::text[], $4::text[]))",
    )
    .bind(partner.0)
    .bind(teller.is_partner)
    .bind(events.iter().map(|told| told.source.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|told| told.id.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    let known = rows.iter().map(|row| Ok(((row.try_get("source")?, row.try_get("id")?), row.hash("payload_hash")?)));
    Ok(known.collect::<Result<_, sqlx::Error>>()?)
}

pub(crate) async fn closed_stretches(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
) -> Result<Vec<ClosedStretch>, StoreError> {
    let rows = sqlx::query(
        "select subscription_id, period_start, period_end from billing_periods where partner_id = $1 order by period_start",
    )
    .bind(partner.0)
    .fetch_all(&mut **tx)
    .await?;
    let stretch = |row: &sqlx::postgres::PgRow| {
        Ok(ClosedStretch {
            subscription: SubscriptionId(row.try_get("subscription_id")?),
            period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
        })
    };
    Ok(rows.iter().map(stretch).collect::<Result<_, sqlx::Error>>()?)
}

/// When the partner had a plan.
pub(crate) async fn subscribed(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
) -> Result<Vec<Period>, StoreError> {
    let rows =
        sqlx::query("select started_at, ended_at from subscriptions where partner_id = $1 and started_at is not null")
            .bind(partner.0)
            .fetch_all(&mut **tx)
            .await?;
    let held = |row: &sqlx::postgres::PgRow| {
        Ok(Period { start: row.at("started_at")?, end: row.at_if_any("ended_at")?.unwrap_or(Timestamp::MAX) })
    };
    Ok(rows.iter().map(held).collect::<Result<_, sqlx::Error>>()?)
}

/// SHA-256 of what was told, whatever its white space and the order of its fields.
fn hash(told: &impl Serialize) -> Result<[u8; 32], StoreError> {
    let text = serde_json::to_vec(told).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    Ok(Sha256::digest(text).into())
}

/// The event as we keep it, or which field cannot be taken.
fn event(
    partner: PartnerId,
    told: &Outside,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<UsageEvent, (&'static str, String)> {
    let at = told.time.unwrap_or(now);
    if at.duration_since(now) > FARTHEST_AHEAD {
        return Err(("/time", "This is more than a day ahead of our clock; send it when it has happened".to_owned()));
    }
    if now.duration_since(at) > LATEST {
        return Err(("/time", "This is more than 400 days ago, which is too late to be billed".to_owned()));
    }
    let data = &told.data;
    let product = data.product.as_deref().map(|text| catalogue.product(text)).transpose()?;
    let operation = match (product, data.operation.as_deref()) {
        (Some(product), Some(text)) => Some(catalogue.operation(product, text)?),
        _ => None,
    };
    let app = data.app.map(|app| catalogue.app(app)).transpose()?;
    let nobody = Uuid::nil();
    Ok(UsageEvent {
        request_id: told.id.clone(),
        team: catalogue.team(app),
        environment: data.environment,
        product,
        operation: operation.map(|operation| operation.id),
        method: operation.map_or("EVENT", |operation| &operation.method).to_owned(),
        path: operation.map_or("", |operation| &operation.path).to_owned(),
        units: data.units,
        bytes_in: data.bytes_in,
        bytes_out: data.bytes_out,
        duration_us: data.duration_us,
        region: data.region.clone().unwrap_or_default(),
        trace_id: data.trace(),
        price_rule: if data.units > 0 { "told".to_owned() } else { String::new() },
        ..UsageEvent::new(at, partner, app.unwrap_or(AppId(nobody)), KeyId(nobody))
    })
}

#[cfg(test)]
mod tests;
