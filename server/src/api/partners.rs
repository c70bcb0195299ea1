//! Partners, for the provider's tokens.

use super::{
    extract::{Body, Named, Params},
    guard::ProviderCall,
    list::{List, Part},
    once::Once,
    problem::Problem,
};
use axum::{Json, extract::OriginalUri, http::StatusCode, response::Response};
use domain::id::PartnerId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Partner, PartnerLine, Plan};
use utoipa::{IntoParams, ToSchema};

/// Which partners.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PartnerParams {
    /// In the name, the code or a member's address.
    search: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A customer company.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerOut {
    #[schema(example = "partner_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// Set by `turnpike apply`.
    code: Option<String>,
    name: String,
    /// IANA name.
    time_zone: String,
    suspended: bool,
    suspended_reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A customer company in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerLineOut {
    #[serde(flatten)]
    partner: PartnerOut,
    /// Name of the active plan.
    plan: Option<String>,
    plan_version: Option<i32>,
    /// Whether a plan waits for approval.
    plan_requested: bool,
    members: u64,
    /// Keys in force.
    keys: u64,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendIn {
    /// Shown to the partner.
    #[serde(default)]
    reason: String,
}

/// Which plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignPlanIn {
    /// The plan's code; its newest version is taken.
    #[schema(example = "enterprise")]
    plan: String,
}

/// All partners by name.
#[utoipa::path(get, path = "/api/partners", operation_id = "listPartners", tag = "Partners", params(PartnerParams),
    responses((status = 200, description = "By name", body = List<PartnerLineOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: ProviderCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<PartnerParams>,
) -> Result<Response, Problem> {
    let part = Part { cursor: params.cursor, limit: params.limit };
    let search = params.search.unwrap_or_default();
    let page = call.state.store.all_partners_page(&search, part.cursor(), part.limit(), call.now).await?;
    Ok(List { items: page.items.into_iter().map(PartnerLineOut::from).collect(), next: page.next }.answer(&uri))
}

/// One partner.
#[utoipa::path(get, path = "/api/partners/{partner}", operation_id = "getPartner", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "The partner", body = PartnerOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall, Named(partner): Named<PartnerId>) -> Result<Json<PartnerOut>, Problem> {
    Ok(Json(call.state.store.partner(partner).await?.into()))
}

/// Refuses the partner's calls within a second. Its people can still sign in and read why.
#[utoipa::path(post, path = "/api/partners/{partner}/suspend", operation_id = "suspendPartner", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = SuspendIn,
    responses((status = 204, description = "Suspended"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn suspend(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    Body(body): Body<SuspendIn>,
) -> Result<StatusCode, Problem> {
    call.state.store.suspend_partner(partner, &body.reason, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the partner's calls again within a second.
#[utoipa::path(post, path = "/api/partners/{partner}/reactivate", operation_id = "reactivatePartner", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 204, description = "Reactivated"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn reactivate(call: ProviderCall, Named(partner): Named<PartnerId>) -> Result<StatusCode, Problem> {
    call.state.store.reactivate_partner(partner, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts the partner on a plan's newest version at once, private plans included.
#[utoipa::path(post, path = "/api/partners/{partner}/plan", operation_id = "assignPlan", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = AssignPlanIn,
    responses((status = 204, description = "Assigned"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn assign_plan(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    once: Once,
    Body(body): Body<AssignPlanIn>,
) -> Result<StatusCode, Problem> {
    if once.made.is_some() {
        return Ok(StatusCode::NO_CONTENT);
    }
    let store = &call.state.store;
    let plan = store.find_plan_by_code(&body.plan).await?;
    let newest =
        plan.as_ref().and_then(Plan::newest).ok_or_else(|| Problem::invalid("plan", "There is no such plan"))?;
    let (version, actor) = (newest.id, call.token.actor());
    match once.attempt {
        Some(attempt) => store.assign_plan_version_once(partner, (version, attempt), actor, call.now).await?,
        None => store.assign_plan_version(partner, version, actor, call.now).await?,
    };
    Ok(StatusCode::NO_CONTENT)
}

impl From<Partner> for PartnerOut {
    fn from(partner: Partner) -> Self {
        Self {
            id: partner.id.to_string(),
            code: partner.code,
            name: partner.name,
            time_zone: partner.time_zone,
            suspended: partner.suspended_at.is_some(),
            suspended_reason: partner.suspended_reason,
            created_at: partner.created_at,
        }
    }
}

impl From<PartnerLine> for PartnerLineOut {
    fn from(line: PartnerLine) -> Self {
        let (plan, plan_version) = line.plan.unzip();
        Self {
            partner: line.partner.into(),
            plan,
            plan_version,
            plan_requested: line.requested,
            members: line.members,
            keys: line.keys,
        }
    }
}
