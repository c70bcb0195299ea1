//! `/v1/events`: what happened, kept and posted to the webhook.

use crate::{
    account::Account,
    failure::Failure,
    list::{self, LIST},
    params::Params,
    webhooks::Delivery,
};
use serde_json::{Value, json};

/// The API version that objects are rendered in.
pub const API_VERSION: &str = "2026-10-28.endive";

/// Records an event about an object as it is now, and queues it for the webhook.
pub fn happened(account: &mut Account, kind: &str, object: &Value) {
    let event = json!({
        "id": account.new_id("evt_1"), "object": "event", "api_version": API_VERSION, "created": account.now(),
        "data": { "object": object }, "livemode": false, "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null }, "type": kind,
    });
    let event = account.events.add(event);
    account.deliveries.push(Delivery { event, attempts: 0 });
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    account.events.get(id).cloned().ok_or_else(|| Failure::no_such("event", id))
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["type"]].concat())?;
    let kind = params.get("type");
    list::page(&account.events, "/v1/events", params, |event| kind.is_none_or(|kind| event["type"] == kind))
}
