//! Meter events at volume (`/v2/billing/meter_event_stream`): a hundred in one request, under a token that holds for a quarter of an hour.
//! What is wrong with an event is told by a report afterwards, and an identifier that is known counts once.

use super::{
    StripeError,
    transport::{Body, Outgoing, Stripe},
};
use http::{HeaderValue, Method};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Events of one request.
pub const MOST_AT_ONCE: usize = 100;

/// `/v2/billing/meter_event_session`: who may stream, and until when.
#[derive(Clone)]
pub struct MeterSession {
    authorization: HeaderValue,
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Opened {
    authentication_token: String,
    expires_at: Timestamp,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamedEvent {
    pub event_name: String,
    pub identifier: String,
    pub payload: Payload,
    pub timestamp: Timestamp,
}

/// What our meters look for in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    pub stripe_customer_id: String,
    /// A whole number.
    pub value: String,
}

#[derive(Serialize)]
struct Batch<'a> {
    events: &'a [StreamedEvent],
}

impl Stripe {
    /// Lets us stream for a while. There is no key: two sessions are as good as one.
    pub async fn open_meter_session(&self) -> Result<MeterSession, StripeError> {
        let opened: Opened = self
            .send(Outgoing {
                method: Method::POST,
                url: self.url("/v2/billing/meter_event_session"),
                authorization: self.authorization(),
                body: Body::Json("{}".to_owned()),
                key: None,
            })
            .await?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", opened.authentication_token))
            .map_err(|_| StripeError::Unreadable("a token holds characters that no token has".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(MeterSession { authorization, expires_at: opened.expires_at })
    }

    /// Sends up to a hundred events. Stripe takes all of them or none; the same identifier again is the same event, for a day.
    pub async fn stream_meter_events(
        &self,
        session: &MeterSession,
        events: &[StreamedEvent],
    ) -> Result<(), StripeError> {
        let body =
            serde_json::to_string(&Batch { events }).map_err(|error| StripeError::Settings(error.to_string()))?;
        let _: Value = self
            .send(Outgoing {
                method: Method::POST,
                url: self.stream_url("/v2/billing/meter_event_stream"),
                authorization: session.authorization.clone(),
                body: Body::Json(body),
                key: None,
            })
            .await?;
        Ok(())
    }
}
