//! A partner's prepaid credit, for the provider's tokens.

use super::{
    extract::{Body, Named},
    guard::ProviderCall,
    problem::Problem,
};
use axum::Json;
use domain::id::PartnerId;
use serde::{Deserialize, Serialize};
use store::{CreditStanding, NewCreditGrant};
use utoipa::ToSchema;

/// How the credit stands, in units.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditOut {
    /// Ever granted, less what was taken back.
    granted: u64,
    /// Used by calls that are stored.
    used: u64,
    /// What is left; below zero after overdraft.
    balance: i64,
}

/// Units to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantCreditIn {
    /// Below zero to take some back that are not used.
    #[schema(example = 1000)]
    units: i64,
    /// For the audit log, 1 to 200 characters.
    #[schema(example = "Invoice 2026-11")]
    reason: String,
    /// Your own number for it, as a payment's: granting the same again changes nothing.
    #[serde(default)]
    reference: Option<String>,
}

/// How the partner's prepaid credit stands.
#[utoipa::path(get, path = "/api/partners/{partner}/credit", operation_id = "getCredit", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "The credit", body = CreditOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall, Named(partner): Named<PartnerId>) -> Result<Json<CreditOut>, Problem> {
    call.state.store.partner(partner).await?;
    Ok(Json(call.state.store.credit(partner).await?.into()))
}

/// Adds units to the partner's prepaid credit, or takes some back. Calls can spend them within a second.
#[utoipa::path(post, path = "/api/partners/{partner}/credit", operation_id = "grantCredit", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = GrantCreditIn,
    responses((status = 200, description = "The credit after it", body = CreditOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn grant(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    Body(body): Body<GrantCreditIn>,
) -> Result<Json<CreditOut>, Problem> {
    let GrantCreditIn { units, reason, reference } = body;
    let new = NewCreditGrant { units, reason, reference };
    call.state.store.grant_credit(partner, &new, call.token.actor(), call.now).await?;
    Ok(Json(call.state.store.credit(partner).await?.into()))
}

impl From<CreditStanding> for CreditOut {
    fn from(standing: CreditStanding) -> Self {
        let CreditStanding { granted, used, balance } = standing;
        Self { granted, used, balance }
    }
}
