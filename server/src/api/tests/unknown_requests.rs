//! Requests whose outcome nobody knows, over the REST API.

use crate::test_app::TestApp;
use domain::{
    id::{OperationId, ProductId},
    idempotency::{Key, Slot, Unknown},
    key_text::Environment,
    scope::Scope,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    idempotency::{Attempt, Begun},
    test_db::world::World,
};
use uuid::Uuid;

/// A request with that key, which nobody answered.
async fn unknown(app: &TestApp, world: &World, key: &str) -> Slot {
    let slot = Slot {
        partner: world.partner,
        environment: Environment::Live,
        product: ProductId(Uuid::from_u128(1)),
        operation: OperationId(Uuid::from_u128(2)),
        key: Key::parse(key.as_bytes()).expect("a key"),
    };
    let (attempt, now) = (attempt(), Timestamp::now());
    assert_eq!(app.store.begin_attempt(world.partner, &slot, &attempt, now).await.expect("begun"), Begun::Fresh);
    let given_up = app.store.give_up_attempt(world.partner, attempt.id, Unknown::NoAnswer, now, now).await;
    given_up.expect("given up");
    slot
}

fn attempt() -> Attempt {
    Attempt {
        id: Uuid::now_v7(),
        fingerprint: [1; 32],
        request_id: "req_1".to_owned(),
        node: "one".to_owned(),
        life: Uuid::from_u128(1),
        lost_at: Timestamp::now() + SignedDuration::from_mins(1),
    }
}

#[tokio::test]
async fn the_provider_lists_unknown_requests_and_says_what_became_of_them() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let reader = app.token(None, &[Scope::PartnersRead]).await;
    let writer = app.token(None, &[Scope::PartnersWrite]).await;
    let (free, done) = (unknown(&app, &world, "free").await, unknown(&app, &other, "done").await);
    let list = async || app.get(&reader, "/api/unknown-requests").await.json();
    let listed = list().await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(
        (&listed["items"][0]["idempotency_key"], &listed["items"][0]["reason"]),
        (&json!("free"), &json!("no_answer"))
    );
    assert_eq!(listed["items"][1]["partner_name"], "other");
    let of_other = app.get(&reader, &format!("/api/unknown-requests?partner={}", other.partner)).await.json();
    assert_eq!(of_other["items"][0]["idempotency_key"], "done");

    let address = |place: usize| {
        format!("/api/unknown-requests/{}/resolve", listed["items"][place]["id"].as_str().expect("an identifier"))
    };
    let outcome = |outcome: &str| json!({"outcome": outcome, "note": "Asked the bank"});
    assert_eq!(app.post(&reader, &address(0), outcome("carried_out")).await.status, 403);
    assert_eq!(app.post(&writer, &address(0), json!({})).await.status, 422, "the outcome has to be said");
    assert_eq!(app.post(&writer, &address(0), outcome("perhaps")).await.status, 422);
    assert_eq!(app.post(&writer, &address(0), outcome("not_carried_out")).await.status, 204);
    assert_eq!(app.post(&writer, &address(1), outcome("carried_out")).await.status, 204);
    assert_eq!(app.post(&writer, &address(1), outcome("not_carried_out")).await.status, 404, "it is known now");
    assert_eq!(list().await["items"], json!([]));

    let again = async |slot: &Slot| {
        let begun = app.store.begin_attempt(slot.partner, slot, &attempt(), Timestamp::now()).await;
        begun.expect("an answer")
    };
    assert_eq!(again(&free).await, Begun::Fresh);
    assert_eq!(again(&done).await, Begun::Unknown(Unknown::CarriedOut));
    let audit = app.store.audit_page(world.partner, None, 10).await.expect("a page").items;
    let entry = audit.iter().find(|entry| entry.action == "idempotency_key.not_carried_out").expect("an entry");
    assert_eq!((entry.actor_kind.as_str(), entry.actor.as_str()), ("token", "test"));
    assert_eq!(entry.after.as_ref().map(|after| after["note"].clone()), Some(json!("Asked the bank")));
}
