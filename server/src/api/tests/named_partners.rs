//! Private plans over REST.

use crate::test_app::TestApp;
use domain::{plan::Approval, scope::Scope};
use serde_json::{Value, json};
use store::{Actor, NewPlan, PlanMeta, test_db::world::World};

#[tokio::test]
async fn a_plan_of_ones_own_is_derived_and_shown_to_nobody_else() {
    let app = TestApp::start().await;
    let (acme, bolt) = (World::named(&app.store, "acme").await, World::named(&app.store, "bolt").await);
    let meta = PlanMeta {
        name: "Pro".to_owned(),
        summary: String::new(),
        position: 1,
        private: false,
        approval: Approval::Automatic,
    };
    let terms = json!({"currency": "EUR", "products": [], "base_fee_micros": 49_000_000,
        "limits": [{"calls": 100, "window": "minute"}]});
    let new = NewPlan { code: "pro".to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    app.store.create_plan(&new, Actor::System, app.state.clock.now()).await.expect("a plan");
    let provider = app.token(None, &[Scope::PlansRead, Scope::PlansWrite, Scope::PartnersRead]).await;
    let path = format!("/api/partners/{}/plans", acme.partner);
    let wish = json!({"plan": "pro", "code": "pro-acme", "changes": {"base_fee_micros": 29_000_000, "quota":
        {"units": 5_000, "beyond": "bill"}}});
    let made = app.post(&provider, &path, wish).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        (&made["name"], &made["private"], &made["terms"]["base_fee_micros"]),
        (&json!("Pro"), &json!(true), &json!(29_000_000))
    );
    assert_eq!(made["terms"]["limits"][0]["calls"], 100, "what is not changed stays");
    for (wish, status) in [
        (json!({"plan": "pro", "code": "pro-acme", "changes": {}}), 409),
        (json!({"plan": "none", "code": "x", "changes": {}}), 422),
        (json!({"plan": "pro", "version": 9, "code": "x", "changes": {}}), 422),
        (json!({"plan": "pro", "code": "x", "changes": {"base_fee_micros": -1}}), 422),
        (json!({"plan": "pro", "code": "x", "changes": {"no_such_field": 1}}), 422),
        (json!({"plan": "pro", "code": "x", "changes": 7}), 422),
    ] {
        let refused = app.post(&provider, &path, wish.clone()).await;
        assert_eq!(refused.status, status, "{wish}: {}", refused.text);
    }

    let codes = async |partner| -> Vec<String> {
        let token = app.token(Some(partner), &[Scope::PlansRead]).await;
        let plans = app.get(&token, "/api/plans").await.json();
        plans["items"]
            .as_array()
            .expect("plans")
            .iter()
            .map(|plan| plan["code"].as_str().expect("a code").to_owned())
            .collect()
    };
    assert_eq!(codes(acme.partner).await, ["pro", "pro-acme"]);
    assert_eq!(codes(bolt.partner).await, ["pro"]);
    let looks = app.token(Some(bolt.partner), &[Scope::PlansRead]).await;
    let hidden = app.post(&looks, "/api/plan/preview", json!({"plan": "pro-acme"})).await;
    let nothing = app.post(&looks, "/api/plan/preview", json!({"plan": "no-such"})).await;
    assert_eq!((hidden.status, &hidden.text), (nothing.status, &nothing.text));

    let of_plan = "/api/plans/pro-acme/partners";
    let listed = app.get(&provider, of_plan).await.json();
    assert_eq!(listed["items"], json!([{"partner": acme.partner.to_string(), "name": "acme"}]));
    let name = async |method: &str, partner| {
        app.send(Some(&provider), method, &format!("{of_plan}/{partner}"), None).await.status.as_u16()
    };
    assert_eq!(name("PUT", bolt.partner).await, 409, "it is one partner's own");
    assert_eq!(name("DELETE", acme.partner).await, 204);
    assert_eq!(name("DELETE", acme.partner).await, 404);
    assert_eq!(name("PUT", acme.partner).await, 204);
    assert_eq!(app.get(&provider, of_plan).await.json()["items"].as_array().map(Vec::len), Some(1));
    assert_ne!(app.get(&looks, of_plan).await.json()["status"], Value::Null, "partners do not ask this");
}
