//! `/v2/billing/meter_event_session` and `/v2/billing/meter_event_stream`: up to a hundred events in one request, under a token that holds for
//! a quarter of an hour. A request is taken whole or not at all; an identifier that is known counts once and is no error; what is wrong
//! with an event's content is told by a report afterwards.

use crate::{
    account::Account,
    events::{instant, seconds},
    failure::Failure,
    meter_events::{Told, count, is_remembered},
    params::Params,
};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub const PATH: &str = "/v2/billing/meter_event_stream";
const HOLDS_SECONDS: i64 = 900;
const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    event_name: String,
    identifier: Option<String>,
    payload: Map<String, Value>,
    timestamp: Option<String>,
}

/// Whether the token is one of ours and holds yet.
pub fn authenticate(account: &Account, headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = given.strip_prefix("Bearer ").unwrap_or_default();
    match account.meter_tokens.get(token) {
        Some(until) if account.now() < *until => Ok(()),
        Some(_) => Err(Failure::api(401, "temporary_session_expired", "The session has expired.")),
        None => Err(Failure::api(401, "invalid_request_error", "This is no token of a meter event session.")),
    }
}

pub fn open(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    if params.body()? != json!({}) {
        return Err(Failure::invalid("A meter event session has no parameters."));
    }
    let (id, token, now) = (account.new_id("mes_"), account.new_id("met_test_"), account.now());
    let is_dead = account.faults.dead_sessions > 0;
    account.faults.dead_sessions = account.faults.dead_sessions.saturating_sub(1);
    account.meter_tokens.insert(token.clone(), if is_dead { now } else { now + HOLDS_SECONDS });
    Ok(json!({
        "id": id, "object": "v2.billing.meter_event_session", "authentication_token": token, "created": instant(now),
        "expires_at": instant(now + HOLDS_SECONDS), "livemode": false,
    }))
}

pub fn take(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    let batch = Batch::deserialize(params.body()?).map_err(|error| Failure::invalid(error.to_string()))?;
    if !(1..=MOST).contains(&batch.events.len()) {
        return Err(Failure::invalid(format!("A request has 1 to {MOST} events.")).param("events"));
    }
    let mut told = Vec::new();
    for event in batch.events {
        let timestamp = match &event.timestamp {
            None => account.now(),
            Some(text) => {
                seconds(text).ok_or_else(|| Failure::invalid(format!("{text} is no instant")).param("timestamp"))?
            }
        };
        let identifier = event.identifier.unwrap_or_else(|| account.new_id("generated-"));
        if identifier.len() > 100 || event.event_name.len() > 100 {
            return Err(Failure::invalid("An identifier and a name are at most 100 characters long."));
        }
        if event.payload.values().any(|value| !value.is_string()) {
            return Err(Failure::invalid("Values of a payload are texts.").param("payload"));
        }
        told.push(Told { event_name: event.event_name, identifier, payload: Value::Object(event.payload), timestamp });
    }
    for one in told {
        if !is_remembered(account, &one.identifier) {
            count(account, one);
        }
    }
    Ok(json!({}))
}
