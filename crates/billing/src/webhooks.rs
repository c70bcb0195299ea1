//! Webhooks: believed only with a signature, kept once, applied later.
//!
//! An event is only a reason to look: what it says happened is asked of Stripe again, and a status never goes back. So
//! order, repeats and delay change nothing.

mod rejected_usage;

use crate::{
    BillingError,
    payment::{self, Desk},
    push::settle,
    returns,
    stripe::webhook_signature::{self, BadSignature},
};
use domain::id::CreditNoteId;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use store::{Store, StoreError, StripeEvent};

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    Kept,
    /// It was there already.
    Repeated,
}

/// Why a webhook is not accepted: the signature and the body are answered with 400, the store with 500.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error("the body is not an event")]
    NotAnEvent,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Checks a webhook's signature over its raw body and keeps the event.
pub async fn receive_webhook(
    store: &Store,
    secrets: &[String],
    body: &[u8],
    signature_header: &str,
    now: Timestamp,
) -> Result<Received, WebhookError> {
    webhook_signature::verify(secrets, signature_header, body, now)?;
    let payload: Value = serde_json::from_slice(body).map_err(|_| WebhookError::NotAnEvent)?;
    let event = Event::deserialize(&payload).map_err(|_| WebhookError::NotAnEvent)?;
    let new = store.keep_stripe_event(&event.id, &event.kind, &payload, now).await?;
    Ok(if new { Received::Kept } else { Received::Repeated })
}

/// Applies what was kept and says how many events were dealt with. It ends early where Stripe cannot be asked.
pub async fn apply_pending_webhooks(desk: Desk<'_>, now: Timestamp) -> Result<u32, BillingError> {
    let (store, mut applied) = (desk.store, 0);
    loop {
        let events = store.pending_stripe_events(100).await?;
        if events.is_empty() {
            return Ok(applied);
        }
        for event in events {
            let problem = match apply(desk, &event, now).await {
                Ok(()) => None,
                // What the key may not read concerns this event; the ones behind it may be of another kind.
                Err(BillingError::Stripe(error))
                    if error.is_passing() || error.is_unauthorized() && !error.is_forbidden() =>
                {
                    return Err(error.into());
                }
                Err(BillingError::Store(error @ StoreError::Unavailable(_))) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(event = event.id, kind = event.kind, %error, "a Stripe event could not be applied");
                    Some(error.to_string())
                }
            };
            store.finish_stripe_event(&event.id, problem.as_deref(), now).await?;
            applied += 1;
        }
    }
}

async fn apply(desk: Desk<'_>, event: &StripeEvent, now: Timestamp) -> Result<(), BillingError> {
    let Desk { store, stripe, .. } = desk;
    if event.payload["livemode"].as_bool().is_some_and(|live| live != stripe.is_live()) {
        return Err(BillingError::Differs(
            "The event is of Stripe's other mode (test or live) and was left alone".to_owned(),
        ));
    }
    if event.kind.starts_with("v1.billing.meter.") {
        return rejected_usage::apply(store, stripe, &event.id, now).await;
    }
    if payment::apply(desk, (&event.kind, &event.payload["data"]), now).await? {
        return Ok(());
    }
    let object = &event.payload["data"]["object"];
    let id = match object["object"].as_str() {
        Some("invoice") => object["id"].as_str(),
        // Money went back, or may: all of the invoice is looked at.
        Some("credit_note") => {
            return match object["invoice"].as_str() {
                Some(id) => returns::look(store, stripe, id, now).await,
                None => Ok(()),
            };
        }
        Some("charge" | "refund" | "dispute") => {
            let intent = object["payment_intent"].as_str();
            let own =
                object["metadata"]["turnpike_credit_note"].as_str().and_then(|id| id.parse::<CreditNoteId>().ok());
            if let (Some(own), Some("refund")) = (own, object["object"].as_str()) {
                return returns::own::look(store, stripe, own, intent, now).await;
            }
            let Some(intent) = intent else { return Ok(()) };
            for id in stripe.invoices_paid_by(intent).await? {
                returns::look(store, stripe, &id, now).await?;
            }
            return Ok(());
        }
        _ => None,
    };
    let Some(id) = id else { return Ok(()) };
    let Some((partner, invoice)) = store.all_partners_invoice_by_stripe_id(id).await? else { return Ok(()) };
    match stripe.invoice(id).await {
        Ok(found) => settle(store, stripe, (partner, invoice), &found, now).await,
        // A draft that was deleted at Stripe: the next reconcile run reports it.
        Err(error) if error.is_missing() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
