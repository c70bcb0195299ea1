//! What became of events that were told, at once and later on.

use crate::api::{
    extract::{Body, Named, Params},
    guard::{PartnerOrProvider, ProviderCall},
    list::{List, Part},
    problem::Problem,
};
use axum::{extract::OriginalUri, http::StatusCode, response::Response};
use domain::id::ConflictId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::outside::{Adjustment, AdjustmentFilter, ConflictFilter, OutsideConflict, Told};
use utoipa::{IntoParams, ToSchema};

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ToldParams {
    /// Conflicts that somebody has looked at, or late units that an invoice has: `true` for these only, `false` for the others. All,
    /// where it is left out.
    done: Option<bool>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// For the provider's tokens: whose. Those of all partners where it is left out.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// What was found about a conflict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveConflictIn {
    /// For the audit log: what the two events were.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500, example = "A second run of the same job")]
    note: String,
}

/// What became of each event.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// In the order of the events.
    pub results: Vec<Result>,
}

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventResult)]
pub struct Result {
    /// Its place in the request, from zero.
    index: usize,
    /// The event's own id; empty where it has none.
    id: String,
    /// accepted: it counts. late: its period is billed already, the next invoice has it. duplicate: it was told before and
    /// counts once. conflict: the source and id stand for another event, which stays. invalid: errors tells what to mend.
    #[schema(value_type = String, pattern = "^(accepted|late|duplicate|conflict|invalid)$")]
    result: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// What to mend in an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventFault)]
pub struct Fault {
    /// JSON pointer into the event.
    pointer: &'static str,
    detail: String,
}

impl Result {
    pub(super) fn new(index: usize, id: &str) -> Self {
        Self { index, id: id.to_owned(), result: "invalid", detail: String::new(), errors: Vec::new() }
    }

    pub(super) fn wrong(&mut self, wrong: impl IntoIterator<Item = (&'static str, String)>) {
        self.detail = "It was not taken. Mend what errors names and send it again.".to_owned();
        self.errors = wrong.into_iter().map(|(pointer, detail)| Fault { pointer, detail }).collect();
    }

    pub(super) fn tell(&mut self, told: Told) {
        (self.result, self.detail) = match told {
            Told::Accepted => ("accepted", "It counts in its period.".to_owned()),
            Told::Late(period) => (
                "late",
                format!("The period from {} to {} is closed: the units are kept as an adjustment.", period.start, period.end),
            ),
            Told::Duplicate => ("duplicate", "It was told before and counts once.".to_owned()),
            Told::Conflict => (
                "conflict",
                "Another event has this source and id. That one counts; this one is kept for the provider to see. Send it under a new id if it is another event.".to_owned(),
            ),
            Told::Invalid { pointer, message } => return self.wrong([(pointer, message)]),
        };
    }
}

/// An event that contradicts the one that was told first under the same source and id.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConflictOut {
    #[schema(example = "conflict_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    conflict: String,
    partner: String,
    source: String,
    id: String,
    /// Whether it was told by a token of the partner's own.
    by_partner: bool,
    /// What the later one said. The first one counts.
    #[schema(value_type = Object)]
    payload: Value,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// When somebody looked at it; null where nobody has.
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

/// Units that were told after their period was closed. They are in no total of that period, whose bill stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct LateOut {
    partner: String,
    source: String,
    id: String,
    /// Below zero where a correction took some back.
    units: i64,
    /// The correction that made it; null for what came late.
    correction: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The closed period's start.
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Whether an invoice has them.
    billed: bool,
}

/// Events that contradict an earlier one, the newest first. The provider's tokens see those of all partners, or of the one that they
/// name by `?partner=`.
#[utoipa::path(get, path = "/api/events/conflicts", operation_id = "listEventConflicts", tag = "Usage", params(ToldParams),
    responses((status = 200, description = "Newest first", body = List<ConflictOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn conflicts(
    PartnerOrProvider { state, partner, .. }: PartnerOrProvider,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ToldParams>,
) -> std::result::Result<Response, Problem> {
    let part = Part { cursor: params.cursor, limit: params.limit };
    let filter = ConflictFilter { partner, resolved: params.done };
    let page = state.store.outside_conflicts_of_any_partner(&filter, part.cursor(), part.limit()).await?;
    Ok(List { items: page.items.into_iter().map(ConflictOut::from).collect(), next: page.next }.answer(&uri))
}

/// Writes down that somebody has looked at a conflict, and what they found. The first event goes on to count.
#[utoipa::path(post, path = "/api/events/conflicts/{conflict}/resolve", operation_id = "resolveEventConflict", tag = "Usage",
    params(("conflict" = String, Path, description = "The identifier of the list", pattern = "^conflict_[0-9a-f]{32}$")), request_body = ResolveConflictIn,
    responses((status = 204, description = "Written down"), (status = "4XX", description = "Refused; 404 where it was resolved before", body = Problem, content_type = "application/problem+json")))]
pub async fn resolve(
    call: ProviderCall,
    Named(conflict): Named<ConflictId>,
    Body(body): Body<ResolveConflictIn>,
) -> std::result::Result<StatusCode, Problem> {
    call.state.store.resolve_outside_conflict(conflict, &body.note, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Units that were told after their period was closed, the newest first.
#[utoipa::path(get, path = "/api/events/late", operation_id = "listLateEvents", tag = "Usage", params(ToldParams),
    responses((status = 200, description = "Newest first", body = List<LateOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn late(
    PartnerOrProvider { state, partner, is_partner }: PartnerOrProvider,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ToldParams>,
) -> std::result::Result<Response, Problem> {
    let part = Part { cursor: params.cursor, limit: params.limit };
    let filter = AdjustmentFilter { partner, billed: params.done };
    let page = state.store.adjustments_of_any_partner(&filter, part.cursor(), part.limit()).await?;
    let mut items: Vec<LateOut> = page.items.into_iter().map(LateOut::from).collect();
    // How the provider's gateways are called, and how much they log, is no partner's business.
    items.iter_mut().filter(|late| is_partner && late.source == "gateway").for_each(|late| late.id.clear());
    Ok(List { items, next: page.next }.answer(&uri))
}

impl From<OutsideConflict> for ConflictOut {
    fn from(conflict: OutsideConflict) -> Self {
        let OutsideConflict { conflict, partner, by_partner, source, id, payload, received_at, resolved_at, .. } =
            conflict;
        let (conflict, partner) = (conflict.to_string(), partner.to_string());
        Self { conflict, partner, by_partner, source, id, payload, received_at, resolved_at }
    }
}

impl From<Adjustment> for LateOut {
    fn from(late: Adjustment) -> Self {
        let Adjustment { partner, source, id, period, at, units, correction, received_at, invoice, .. } = late;
        let correction = correction.map(|id| id.to_string());
        let (partner, period_start, period_end, billed) =
            (partner.to_string(), period.start, period.end, invoice.is_some());
        Self { partner, source, id, units, correction, at, period_start, period_end, received_at, billed }
    }
}
