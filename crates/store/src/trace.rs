//! The way of single calls, from the event to the invoice line: for whoever asks after one.

mod changed;

pub use changed::{TracedCorrection, TracedLateCall};

use crate::{
    Store, StoreError, credits,
    ingest::{StoredSeal, signed},
    outside::NODE,
    row::ReadRow as _,
    time::Ts,
};
use domain::{
    credit::allocation::Holder,
    id::{AllocationId, OperationId, PartnerId, ProductId},
    key_text::Environment,
    period::Period,
};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// `usage_events.kind` of what others told us.
const TOLD: i16 = 1;
/// Calls that are shown of one request id. There is one, unless somebody sends ids of their own twice.
const MOST: i64 = 20;

/// A call as it is stored, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedCall {
    pub partner: PartnerId,
    /// Its name where it has no code; empty where the partner is not known.
    pub partner_code: String,
    pub at: Timestamp,
    /// Who told it, where that was no gateway of ours: then it has no log, lane or seal.
    pub source: Option<String>,
    pub node: String,
    pub lane: u16,
    pub sequence: u64,
    pub environment: Environment,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub outcome: String,
    pub units: u64,
    /// Of those, the units that were paid with credit.
    pub credits: u64,
    /// What of the credit an app or a team had for itself.
    pub allocation: Option<TracedAllocation>,
    pub product_code: String,
    pub operation_code: String,
    product: Option<ProductId>,
    operation: Option<OperationId>,
    /// Records of its lane that are stored.
    pub stored_to: u64,
    /// The seal that covers it.
    pub seal: Option<StoredSeal>,
    /// Its hour, and the calls and units of the same kind that the roll-up has there.
    pub hour: Timestamp,
    pub hour_calls: u64,
    pub hour_units: u64,
    pub billing: Option<TracedBilling>,
    /// Threshold invoices of its period that end after it, the first of them first; the invoice at the period's end takes them off. A call
    /// that came after one was made is on none before the next.
    pub thresholds: Vec<TracedInvoice>,
    /// What corrections did to it, in the order in which they did.
    pub corrections: Vec<TracedCorrection>,
    /// Where its period was closed when it came.
    pub late: Option<TracedLateCall>,
}

/// Whose own units paid for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedAllocation {
    pub id: AllocationId,
    pub of: Holder,
    /// The app's or the team's; empty where it is not known.
    pub name: String,
    pub units: u64,
}

impl TracedCall {
    /// How many calls and units the sums have of it.
    pub fn counted(&self) -> (u64, u64) {
        let in_place = self.corrections.iter().filter(|one| one.in_place);
        let (calls, units) = in_place.fold((1_i64, signed(self.units)), |(calls, units), one| {
            (calls.saturating_add(one.calls), units.saturating_add(one.units))
        });
        (u64::try_from(calls).unwrap_or(0), u64::try_from(units).unwrap_or(0))
    }
}

/// What came too late for its period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLate {
    pub partner: PartnerId,
    /// Who told it.
    pub source: String,
    pub at: Timestamp,
    /// Below zero where it takes some back.
    pub units: i64,
    pub is_billed: bool,
    /// What corrections did to it later.
    pub corrections: Vec<TracedCorrection>,
}

/// The stretch of a subscription that a call falls in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TracedBilling {
    /// It is not closed yet; since when the subscription runs.
    Open { since: Timestamp },
    Closed {
        stretch: Period,
        /// `None` where nothing was owed.
        invoice: Option<TracedInvoice>,
    },
}

/// The invoice of a stretch, and the line that the call's units are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedInvoice {
    pub number: i64,
    pub status: String,
    /// The line's place and units.
    pub line: Option<(i32, u64)>,
    /// What Stripe calls the line, where it is there.
    pub stripe: Option<String>,
}

