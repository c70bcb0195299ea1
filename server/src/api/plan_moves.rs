//! Bulk moves with notice, over REST.

use super::{
    extract::{Body, Named},
    guard::ProviderCall,
    invoices::AmountOut,
    list::List,
    plans::AffectedOut,
    problem::Problem,
};
use app::plan_letters;
use axum::{Json, http::StatusCode};
use billing::{ChangeRefused, MovePreview, News, Recipient};
use domain::{id::PlanMoveId, scope::Scope};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{NewPlanMove, PlanMove};
use utoipa::ToSchema;

/// Whom to move, whereto and with what notice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanMoveIn {
    /// The plan that they are on, by its code.
    #[schema(example = "starter")]
    from: String,
    /// Of that plan; all versions but the one that they come to where it is left out.
    #[serde(default)]
    from_version: Option<i32>,
    /// The plan that they come to, by its code; it may be the same.
    #[schema(example = "starter")]
    to: String,
    /// Of that plan; its newest where it is left out.
    #[serde(default)]
    to_version: Option<i32>,
    /// 1 to 366 full days between the mail and the first instant at which it may be in force.
    #[schema(minimum = 1, maximum = 366)]
    notice_days: u32,
    /// For the partners, in the mail and the portal; at most 500 characters.
    #[serde(default)]
    reason: String,
}

/// A move as it was shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanMoveOrderIn {
    /// As for the preview.
    #[schema(example = "starter")]
    from: String,
    #[serde(default)]
    from_version: Option<i32>,
    #[schema(example = "starter")]
    to: String,
    #[serde(default)]
    to_version: Option<i32>,
    #[schema(minimum = 1, maximum = 366)]
    notice_days: u32,
    #[serde(default)]
    reason: String,
    /// `preview` of the preview's answer. It holds for ten minutes, and as long as the order is the same and it is for the same partners,
    /// with the same dates; then 409.
    preview: String,
}

/// What a move would mean.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanMovePreviewOut {
    /// What the order carries.
    preview: String,
    /// By name, at most 500. Empty for a token without the scopes `partners:read` and `invoices:read`.
    partners: Vec<PartOut>,
    /// How many would be moved.
    partners_in_all: u64,
    /// Of the first 500 those who can be compared: what they would have paid by the terms that they have, and by the new ones.
    before: AmountOut,
    after: AmountOut,
}

/// One partner's part of a move.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartOut {
    /// When it is in force, if it is ordered as shown and the partner is told within a quarter of an hour.
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
    /// Whether a change of its own waits: it is moved only if it stays after all.
    waits: bool,
    affected: AffectedOut,
}

/// A move and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanMoveOut {
    #[schema(example = "move_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// The plan's name.
    from: String,
    from_version: Option<i32>,
    to: String,
    to_version: i32,
    notice_days: u32,
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    /// When it was cancelled, or another took its place.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Partners who were told.
    told: u64,
    /// Whose change waits.
    waiting: u64,
    moved: u64,
    /// Whom an operator took out of it.
    exempted: u64,
    /// When the last change that waits is in force.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_at: Option<Timestamp>,
}

