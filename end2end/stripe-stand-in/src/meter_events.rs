//! `/v1/billing/meter_events`: each identifier counts once, for 24 hours of the account's clock. After that Stripe has
//! forgotten it and counts the same event again, which is the trap that this program is here to set.

use crate::{
    account::{Account, MeterEvent},
    events,
    failure::Failure,
    params::Params,
};
use serde_json::{Value, json};

const OLDEST_SECONDS: i64 = 35 * 86_400;
const NEWEST_SECONDS: i64 = 300;

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&["event_name", "payload[]", "identifier", "timestamp"])?;
    let now = account.now();
    let event_name = params.need("event_name")?.to_owned();
    let timestamp = params.integer("timestamp")?.unwrap_or(now);
    if timestamp < now - OLDEST_SECONDS {
        return Err(Failure::invalid("The timestamp is more than 35 days in the past.")
            .code("timestamp_too_far_in_past")
            .param("timestamp"));
    }
    if timestamp > now + NEWEST_SECONDS {
        return Err(Failure::invalid("The timestamp is more than 5 minutes in the future.")
            .code("timestamp_in_future")
            .param("timestamp"));
    }
    let identifier = match params.get("identifier") {
        Some(identifier) if identifier.len() > 100 => {
            return Err(Failure::invalid("An identifier is at most 100 characters long.").param("identifier"));
        }
        Some(identifier) => identifier.to_owned(),
        None => account.new_id("generated-"),
    };
    if is_remembered(account, &identifier) {
        return Err(Failure::invalid(format!("An event already exists with identifier {identifier}."))
            .code("duplicate_meter_event")
            .param("identifier"));
    }
    let payload: Value = params.map("payload").into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let event = json!({
        "object": "billing.meter_event", "created": now, "event_name": event_name, "identifier": identifier,
        "livemode": false, "payload": payload, "timestamp": timestamp,
    });
    count(account, Told { event_name, identifier, payload, timestamp });
    Ok(event)
}

/// An event whose form is right.
pub struct Told {
    pub event_name: String,
    pub identifier: String,
    pub payload: Value,
    /// In seconds since 1970.
    pub timestamp: i64,
}

/// Counts an event. What is wrong with the content Stripe tells later, by an event of its own.
pub fn count(account: &mut Account, told: Told) {
    let Told { event_name, identifier, payload, timestamp } = told;
    let now = account.now();
    let meter = account.meters.iter().find(|meter| meter["event_name"] == event_name.as_str()).cloned();
    let report = |code: &str, message: &str| events::MeterProblem {
        code: code.to_owned(),
        message: message.to_owned(),
        identifier: identifier.clone(),
    };
    let Some(meter) = meter else {
        let message = format!("No meter found for the event name {event_name}.");
        events::meter_problem(account, "v1.billing.meter.no_meter_found", None, &report("no_meter", &message));
        return;
    };
    let kind = "v1.billing.meter.error_report_triggered";
    let field = |setting: &str| {
        meter[setting]["event_payload_key"].as_str().and_then(|key| payload[key].as_str()).map(str::to_owned)
    };
    let customer = field("customer_mapping").filter(|id| account.customers.get(id).is_some());
    // Whole numbers only.
    let value = field("value_settings").and_then(|value| value.parse::<i64>().ok());
    let problem = match (&customer, value) {
        (None, _) => Some(report("meter_event_customer_not_found", "The customer was not found.")),
        _ if timestamp < now - OLDEST_SECONDS => {
            Some(report("timestamp_too_far_in_past", "It is more than 35 days old."))
        }
        _ if timestamp > now + NEWEST_SECONDS => Some(report("timestamp_in_future", "It is in the future.")),
        (_, None) => Some(report("meter_event_invalid_value", "The value is not a whole number.")),
        _ if account.faults.rejects_later() => Some(report("archived_meter", "The meter did not take the event.")),
        _ => None,
    };
    match (customer, value, problem) {
        (Some(customer), Some(value), None) => {
            account.meter_events.push(MeterEvent { event_name, identifier, customer, value, timestamp, received: now });
        }
        (_, _, problem) => {
            let problem = problem.unwrap_or_else(|| report("unknown", "The event was not taken."));
            events::meter_problem(account, kind, meter["id"].as_str(), &problem);
        }
    }
}

/// Whether an event with that identifier came within the time for which it is remembered.
pub fn is_remembered(account: &Account, identifier: &str) -> bool {
    let (now, seconds) = (account.now(), account.faults.remembered_seconds);
    account.meter_events.iter().any(|event| event.identifier == identifier && now - event.received < seconds)
}