impl Store {
    /// All calls with that request id, of every partner, the oldest first.
    pub async fn all_partners_trace(&self, request_id: &str) -> Result<Vec<TracedCall>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "select e.partner_id, coalesce(p.code, p.name, '') as partner_code, e.at, e.kind, e.source, e.node, e.lane, e.sequence, e.environment,
                 e.method, e.path, e.status, e.outcome, e.units, e.credits, e.allocation_id, e.allocated, al.app_id as own_app,
                 al.team_id as own_team, coalesce(ap.name, te.name, '') as own_name, e.product_id, e.operation_id,
                 coalesce(pr.code, '') as product_code, coalesce(o.code, '') as operation_code,
                 coalesce(s.sequence, 0) as stored_to, date_trunc('hour', e.at, 'UTC') as hour,
                 coalesce(h.calls, 0)::bigint as hour_calls, coalesce(h.units, 0)::bigint as hour_units,
                 z.first_sequence, z.past_sequence, z.sealed_at, z.entry
             from usage_events e
             left join partners p on p.id = e.partner_id
             left join credit_allocations al on al.partner_id = e.partner_id and al.id = e.allocation_id
             left join apps ap on ap.partner_id = al.partner_id and ap.id = al.app_id
             left join teams te on te.partner_id = al.partner_id and te.id = al.team_id
             left join products pr on pr.id = e.product_id
             left join operations o on o.id = e.operation_id
             left join spool_positions s on s.node = e.node and s.lane = e.lane
             left join lateral (
                 select * from spool_seals z where z.node = e.node and z.lane = e.lane and z.past_sequence > e.sequence
                 order by z.past_sequence limit 1
             ) z on z.first_sequence <= e.sequence
             left join lateral (
                 select sum(u.calls) as calls, sum(u.units) as units from usage_hourly u
                 where u.partner_id = e.partner_id and u.hour = date_trunc('hour', e.at, 'UTC')
                     and u.environment = e.environment
                     and u.product_id = coalesce(e.product_id, '00000000-0000-0000-0000-000000000000')
                     and u.operation_id = coalesce(e.operation_id, '00000000-0000-0000-0000-000000000000')
                     and u.app_id = e.app_id and u.key_id = e.key_id and u.outcome = e.outcome
                     and u.status_class = e.status / 100
             ) h on true
             where e.request_id = $1 and e.kind <> 2 order by e.at limit $2",
        )
        .bind(request_id)
        .bind(MOST)
        .fetch_all(&mut *tx)
        .await?;
        let mut calls = rows.iter().map(read).collect::<Result<Vec<_>, sqlx::Error>>()?;
        for call in &mut calls {
            let standing = changed::Standing {
                partner: call.partner,
                at: call.at,
                node: &call.node,
                lane: i32::from(call.lane),
                sequence: signed(call.sequence),
            };
            let corrections = changed::corrections(&mut tx, &standing).await?;
            let can_be_late = call.environment == Environment::Live && call.units > 0;
            let late = match can_be_late {
                true => changed::late_call(&mut tx, &standing, (call.product, call.operation)).await?,
                false => None,
            };
            (call.corrections, call.late) = (corrections, late);
        }
        for call in calls.iter_mut().filter(|call| call.environment == Environment::Live) {
            let row = sqlx::query(
                "select b.period_start, b.period_end, i.number, i.status, l.position, l.quantity, x.stripe_id
                 from billing_periods b
                 left join invoices i on i.partner_id = b.partner_id and i.id = b.invoice_id
                 left join invoice_lines l on l.partner_id = b.partner_id and l.invoice_id = b.invoice_id and l.kind = 'usage'
                     and l.product_id is not distinct from $3 and l.operation_id is not distinct from $4
                 left join stripe_objects x on x.partner_id = b.partner_id
                     and x.subject in (format('item:invoice_%s:%s', replace(i.id::text, '-', ''), l.position),
                         format('meter_event:invoice_%s:%s', replace(i.id::text, '-', ''), l.position))
                 where b.partner_id = $1 and b.period_start <= $2 and b.period_end > $2 limit 1",
            )
            .bind(call.partner.0)
            .bind(Ts(call.at))
            .bind(call.product.map(|id| id.0))
            .bind(call.operation.map(|id| id.0))
            .fetch_optional(&mut *tx)
            .await?;
            call.thresholds = thresholds(&mut tx, call).await?;
            if let Some(row) = row {
                call.billing = Some(closed(&row)?);
                continue;
            }
            let since = sqlx::query(
                "select started_at from subscriptions
                 where partner_id = $1 and started_at <= $2 and (ended_at is null or ended_at > $2)
                 order by started_at desc limit 1",
            )
            .bind(call.partner.0)
            .bind(Ts(call.at))
            .fetch_optional(&mut *tx)
            .await?;
            call.billing =
                since.map(|row| row.at("started_at")).transpose()?.map(|since| TracedBilling::Open { since });
        }
        tx.commit().await?;
        Ok(calls)
    }

    /// What others told us with that id after its period was closed, of every partner: it is owed with a later invoice.
    pub async fn all_partners_late(&self, id: &str) -> Result<Vec<TracedLate>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let rows = sqlx::query(
            "select partner_id, sequence, source, at, units, invoice_id is not null as is_billed from usage_adjustments
             where id = $1 and node is null and correction_id is null order by at limit $2",
        )
        .bind(id)
        .bind(MOST)
        .fetch_all(&mut *connection)
        .await?;
        let mut late = Vec::with_capacity(rows.len());
        for row in &rows {
            let (partner, at) = (PartnerId(row.try_get("partner_id")?), row.at("at")?);
            let sequence = row.try_get("sequence")?;
            let standing = changed::Standing { partner, at, node: NODE, lane: 0, sequence };
            late.push(TracedLate {
                partner,
                source: row.try_get("source")?,
                at,
                units: row.try_get("units")?,
                is_billed: row.try_get("is_billed")?,
                corrections: changed::corrections(&mut connection, &standing).await?,
            });
        }
        Ok(late)
    }
}

