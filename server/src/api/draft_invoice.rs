//! The invoice of the running period, as it stands: every call moves it, and it is owed when the period is closed.

use super::{
    extract::Params,
    guard::PartnerCall,
    invoices::{AmountOut, InvoiceParams, LineOut},
    problem::Problem,
    usage::Format,
};
use crate::{
    api::csv::Csv,
    documents::{attachment, draft::Draft, lines},
};
use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use billing::BillingError;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// The bill so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct DraftInvoiceOut {
    partner: String,
    plan: String,
    /// What will be on one invoice: the billing period, or the part of it since the plan changed.
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    /// Until when its invoice waits for usage that comes late; it is made then, or once all gateways have handed over their usage.
    #[schema(value_type = String, format = DateTime)]
    waits_until: Timestamp,
    /// IANA name.
    time_zone: String,
    /// When it was asked for: it has the usage that was stored by then.
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
    /// If nothing more were used, with what threshold invoices billed taken off.
    total: AmountOut,
    /// If the rest of the period were used as the part until now was.
    estimate: AmountOut,
    /// If the plan ended now.
    ended_now: AmountOut,
    /// What threshold invoices have billed of the period.
    billed_before: AmountOut,
    lines: Vec<LineOut>,
}

/// The bill of the period that runs, in the lines that its invoice would have now. 404 where no plan is in force. Late usage and corrections
/// of closed periods are added when the period is closed.
#[utoipa::path(get, path = "/api/invoices/draft", operation_id = "getDraftInvoice", tag = "Invoices", params(InvoiceParams),
    responses((status = 200, description = "The bill so far", content((DraftInvoiceOut = "application/json"), (String = "text/csv"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: PartnerCall, Params(params): Params<InvoiceParams>) -> Result<Response, Problem> {
    call.state.store.partner(call.partner).await?;
    let draft = Draft::of(&call.state.store, call.partner, call.now).await.map_err(problem)?;
    let draft = draft.ok_or_else(Problem::not_found)?;
    if params.format() == Some(Format::Csv) {
        return Ok(csv(&draft).into_response());
    }
    Ok(Json(DraftInvoiceOut::of(draft, call.state.settings.closing_grace)).into_response())
}

/// As an invoice's lines are written, without a number and with `draft` as status.
pub fn csv(draft: &Draft) -> ([(axum::http::HeaderName, String); 1], Csv) {
    let mut csv = lines::heading();
    lines::append(&mut csv, &draft.rows());
    (attachment("bill-so-far.csv"), csv)
}

fn problem(error: BillingError) -> Problem {
    match error {
        BillingError::Store(error) => error.into(),
        other => {
            tracing::error!(error = %other, "the bill so far cannot be rated");
            Problem::unavailable("What the period costs so far cannot be said at the moment.")
        }
    }
}

impl DraftInvoiceOut {
    fn of(draft: Draft, closing_grace: SignedDuration) -> Self {
        let total = draft.total().into();
        let Draft { partner, plan, time_zone, as_of, projection, .. } = draft;
        let line = |(position, (charge, line))| LineOut::of_charge(position, charge, line);
        Self {
            partner: partner.to_string(),
            plan,
            period_start: projection.period.start,
            period_end: projection.period.end,
            waits_until: projection.period.end.saturating_add(closing_grace).unwrap_or(Timestamp::MAX),
            time_zone,
            as_of,
            total,
            estimate: projection.estimate.total.into(),
            ended_now: projection.ended_now.total.into(),
            billed_before: projection.billed_before.into(),
            lines: (0_i32..).zip(projection.lines()).map(line).collect(),
        }
    }
}
