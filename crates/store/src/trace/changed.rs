//! What became of a call after it was counted: corrections, and the invoice that has it where it came too late for its own.

use super::invoiced::{self, Counted, Of, TracedInvoice};
use crate::{StoreError, row::ReadRow as _, time::Ts};
use domain::id::{CorrectionId, PartnerId};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// One step of a correction that touched the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedCorrection {
    pub correction: CorrectionId,
    pub reason: String,
    /// It was taken back; else it was applied.
    pub is_revert: bool,
    pub at: Timestamp,
    pub calls: i64,
    pub units: i64,
    /// Whether the sums have it; else it is an adjustment of a closed period.
    pub in_place: bool,
    /// The invoice that has the adjustment; `None` until there is one.
    pub invoice: Option<TracedInvoice>,
}

/// That a call came when the bill of its period was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLateCall {
    /// The invoice that has it instead; `None` until there is one.
    pub invoice: Option<TracedInvoice>,
}

/// Where an event stands.
pub(super) struct Standing<'a> {
    pub partner: PartnerId,
    pub at: Timestamp,
    pub node: &'a str,
    pub lane: i32,
    pub sequence: i64,
}

/// What corrections did to the event, in the order in which they did.
pub(super) async fn corrections(
    connection: &mut PgConnection,
    of: &Standing<'_>,
    operation: Of,
) -> Result<Vec<TracedCorrection>, StoreError> {
    let rows = sqlx::query(
        "select c.id, c.reason, e.step, e.calls, e.units, e.in_place, a.invoice_id,
             case e.step when 0 then c.applied_at else c.ended_at end as done_at
         from usage_correction_events e
         join usage_corrections c on c.partner_id = e.partner_id and c.id = e.correction_id
         left join lateral (
             select a.invoice_id from usage_adjustments a
             where a.partner_id = e.partner_id and a.correction_id = e.correction_id and not e.in_place
                 and a.period_start <= e.of_at and a.period_end > e.of_at
                 and a.product_id is not distinct from e.product_id and a.operation_id is not distinct from e.operation_id
                 and a.received_at = case e.step when 0 then c.applied_at else c.ended_at end
             limit 1
         ) a on true
         where e.partner_id = $1 and e.of_at = $2 and e.of_node = $3 and e.of_lane = $4 and e.of_sequence = $5
         order by done_at, e.step",
    )
    .bind(of.partner.0)
    .bind(Ts(of.at))
    .bind(of.node)
    .bind(of.lane)
    .bind(of.sequence)
    .fetch_all(&mut *connection)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        let invoice = match row.try_get::<Option<Uuid>, _>("invoice_id")? {
            Some(id) => Some(invoiced::on(connection, of.partner, id, Counted::Adjusted, operation).await?),
            None => None,
        };
        all.push(TracedCorrection {
            correction: CorrectionId(row.try_get("id")?),
            reason: row.try_get("reason")?,
            is_revert: row.try_get::<i16, _>("step")? == 1,
            at: row.at("done_at")?,
            calls: row.try_get("calls")?,
            units: row.try_get("units")?,
            in_place: row.try_get("in_place")?,
            invoice,
        });
    }
    Ok(all)
}

/// Whether a gateway handed the call over when its period was closed. Only live calls with units ever are late; the numbers between
/// the first and the last of an adjustment are those of other operations, too.
pub(super) async fn late_call(
    connection: &mut PgConnection,
    of: &Standing<'_>,
    operation: Of,
) -> Result<Option<TracedLateCall>, StoreError> {
    let row = sqlx::query(
        "select a.invoice_id from usage_adjustments a
         where a.partner_id = $1 and a.node = $3 and a.lane = $4 and a.first_sequence <= $5 and a.last_sequence >= $5
             and a.period_start <= $2 and a.period_end > $2
             and a.product_id is not distinct from $6 and a.operation_id is not distinct from $7
         order by a.sequence limit 1",
    )
    .bind(of.partner.0)
    .bind(Ts(of.at))
    .bind(of.node)
    .bind(of.lane)
    .bind(of.sequence)
    .bind(operation.0.map(|id| id.0))
    .bind(operation.1.map(|id| id.0))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let invoice = match row.try_get::<Option<Uuid>, _>("invoice_id")? {
        Some(id) => Some(invoiced::on(connection, of.partner, id, Counted::Adjusted, operation).await?),
        None => None,
    };
    Ok(Some(TracedLateCall { invoice }))
}
