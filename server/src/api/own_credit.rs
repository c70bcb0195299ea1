//! How a partner's prepaid credit stands, for its own tokens: the balance, where it came from, and what apps and teams have of it.

use super::{
    credit::{self, CreditGrantOut, CreditOut},
    credit_allocations::CreditAllocationOut,
    extract::Params,
    guard::PartnerCall,
    keys::Whose,
    problem::Problem,
};
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The credit, in units.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnCreditOut {
    #[serde(flatten)]
    credit: CreditOut,
    /// The newest 200 first. What each has left is booked hour by hour: calls of the hour that runs are in `balance` alone.
    grants: Vec<CreditGrantOut>,
    /// What apps and teams have for themselves, by name.
    allocations: Vec<CreditAllocationOut>,
}

/// How the partner's prepaid credit stands. A call is in `balance` within a second of its answer.
#[utoipa::path(get, path = "/api/credit", operation_id = "getOwnCredit", tag = "Plans", params(Whose),
    responses((status = 200, description = "The credit", body = OwnCreditOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: PartnerCall, _: Params<Whose>) -> Result<Json<OwnCreditOut>, Problem> {
    let store = &call.state.store;
    store.partner(call.partner).await?;
    let mut grants = store.credit_grants(call.partner).await?;
    if call.token.partner.is_some() {
        // The provider's own numbers are not the partner's business.
        grants.iter_mut().for_each(|grant| grant.reference = None);
    }
    let allocations = store.credit_allocations(call.partner).await?;
    Ok(Json(OwnCreditOut {
        credit: credit::standing(store, call.partner).await?,
        grants: grants.into_iter().map(CreditGrantOut::from).collect(),
        allocations: allocations.into_iter().map(CreditAllocationOut::from).collect(),
    }))
}
