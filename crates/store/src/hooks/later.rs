//! What hooks get besides usage as it was recorded: what corrections change of it, and what was told when its period was closed.

use super::follow::Told;
use crate::{Store, StoreError, ingest::signed, outside::NODE, row::ReadRow as _};
use domain::{
    id::{CorrectionId, OperationId, PartnerId, ProductId},
    key_text::Environment,
    period::Period,
    usage::event_id,
};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// What `usage_batches.node` holds for the events that corrections change; the lane is 0, and the numbers are the partner's.
pub(crate) const CORRECTED: &str = "outside-corrected";
/// And for what was told late.
pub(crate) const LATE: &str = "outside-late";

/// How one event changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectedEvent {
    pub partner: PartnerId,
    /// Rises with each event that corrections of the partner change.
    pub number: u64,
    pub correction: CorrectionId,
    pub reason: String,
    /// The correction was taken back; else it was applied.
    pub is_revert: bool,
    pub done_at: Timestamp,
    /// `source` and `id` of the event as it was sent before; `None` for a back-fill, and where the event is no longer kept.
    pub of: Option<(String, String)>,
    /// Empty for a back-fill, and where the event is no longer kept.
    pub request_id: String,
    /// When the event was.
    pub at: Timestamp,
    pub environment: Environment,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    pub calls: i64,
    pub units: i64,
    pub credits: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    pub duration_us: i64,
    /// Whether the sums have it; else the period was closed, and its units are an adjustment.
    pub in_place: bool,
}

/// Units that were told when their period was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateEvent {
    pub partner: PartnerId,
    pub sequence: u64,
    /// As the producer has them.
    pub source: String,
    pub id: String,
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    pub app: Option<domain::id::AppId>,
    pub units: u64,
    /// The closed stretch.
    pub period: Period,
}

impl Store {
    pub(super) async fn corrected_part(
        &self,
        partner: Uuid,
        (from, past): (i64, i64),
        most: usize,
    ) -> Result<Vec<Told>, StoreError> {
        let rows = sqlx::query(
            "select c.*, m.reason, case c.step when 0 then m.applied_at else m.ended_at end as done_at, e.epoch,
                 coalesce(e.source, a.source, '') as source, coalesce(e.request_id, a.id, '') as request_id
             from usage_correction_events c
             join usage_corrections m on m.partner_id = c.partner_id and m.id = c.correction_id
             left join lateral (
                 select epoch, source, request_id from usage_events e
                 where e.partner_id = c.partner_id and e.at = c.of_at and e.node = c.of_node and e.lane = c.of_lane
                     and e.sequence = c.of_sequence and c.of_kind <> 2 limit 1
             ) e on true
             left join usage_adjustments a on a.partner_id = c.partner_id and a.sequence = c.of_sequence and c.of_node = $5
                 and a.correction_id is null and a.node is null
             where c.partner_id = $1 and c.number >= $2 and c.number < $3 order by c.number limit $4",
        )
        .bind(partner)
        .bind(from)
        .bind(past)
        .bind(signed(most as u64))
        .bind(NODE)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(|row| Ok(Told::Corrected(corrected(row)?))).collect::<Result<_, sqlx::Error>>()?)
    }

    pub(super) async fn late_part(
        &self,
        partner: Uuid,
        (from, past): (i64, i64),
        most: usize,
    ) -> Result<Vec<Told>, StoreError> {
        let rows = sqlx::query(
            "select * from usage_adjustments
             where partner_id = $1 and sequence >= $2 and sequence < $3 and correction_id is null and node is null
             order by sequence limit $4",
        )
        .bind(partner)
        .bind(from)
        .bind(past)
        .bind(signed(most as u64))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(|row| Ok(Told::Late(late(row)?))).collect::<Result<_, sqlx::Error>>()?)
    }
}

fn corrected(row: &PgRow) -> Result<CorrectedEvent, sqlx::Error> {
    let (kind, step): (i16, i16) = (row.try_get("of_kind")?, row.try_get("step")?);
    let (source, request_id): (String, String) = (row.try_get("source")?, row.try_get("request_id")?);
    let epoch: Option<i64> = row.try_get("epoch")?;
    let of = match (kind, source.as_str(), epoch) {
        (2, ..) | (_, "", None) => None,
        (_, "", Some(epoch)) => {
            let (node, lane): (&str, i32) = (row.try_get("of_node")?, row.try_get("of_lane")?);
            let lane = u16::try_from(lane).unwrap_or_default();
            let epoch = u64::try_from(epoch).unwrap_or_default();
            Some((format!("turnpike:{node}"), event_id(node, epoch, lane, row.count("of_sequence")?)))
        }
        _ => Some((source, request_id.clone())),
    };
    Ok(CorrectedEvent {
        partner: PartnerId(row.try_get("partner_id")?),
        number: row.count("number")?,
        correction: CorrectionId(row.try_get("correction_id")?),
        reason: row.try_get("reason")?,
        is_revert: step == 1,
        done_at: row.at("done_at")?,
        of,
        request_id,
        at: row.at("of_at")?,
        environment: row.parsed("environment")?,
        product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
        operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
        calls: row.try_get("calls")?,
        units: row.try_get("units")?,
        credits: row.try_get("credits")?,
        bytes_in: row.try_get("bytes_in")?,
        bytes_out: row.try_get("bytes_out")?,
        duration_us: row.try_get("duration_us")?,
        in_place: row.try_get("in_place")?,
    })
}

fn late(row: &PgRow) -> Result<LateEvent, sqlx::Error> {
    Ok(LateEvent {
        partner: PartnerId(row.try_get("partner_id")?),
        sequence: row.count("sequence")?,
        source: row.try_get("source")?,
        id: row.try_get("id")?,
        at: row.at("at")?,
        received_at: row.at("received_at")?,
        product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
        operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
        app: row.try_get::<Option<Uuid>, _>("app_id")?.map(domain::id::AppId),
        units: row.count("units")?,
        period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
    })
}
