//! Coupons over REST: the provider makes and gives them, a partner redeems its own.

use super::invoices::billed;
use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::json;
use store::test_db::world::World;

#[tokio::test]
async fn a_partner_redeems_what_the_provider_made_and_only_the_provider_takes_it_back() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let provider = app.token(None, &Scope::ALL).await;
    billed(&app, world.partner, "growth", Vec::new()).await;
    let put = async |body| app.send(Some(&provider), "PUT", "/api/coupons/spring25", Some(body)).await;
    assert_eq!(put(json!({ "name": "", "periods": 0 })).await.json()["errors"].as_array().map(Vec::len), Some(3));
    assert_eq!(put(json!({ "name": "Spring", "percent": "25", "plans": ["gold"] })).await.status, 422);
    let spring = json!({ "name": "Spring", "percent": "25", "periods": 3, "max_redemptions": 1, "plans": ["growth"] });
    for _ in 0..2 {
        let made = put(spring.clone()).await;
        assert_eq!(made.status, 200, "{}", made.text);
    }
    assert_eq!(app.get(&own, "/api/coupons").await.status, 403);
    let redeem = async |code: &str| app.post(&own, "/api/plan/coupons", json!({ "coupon": code })).await;
    assert_eq!(redeem("nothing").await.status, 422);
    let redeemed = redeem("SPRING25").await;
    assert_eq!(redeemed.status, 201, "{}", redeemed.text);
    assert_eq!((&redeemed.json()["code"], &redeemed.json()["periods"]), (&json!("spring25"), &json!(3)));
    assert_eq!(redeem("spring25").await.status, 409);
    let listed = app.get(&provider, "/api/coupons").await.json();
    assert_eq!((&listed["items"][0]["redemptions"], &listed["items"][0]["percent"]), (&json!(1), &json!("25")));
    assert_eq!(app.get(&own, "/api/plan/coupons").await.json()["items"], json!([redeemed.json()]));
    let given = format!("/api/plan/coupons?partner={}", World::named(&app.store, "bolt").await.partner);
    assert_eq!(app.post(&provider, &given, json!({ "coupon": "spring25" })).await.status, 409, "one partner may");
    let back = format!("/api/partners/{}/coupons/spring25", world.partner);
    assert_eq!(app.send(Some(&own), "DELETE", &back, None).await.status, 403);
    assert_eq!(app.send(Some(&provider), "DELETE", &back, None).await.status, 204);
    assert_eq!(app.send(Some(&provider), "DELETE", &back, None).await.status, 404);
    assert!(app.get(&own, "/api/plan/coupons").await.json()["items"][0]["ended_at"].is_string());
}

#[tokio::test]
async fn codes_are_not_found_by_trying_many() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let mut last = String::new();
    for number in 0..21 {
        last = app.post(&own, "/api/plan/coupons", json!({ "coupon": format!("guess-{number}") })).await.text;
    }
    assert!(last.contains("many codes"), "{last}");
}
