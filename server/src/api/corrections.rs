//! Corrections of usage: tried dry, approved, applied, reverted. The provider makes them; a partner sees those of its usage.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerOrProvider, ProviderCall},
    list::{List, Part},
    once::Once,
    problem::Problem,
};
use axum::{
    Json,
    extract::OriginalUri,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use billing::BillingError;
use domain::{
    correction::{Change, Filter, NewCorrection, State},
    id::{CorrectionId, PartnerId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{
    StoreError,
    corrections::{Approval, Correction, Person},
};
use utoipa::{IntoParams, ToSchema};

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CorrectionParams {
    /// `draft`, `approved`, `applied`, `reverted` or `refused`. All that the token may see, where it is left out.
    #[param(value_type = Option<String>)]
    state: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// For the provider's tokens: whose.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// What is to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectionIn {
    /// Whose usage.
    #[schema(value_type = String, pattern = "^partner_[0-9a-f]{32}$")]
    partner: PartnerId,
    /// `{"kind": "void"}` counts nothing, `{"kind": "set_units", "units": 5}` sets each event's units, and `{"kind": "back_fill", "at":
    /// "…", "calls": 10, "units": 10, "environment": "live", "product": "…", "operation": "…", "app": "app_…"}` adds calls.
    #[schema(value_type = Object)]
    change: Change,
    /// Which events: `from` and `to`, or `request_id`; narrowed by `environment`, `product`, `operation`, `app`, `key`, `source`. Left
    /// out for a back-fill.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filter: Filter,
    /// For the partner, too: 1 to 500 characters.
    #[schema(example = "The batch of 3 March was sent twice")]
    reason: String,
}

/// What was looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveIn {
    /// `hash` of the correction: it says which dry run is approved.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndIn {
    /// For the audit log, 1 to 500 characters.
    reason: String,
}

/// A correction, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct CorrectionOut {
    #[schema(example = "correction_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    #[schema(example = "partner_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    partner: String,
    partner_name: String,
    /// `draft`, `approved`, `applied`, `reverted` or `refused`.
    state: &'static str,
    #[schema(value_type = Object)]
    change: Change,
    #[schema(value_type = Object)]
    filter: Filter,
    reason: String,
    /// What it does: events, calls and units before and after, and each bill before and after.
    #[schema(value_type = Object)]
    dry_run: Value,
    /// Names the dry run, for the approval.
    hash: String,
    /// Who made it; to a partner, nobody by name.
    made: StepOut,
    approved: Option<StepOut>,
    applied: Option<StepOut>,
    /// Who reverted or refused it.
    ended: Option<StepOut>,
    /// Why it was reverted or refused.
    ended_reason: Option<String>,
}

/// Who did a step, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepOut {
    /// An operator's e-mail address, a token's name, or empty.
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Corrections, newest first. A partner sees those that were carried out; the provider all of them, or one partner's.
#[utoipa::path(get, path = "/api/corrections", operation_id = "listCorrections", tag = "Usage", params(CorrectionParams),
    responses((status = 200, description = "Newest first", body = List<CorrectionOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    PartnerOrProvider { state, partner, is_partner }: PartnerOrProvider,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<CorrectionParams>,
) -> Result<Response, Problem> {
    let wanted = match params.state.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse::<State>().map_err(|error| Problem::bad_request(error.to_string()))?),
    };
    let part = Part { cursor: params.cursor, limit: params.limit };
    let visible = if is_partner { &CARRIED_OUT[..] } else { &State::ALL[..] };
    let states: Vec<State> = visible.iter().copied().filter(|one| wanted.is_none_or(|wanted| wanted == *one)).collect();
    let page = state.store.corrections_of_any_partner(partner, &states, part.cursor(), part.limit()).await?;
    let out = |correction: Correction| CorrectionOut::new(correction, is_partner);
    Ok(List { items: page.items.into_iter().map(out).collect(), next: page.next }.answer(&uri))
}

/// What partners see.
const CARRIED_OUT: [State; 2] = [State::Applied, State::Reverted];

