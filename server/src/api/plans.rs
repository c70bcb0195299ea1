//! Plans: what is offered, and new versions.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerOrProvider, ProviderCall},
    invoices::AmountOut,
    keys::Whose,
    list::List,
    problem::Problem,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use billing::{Affected, After, BillingError, Impact};
use domain::{plan::PlanTerms, scope::Scope};
use jiff::Timestamp;
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
        Some(partner) => store.offered_plans(Some(partner)).await?.into_iter().map(PlanOut::from).collect(),
        None => {
            let plans = store.all_plans().await?.into_iter().filter(|plan| plan.archived_at.is_none());
            plans.filter_map(PlanOut::newest_of).collect()
        }
    };
    Ok(Json(List::whole(plans)))
}

/// Who new terms would affect, and what they would have paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImpactOut {
    /// Those on the plan, by name; at most 500. Empty for a token without the scopes `partners:read` and `invoices:read`.
    partners: Vec<AffectedOut>,
    /// How many are on the plan.
    partners_in_all: u64,
    /// Of the first 500 those who can be compared: what they would have paid by the terms that they have, and by the new ones.
    before: AmountOut,
    after: AmountOut,
}

/// A partner on the plan, with its last billing period that is over.
#[derive(Debug, Serialize, ToSchema)]
pub struct AffectedOut {
    partner: String,
    name: String,
    /// The plan's version that it has.
    version: i32,
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    /// Live units of that period.
    units: u64,
    /// What the period would have cost by the terms that it has, and by the new ones. Both are for all of the period.
    /// `before` is missing where it is more than an invoice can hold, and where `differs` is `new`.
    before: Option<AmountOut>,
    after: Option<AmountOut>,
    /// `none`; or why `after` cannot be compared with `before`: `currency`, `interval` (of the billing period),
    /// `too_large`, or `new`: it had no plan in some of that period.
    differs: &'static str,
}

/// Tries terms: who is on the plan, and what the last billing period would have cost them by these terms. Nothing is changed.
/// Partners are named, with their amounts, for tokens that have `partners:read` and `invoices:read`, too; others get the sums.
#[utoipa::path(post, path = "/api/plans/{plan}/versions/preview", operation_id = "previewPlanVersion", tag = "Plans",
    params(("plan" = String, Path, description = "The plan's code")), request_body(content = Object, description = "The terms, whole"),
    responses((status = 200, description = "What they would do", body = ImpactOut),
        (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn preview_version(
    call: ProviderCall,
    Named(code): Named<String>,
    Body(body): Body<Value>,
) -> Result<Json<ImpactOut>, Problem> {
    let (plan, terms) = asked(&call, &code, body).await?;
    let mut impact =
        billing::impact(&call.state.store, plan.id, &terms, call.now).await.map_err(|error| match error {
            BillingError::Store(error) => error.into(),
            other => {
                tracing::warn!(error = %other, "terms cannot be tried");
                Problem::invalid("", format!("What this would have cost cannot be said: {other}"))
            }
        })?;
    if [Scope::PartnersRead, Scope::InvoicesRead].iter().any(|scope| !call.token.scopes.contains(scope)) {
        impact.partners.clear();
    }
    Ok(Json(impact.into()))
}

/// The plan of that code, and terms that can be sold.
async fn asked(call: &ProviderCall, code: &str, body: Value) -> Result<(Plan, PlanTerms), Problem> {
    let terms: PlanTerms = serde_json::from_value(body).map_err(|error| Problem::invalid("", error.to_string()))?;
    let store = &call.state.store;
    let plan = store.find_plan_by_code(code).await?.ok_or_else(Problem::not_found)?;
    let problems = store.plan_terms_problems(&terms).await?;
    match problems.is_empty() {
        true => Ok((plan, terms)),
        false => Err(Problem::invalid_fields(problems.into_iter().map(|one| (one.field, one.message)).collect())),
    }
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
    let store = &call.state.store;
    let (plan, terms) = asked(&call, &code, body).await?;
    let status = match store.add_plan_version(plan.id, &terms, call.token.actor(), call.now).await? {
        AddedVersion::Added(_) => StatusCode::CREATED,
        AddedVersion::Unchanged(_) => StatusCode::OK,
    };
    let plan = PlanOut::newest_of(store.plan(plan.id).await?).ok_or_else(Problem::not_found)?;
    Ok((status, Json(plan)).into_response())
}

impl PlanOut {
    pub(super) fn newest_of(plan: Plan) -> Option<Self> {
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

impl From<Impact> for ImpactOut {
    fn from(impact: Impact) -> Self {
        let Impact { partners, partners_in_all, before, after } = impact;
        let partners = partners.into_iter().map(AffectedOut::from).collect();
        Self { partners, partners_in_all, before: before.into(), after: after.into() }
    }
}

impl From<Affected> for AffectedOut {
    fn from(affected: Affected) -> Self {
        let (after, differs) = match affected.after {
            After::Comparable(after) => (Some(after.into()), "none"),
            After::OtherCurrency(after) => (Some(after.into()), "currency"),
            After::OtherInterval => (None, "interval"),
            After::New => (None, "new"),
            After::TooLarge => (None, "too_large"),
        };
        Self {
            partner: affected.partner.to_string(),
            name: affected.name,
            version: affected.version,
            period_start: affected.period.start,
            period_end: affected.period.end,
            units: affected.units,
            before: affected.before.map(AmountOut::from),
            after,
            differs,
        }
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
            private: plan.private,
            version: plan.version,
            terms: plan.terms,
        }
    }
}
