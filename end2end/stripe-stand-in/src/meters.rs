//! `/v1/billing/meters`, and what they have counted.

use crate::{
    account::{Account, SEARCH_DELAY_SECONDS},
    failure::Failure,
    list::{self, LIST},
    params::Params,
};
use serde_json::{Value, json};

const KNOWN: [&str; 6] = [
    "display_name",
    "event_name",
    "default_aggregation[formula]",
    "customer_mapping[event_payload_key]",
    "customer_mapping[type]",
    "value_settings[event_payload_key]",
];

pub fn create(account: &mut Account, params: &Params) -> Result<Value, Failure> {
    params.only(&KNOWN)?;
    let event_name = params.need("event_name")?;
    if event_name.len() > 100 {
        return Err(Failure::invalid("An event name is at most 100 characters long.").param("event_name"));
    }
    let formula = params.need("default_aggregation[formula]")?;
    params.one_of("default_aggregation[formula]", &["sum", "count", "last"])?;
    if account.meters.iter().any(|meter| meter["event_name"] == event_name && meter["status"] == "active") {
        return Err(Failure::invalid(format!("An active meter already exists for the event name {event_name}."))
            .code("resource_already_exists")
            .param("event_name"));
    }
    let now = account.now();
    let meter = json!({
        "id": account.new_id("mtr_test_"), "object": "billing.meter", "created": now, "updated": now, "livemode": false,
        "customer_mapping": { "type": "by_id",
            "event_payload_key": params.get("customer_mapping[event_payload_key]").unwrap_or("stripe_customer_id") },
        "default_aggregation": { "formula": formula }, "display_name": params.need("display_name")?,
        "event_name": event_name, "event_time_window": null, "status": "active",
        "status_transitions": { "deactivated_at": null },
        "value_settings": { "event_payload_key": params.get("value_settings[event_payload_key]").unwrap_or("value") },
    });
    Ok(account.meters.add(meter))
}

/// Only the name that is shown can be changed.
pub fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["display_name"])?;
    let now = account.now();
    let meter = account.meters.get_mut(id).ok_or_else(|| Failure::no_such("billing.meter", id))?;
    if params.get("display_name").is_some() {
        meter["display_name"] = json!(params.need("display_name")?);
    }
    meter["updated"] = json!(now);
    Ok(meter.clone())
}

/// Switches one off or on again; refused where it is so already, or another with its event name is on.
pub fn switch(account: &mut Account, id: &str, status: &str) -> Result<Value, Failure> {
    let now = account.now();
    let held = retrieve(account, id)?;
    let other_is_on = account.meters.iter().any(|meter| {
        meter["event_name"] == held["event_name"] && meter["id"] != held["id"] && meter["status"] == "active"
    });
    if held["status"] == status || (status == "active" && other_is_on) {
        return Err(Failure::invalid(format!("The meter is {status} already, or another one of its event name is.")));
    }
    let meter = account.meters.get_mut(id).ok_or_else(|| Failure::no_such("billing.meter", id))?;
    meter["status"] = json!(status);
    meter["status_transitions"]["deactivated_at"] = if status == "active" { Value::Null } else { json!(now) };
    Ok(meter.clone())
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    account.meters.get(id).cloned().ok_or_else(|| Failure::no_such("billing.meter", id))
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&LIST)?;
    let status = params.get("status");
    list::page(&account.meters, "/v1/billing/meters", params, |meter| {
        status.is_none_or(|status| meter["status"] == status)
    })
}

/// The sum of a customer's events in `[start_time, end_time)`, both on whole minutes.
pub fn summaries(account: &Account, id: &str, params: &Params) -> Result<Value, Failure> {
    params.only(&["customer", "start_time", "end_time", "limit", "starting_after", "ending_before"])?;
    let meter = retrieve(account, id)?;
    let customer = params.need("customer")?;
    let bound = |name: &str| {
        let at = params.integer(name)?.ok_or_else(|| Failure::missing(name))?;
        if at % 60 == 0 {
            Ok(at)
        } else {
            Err(Failure::invalid(format!("{name} must be aligned with minute boundaries.")).param(name))
        }
    };
    let (start, end) = (bound("start_time")?, bound("end_time")?);
    if end <= start {
        return Err(Failure::invalid("end_time must be after start_time.").param("end_time"));
    }
    let seen = account.now() - SEARCH_DELAY_SECONDS;
    let counted: Vec<i64> = account
        .meter_events
        .iter()
        .filter(|event| meter["event_name"] == event.event_name.as_str() && event.customer == customer)
        .filter(|event| (start..end).contains(&event.timestamp) && event.received <= seen)
        .map(|event| event.value)
        .collect();
    let summary = json!({
        "id": format!("mtrusg_test_{start}_{end}"), "object": "billing.meter_event_summary",
        "aggregated_value": counted.iter().sum::<i64>(), "start_time": start, "end_time": end, "livemode": false, "meter": id,
    });
    let data = if counted.is_empty() { vec![] } else { vec![summary] };
    let url = format!("/v1/billing/meters/{id}/event_summaries");
    Ok(json!({ "object": "list", "url": url, "has_more": false, "data": data }))
}