/// Tries a correction dry and keeps it as a draft. Nothing counts otherwise until it is approved and applied.
#[utoipa::path(post, path = "/api/corrections", operation_id = "draftCorrection", tag = "Usage", request_body = CorrectionIn,
    responses((status = 201, description = "The draft, with what it would do", body = CorrectionOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn draft(call: ProviderCall, once: Once, Body(body): Body<CorrectionIn>) -> Result<Response, Problem> {
    if let Some(made) = once.made {
        return Ok((StatusCode::CREATED, shown(&call, CorrectionId(made)).await?).into_response());
    }
    let CorrectionIn { partner, change, filter, reason } = body;
    let new = NewCorrection { change, filter, reason };
    let four_eyes = call.state.settings.four_eyes;
    let by = (four_eyes, call.token.actor());
    let store = &call.state.store;
    let id = match once.attempt {
        Some(attempt) => billing::draft_correction_once(store, partner, (new, attempt), by, call.now).await,
        None => billing::draft_correction(store, partner, new, by, call.now).await,
    };
    let id = id.map_err(problem)?;
    Ok((StatusCode::CREATED, shown(&call, id).await?).into_response())
}

/// One correction.
#[utoipa::path(get, path = "/api/corrections/{correction}", operation_id = "getCorrection", tag = "Usage",
    params(("correction" = String, Path, description = "The correction's identifier", pattern = "^correction_[0-9a-f]{32}$")),
    responses((status = 200, description = "The correction", body = CorrectionOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall, Named(id): Named<CorrectionId>) -> Result<Json<CorrectionOut>, Problem> {
    shown(&call, id).await
}

/// Approves a draft, if a new dry run does just what the hash stands for. Where the installation asks for two people, the console does it.
#[utoipa::path(post, path = "/api/corrections/{correction}/approve", operation_id = "approveCorrection", tag = "Usage",
    params(("correction" = String, Path, description = "The correction's identifier", pattern = "^correction_[0-9a-f]{32}$")), request_body = ApproveIn,
    responses((status = 200, description = "The correction after it", body = CorrectionOut), (status = "4XX", description = "Refused; 409 where it would now do something else", body = Problem, content_type = "application/problem+json")))]
pub async fn approve(
    call: ProviderCall,
    Named(id): Named<CorrectionId>,
    Body(body): Body<ApproveIn>,
) -> Result<Json<CorrectionOut>, Problem> {
    let seen = billing::read_hash(&body.hash)
        .ok_or_else(|| Problem::invalid("hash", "This is no hash of a correction; send the one that it has"))?;
    let approval = Approval { seen, four_eyes: call.state.settings.four_eyes };
    billing::approve_correction(&call.state.store, id, approval, call.token.actor(), call.now)
        .await
        .map_err(problem)?;
    shown(&call, id).await
}

/// Carries an approved correction out. Asking again changes nothing.
#[utoipa::path(post, path = "/api/corrections/{correction}/apply", operation_id = "applyCorrection", tag = "Usage",
    params(("correction" = String, Path, description = "The correction's identifier", pattern = "^correction_[0-9a-f]{32}$")),
    responses((status = 200, description = "The correction after it", body = CorrectionOut), (status = "4XX", description = "Refused; 409 where it would now do something else", body = Problem, content_type = "application/problem+json")))]
pub async fn apply(call: ProviderCall, Named(id): Named<CorrectionId>) -> Result<Json<CorrectionOut>, Problem> {
    let by = (call.state.settings.four_eyes, call.token.actor());
    billing::apply_correction(&call.state.store, id, by, call.now).await.map_err(problem)?;
    shown(&call, id).await
}

/// Takes an applied correction back. Asking again changes nothing.
#[utoipa::path(post, path = "/api/corrections/{correction}/revert", operation_id = "revertCorrection", tag = "Usage",
    params(("correction" = String, Path, description = "The correction's identifier", pattern = "^correction_[0-9a-f]{32}$")), request_body = EndIn,
    responses((status = 200, description = "The correction after it", body = CorrectionOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn revert(
    call: ProviderCall,
    Named(id): Named<CorrectionId>,
    Body(body): Body<EndIn>,
) -> Result<Json<CorrectionOut>, Problem> {
    let store = &call.state.store;
    let partner = store.correction_of_any_partner(id).await?.partner;
    let why = (body.reason.as_str(), call.state.settings.four_eyes);
    store.revert_correction(partner, id, why, call.token.actor(), call.now).await?;
    shown(&call, id).await
}

/// Gives up a correction that does not count yet.
#[utoipa::path(post, path = "/api/corrections/{correction}/refuse", operation_id = "refuseCorrection", tag = "Usage",
    params(("correction" = String, Path, description = "The correction's identifier", pattern = "^correction_[0-9a-f]{32}$")), request_body = EndIn,
    responses((status = 200, description = "The correction after it", body = CorrectionOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn refuse(
    call: ProviderCall,
    Named(id): Named<CorrectionId>,
    Body(body): Body<EndIn>,
) -> Result<Json<CorrectionOut>, Problem> {
    let store = &call.state.store;
    let partner = store.correction_of_any_partner(id).await?.partner;
    store.refuse_correction(partner, id, &body.reason, call.token.actor(), call.now).await?;
    shown(&call, id).await
}

async fn shown(call: &ProviderCall, id: CorrectionId) -> Result<Json<CorrectionOut>, Problem> {
    Ok(Json(CorrectionOut::new(call.state.store.correction_of_any_partner(id).await?, false)))
}

fn problem(error: BillingError) -> Problem {
    match error {
        BillingError::Store(StoreError::Invalid { field, message }) => Problem::invalid(&field, message),
        BillingError::Store(error) => error.into(),
        other => {
            tracing::warn!(error = %other, "a correction cannot be rated");
            Problem::invalid("", format!("What this costs cannot be said: {other}"))
        }
    }
}

impl CorrectionOut {
    fn new(correction: Correction, to_partner: bool) -> Self {
        let step = |person: Person| StepOut { by: if to_partner { String::new() } else { person.name }, at: person.at };
        let Correction { id, partner, partner_name, new, state, dry_run, hash, made, approved, applied, ended } =
            correction;
        let (ended, ended_reason) = ended.map(|(person, reason)| (step(person), reason)).unzip();
        Self {
            id: id.to_string(),
            partner: partner.to_string(),
            partner_name,
            state: state.code(),
            change: new.change,
            filter: new.filter,
            reason: new.reason,
            dry_run,
            hash: billing::write_hash(&hash),
            made: step(made),
            approved: approved.map(step),
            applied: applied.map(step),
            ended,
            ended_reason,
        }
    }
}
