//! Where Stripe tells us that something happened. The signature proves who says so, so there is no session and no origin
//! check; the event is kept and answered at once, and applied afterwards.

use crate::{logs, tasks::Nudge};
use app::state::Clock;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use billing::WebhookError;
use jiff::Timestamp;
use std::sync::Arc;
use store::Store;

/// No event is near this size (bytes).
const LARGEST_EVENT: usize = 1 << 20;

/// What is needed to believe and keep an event.
#[derive(Clone)]
pub struct Receiver {
    pub store: Store,
    pub clock: Clock,
    /// None of them where webhooks are not set up: all are refused.
    pub secrets: Arc<[String]>,
    pub development: bool,
    /// Applies what was kept.
    pub apply: Nudge,
}

/// The one route.
pub fn router(receiver: Receiver) -> Router {
    Router::new()
        .route("/webhooks/stripe", post(receive))
        .layer(DefaultBodyLimit::max(LARGEST_EVENT))
        .with_state(receiver)
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if receiver.secrets.is_empty() {
        return StatusCode::NOT_FOUND;
    }
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut kept = keep(&receiver, &body, signature, Timestamp::now()).await;
    if receiver.development && matches!(kept, Err(WebhookError::Signature(_))) {
        // A stand-in may sign by the moved clock.
        kept = keep(&receiver, &body, signature, receiver.clock.now()).await;
    }
    match kept {
        Ok(()) => {
            receiver.apply.nudge();
            StatusCode::OK
        }
        Err(WebhookError::Store(error)) => {
            tracing::warn!(error = logs::chain(&error), "a Stripe event could not be kept; Stripe sends it again");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Err(error) => {
            tracing::warn!(%error, "a webhook was refused");
            StatusCode::BAD_REQUEST
        }
    }
}

async fn keep(receiver: &Receiver, body: &[u8], signature: &str, now: Timestamp) -> Result<(), WebhookError> {
    billing::receive_webhook(&receiver.store, &receiver.secrets, body, signature, now).await.map(drop)
}

#[cfg(test)]
mod tests;
