//! Findings and contradicting events, over the REST API.

use crate::test_app::{TestApp, event};
use domain::{key_text::Environment, scope::Scope};
use jiff::SignedDuration;
use serde_json::json;
use store::{
    ingest::Position,
    reconcile::{Kind, ToldLane, ToldTally, hours_before},
    test_db::world::World,
};

#[tokio::test]
async fn the_provider_lists_what_differs_accepts_it_and_compares_again() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let (reader, writer) =
        (app.token(None, &[Scope::PartnersRead]).await, app.token(None, &[Scope::PartnersWrite]).await);
    let now = app.state.clock.now();
    let range = hours_before(now, SignedDuration::from_hours(2));
    let call = event(world.partner, Environment::Live, 1, range.start);
    let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
    app.store.ingest(("a", 0, vec![(0, call)]), Position::default(), to, now).await.expect("taken in");
    let tally = ToldTally {
        partner: world.partner,
        hour: range.start,
        environment: Environment::Live,
        part: 0,
        calls: 3,
        units: 1,
    };
    let told = ToldLane { lane: 0, epoch: 0, first: 0, through: 1, told: 0, tallies: vec![tally] };
    app.store.tell_tallies("a", &[told], now).await.expect("told");
    app.store.reconcile_all(range, &Kind::ALL, now).await.expect("compared");

    let standing = app.get(&reader, "/api/reconciliation").await.json();
    assert_eq!((&standing["open"], &standing["accepted"]), (&json!(1), &json!(0)), "{standing}");
    let listed = app.get(&reader, "/api/reconciliation/findings?state=open&kind=gateway").await.json();
    let found = &listed["items"][0];
    assert_eq!((&found["expected"], &found["actual"], &found["meter"]), (&json!("3"), &json!("1"), &json!("calls")));
    assert_eq!((&found["partner_name"], &found["node"], &found["lane"]), (&json!("acme"), &json!("a"), &json!(0)));
    assert_eq!(app.get(&reader, "/api/reconciliation/findings?state=strange").await.status, 422);
    let usage = app.token(Some(world.partner), &[Scope::UsageRead]).await;
    let told = app.get(&usage, &format!("/api/usage?from={}&to={}", range.start, range.end)).await.json();
    assert_eq!(told["missing"][0]["reason"], "unaccounted", "{told}");

    let accept = format!("/api/reconciliation/findings/{}/accept", found["id"].as_str().expect("an identifier"));
    assert_eq!(app.post(&reader, &accept, json!({"note": "Looked"})).await.status, 403);
    assert_eq!(app.post(&writer, &accept, json!({})).await.status, 422, "say why");
    assert_eq!(app.post(&writer, &accept, json!({"note": "Looked"})).await.status, 204);
    assert_eq!(app.post(&writer, &accept, json!({"note": "Looked"})).await.status, 404);
    assert_eq!(app.get(&reader, "/api/reconciliation").await.json()["accepted"], 1);
    assert_eq!(app.post(&writer, "/api/reconciliation/run", json!({"hours": 0})).await.status, 422);
    let other = app.store.begin_to_reconcile().await.expect("nobody compares");
    let refused = app.post(&writer, "/api/reconciliation/run", json!({"hours": 1})).await;
    assert_eq!(refused.status, 409, "one is running: {}", refused.json());
    other.run(range, &[Kind::Hourly], now).await.expect("compared");
    assert_eq!(app.post(&writer, "/api/reconciliation/run", json!({"hours": 1})).await.status, 202);
}
