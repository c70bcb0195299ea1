//! A partner's own threshold for invoices within the period.

use super::{
    disputes,
    extract::{Body, Named},
    guard::ProviderCall,
    invoices::AmountOut,
    problem::Problem,
};
use axum::{Json, http::StatusCode};
use domain::{id::PartnerId, rating::OwnThreshold};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// From how much usage on that no invoice has one is made within the period.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvoiceThresholdOut {
    /// What counts; null where usage is invoiced only when the period ends.
    in_force: Option<AmountOut>,
    /// Whether the partner has one of its own, or none by its own, in the place of its plan's.
    is_own: bool,
}

/// An amount, or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvoiceThresholdIn {
    /// In the currency of the partner's plan, more than zero, in whole coins; null for no threshold invoices.
    #[schema(value_type = Option<String>, example = "500.00")]
    amount: Option<String>,
}

/// When the partner's usage is invoiced within the period.
#[utoipa::path(get, path = "/api/partners/{partner}/invoice-threshold", operation_id = "getInvoiceThreshold", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "What counts", body = InvoiceThresholdOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall, Named(partner): Named<PartnerId>) -> Result<Json<InvoiceThresholdOut>, Problem> {
    standing(&call, partner).await
}

/// Gives the partner a threshold of its own, or with null none, whatever its plan says.
#[utoipa::path(put, path = "/api/partners/{partner}/invoice-threshold", operation_id = "setInvoiceThreshold", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = InvoiceThresholdIn,
    responses((status = 200, description = "What counts", body = InvoiceThresholdOut), (status = "4XX", description = "Refused; 409 where Stripe rates the partner's plan", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    Body(body): Body<InvoiceThresholdIn>,
) -> Result<Json<InvoiceThresholdOut>, Problem> {
    let own = match body.amount {
        None => OwnThreshold::Never,
        Some(amount) => {
            let plan = call.state.store.subscription(partner).await?;
            let plan = plan
                .ok_or_else(|| Problem::invalid("amount", "The partner has no plan whose currency it would be in"))?;
            OwnThreshold::At(disputes::amount(&amount, plan.terms.currency)?)
        }
    };
    call.state.store.set_invoice_threshold(partner, Some(own), call.token.actor(), call.now).await?;
    standing(&call, partner).await
}

/// Gives the partner its plan's threshold again.
#[utoipa::path(delete, path = "/api/partners/{partner}/invoice-threshold", operation_id = "clearInvoiceThreshold", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 204, description = "Cleared"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn clear(call: ProviderCall, Named(partner): Named<PartnerId>) -> Result<StatusCode, Problem> {
    call.state.store.set_invoice_threshold(partner, None, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn standing(call: &ProviderCall, partner: PartnerId) -> Result<Json<InvoiceThresholdOut>, Problem> {
    let store = &call.state.store;
    // Whoever does not exist has none either.
    store.partner(partner).await?;
    let own = store.own_invoice_threshold(partner).await?;
    let plan = store.subscription(partner).await?;
    let in_force = plan.and_then(|plan| plan.terms.invoice_threshold(own));
    Ok(Json(InvoiceThresholdOut { in_force: in_force.map(AmountOut::from), is_own: own.is_some() }))
}
