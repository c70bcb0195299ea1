//! Plans: what is offered, and new versions.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerOrProvider, ProviderCall},
    keys::Whose,
    list::List,
    problem::Problem,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::plan::PlanTerms;
use serde::Serialize;
use serde_json::Value;
use store::{AddedVersion, OfferedPlan, Plan};
use utoipa::ToSchema;

/// A tier in its newest version.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanOut {
    #[schema(example = "plan_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    #[schema(example = "starter")]
    code: String,
    name: String,
    summary: String,
    /// `automatic` or `queue`.
    approval: String,
    /// Whether only an operator can assign it.
    private: bool,
    version: i32,
    /// Products, limits, quota and prices. Amounts that end in `_micros` are millionths of the currency's unit.
    #[schema(value_type = Object)]
    terms: PlanTerms,
}

/// The plans that a partner may choose; for the provider's tokens all that are not archived.
#[utoipa::path(get, path = "/api/plans", operation_id = "listPlans", tag = "Plans", params(Whose),
    responses((status = 200, description = "In the pricing page's order", body = List<PlanOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerOrProvider, _: Params<Whose>) -> Result<Json<List<PlanOut>>, Problem> {
    let store = &call.state.store;
    let plans = match call.partner {
        Some(_) => store.offered_plans().await?.into_iter().map(PlanOut::from).collect(),
        None => {
            let plans = store.all_plans().await?.into_iter().filter(|plan| plan.archived_at.is_none());
            plans.filter_map(PlanOut::newest_of).collect()
        }
    };
    Ok(Json(List::whole(plans)))
}

/// Adds a version to a plan, unless the newest already says the same. Partners stay on the version they have.
#[utoipa::path(post, path = "/api/plans/{plan}/versions", operation_id = "addPlanVersion", tag = "Plans",
    params(("plan" = String, Path, description = "The plan's code")), request_body(content = Object, description = "The terms, whole"),
    responses((status = 201, description = "Added", body = PlanOut), (status = 200, description = "The newest already says so", body = PlanOut),
        (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn add_version(
    call: ProviderCall,
    Named(code): Named<String>,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let terms: PlanTerms = serde_json::from_value(body).map_err(|error| Problem::invalid("", error.to_string()))?;
    let store = &call.state.store;
    let plan = store.find_plan_by_code(&code).await?.ok_or_else(Problem::not_found)?;
    let problems = store.plan_terms_problems(&terms).await?;
    if !problems.is_empty() {
        return Err(Problem::invalid_fields(problems.into_iter().map(|one| (one.field, one.message)).collect()));
    }
    let status = match store.add_plan_version(plan.id, &terms, call.token.actor(), call.now).await? {
        AddedVersion::Added(_) => StatusCode::CREATED,
        AddedVersion::Unchanged(_) => StatusCode::OK,
    };
    let plan = PlanOut::newest_of(store.plan(plan.id).await?).ok_or_else(Problem::not_found)?;
    Ok((status, Json(plan)).into_response())
}

impl PlanOut {
    fn newest_of(plan: Plan) -> Option<Self> {
        let newest = plan.newest()?;
        Some(Self {
            id: plan.id.to_string(),
            version: newest.version,
            terms: newest.terms.clone(),
            code: plan.code,
            name: plan.meta.name,
            summary: plan.meta.summary,
            approval: plan.meta.approval.code().to_owned(),
            private: plan.meta.private,
        })
    }
}

impl From<OfferedPlan> for PlanOut {
    fn from(plan: OfferedPlan) -> Self {
        Self {
            id: plan.id.to_string(),
            code: plan.code,
            name: plan.name,
            summary: plan.summary,
            approval: plan.approval.code().to_owned(),
            private: false,
            version: plan.version,
            terms: plan.terms,
        }
    }
}
