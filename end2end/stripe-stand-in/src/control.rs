//! `/_control/…`: what a test does to the stand-in, in JSON.
//!
//! `POST clock {"advance_seconds": 3600}` or `{"ahead_seconds": 7200}`, `POST faults {…}`, `POST subscriptions {…}`,
//! `POST webhooks {…}`, `POST webhooks/deliver`, `GET webhooks` (what was posted, and how it was answered), `GET state`,
//! `POST api {"method": "POST", "path": "/v1/prices", "form": "…"}` (what somebody else does there), `POST rounding "half_up"`, `POST invoices {…}`, `POST change {…}`, `POST checkout {…}`, `POST disputes {…}`, `POST refunds {"refund": "re_…", "reason": "…"}` (it fails), `POST tax {"basis_points": 1500, "fails": false}`, `POST crowd {"customers": 1000}`, `GET count`, `GET requests`, `POST forget` (every idempotency key and identifier is forgotten at once).

use crate::{
    charges, cycles, failure::Failure, faults::Faults, invoices, params::Params, rating::Rounding, serve,
    serve::Shared, sessions, tax::Tax, webhooks,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    advance_seconds: Option<i64>,
    /// How far ahead of the machine's clock, as the installation under test says it.
    ahead_seconds: Option<i64>,
}

/// Customers that the account has besides ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Crowd {
    customers: u32,
}

/// What a person does on a page of Checkout: `complete` or `expire`; of one that takes a payment also `complete_unpaid`, after which come
/// `succeed` or `fail`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Left {
    session: String,
    step: String,
}

/// What somebody does in Stripe's own pages, or it does by itself: fields of an object are set, whatever the API would say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// `customers`, `products`, `prices`, `meters`, `subscriptions` or `checkout_sessions`.
    kind: String,
    id: String,
    set: Map<String, Value>,
}

/// What the holder of a card does, and its bank: the payment of an invoice is disputed, or a dispute ends `won`, `lost` or `warning_closed`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Dispute {
    Begin { invoice: String, amount: Option<i64> },
    End { dispute: String, step: String },
}

/// A refund that fails after it was made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Returned {
    refund: String,
    /// As `expired_or_canceled_card`.
    reason: String,
}

/// A request of somebody who is not under test: no fault meets it, and it is not in the log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    form: String,
}

/// What happens to an invoice without a request of ours: `pay`, `void` or `mark_uncollectible`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    invoice: String,
    step: String,
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
        ("GET", "count") => Ok(json!({ "requests": shared.account().log.len() })),
        ("POST", "invoices") => {
            let act: Act = serde_json::from_value(read(body)?).map_err(bad)?;
            let (mut account, none) = (shared.account(), Params::default());
            match act.step.as_str() {
                "pay" => invoices::pay(&mut account, &act.invoice, &none),
                "void" => invoices::void(&mut account, &act.invoice, &none),
                "mark_uncollectible" => invoices::mark_uncollectible(&mut account, &act.invoice, &none),
                other => Err(Failure::invalid(format!("{other} is no step"))),
            }
        }
        ("POST", "checkout") => {
            let act: Left = serde_json::from_value(read(body)?).map_err(bad)?;
            sessions::leave(&mut shared.account(), &act.session, &act.step)
        }
        ("POST", "disputes") => {
            let mut account = shared.account();
            match serde_json::from_value(read(body)?).map_err(bad)? {
                Dispute::Begin { invoice, amount } => charges::dispute(&mut account, &invoice, amount),
                Dispute::End { dispute, step } => charges::close_dispute(&mut account, &dispute, &step),
            }
        }
        ("POST", "refunds") => {
            let Returned { refund, reason } = serde_json::from_value(read(body)?).map_err(bad)?;
            charges::fail_refund(&mut shared.account(), &refund, &reason)
        }
        ("POST", "crowd") => {
            let Crowd { customers } = serde_json::from_value(read(body)?).map_err(bad)?;
            let mut account = shared.account();
            for _ in 0..customers {
                crate::customers::create(&mut account, &Params::default())?;
            }
            Ok(json!({ "customers": account.customers.all().len() }))
        }
        ("POST", "change") => {
            let Change { kind, id, set } = serde_json::from_value(read(body)?).map_err(bad)?;
            let mut account = shared.account();
            let objects = match kind.as_str() {
                "customers" => &mut account.customers,
                "products" => &mut account.products,
                "prices" => &mut account.prices,
                "meters" => &mut account.meters,
                "subscriptions" => &mut account.subscriptions,
                "checkout_sessions" => &mut account.checkout_sessions,
                other => return Err(Failure::invalid(format!("{other} cannot be changed"))),
            };
            if set.get("id").is_some_and(|new| *new != id) {
                return Err(Failure::invalid("an object's id cannot be changed"));
            }
            let object = objects.get_mut(&id).ok_or_else(|| Failure::no_such(&kind, &id))?;
            for (name, value) in set {
                object[name] = value;
            }
            Ok(object.clone())
        }
        ("POST", "api") => {
            let Request { method, path, form } = serde_json::from_value(read(body)?).map_err(bad)?;
            let params = Params::parse(&form)?;
            let mut account = shared.account();
            account.do_what_is_due();
            serve::route(&mut account, &method, &path, &params)
        }
        ("POST", "rounding") => {
            let rounding: Rounding = serde_json::from_value(read(body)?).map_err(bad)?;
            shared.account().rounding = rounding;
            Ok(json!(rounding))
        }
        ("POST", "tax") => {
            let tax: Tax = serde_json::from_value(read(body)?).map_err(bad)?;
            shared.account().tax = Some(tax);
            Ok(json!(tax))
        }
        ("GET", "requests") => Ok(json!(shared.account().log)),
        ("POST", "clock") => {
            let clock: Clock = serde_json::from_value(read(body)?).map_err(bad)?;
            let mut account = shared.account();
            let ahead = clock.ahead_seconds.map_or(0, |ahead| ahead - account.ahead_seconds);
            account.advance(ahead + clock.advance_seconds.unwrap_or(0));
            Ok(json!({ "now": account.now() }))
        }
        ("POST", "faults") => {
            let faults: Faults = serde_json::from_value(read(body)?).map_err(bad)?;
            shared.account().faults = faults.clone();
            Ok(json!(faults))
        }
        ("POST", "subscriptions") => {
            let new = serde_json::from_value(read(body)?).map_err(bad)?;
            cycles::create(&mut shared.account(), new)
        }
        ("GET", "webhooks") => Ok(json!(shared.posted())),
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
