//! A partner's own door to its balance: what was given, what is left, and what apps have of it; nobody else's.

use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::json;
use store::{Actor, NewCreditGrant, test_db::world::World};

#[tokio::test]
async fn a_partner_reads_its_balance_grants_and_allocations() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let own = app.token(Some(world.partner), &[Scope::InvoicesRead, Scope::PlanWrite]).await;
    let none = app.get(&own, "/api/credit").await.json();
    assert_eq!((&none["balance"], &none["grants"], &none["allocations"]), (&json!(0), &json!([]), &json!([])));
    let grant = NewCreditGrant::new(100, "Welcome");
    app.store.grant_credit(world.partner, &grant, Actor::System, world.now).await.expect("granted");
    let shop = app.store.apps(world.partner).await.expect("apps")[0].app.id;
    let allocated = app.post(&own, "/api/credit/allocations", json!({ "app": shop, "units": 30 })).await;
    assert_eq!(allocated.status, 200, "{}", allocated.text);
    let told = app.get(&own, "/api/credit").await.json();
    assert_eq!((&told["balance"], &told["allocated"], &told["used"]), (&json!(70), &json!(30), &json!(0)));
    assert_eq!((&told["grants"][0]["reason"], &told["grants"][0]["left"]), (&json!("Welcome"), &json!(100)));
    assert_eq!(told["allocations"], json!([allocated.json()]));
    let provider = app.token(None, &[Scope::InvoicesRead, Scope::PartnersRead]).await;
    assert_eq!(app.get(&provider, &format!("/api/credit?partner={}", world.partner)).await.json(), told);
    assert_eq!(app.get(&provider, "/api/credit").await.status, 400, "it names the partner");
    let narrow = app.token(None, &[Scope::InvoicesRead]).await;
    assert_eq!(app.get(&narrow, &format!("/api/credit?partner={}", world.partner)).await.status, 403);
    let theirs = app.token(Some(other.partner), &Scope::ALL).await;
    assert_eq!(app.get(&theirs, "/api/credit").await.json(), none);
    assert_eq!(app.get(&theirs, &format!("/api/credit?partner={}", world.partner)).await.status, 404);
    let blind = app.token(Some(world.partner), &[Scope::PlanWrite]).await;
    assert_eq!(app.get(&blind, "/api/credit").await.status, 403);
}
