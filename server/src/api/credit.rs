//! A partner's prepaid credit, for the provider's tokens.

use super::{
    extract::{Body, Named},
    guard::ProviderCall,
    once::Once,
    problem::Problem,
};
use axum::{Json, extract::Path, http::StatusCode};
use domain::{
    credit::{GrantKind, USUAL_PRIORITY},
    id::{CreditGrantId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{BoundCredit, CreditGrant, CreditStanding, GrantState, NewCreditGrant, Store, Void};
use utoipa::ToSchema;

/// How the credit stands, in units.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditOut {
    /// Ever granted, less what was taken back or allocated.
    granted: u64,
    /// Used by calls that are stored.
    used: u64,
    /// What is left and common to all apps; below zero after overdraft.
    balance: i64,
    /// Units below zero that calls may take the balance to, which are billed; never less than `to_be_billed`.
    overdraft: u64,
    /// Units of hours that are over that an invoice will bill. They are held against no unit that is given or bought: of those
    /// `balance + to_be_billed` are left.
    to_be_billed: u64,
    /// Besides, what is left of allocations, which apps and teams have for themselves.
    allocated: u64,
    /// Besides, what is left for calls of some products alone, in the order in which they spend it.
    bound: Vec<BoundCreditOut>,
}

/// Units that only calls of some products spend, before they spend what is common.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoundCreditOut {
    /// As usage events call it that spent some of it (`allocation`).
    id: String,
    /// The products' codes.
    products: Vec<String>,
    left: u64,
    /// When the first of them expire, as far as it is booked.
    #[schema(value_type = Option<String>, format = DateTime)]
    first_end: Option<Timestamp>,
}

/// Units to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantCreditIn {
    /// Below zero to take some back that are not used.
    #[schema(example = 1000)]
    units: i64,
    /// 1 to 200 characters. The partner reads it, and it is in the audit log.
    #[schema(example = "Invoice 2026-11")]
    reason: String,
    /// Your own number for it, as a payment's: granting the same again changes nothing.
    #[serde(default)]
    reference: Option<String>,
    /// `promotional` (where it is left out), `compensation` or `paid`: units that are given away are used before those that were sold.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    kind: GrantKind,
    /// The lower, the sooner it is used, before all else. 100 where it is left out.
    #[serde(default = "usual_priority")]
    priority: u8,
    /// From when on it may be used. At once where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
    /// When what is left expires: at that full hour (UTC), or the next. Never where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// What a paid grant was sold for, paid outside of Turnpike.
    #[serde(default)]
    cost: Option<CostIn>,
    /// Codes of the products whose calls alone may spend the units, 50 at most. Every product's where it is left out.
    #[serde(default)]
    products: Vec<String>,
}

/// An exact amount of money in whole coins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CostIn {
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// Decimal text in the currency's unit.
    #[schema(example = "8500.00")]
    amount: String,
}

/// A grant, as it is booked: calls of the hour that runs may be missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditGrantOut {
    id: String,
    /// Below zero where it took units back.
    units: i64,
    reason: String,
    reference: Option<String>,
    /// `promotional`, `compensation` or `paid`.
    kind: String,
    priority: u8,
    #[schema(value_type = String, format = DateTime)]
    granted_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// `waiting`, `usable`, `expired` or `voided`.
    #[schema(value_type = String)]
    state: GrantState,
    left: u64,
    /// Of what is left, what apps and teams have for themselves.
    allocated: u64,
    used: u64,
    expired: u64,
    voided: u64,
    /// What it was sold for.
    cost: Option<super::invoices::AmountOut>,
    /// Codes of the products whose calls alone may spend it; every product's where there are none.
    products: Vec<String>,
}

/// How to take it back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoidGrantIn {
    /// For the audit log, 1 to 200 characters.
    reason: String,
    /// Whether the unused share of what it cost is paid back, outside of Turnpike. Else it is kept.
    #[serde(default)]
    refund: bool,
}

fn usual_priority() -> u8 {
    USUAL_PRIORITY
}

/// How the partner's prepaid credit stands.
#[utoipa::path(get, path = "/api/partners/{partner}/credit", operation_id = "getCredit", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "The credit", body = CreditOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall, Named(partner): Named<PartnerId>) -> Result<Json<CreditOut>, Problem> {
    call.state.store.partner(partner).await?;
    Ok(Json(standing(&call.state.store, partner).await?))
}

