//! From a stored row back to the event, and with [`domain::usage::wire::encode`] to the bytes that the usage log has of it.

use crate::{
    Store, StoreError,
    row::{ReadRow as _, unreadable},
    time::Ts,
};
use domain::{
    id::{AllocationId, AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    period::Period,
    usage::{Allocated, MeterKind, Metered, Outcome, UsageEvent},
};
use sqlx::{Row as _, postgres::PgRow};
use std::ops::Range;
use uuid::Uuid;

/// The columns that [`event`] reads, of `usage_events`.
macro_rules! event_columns {
    () => {
        "partner_id, at, sequence, request_id, app_id, key_id, team_id, member_id, environment, plan_version_id, product_id,
         operation_id, method, path, status, outcome, refusal, units, credits, period_start, period_end, bytes_in, bytes_out,
         duration_us, upstream_us, epoch, region, trace_id, price_rule, meters, allocation_id,
         allocated"
    };
}
pub(crate) use event_columns;

impl Store {
    /// The events that a lane has in Postgres, by their numbers in it, in the order of these: those of all partners that
    /// happened in `within`, which bounds what has to be looked at.
    pub async fn all_partners_events_of_lane(
        &self,
        (node, lane): (&str, u16),
        within: Period,
        sequences: Range<u64>,
        at_most: u32,
    ) -> Result<Vec<(u64, UsageEvent)>, StoreError> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let rows = sqlx::query(concat!(
            "select ",
            event_columns!(),
            " from usage_events
             where node = $1 and lane = $2 and at >= $3 and at < $4 and sequence >= $5 and sequence < $6 and kind = 0
             order by sequence limit $7"
        ))
        .bind(node)
        .bind(i32::from(lane))
        .bind(Ts(within.start))
        .bind(Ts(within.end))
        .bind(signed(sequences.start))
        .bind(signed(sequences.end))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        let numbered = |row: &PgRow| Ok((row.count("sequence")?, event(row)?));
        Ok(rows.iter().map(numbered).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// The event of a row with the columns of [`event_columns`].
pub(crate) fn event(row: &PgRow) -> Result<UsageEvent, sqlx::Error> {
    let id = |column| row.try_get::<Option<Uuid>, _>(column);
    let status: i16 = row.try_get("status")?;
    let outcome = Outcome::from_code(row.try_get("outcome")?, row.try_get("refusal")?);
    let period = row.at_if_any("period_start")?.zip(row.at_if_any("period_end")?);
    let allocated = match id("allocation_id")? {
        Some(id) => Some(Allocated { allocation: AllocationId(id), units: row.count("allocated")? }),
        None => None,
    };
    let trace_id: Option<&[u8]> = row.try_get("trace_id")?;
    Ok(UsageEvent {
        at: row.at("at")?,
        request_id: row.try_get("request_id")?,
        partner: PartnerId(row.try_get("partner_id")?),
        app: AppId(row.try_get("app_id")?),
        key: KeyId(row.try_get("key_id")?),
        team: id("team_id")?.map(TeamId),
        member: id("member_id")?.map(MemberId),
        environment: row.parsed("environment")?,
        plan_version: id("plan_version_id")?.map(PlanVersionId),
        product: id("product_id")?.map(ProductId),
        operation: id("operation_id")?.map(OperationId),
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        status: u16::try_from(status).map_err(|error| unreadable("status", error))?,
        outcome: outcome.ok_or_else(|| unreadable("outcome", "the outcome is not known"))?,
        units: row.count("units")?,
        credits: row.count("credits")?,
        period: period.map(|(start, end)| Period { start, end }),
        bytes_in: row.count("bytes_in")?,
        bytes_out: row.count("bytes_out")?,
        duration_us: row.count("duration_us")?,
        upstream_us: row.count("upstream_us")?,
        epoch: row.count("epoch")?,
        region: row.try_get("region")?,
        trace_id: trace_id.map(<[u8; 16]>::try_from).transpose().map_err(|error| unreadable("trace_id", error))?,
        price_rule: row.try_get("price_rule")?,
        meters: meters(row)?,
        allocated,
    })
}

fn meters(row: &PgRow) -> Result<Vec<Metered>, sqlx::Error> {
    let held: Option<sqlx::types::Json<Vec<Held>>> = row.try_get("meters")?;
    let metered = |held: Held| {
        let (meter, quantity, kind, item) = match held {
            Held::Sum(meter, quantity) => (meter, quantity, MeterKind::Sum, None),
            Held::Plain(meter, quantity, kind) => (meter, quantity, kind, None),
            Held::Item(meter, quantity, kind, item) => (meter, quantity, kind, Some(item)),
        };
        let item = item.map(|item| u128::from_str_radix(&item, 16).map(u128::to_be_bytes)).transpose();
        Ok(Metered { meter, kind, quantity, item: item.map_err(|error| unreadable("meters", error))? })
    };
    held.map_or_else(|| Ok(Vec::new()), |held| held.0.into_iter().map(metered).collect())
}

/// As [`super::copy`] writes it.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Held {
    Sum(String, i64),
    Plain(String, i64, MeterKind),
    Item(String, i64, MeterKind, String),
}
