//! Private plans: which partners may choose one, and plans that are one partner's own.

use super::{
    extract::{Body, Named},
    guard::ProviderCall,
    list::List,
    plans::PlanOut,
    problem::Problem,
};
use axum::{Json, extract::Path, http::StatusCode};
use domain::{
    id::{PartnerId, PlanId},
    plan::PlanTerms,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{NewPlan, PlanMeta};
use utoipa::ToSchema;

/// A partner that may choose the plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedPartnerOut {
    /// The partner's identifier.
    partner: String,
    name: String,
}

/// A plan of one partner's own: another plan's terms with changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPlanIn {
    /// The code of the plan that it is derived from.
    #[schema(example = "pro")]
    plan: String,
    /// The version of that plan; the newest where it is left out.
    version: Option<i32>,
    /// The new plan's code.
    #[schema(example = "pro-acme")]
    code: String,
    /// What the partner sees as its name; that of the plan it is derived from where it is left out.
    name: Option<String>,
    /// A merge patch (RFC 7396) of the terms: `{"base_fee_micros": 29000000}`; null takes a field away.
    #[schema(value_type = Object)]
    changes: Value,
}

/// The partners who may choose a private plan.
#[utoipa::path(get, path = "/api/plans/{plan}/partners", operation_id = "listNamedPartners", tag = "Plans",
    params(("plan" = String, Path, description = "The plan's code")),
    responses((status = 200, description = "By name", body = List<NamedPartnerOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: ProviderCall, Named(code): Named<String>) -> Result<Json<List<NamedPartnerOut>>, Problem> {
    let plan = plan_of(&call, &code).await?;
    let named = call.state.store.partners_named_for_plan(plan).await?.into_iter();
    Ok(Json(List::whole(named.map(|(id, name)| NamedPartnerOut { partner: id.to_string(), name }).collect())))
}

/// Lets a partner see and choose a private plan. A second time changes nothing.
#[utoipa::path(put, path = "/api/plans/{plan}/partners/{partner}", operation_id = "namePartner", tag = "Plans",
    params(("plan" = String, Path, description = "The plan's code"),
        ("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 204, description = "Named"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn name(call: ProviderCall, Path((code, partner)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    let partner: PartnerId = partner.parse().map_err(|_| Problem::not_found())?;
    let plan = plan_of(&call, &code).await?;
    call.state.store.name_partner_for_plan(partner, plan, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes back that a partner may choose a private plan. Where it is on the plan it stays.
#[utoipa::path(delete, path = "/api/plans/{plan}/partners/{partner}", operation_id = "unnamePartner", tag = "Plans",
    params(("plan" = String, Path, description = "The plan's code"),
        ("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 204, description = "Taken back"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn unname(call: ProviderCall, Path((code, partner)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    let partner: PartnerId = partner.parse().map_err(|_| Problem::not_found())?;
    let plan = plan_of(&call, &code).await?;
    call.state.store.unname_partner_for_plan(partner, plan, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a private plan that is this partner's own: the terms of a version of another plan, with changes. The partner may choose it; to
/// put the partner on it, change its plan.
#[utoipa::path(post, path = "/api/partners/{partner}/plans", operation_id = "addOwnPlan", tag = "Partners",
    params(("partner" = String, Path, description = "The partner's identifier", pattern = "^partner_[0-9a-f]{32}$")), request_body = OwnPlanIn,
    responses((status = 201, description = "Added", body = PlanOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn derive(
    call: ProviderCall,
    Named(partner): Named<PartnerId>,
    Body(body): Body<OwnPlanIn>,
) -> Result<(StatusCode, Json<PlanOut>), Problem> {
    let store = &call.state.store;
    store.partner(partner).await?;
    let base = store.find_plan_by_code(&body.plan).await?;
    let base = base.ok_or_else(|| Problem::invalid("plan", "There is no such plan"))?;
    let version = match body.version {
        None => base.newest(),
        Some(wanted) => base.versions.iter().find(|version| version.version == wanted),
    };
    let version = version.ok_or_else(|| Problem::invalid("version", "The plan has no such version"))?;
    let mut whole = serde_json::to_value(&version.terms).map_err(|error| Problem::invalid("", error.to_string()))?;
    if !body.changes.is_object() {
        return Err(Problem::invalid("changes", "Write what is otherwise, as {\"base_fee_micros\": 29000000}"));
    }
    merge(&mut whole, body.changes);
    let terms: PlanTerms =
        serde_json::from_value(whole).map_err(|error| Problem::invalid("changes", error.to_string()))?;
    let problems = store.plan_terms_problems(&terms).await?;
    if !problems.is_empty() {
        let fields = problems.into_iter().map(|one| (format!("changes.{}", one.field), one.message));
        return Err(Problem::invalid_fields(fields.collect()));
    }
    let name = body.name.as_deref().map(str::trim).unwrap_or(&base.meta.name);
    if !(1..=100).contains(&name.chars().count()) {
        return Err(Problem::invalid("name", "The name is 1 to 100 characters long"));
    }
    let meta = PlanMeta { name: name.to_owned(), private: true, ..base.meta.clone() };
    let new = NewPlan { code: body.code, meta, terms };
    let id = store.derive_plan(partner, version.id, &new, call.token.actor(), call.now).await?;
    let plan = PlanOut::newest_of(store.plan(id).await?).ok_or_else(Problem::not_found)?;
    Ok((StatusCode::CREATED, Json(plan)))
}

async fn plan_of(call: &ProviderCall, code: &str) -> Result<PlanId, Problem> {
    Ok(call.state.store.find_plan_by_code(code).await?.ok_or_else(Problem::not_found)?.id)
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn merges_as_the_rfc_says() {
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, patch.clone());
            assert_eq!(merged, result, "{target} with {patch}");
        }
    }
}