/// How it stands, and for what it may be spent.
pub(super) async fn standing(store: &Store, partner: PartnerId) -> Result<CreditOut, Problem> {
    let CreditStanding { granted, used, balance, overdraft, to_be_billed, allocated, bound: _ } =
        store.credit(partner).await?;
    let bound = store.bound_credit(partner).await?.into_iter().map(BoundCreditOut::from).collect();
    Ok(CreditOut { granted, used, balance, overdraft, to_be_billed, allocated, bound })
}

/// Adds units to the partner's prepaid credit, or takes some back. Calls can spend them within a second.
#[utoipa::path(post, path = "/api/partners/{partner}/credit", operation_id = "grantCredit", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = GrantCreditIn,
    responses((status = 200, description = "The credit after it", body = CreditOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn grant(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    once: Once,
    Body(body): Body<GrantCreditIn>,
) -> Result<Json<CreditOut>, Problem> {
    let GrantCreditIn { units, reason, reference, kind, priority, effective_at, expires_at, cost, products } = body;
    let cost = cost.map(read_cost).transpose()?;
    let reference = once.reference(reference);
    let new = NewCreditGrant { units, reason, reference, kind, priority, effective_at, expires_at, cost, products };
    call.state.store.grant_credit(partner, &new, call.token.actor(), call.now).await?;
    Ok(Json(standing(&call.state.store, partner).await?))
}

/// The partner's grants of prepaid units, the newest 200 first.
#[utoipa::path(get, path = "/api/partners/{partner}/credit/grants", operation_id = "listCreditGrants", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "The grants", body = [CreditGrantOut]), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn grants(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
) -> Result<Json<Vec<CreditGrantOut>>, Problem> {
    call.state.store.partner(partner).await?;
    let grants = call.state.store.credit_grants(partner).await?;
    Ok(Json(grants.into_iter().map(CreditGrantOut::from).collect()))
}

/// Takes back what is left of a grant. A second time changes nothing. 409 while gateways hold some of it: they give back what they do
/// not use within seconds.
#[utoipa::path(post, path = "/api/partners/{partner}/credit/grants/{grant}/void", operation_id = "voidCreditGrant", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$"),
        ("grant" = String, Path, description = "The grant's identifier", pattern = "^grant_[0-9a-f]{32}$")), request_body = VoidGrantIn,
    responses((status = 204, description = "Taken back"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn void(
    call: ProviderCall,
    Path((partner, grant)): Path<(String, String)>,
    Body(body): Body<VoidGrantIn>,
) -> Result<StatusCode, Problem> {
    let partner: PartnerId = partner.parse().map_err(|_| Problem::not_found())?;
    let grant: CreditGrantId = grant.parse().map_err(|_| Problem::not_found())?;
    let how = if body.refund { Void::Refunded } else { Void::Kept };
    call.state.store.void_credit_grant(partner, grant, (how, &body.reason), call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn read_cost(cost: CostIn) -> Result<Money, Problem> {
    let currency =
        cost.currency.parse().map_err(|_| Problem::invalid("cost.currency", "This currency is not known"))?;
    let wrong = || Problem::invalid("cost.amount", "Write a number with no more digits than the currency has");
    let amount = cost.amount.parse().map_err(|_| wrong())?;
    Money::from_decimal_exact(currency, amount).map_err(|_| wrong())
}

impl From<CreditGrant> for CreditGrantOut {
    fn from(grant: CreditGrant) -> Self {
        Self {
            id: grant.id.to_string(),
            units: grant.units,
            reason: grant.reason,
            reference: grant.reference,
            kind: grant.kind.code().to_owned(),
            priority: grant.priority,
            granted_at: grant.granted_at,
            effective_at: grant.effective_at,
            expires_at: grant.expires_at,
            state: grant.state,
            left: grant.left,
            allocated: grant.allocated,
            used: grant.used,
            expired: grant.expired,
            voided: grant.voided,
            cost: grant.cost.map(Into::into),
            products: grant.products.into_iter().map(|product| product.code).collect(),
        }
    }
}

impl From<BoundCredit> for BoundCreditOut {
    fn from(bound: BoundCredit) -> Self {
        let products = bound.products.into_iter().map(|product| product.code).collect();
        Self { id: bound.id.to_string(), products, left: bound.left, first_end: bound.first_end }
    }
}
