//! Events of Stripe over the REST API.

use crate::test_app::TestApp;
use domain::scope::Scope;
use jiff::Timestamp;
use serde_json::json;

#[tokio::test]
async fn the_provider_lists_stripes_events_and_has_one_applied_again() {
    let app = TestApp::start().await;
    let reader = app.token(None, &[Scope::PartnersRead]).await;
    let writer = app.token(None, &[Scope::PartnersWrite]).await;
    let now = Timestamp::now();
    for (id, error) in [("evt_1", None), ("evt_2", Some("Stripe said no"))] {
        app.store.keep_stripe_event(id, "invoice.paid", &json!({"id": id}), now).await.expect("kept");
        app.store.finish_stripe_event(id, error, now).await.expect("finished");
    }
    app.store.keep_stripe_event("evt_3", "invoice.voided", &json!({}), now).await.expect("kept");
    let ids = async |address: &str| {
        let listed = app.get(&reader, address).await.json();
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(ids("/api/stripe/events").await, ["evt_3", "evt_2", "evt_1"]);
    assert_eq!(ids("/api/stripe/events?state=waiting").await, ["evt_3"]);
    assert_eq!(ids("/api/stripe/events?state=applied").await, ["evt_1"]);
    let failed = app.get(&reader, "/api/stripe/events?state=failed").await.json();
    assert_eq!((&failed["items"][0]["error"], &failed["items"][0]["replays"]), (&json!("Stripe said no"), &json!(0)));
    let first = app.get(&reader, "/api/stripe/events?limit=2").await.json();
    let next = format!("/api/stripe/events?limit=2&cursor={}", first["next"].as_str().expect("another page"));
    assert_eq!(ids(&next).await, ["evt_1"]);
    assert_eq!(app.get(&reader, "/api/stripe/events?state=strange").await.status, 422);
    assert_eq!(app.get(&reader, "/api/stripe/events?cursor=strange").await.status, 400);

    let replay = "/api/stripe/events/evt_2/replay";
    assert_eq!(app.post(&reader, replay, json!({})).await.status, 403);
    assert_eq!(app.post(&writer, "/api/stripe/events/evt_9/replay", json!({})).await.status, 404);
    assert_eq!(app.post(&writer, replay, json!({})).await.status, 202);
    assert_eq!(ids("/api/stripe/events?state=waiting").await, ["evt_3", "evt_2"]);
    let pending = app.store.pending_stripe_events(10).await.expect("asked");
    assert_eq!(pending.len(), 2, "the task takes it like a new one");
    let log = app.store.all_audit_page(None, 10).await.expect("a page").items;
    let entry = log.iter().find(|entry| entry.action == "stripe_event.replay").expect("in the audit log");
    assert_eq!(
        (entry.subject.as_str(), entry.before.as_ref().map(|before| &before["error"])),
        ("evt_2", Some(&json!("Stripe said no")))
    );
}
