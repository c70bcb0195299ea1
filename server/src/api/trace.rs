//! The way of a call, from the meter to the invoice line and to Stripe, for the provider's tokens.

use super::{extract::Named, guard::ProviderCall, problem::Problem};
use axum::Json;
use domain::period::Period;
use jiff::Timestamp;
use serde::Serialize;
use store::trace::{TracedBilling, TracedCall, TracedCorrection, TracedInvoice, TracedLate, TracedLine};
use utoipa::ToSchema;

/// Everything with one request id.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraceOut {
    request_id: String,
    /// Stored calls, the oldest first and 20 at most. There is one, unless somebody sends ids of their own twice.
    calls: Vec<TracedCallOut>,
    /// What was told by `POST /api/events` when its period was closed: it is no stored call.
    told_late: Vec<ToldLateOut>,
}

/// One call, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TracedCallOut {
    #[schema(example = "partner_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    partner: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who told it; null where a gateway recorded it.
    source: Option<String>,
    /// The gateway that recorded it, and where it stands in its log.
    node: String,
    lane: u16,
    record: u64,
    /// Whether a seal covers the record.
    is_sealed: bool,
    /// `live` or `test`.
    environment: &'static str,
    method: String,
    /// The path as the product's document has it, never as it was called.
    path: String,
    /// The product's code; empty where none matched.
    product: String,
    /// The operation's code; empty where none matched.
    operation: String,
    status: u16,
    outcome: String,
    /// As recorded; corrections are beside it.
    units: u64,
    /// Of those, the units that prepaid credit paid.
    credits: u64,
    /// The hour that its sums are in.
    #[schema(value_type = String, format = DateTime)]
    hour: Timestamp,
    /// Why no invoice has it: `test_key`, `refused`, `no_units`, `taken_back` or `no_subscription`; null where one has, or will have.
    unbilled: Option<&'static str>,
    /// `open` until its period is closed, then `closed`; null for test calls and where the partner had no subscription.
    period_state: Option<&'static str>,
    /// The billing period that it counts in.
    period: Option<PeriodOut>,
    /// Threshold invoices of an open or closed period that have it; each is taken off the next.
    threshold_invoices: Vec<TracedInvoiceOut>,
    /// The invoice of its period; null until there is one, where nothing was owed, and where it came late.
    invoice: Option<TracedInvoiceOut>,
    /// Whether it came when its period was closed: then a later invoice has it.
    is_late: bool,
    /// That later invoice; null until there is one.
    late_invoice: Option<TracedInvoiceOut>,
    /// In the order in which they were done.
    corrections: Vec<TracedCorrectionOut>,
}

/// From `start`, which belongs to it, to `end`, which does not.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeriodOut {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
}

/// An invoice that has the call's units.
#[derive(Debug, Serialize, ToSchema)]
pub struct TracedInvoiceOut {
    #[schema(example = "invoice_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    #[schema(example = "TP-000042")]
    number: String,
    /// `open`, `sent`, `paid`, `uncollectible` or `void`.
    status: &'static str,
    /// What Stripe calls it; null where it is not there, or where Stripe makes its own of meter events.
    stripe_id: Option<String>,
    /// Lines of the call's operation that have its units.
    lines: Vec<TracedLineOut>,
}

/// A line of such an invoice.
#[derive(Debug, Serialize, ToSchema)]
pub struct TracedLineOut {
    /// Counts from zero.
    position: i32,
    /// Units of all its calls; below zero where an adjustment takes some back.
    quantity: i64,
    /// What Stripe calls its item, or the identifier of the meter event; null where it is not there.
    stripe_id: Option<String>,
}

/// What a correction did to the call.
#[derive(Debug, Serialize, ToSchema)]
pub struct TracedCorrectionOut {
    #[schema(example = "correction_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    correction: String,
    reason: String,
    is_revert: bool,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    units: i64,
    /// Whether all sums have it; else it adjusts a closed period.
    in_place: bool,
    /// The invoice with that adjustment; null until there is one.
    invoice: Option<TracedInvoiceOut>,
}