/// All moves, the newest 200 first.
#[utoipa::path(get, path = "/api/plan-moves", operation_id = "listPlanMoves", tag = "Plans",
    responses((status = 200, description = "Newest first", body = List<PlanMoveOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: ProviderCall) -> Result<Json<List<PlanMoveOut>>, Problem> {
    let moves = call.state.store.plan_moves().await?;
    Ok(Json(List::whole(moves.into_iter().map(PlanMoveOut::from).collect())))
}

/// Who would be moved, when, and what their last period would have cost. Nothing is changed.
#[utoipa::path(post, path = "/api/plan-moves/preview", operation_id = "previewPlanMove", tag = "Plans", request_body = PlanMoveIn,
    responses((status = 200, description = "What it would mean", body = PlanMovePreviewOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn preview(call: ProviderCall, Body(body): Body<PlanMoveIn>) -> Result<Json<PlanMovePreviewOut>, Problem> {
    let new = read(&call, body).await?;
    let preview = billing::preview_move(&call.state.store, &new, call.now).await.map_err(ChangeRefused::from)?;
    let MovePreview { impact, at, waits, token } = preview;
    let names = [Scope::PartnersRead, Scope::InvoicesRead].iter().all(|scope| call.token.scopes.contains(scope));
    let parts = impact.partners.into_iter().zip(at).zip(waits).filter(|_| names);
    let part = |((own, effective_at), waits)| PartOut { effective_at, waits, affected: AffectedOut::from(own) };
    Ok(Json(PlanMovePreviewOut {
        preview: token,
        partners: parts.map(part).collect(),
        partners_in_all: impact.partners_in_all,
        before: impact.before.into(),
        after: impact.after.into(),
    }))
}

/// Orders a move as the preview told; refuses with 409 where anything of it is otherwise by now. Each partner is told by mail within seconds, and has the other plan from the end of the first billing period that ends
/// after the notice.
#[utoipa::path(post, path = "/api/plan-moves", operation_id = "orderPlanMove", tag = "Plans", request_body = PlanMoveOrderIn,
    responses((status = 201, description = "Ordered", body = PlanMoveOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn order(
    call: ProviderCall,
    Body(body): Body<PlanMoveOrderIn>,
) -> Result<(StatusCode, Json<PlanMoveOut>), Problem> {
    let PlanMoveOrderIn { from, from_version, to, to_version, notice_days, reason, preview } = body;
    let new = read(&call, PlanMoveIn { from, from_version, to, to_version, notice_days, reason }).await?;
    let store = &call.state.store;
    let id = billing::order_move(store, &new, &preview, call.token.actor(), call.now).await?;
    Ok((StatusCode::CREATED, Json(store.plan_move(id).await?.into())))
}

/// Cancels a move: whoever was not moved yet stays, and is told. A second time changes nothing.
#[utoipa::path(post, path = "/api/plan-moves/{move}/cancel", operation_id = "cancelPlanMove", tag = "Plans",
    params(("move" = String, Path, description = "The move's identifier", pattern = "^move_[0-9a-f]{32}$")),
    responses((status = 204, description = "Cancelled"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn cancel(call: ProviderCall, Named(id): Named<PlanMoveId>) -> Result<StatusCode, Problem> {
    let letter = |to: &Recipient, news: &News| plan_letters::letter(&call.state.settings, to, news);
    billing::cancel_move(&call.state.store, id, &letter, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read(call: &ProviderCall, body: PlanMoveIn) -> Result<NewPlanMove, Problem> {
    let store = &call.state.store;
    let plan = async |field: &'static str, code: &str| {
        let found = store.find_plan_by_code(code).await?;
        found.ok_or_else(|| Problem::invalid(field, "There is no such plan"))
    };
    let (from, to) = (plan("from", &body.from).await?, plan("to", &body.to).await?);
    let version = |plan: &store::Plan, field: &str, number: i32| {
        let found = plan.versions.iter().find(|version| version.version == number).map(|version| version.id);
        found.ok_or_else(|| Problem::invalid(field, "The plan has no such version"))
    };
    let newest = to.newest().map(|newest| newest.version).ok_or_else(Problem::not_found)?;
    Ok(NewPlanMove {
        from_version: body.from_version.map(|number| version(&from, "from_version", number)).transpose()?,
        to: version(&to, "to_version", body.to_version.unwrap_or(newest))?,
        from: from.id,
        notice_days: body.notice_days,
        reason: body.reason,
    })
}

impl From<PlanMove> for PlanMoveOut {
    fn from(own: PlanMove) -> Self {
        Self {
            id: own.id.to_string(),
            from: own.from_name,
            from_version: own.from_version,
            to: own.to_name,
            to_version: own.to_version,
            notice_days: own.notice_days,
            reason: own.reason,
            made_at: own.made_at,
            ended_at: own.ended_at,
            told: own.told,
            waiting: own.waiting,
            moved: own.moved,
            exempted: own.exempted,
            last_at: own.last_at,
        }
    }
}
