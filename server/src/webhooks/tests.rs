//! The route with real signatures on a real Postgres.

use super::*;
use axum::{body::Body, http::Request};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use store::test_db::{self, TestStore};
use tower::ServiceExt;

const SECRET: &str = "whsec_test";
const EVENT: &str =
    r#"{"id":"evt_1","type":"invoice.paid","livemode":false,"data":{"object":{"object":"invoice","id":"in_1"}}}"#;

fn receiver(store: &TestStore, secrets: &[&str]) -> Receiver {
    Receiver {
        store: store.handle(),
        clock: Clock::default(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
        development: false,
        apply: Nudge::default(),
    }
}

fn signed(secret: &str, at: Timestamp, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{}.{body}", at.as_second()).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={},v1={hex}", at.as_second())
}

async fn send(receiver: &Receiver, signature: Option<String>, body: &str) -> u16 {
    let mut request = Request::post("/webhooks/stripe");
    if let Some(signature) = signature {
        request = request.header("stripe-signature", signature);
    }
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    router(receiver.clone()).oneshot(request).await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn an_event_is_kept_once_and_only_with_a_right_and_recent_signature() {
    let store = test_db::store().await;
    let receiver = receiver(&store, &[SECRET]);
    let now = Timestamp::now();
    let long_ago = now - jiff::SignedDuration::from_mins(6);
    for refused in [
        None,
        Some(signed("whsec_other", now, EVENT)),
        Some(signed(SECRET, long_ago, EVENT)),
        Some(signed(SECRET, now, "{}")),
    ] {
        assert_eq!(send(&receiver, refused.clone(), EVENT).await, 400, "{refused:?}");
    }
    assert!(store.pending_stripe_events(10).await.expect("events").is_empty());
    for _ in 0..2 {
        assert_eq!(send(&receiver, Some(signed(SECRET, now, EVENT)), EVENT).await, 200);
    }
    assert_eq!(store.pending_stripe_events(10).await.expect("events").len(), 1);
}

#[tokio::test]
async fn without_a_secret_nothing_is_believed() {
    let store = test_db::store().await;
    let receiver = receiver(&store, &[]);
    assert_eq!(send(&receiver, Some(signed("", Timestamp::now(), EVENT)), EVENT).await, 404);
}

#[tokio::test]
async fn while_postgres_is_down_stripe_is_told_to_try_again() {
    let store = test_db::store().await;
    let receiver = receiver(&store, &[SECRET]);
    store.close().await;
    assert_eq!(send(&receiver, Some(signed(SECRET, Timestamp::now(), EVENT)), EVENT).await, 503);
}
