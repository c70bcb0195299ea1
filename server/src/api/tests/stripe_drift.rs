//! What Stripe holds otherwise than we over the REST API.

use crate::test_app::TestApp;
use domain::scope::Scope;
use jiff::Timestamp;
use serde_json::json;
use store::stripe_drift::{Drift, DriftKind};

fn drift(kind: DriftKind, field: &str) -> Drift {
    Drift {
        kind,
        object: "turnpike_units_payments".to_owned(),
        field: field.to_owned(),
        partner: None,
        stripe_id: "mtr_1".to_owned(),
        ours: "ours".to_owned(),
        theirs: "theirs".to_owned(),
    }
}

#[tokio::test]
async fn the_provider_lists_what_differs_accepts_it_or_has_ours_written() {
    let app = TestApp::start().await;
    let reader = app.token(None, &[Scope::PartnersRead]).await;
    let writer = app.token(None, &[Scope::PartnersWrite]).await;
    let standing = app.get(&reader, "/api/stripe/comparison").await.json();
    assert_eq!((&standing["compared_at"], &standing["open"]), (&json!(null), &json!(0)));
    let now = Timestamp::now();
    let found = [drift(DriftKind::Meter, "display_name"), drift(DriftKind::Meter, "customer_mapping[type]")];
    assert!(app.store.keep_stripe_drift(&found, 6, now, now).await.expect("kept"));
    let listed = app.get(&reader, "/api/stripe/drift?state=open&kind=meter").await.json();
    let items = listed["items"].as_array().expect("a list");
    assert_eq!(items.len(), 2);
    let of = |field: &str| items.iter().find(|item| item["field"] == field).expect("listed");
    let (name, mapping) = (of("display_name"), of("customer_mapping[type]"));
    assert_eq!(
        (&name["ours"], &name["theirs"], &name["can_be_written"]),
        (&json!("ours"), &json!("theirs"), &json!(true))
    );
    assert_eq!(mapping["can_be_written"], false);
    assert!(
        app.get(&reader, "/api/stripe/drift?kind=price").await.json()["items"].as_array().expect("a list").is_empty()
    );
    for strange in ["state=x", "kind=x"] {
        assert_eq!(app.get(&reader, &format!("/api/stripe/drift?{strange}")).await.status, 422, "{strange}");
    }
    let first = app.get(&reader, "/api/stripe/drift?limit=1").await.json();
    let next = format!("/api/stripe/drift?limit=1&cursor={}", first["next"].as_str().expect("another page"));
    assert_ne!(app.get(&reader, &next).await.json()["items"][0]["id"], first["items"][0]["id"]);

    let at = |item: &serde_json::Value, what: &str| {
        format!("/api/stripe/drift/{}/{what}", item["id"].as_str().expect("an id"))
    };
    assert_eq!(app.post(&reader, &at(name, "write"), json!({})).await.status, 403);
    assert_eq!(app.post(&writer, &at(name, "write"), json!({})).await.status, 202);
    assert_eq!(app.post(&writer, &at(name, "write"), json!({})).await.status, 404, "once is enough");
    assert_eq!(app.store.asked_stripe_drift().await.expect("asked")[0].0, found[0]);
    assert_eq!(app.post(&writer, &at(mapping, "accept"), json!({ "note": " " })).await.status, 422);
    assert_eq!(app.post(&writer, &at(mapping, "accept"), json!({ "note": "As agreed" })).await.status, 204);
    let standing = app.get(&reader, "/api/stripe/comparison").await.json();
    assert_eq!((&standing["open"], &standing["asked"], &standing["accepted"]), (&json!(0), &json!(1), &json!(1)));
    let log = app.store.all_audit_page(None, 10).await.expect("a page").items;
    for action in ["stripe_drift.write", "stripe_drift.accept"] {
        assert!(log.iter().any(|entry| entry.action == action && entry.actor_kind == "token"), "{action}");
    }
    let refused = app.post(&writer, "/api/stripe/comparison", json!({})).await;
    assert_eq!(refused.status, 409, "Stripe is not set up in this installation");
}
