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
