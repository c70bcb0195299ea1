//! Usage events as CloudEvents: those that are stored, and those that others tell us.

pub(super) mod told;

use super::{
    extract::{Body, Params},
    guard::{PartnerCall, PartnerOrProvider, Token},
    list::{List, Part},
    problem::Problem,
    usage::{before, range},
};
use axum::{
    Json,
    extract::OriginalUri,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::{
    id::PartnerId,
    usage::{
        cloud_event::{self, Standing},
        outside::{self, Outside},
    },
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use store::{
    StoreError,
    outside::{Teller, Told},
    usage::{Place, StoredEvent},
};
use tokio::sync::Semaphore;
use told::{Answer, Result as Outcome};
use utoipa::IntoParams;

const USUAL_REACH: SignedDuration = SignedDuration::from_hours(24);
/// Events in one request.
const MOST_EVENTS: usize = 1_000;
const BATCH: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json");

/// Batches that are taken in at once. More would wait for each other in Postgres, with connections that calls need.
static TAKING_IN: Semaphore = Semaphore::const_new(3);

/// The JSON Schema of an event.
pub(super) const SCHEMA: &str = include_str!("../../../docs/usage-event.schema.json");

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// From this instant on (RFC 3339). A day ago where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Where to go on: the Link header of the page before has it.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// For the provider's tokens: whose events.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// Usage events of a range of time, as a batch of CloudEvents. Their JSON Schema is at `/api/usage-event.schema.json`.
#[utoipa::path(get, path = "/api/events", operation_id = "listEvents", tag = "Usage", params(EventParams),
    responses((status = 200, description = "Oldest first; the Link header has the next page", body = Vec<serde_json::Value>, content_type = "application/cloudevents-batch+json"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: PartnerCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<EventParams>,
) -> Result<Response, Problem> {
    let end = params.to.unwrap_or(call.now);
    let range = range(params.from.unwrap_or_else(|| before(end, USUAL_REACH)), end)?;
    let part = Part { cursor: params.cursor.clone(), limit: params.limit };
    let after: Option<Place> = part.cursor().map(str::parse).transpose()?;
    let size = u16::try_from(part.limit()).unwrap_or(u16::MAX);
    let page = call.state.store.usage_events(call.partner, range, after.as_ref(), size).await?;
    let written: Vec<Value> = page.events.iter().map(written).collect();
    let next = page.next.map(|place| place.to_string());
    let link = List::<Value> { items: Vec::new(), next }.answer(&uri).headers_mut().remove(header::LINK);
    let mut response = ([(header::CONTENT_TYPE, BATCH)], Json(written).into_response().into_body()).into_response();
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// Reports usage that no gateway saw. Each event counts once for ever, by its source and id: sending it again is safe. The answer
/// tells of each event what became of it; those that can be taken are, whatever the others are.
#[utoipa::path(post, path = "/api/events", operation_id = "reportEvents", tag = "Usage", 
    params(("partner" = Option<String>, Query, description = "For the provider's tokens: whose usage it is, where an event has no subject", pattern = "^partner_[0-9a-f]{32}$")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "A CloudEvent 1.0, or an array of at most 1,000",
        example = json!({"specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "https://billing.example/eu", "id": "job-17", "time": "2026-03-01T10:00:00Z", "data": {"units": 5, "product": "payments", "operation": "createPayment"}})),
    responses((status = 200, description = "What became of each event, in their order", body = Answer), (status = "4XX", description = "None was taken", body = Problem, content_type = "application/problem+json")))]
pub async fn report(
    PartnerOrProvider { state, partner, .. }: PartnerOrProvider,
    token: Token,
    Body(body): Body<Value>,
) -> Result<Json<Answer>, Problem> {
    let events = match body {
        Value::Array(events) => events,
        one => vec![one],
    };
    if events.is_empty() || events.len() > MOST_EVENTS {
        let detail = format!("Send 1 to {MOST_EVENTS} events in a request; these are {}.", events.len());
        return Err(Problem::bad_request(detail));
    }
    let teller = Teller { token: token.id, is_partner: token.partner.is_some() };
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(events.len());
    let mut of_partners: BTreeMap<PartnerId, (Vec<usize>, Vec<Outside>)> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
        let mut outcome = Outcome::new(index, id);
        match outside::read(event) {
            Err(wrong) => outcome.wrong(wrong.into_iter().map(|wrong| (wrong.pointer, wrong.message))),
            Ok(mut told) => match whose(&token, partner, told.partner) {
                Err(message) => outcome.wrong([("/subject", message.to_owned())]),
                Ok(partner) => {
                    let (indexes, events) = of_partners.entry(partner).or_default();
                    // However the partner was named, it is the same event.
                    told.partner = None;
                    indexes.push(index);
                    events.push(told);
                }
            },
        }
        outcomes.push(outcome);
    }
    let now = state.clock.now();
    for (partner, (indexes, events)) in of_partners {
        let _one_of_few = TAKING_IN.acquire().await;
        let answers = match state.store.take_in_outside(partner, teller, &events, now).await {
            Ok(answers) => answers,
            Err(StoreError::NotFound) => {
                let message = || "There is no such partner; name one by its id".to_owned();
                events.iter().map(|_| Told::Invalid { pointer: "/subject", message: message() }).collect()
            }
            Err(error) => return Err(error.into()),
        };
        for (index, told) in indexes.into_iter().zip(answers) {
            if let Some(outcome) = outcomes.get_mut(index) {
                outcome.tell(told);
            }
        }
    }
    Ok(Json(Answer { results: outcomes }))
}

/// The partner that an event is of, by its subject, the query and the token.
fn whose(token: &Token, named: Option<PartnerId>, subject: Option<PartnerId>) -> Result<PartnerId, &'static str> {
    match (token.partner, subject.or(named)) {
        (Some(own), Some(other)) if own != other => {
            Err("This token reports its own partner's usage only; leave subject out")
        }
        (Some(own), _) => Ok(own),
        (None, Some(partner)) => Ok(partner),
        (None, None) => Err("Name the partner here, or for all events by ?partner=partner_0192…"),
    }
}

fn written(stored: &StoredEvent) -> Value {
    let StoredEvent { place, source, event } = stored;
    let standing = Standing { node: &place.node, lane: place.lane, sequence: place.sequence, source };
    cloud_event::write(event, standing)
}
