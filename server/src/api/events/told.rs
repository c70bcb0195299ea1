//! What became of events that were told, at once and later on.

use crate::api::{guard::PartnerOrProvider, list::List, problem::Problem};
use axum::Json;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use store::outside::{Adjustment, OutsideConflict, Told};
use utoipa::ToSchema;

/// The most that a list shows.
const MOST: u32 = 200;

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
}

/// Units that were told after their period was closed. They are in no total of that period, whose bill stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct LateOut {
    partner: String,
    source: String,
    id: String,
    units: u64,
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

/// Events that contradict an earlier one: the newest 200. The provider's tokens see those of all partners, or of the one that they
/// name by `?partner=`.
#[utoipa::path(get, path = "/api/events/conflicts", operation_id = "listEventConflicts", tag = "Usage",
    params(("partner" = Option<String>, Query, description = "For the provider's tokens: whose", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "Newest first", body = List<ConflictOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn conflicts(
    PartnerOrProvider { state, partner }: PartnerOrProvider,
) -> std::result::Result<Json<List<ConflictOut>>, Problem> {
    let conflicts = state.store.outside_conflicts_of_any_partner(partner, MOST).await?;
    Ok(Json(List::whole(conflicts.into_iter().map(ConflictOut::from).collect())))
}

/// Units that were told after their period was closed: the newest 200.
#[utoipa::path(get, path = "/api/events/late", operation_id = "listLateEvents", tag = "Usage",
    params(("partner" = Option<String>, Query, description = "For the provider's tokens: whose", pattern = "^partner_[0-9a-f]{32}$")),
    responses((status = 200, description = "Newest first", body = List<LateOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn late(
    PartnerOrProvider { state, partner }: PartnerOrProvider,
) -> std::result::Result<Json<List<LateOut>>, Problem> {
    let adjustments = state.store.adjustments_of_any_partner(partner, MOST).await?;
    Ok(Json(List::whole(adjustments.into_iter().map(LateOut::from).collect())))
}

impl From<OutsideConflict> for ConflictOut {
    fn from(conflict: OutsideConflict) -> Self {
        let OutsideConflict { partner, by_partner, source, id, payload, received_at } = conflict;
        Self { partner: partner.to_string(), by_partner, source, id, payload, received_at }
    }
}

impl From<Adjustment> for LateOut {
    fn from(late: Adjustment) -> Self {
        let Adjustment { partner, source, id, period, at, units, received_at, billed } = late;
        let (period_start, period_end) = (period.start, period.end);
        Self { partner: partner.to_string(), source, id, units, at, period_start, period_end, received_at, billed }
    }
}
