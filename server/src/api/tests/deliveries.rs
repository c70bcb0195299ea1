//! Deliveries over the REST API.

use super::invoices::{billed, some_lines};
use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::json;
use store::test_db::world::World;

#[tokio::test]
async fn the_provider_lists_deliveries_and_has_one_sent_again() {
    let app = TestApp::start().await;
    let reader = app.token(None, &[Scope::PartnersRead]).await;
    let writer = app.token(None, &[Scope::PartnersWrite]).await;
    let partner = World::new(&app.store).await.partner;
    let invoices = billed(&app, partner, "growth", vec![some_lines(), some_lines()]).await;
    let now = app.state.clock.now();
    for unlisted in app.store.all_partners_unlisted_documents(10).await.expect("documents") {
        app.store.enlist_document(&unlisted, "{}", now).await.expect("a row");
    }
    let listed = app.get(&reader, "/api/deliveries?state=waiting").await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    assert!(app.get(&reader, "/api/deliveries?state=dead").await.json()["items"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(app.get(&reader, "/api/deliveries?state=x").await.status, 422);
    let first = app.get(&reader, "/api/deliveries?limit=1").await.json();
    let next = format!("/api/deliveries?limit=1&cursor={}", first["next"].as_str().expect("another page"));
    assert_ne!(app.get(&reader, &next).await.json()["items"][0]["id"], first["items"][0]["id"]);

    let document = invoices[0].to_string().parse().expect("a document");
    app.store.note_document_failure(document, "it answered 500", true, now, now).await.expect("noted");
    let dead = app.get(&reader, "/api/deliveries?state=dead").await.json();
    assert_eq!((&dead["items"][0]["id"], &dead["items"][0]["next_try_at"]), (&json!(invoices[0]), &json!(null)));
    let replay = format!("/api/deliveries/{}/replay", invoices[0]);
    assert_eq!(app.post(&reader, &replay, json!({})).await.status, 403);
    assert_eq!(app.post(&writer, &replay, json!({})).await.status, 202);
    assert_eq!(
        app.get(&reader, "/api/deliveries?state=waiting").await.json()["items"].as_array().map(Vec::len),
        Some(2)
    );
    let unknown = format!("/api/deliveries/invoice_{}/replay", "0".repeat(32));
    assert_eq!(app.post(&writer, &unknown, json!({})).await.status, 404);
}
