//! `/_control/…`: what a test does to the stand-in, in JSON.
//!
//! `POST clock {"advance_seconds": 3600}`, `POST faults {…}`, `POST webhooks {…}`, `POST webhooks/deliver`, `GET state`,
//! `GET requests`, `POST forget` (every idempotency key and identifier is forgotten at once).

use crate::{failure::Failure, faults::Faults, serve::Shared, webhooks};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    advance_seconds: i64,
}

pub async fn handle(shared: &Arc<Shared>, method: &str, path: &str, body: &[u8]) -> Result<Value, Failure> {
    let read = |text: &[u8]| -> Result<Value, Failure> {
        if text.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(text).map_err(|error| Failure::invalid(error.to_string()))
    };
    let bad = |error: serde_json::Error| Failure::invalid(error.to_string());
    match (method, path) {
        ("GET", "state") => Ok(shared.account().dump()),
        ("GET", "requests") => Ok(json!(shared.account().log)),
        ("POST", "clock") => {
            let clock: Clock = serde_json::from_value(read(body)?).map_err(bad)?;
            let mut account = shared.account();
            account.advance(clock.advance_seconds);
            Ok(json!({ "now": account.now() }))
        }
        ("POST", "faults") => {
            let faults: Faults = serde_json::from_value(read(body)?).map_err(bad)?;
            shared.account().faults = faults.clone();
            Ok(json!(faults))
        }
        ("POST", "webhooks") => {
            shared.set_webhooks(serde_json::from_value(read(body)?).map_err(bad)?);
            Ok(json!({}))
        }
        ("POST", "webhooks/deliver") => Ok(json!({ "posted": webhooks::deliver(shared).await })),
        ("POST", "forget") => {
            let mut account = shared.account();
            account.saved.clear();
            for event in &mut account.meter_events {
                event.received = 0;
            }
            Ok(json!({}))
        }
        _ => Err(Failure::unknown_address(method, path)),
    }
}
