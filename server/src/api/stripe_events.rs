//! Events of Stripe, for the provider's tokens: what came of each, and applying one again.

use super::{
    extract::{Named, Params},
    guard::ProviderCall,
    list::{List, Part},
    problem::Problem,
};
use axum::{extract::OriginalUri, http::StatusCode, response::Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::stripe_events::{ListedStripeEvent, StripeEventState};
use utoipa::{IntoParams, ToSchema};

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StripeEventParams {
    /// `waiting`, `applied` or `failed`; all where it is left out.
    #[param(pattern = "^(waiting|applied|failed)$")]
    state: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// An event that Stripe has told us.
#[derive(Debug, Serialize, ToSchema)]
pub struct StripeEventOut {
    /// Stripe's.
    #[schema(example = "evt_1Pabc")]
    id: String,
    /// Stripe's name of what happened.
    #[schema(example = "invoice.paid")]
    kind: String,
    /// `waiting` (to be applied), `applied`, or `failed` (nothing came of it, and `error` says why).
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    applied_at: Option<Timestamp>,
    error: Option<String>,
    /// How often it was asked to be applied again.
    replays: u32,
}

/// Events that Stripe has told us, the newest first.
#[utoipa::path(get, path = "/api/stripe/events", operation_id = "listStripeEvents", tag = "Invoices", params(StripeEventParams),
    responses((status = 200, description = "Newest first", body = List<StripeEventOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: ProviderCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<StripeEventParams>,
) -> Result<Response, Problem> {
    let known = |code: String| {
        let found = StripeEventState::ALL.into_iter().find(|state| state.code() == code);
        found.ok_or_else(|| Problem::invalid("state", "Choose waiting, applied or failed"))
    };
    let state = params.state.map(known).transpose()?;
    let part = Part { cursor: params.cursor, limit: params.limit };
    let page = call.state.store.stripe_events(state, part.cursor(), part.limit()).await?;
    Ok(List { items: page.items.into_iter().map(StripeEventOut::from).collect(), next: page.next }.answer(&uri))
}

/// Has an event applied again, whatever came of it before. That is safe: an event is only a reason to ask Stripe how things stand.
#[utoipa::path(post, path = "/api/stripe/events/{event}/replay", operation_id = "replayStripeEvent", tag = "Invoices",
    params(("event" = String, Path, description = "Stripe's identifier of the event", example = "evt_1Pabc")),
    responses((status = 202, description = "It is applied within seconds"), (status = "4XX", description = "Refused; 404 where there is no such event", body = Problem, content_type = "application/problem+json")))]
pub async fn replay(call: ProviderCall, Named(event): Named<String>) -> Result<StatusCode, Problem> {
    call.state.store.replay_stripe_event(&event, call.token.actor(), call.now).await?;
    Ok(StatusCode::ACCEPTED)
}

impl From<ListedStripeEvent> for StripeEventOut {
    fn from(listed: ListedStripeEvent) -> Self {
        let ListedStripeEvent { event, state, received_at, applied_at, error, replays } = listed;
        Self { id: event.id, kind: event.kind, state: state.code(), received_at, applied_at, error, replays }
    }
}
