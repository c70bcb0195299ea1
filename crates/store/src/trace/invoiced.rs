//! Where calls are on invoices: the stretch that they fall in, the lines of their operation, and what Stripe calls them.

use super::TracedBilling;
use crate::{
    Collector, Invoice, InvoiceStatus, StoreError,
    row::{ReadRow as _, unreadable},
    time::Ts,
};
use domain::{
    id::{InvoiceId, OperationId, PartnerId, ProductId},
    period::{Cycle, Period},
    plan::PlanTerms,
};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

/// Of which operation a call is.
pub(super) type Of = (Option<ProductId>, Option<OperationId>);

/// An invoice that has a call's units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedInvoice {
    pub id: InvoiceId,
    pub number: i64,
    pub status: InvoiceStatus,
    /// Who has taken it; `None` where nobody has.
    pub collected_by: Option<Collector>,
    /// What Stripe calls it; `None` where it is not there, or where Stripe makes its own of meter events.
    pub stripe: Option<String>,
    /// The lines that the units are in, of all calls of the operation. What came late may be in more than one, as they are by closed
    /// period and price.
    pub lines: Vec<TracedLine>,
}

impl TracedInvoice {
    /// `TP-000042`, as people read it.
    pub fn code(&self) -> String {
        Invoice::code_of(self.number)
    }
}

/// A line of an invoice that has a call's units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLine {
    /// Counts from zero.
    pub position: i32,
    /// Units of all its calls. Below zero where an adjustment takes some back.
    pub quantity: i64,
    /// What Stripe calls its item, or the meter event that told the units; `None` where it is not there.
    pub stripe: Option<String>,
}

/// As what units are on an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// With the others of their period.
    Used,
    /// On a later one.
    Adjusted,
}

/// The partner's invoice, with the lines of that operation.
pub(super) async fn on(
    tx: &mut PgConnection,
    partner: PartnerId,
    invoice: Uuid,
    counted: Counted,
    (product, operation): Of,
) -> Result<TracedInvoice, StoreError> {
    let id = InvoiceId(invoice);
    let head = sqlx::query(
        "select i.number, i.status, i.collected_by,
             (select x.stripe_id from stripe_objects x where x.partner_id = i.partner_id and x.subject = $3) as stripe_id
         from invoices i where i.partner_id = $1 and i.id = $2",
    )
    .bind(partner.0)
    .bind(invoice)
    .bind(format!("invoice:{id}"))
    .fetch_one(&mut *tx)
    .await?;
    let kind = match counted {
        Counted::Used => "usage",
        Counted::Adjusted => "adjustment",
    };
    // Units that were to be a meter event, and came too late for the meter, are an item.
    let lines = sqlx::query(
        "select l.position, l.quantity,
             (select x.stripe_id from stripe_objects x
              where x.partner_id = l.partner_id and x.stripe_id is not null
                  and x.subject in (format('item:%s:%s', $6::text, l.position), format('meter_event:%s:%s', $6::text, l.position))
              order by x.subject limit 1) as stripe_id
         from invoice_lines l
         where l.partner_id = $1 and l.invoice_id = $2 and l.kind = $3
             and l.product_id is not distinct from $4 and l.operation_id is not distinct from $5
         order by l.position",
    )
    .bind(partner.0)
    .bind(invoice)
    .bind(kind)
    .bind(product.map(|id| id.0))
    .bind(operation.map(|id| id.0))
    .bind(id.to_string())
    .fetch_all(&mut *tx)
    .await?;
    let line = |row: &PgRow| {
        Ok(TracedLine {
            position: row.try_get("position")?,
            quantity: row.try_get("quantity")?,
            stripe: row.try_get("stripe_id")?,
        })
    };
    let collected_by = match head.try_get::<Option<&str>, _>("collected_by")? {
        Some(text) => Some(text.parse().map_err(|error: String| unreadable("collected_by", error))?),
        None => None,
    };
    Ok(TracedInvoice {
        id,
        number: head.try_get("number")?,
        status: head.parsed("status")?,
        collected_by,
        stripe: head.try_get("stripe_id")?,
        lines: lines.iter().map(line).collect::<Result<_, sqlx::Error>>()?,
    })
}

/// Threshold invoices that stand and have the hour of a call, the first of them first.
pub(super) async fn thresholds(
    tx: &mut PgConnection,
    partner: PartnerId,
    at: Timestamp,
    of: Of,
    most: i64,
) -> Result<Vec<TracedInvoice>, StoreError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from invoices
         where partner_id = $1 and period_start <= $2 and period_end > $2 and threshold_number > 0 and status <> 'void'
         order by threshold_number limit $3",
    )
    .bind(partner.0)
    .bind(Ts(at))
    .bind(most)
    .fetch_all(&mut *tx)
    .await?;
    let mut invoices = Vec::with_capacity(ids.len());
    for id in ids {
        invoices.push(on(tx, partner, id, Counted::Used, of).await?);
    }
    Ok(invoices)
}

/// The stretch that the instant falls in; `None` where the partner had no subscription.
pub(super) async fn billing(
    tx: &mut PgConnection,
    partner: PartnerId,
    at: Timestamp,
    of: Of,
) -> Result<Option<TracedBilling>, StoreError> {
    let closed = sqlx::query(
        "select period_start, period_end, invoice_id from billing_periods
         where partner_id = $1 and period_start <= $2 and period_end > $2 limit 1",
    )
    .bind(partner.0)
    .bind(Ts(at))
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(row) = closed {
        let stretch = Period { start: row.at("period_start")?, end: row.at("period_end")? };
        let invoice = match row.try_get::<Option<Uuid>, _>("invoice_id")? {
            Some(id) => Some(on(tx, partner, id, Counted::Used, of).await?),
            None => None,
        };
        return Ok(Some(TracedBilling::Closed { stretch, invoice }));
    }
    let open = sqlx::query(
        "select s.started_at, s.anchor, s.time_zone, v.terms,
             coalesce(s.ended_at, (select c.effective_at from plan_changes c
                 where c.partner_id = s.partner_id and c.subscription_id = s.id and c.status = 'scheduled')) as ended_at,
             (select max(b.period_end) from billing_periods b
              where b.partner_id = s.partner_id and b.subscription_id = s.id) as billed_until
         from subscriptions s join plan_versions v on v.id = s.plan_version_id
         where s.partner_id = $1 and s.started_at <= $2 and (s.ended_at is null or s.ended_at > $2)
         order by s.started_at desc limit 1",
    )
    .bind(partner.0)
    .bind(Ts(at))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = open else { return Ok(None) };
    let terms: Json<PlanTerms> = row.try_get("terms")?;
    let cycle = Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: row.try_get("time_zone")? };
    let whole = cycle.period_at(at).map_err(|error| unreadable("anchor", error))?;
    let since = row.at("started_at")?;
    let start = whole.start.max(row.at_if_any("billed_until")?.unwrap_or(since)).max(since);
    let end = row.at_if_any("ended_at")?.map_or(whole.end, |ended| ended.min(whole.end));
    Ok(Some(TracedBilling::Open { since, stretch: Period { start, end } }))
}