/// What came too late for its period.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToldLateOut {
    #[schema(example = "partner_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    partner: String,
    source: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    units: i64,
    /// The invoice with that adjustment; null until there is one.
    invoice: Option<TracedInvoiceOut>,
    corrections: Vec<TracedCorrectionOut>,
}

/// The way of a call: where it was recorded, which hour and billing period it counts in, and on which invoice, line and object of
/// Stripe's it is. The same as `turnpike trace` prints.
#[utoipa::path(get, path = "/api/trace/{request_id}", operation_id = "traceCall", tag = "Usage",
    params(("request_id" = String, Path, description = "The `X-Request-Id` of the answer, or the event's id at its source")),
    responses((status = 200, description = "Its way", body = TraceOut), (status = "4XX", description = "Refused; 404 where no stored call has the id", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall, Named(request_id): Named<String>) -> Result<Json<TraceOut>, Problem> {
    let store = &call.state.store;
    let calls = store.all_partners_trace(&request_id, None).await?;
    let late = store.all_partners_late(&request_id, None).await?;
    if calls.is_empty() && late.is_empty() {
        return Err(Problem::not_found());
    }
    let calls = calls.into_iter().map(TracedCallOut::from).collect();
    Ok(Json(TraceOut { request_id, calls, told_late: late.into_iter().map(ToldLateOut::from).collect() }))
}

impl From<TracedCall> for TracedCallOut {
    fn from(call: TracedCall) -> Self {
        let unbilled = call.unbilled().map(store::trace::Unbilled::code);
        let (period_state, period, invoice) = match call.billing {
            None => (None, None, None),
            Some(TracedBilling::Open { stretch, .. }) => (Some("open"), Some(stretch), None),
            Some(TracedBilling::Closed { stretch, invoice }) => (Some("closed"), Some(stretch), invoice),
        };
        let is_late = call.late.is_some();
        let has_it = !is_late && unbilled.is_none();
        Self {
            partner: call.partner.to_string(),
            at: call.at,
            source: call.source,
            node: call.node,
            lane: call.lane,
            record: call.sequence,
            is_sealed: call.seal.is_some(),
            environment: call.environment.code(),
            method: call.method,
            path: call.path,
            product: call.product_code,
            operation: call.operation_code,
            status: call.status,
            outcome: call.outcome,
            units: call.units,
            credits: call.credits,
            hour: call.hour,
            unbilled,
            period_state,
            period: period.map(|Period { start, end }| PeriodOut { start, end }),
            threshold_invoices: match has_it {
                true => call.thresholds.into_iter().map(TracedInvoiceOut::from).collect(),
                false => Vec::new(),
            },
            invoice: invoice.filter(|_| has_it).map(TracedInvoiceOut::from),
            is_late,
            late_invoice: call.late.and_then(|late| late.invoice).map(TracedInvoiceOut::from),
            corrections: call.corrections.into_iter().map(TracedCorrectionOut::from).collect(),
        }
    }
}

impl From<TracedInvoice> for TracedInvoiceOut {
    fn from(invoice: TracedInvoice) -> Self {
        let line = |TracedLine { position, quantity, stripe }| TracedLineOut { position, quantity, stripe_id: stripe };
        Self {
            id: invoice.id.to_string(),
            number: invoice.code(),
            status: invoice.status.code(),
            stripe_id: invoice.stripe,
            lines: invoice.lines.into_iter().map(line).collect(),
        }
    }
}

impl From<TracedCorrection> for TracedCorrectionOut {
    fn from(one: TracedCorrection) -> Self {
        Self {
            correction: one.correction.to_string(),
            reason: one.reason,
            is_revert: one.is_revert,
            at: one.at,
            units: one.units,
            in_place: one.in_place,
            invoice: one.invoice.map(TracedInvoiceOut::from),
        }
    }
}

impl From<TracedLate> for ToldLateOut {
    fn from(late: TracedLate) -> Self {
        Self {
            partner: late.partner.to_string(),
            source: late.source,
            at: late.at,
            units: late.units,
            invoice: late.invoice.map(TracedInvoiceOut::from),
            corrections: late.corrections.into_iter().map(TracedCorrectionOut::from).collect(),
        }
    }
}