fn read(row: &PgRow) -> Result<TracedCall, sqlx::Error> {
    let lane: i32 = row.try_get("lane")?;
    let status: i16 = row.try_get("status")?;
    let seal = match row.try_get::<Option<Vec<u8>>, _>("entry")? {
        Some(entry) => Some(StoredSeal {
            first: row.count("first_sequence")?,
            past: row.count("past_sequence")?,
            sealed_at: row.at("sealed_at")?,
            entry,
        }),
        None => None,
    };
    let allocation = match row.try_get::<Option<Uuid>, _>("allocation_id")? {
        Some(id) => Some(TracedAllocation {
            id: AllocationId(id),
            of: credits::holder(row.try_get("own_app")?, row.try_get("own_team")?),
            name: row.try_get("own_name")?,
            units: row.count("allocated")?,
        }),
        None => None,
    };
    Ok(TracedCall {
        partner: PartnerId(row.try_get("partner_id")?),
        partner_code: row.try_get("partner_code")?,
        at: row.at("at")?,
        source: (row.try_get::<i16, _>("kind")? == TOLD).then(|| row.try_get("source")).transpose()?,
        node: row.try_get("node")?,
        lane: u16::try_from(lane).map_err(|error| crate::row::unreadable("lane", error))?,
        sequence: row.count("sequence")?,
        environment: row.parsed("environment")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        status: u16::try_from(status).unwrap_or_default(),
        outcome: row.try_get("outcome")?,
        units: row.count("units")?,
        credits: row.count("credits")?,
        allocation,
        product_code: row.try_get("product_code")?,
        operation_code: row.try_get("operation_code")?,
        product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
        operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
        stored_to: row.count("stored_to")?,
        seal,
        hour: row.at("hour")?,
        hour_calls: row.count("hour_calls")?,
        hour_units: row.count("hour_units")?,
        billing: None,
        thresholds: Vec::new(),
        corrections: Vec::new(),
        late: None,
    })
}

/// Threshold invoices that stand and have the hour of the call.
async fn thresholds(tx: &mut PgConnection, call: &TracedCall) -> Result<Vec<TracedInvoice>, StoreError> {
    let rows = sqlx::query(
        "select i.number, i.status, l.position, l.quantity, x.stripe_id
         from invoices i
         left join invoice_lines l on l.partner_id = i.partner_id and l.invoice_id = i.id and l.kind = 'usage'
             and l.product_id is not distinct from $3 and l.operation_id is not distinct from $4
         left join stripe_objects x on x.partner_id = i.partner_id
             and x.subject = format('item:invoice_%s:%s', replace(i.id::text, '-', ''), l.position)
         where i.partner_id = $1 and i.period_start <= $2 and i.period_end > $2 and i.threshold_number > 0
             and i.status <> 'void'
         order by i.threshold_number limit $5",
    )
    .bind(call.partner.0)
    .bind(Ts(call.at))
    .bind(call.product.map(|id| id.0))
    .bind(call.operation.map(|id| id.0))
    .bind(MOST)
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(invoice).collect::<Result<_, _>>()?)
}

fn closed(row: &PgRow) -> Result<TracedBilling, sqlx::Error> {
    let stretch = Period { start: row.at("period_start")?, end: row.at("period_end")? };
    let invoice = match row.try_get::<Option<i64>, _>("number")? {
        Some(_) => Some(invoice(row)?),
        None => None,
    };
    Ok(TracedBilling::Closed { stretch, invoice })
}

fn invoice(row: &PgRow) -> Result<TracedInvoice, sqlx::Error> {
    let line = match row.try_get::<Option<i32>, _>("position")? {
        Some(position) => Some((position, row.count("quantity")?)),
        None => None,
    };
    Ok(TracedInvoice {
        number: row.try_get("number")?,
        status: row.try_get("status")?,
        line,
        stripe: row.try_get("stripe_id")?,
    })
}
