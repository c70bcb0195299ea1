//! Unpaid invoices and what follows: a partner reads how it stands, the provider pauses and holds back.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerCall, ProviderCall},
    invoices::AmountOut,
    list::{List, Part},
    problem::Problem,
};
use axum::{Json, extract::OriginalUri, http::StatusCode, response::Response};
use domain::{
    dunning::{OwnDays, Stage},
    id::{InvoiceId, PartnerId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Dunning, DunningLine, Pause, UnpaidInvoice};
use utoipa::{IntoParams, ToSchema};

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DunningParams {
    /// For the provider's tokens: the partner's identifier.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UnpaidParams {
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// How a partner stands with its invoices.
#[derive(Debug, Serialize, ToSchema)]
pub struct DunningOut {
    /// `good`, `grace` (an invoice is overdue), `limited` (limits are lowered) or `suspended` (calls are refused with 402).
    #[schema(value_type = String, pattern = "^(good|grace|limited|suspended)$")]
    stage: Stage,
    /// The unpaid invoice that was due first, or is due next.
    invoice: Option<UnpaidInvoiceOut>,
    /// When the next stage begins at the earliest, if nobody pays.
    #[schema(value_type = Option<String>, format = DateTime)]
    worsens_at: Option<Timestamp>,
    /// Until when nothing follows.
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_until: Option<Timestamp>,
    /// Days overdue before limits are lowered; null where the plan does nothing about unpaid invoices.
    grace_days: Option<u16>,
    /// Days with lowered limits before calls are refused.
    limited_days: Option<u16>,
}

/// An invoice that is not paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnpaidInvoiceOut {
    id: String,
    #[schema(example = "TP-000042")]
    code: String,
    /// What is left of it to pay, before tax.
    owed: AmountOut,
    #[schema(value_type = String, format = DateTime)]
    due_at: Timestamp,
    /// Stripe's page on which it is paid.
    pay_url: Option<String>,
}

/// A partner with an overdue invoice.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnpaidOut {
    partner: String,
    name: String,
    #[schema(value_type = String, pattern = "^(grace|limited|suspended)$")]
    stage: Stage,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    invoice: String,
    invoice_code: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    worsens_at: Option<Timestamp>,
}

/// Days in place of the plan's; null is the plan's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnDaysIn {
    /// At most 365.
    #[serde(default)]
    grace_days: Option<u16>,
    /// At most 365.
    #[serde(default)]
    limited_days: Option<u16>,
}

/// Until when, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseIn {
    /// Within a year. From then on the days count anew.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// 1 to 500 characters, for operators and the audit log.
    reason: String,
}

/// Whose invoice, and why it is disputed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeIn {
    #[schema(value_type = String, pattern = "^partner_[0-9a-f]{32}$")]
    partner: PartnerId,
    /// 1 to 500 characters; null ends the dispute.
    #[serde(default)]
    reason: Option<String>,
}

/// How the partner stands with its invoices, and what is next.
#[utoipa::path(get, path = "/api/dunning", operation_id = "getDunning", tag = "Invoices", params(DunningParams),
    responses((status = 200, description = "How it stands", body = DunningOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: PartnerCall, Params(_params): Params<DunningParams>) -> Result<Json<DunningOut>, Problem> {
    Ok(Json(call.state.store.dunning(call.partner, call.now).await?.into()))
}

/// Partners with an overdue invoice, the worst first.
#[utoipa::path(get, path = "/api/unpaid", operation_id = "listUnpaid", tag = "Partners", params(UnpaidParams),
    responses((status = 200, description = "The worst first", body = List<UnpaidOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: ProviderCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<UnpaidParams>,
) -> Result<Response, Problem> {
    let part = Part { cursor: params.cursor, limit: params.limit };
    let page = call.state.store.all_partners_unpaid(part.cursor(), part.limit()).await?;
    Ok(List { items: page.items.into_iter().map(UnpaidOut::from).collect(), next: page.next }.answer(&uri))
}

/// Gives the partner days of its own in place of the plan's.
#[utoipa::path(put, path = "/api/partners/{partner}/dunning", operation_id = "setDunningDays", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = OwnDaysIn,
    responses((status = 200, description = "How it stands", body = DunningOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn set_days(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    Body(body): Body<OwnDaysIn>,
) -> Result<Json<DunningOut>, Problem> {
    let own = OwnDays { grace: body.grace_days, limited: body.limited_days };
    call.state.store.set_dunning_days(partner, own, call.token.actor(), call.now).await?;
    Ok(Json(call.state.store.dunning(partner, call.now).await?.into()))
}

/// Lets nothing follow for the partner's unpaid invoices until a day.
#[utoipa::path(post, path = "/api/partners/{partner}/dunning/pause", operation_id = "pauseDunning", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = PauseIn,
    responses((status = 200, description = "How it stands", body = DunningOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn pause(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    Body(body): Body<PauseIn>,
) -> Result<Json<DunningOut>, Problem> {
    let pause = Pause { until: body.until, reason: body.reason };
    call.state.store.pause_dunning(partner, Some(&pause), call.token.actor(), call.now).await?;
    Ok(Json(call.state.store.dunning(partner, call.now).await?.into()))
}

/// Ends a pause now.
#[utoipa::path(post, path = "/api/partners/{partner}/dunning/resume", operation_id = "resumeDunning", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "How it stands", body = DunningOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn resume(call: ProviderCall, Named(partner): Named<PartnerId>) -> Result<Json<DunningOut>, Problem> {
    call.state.store.pause_dunning(partner, None, call.token.actor(), call.now).await?;
    Ok(Json(call.state.store.dunning(partner, call.now).await?.into()))
}

/// Says that an invoice is disputed, or no longer: meanwhile nothing follows if it is not paid.
#[utoipa::path(put, path = "/api/invoices/{invoice}/dispute", operation_id = "disputeInvoice", tag = "Invoices", request_body = DisputeIn,
    params(("invoice" = String, Path, description = "The invoice's identifier", pattern = "^invoice_[0-9a-f]{32}$")),
    responses((status = 204, description = "Noted"), (status = "4XX", description = "Refused; 409 where it is paid or void", body = Problem, content_type = "application/problem+json")))]
pub async fn dispute(
    call: ProviderCall,
    Named(invoice): Named<InvoiceId>,
    Body(body): Body<DisputeIn>,
) -> Result<StatusCode, Problem> {
    let DisputeIn { partner, reason } = body;
    call.state.store.dispute_invoice(partner, invoice, reason.as_deref(), call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<UnpaidInvoice> for UnpaidInvoiceOut {
    fn from(invoice: UnpaidInvoice) -> Self {
        Self {
            id: invoice.id.to_string(),
            code: invoice.code(),
            owed: invoice.owed.into(),
            due_at: invoice.due_at,
            pay_url: invoice.pay_url,
        }
    }
}

impl From<Dunning> for DunningOut {
    fn from(standing: Dunning) -> Self {
        Self {
            stage: standing.stage,
            invoice: standing.invoice.map(UnpaidInvoiceOut::from),
            worsens_at: standing.worsens_at,
            paused_until: standing.paused.map(|(until, _)| until),
            grace_days: standing.days.map(|days| days.grace),
            limited_days: standing.days.map(|days| days.limited),
        }
    }
}

impl From<DunningLine> for UnpaidOut {
    fn from(line: DunningLine) -> Self {
        Self {
            partner: line.partner.to_string(),
            invoice_code: line.code(),
            name: line.partner_name,
            stage: line.stage,
            since: line.since,
            invoice: line.invoice.to_string(),
            worsens_at: line.worsens_at,
        }
    }
}
