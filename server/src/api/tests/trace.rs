//! The way of a call over the REST API.

use super::invoices::billed;
use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::json;
use store::test_db::world::World;

#[tokio::test]
async fn the_provider_follows_a_call_to_its_billing_period() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let theirs = app.token(Some(world.partner), &[Scope::UsageRead, Scope::UsageWrite, Scope::InvoicesRead]).await;
    let token = app.token(None, &[Scope::UsageRead, Scope::InvoicesRead]).await;
    let tell = async |id: &str| {
        let event = json!({"specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "s", "id": id, "data": {"units": 5}});
        let told = app.post(&theirs, "/api/events", event).await;
        assert_eq!(told.json()["results"][0]["result"], "accepted", "{}", told.text);
    };
    tell("job-1").await;
    let traced = app.get(&token, "/api/trace/job-1").await.json();
    let call = &traced["calls"][0];
    assert_eq!((&call["partner"], &call["units"]), (&json!(world.partner.to_string()), &json!(5)), "{traced}");
    assert_eq!((&call["unbilled"], &call["period"]), (&json!("no_subscription"), &json!(null)), "{traced}");
    billed(&app, world.partner, "growth", Vec::new()).await;
    let call = app.get(&token, "/api/trace/job-1").await.json()["calls"][0].clone();
    assert_eq!((&call["unbilled"], &call["period_state"]), (&json!(null), &json!("open")), "{call}");
    assert!(call["period"]["end"].as_str() > call["at"].as_str(), "{call}");
    assert_eq!((&call["invoice"], &call["is_late"], &call["corrections"]), (&json!(null), &json!(false), &json!([])));
    assert_eq!(app.get(&token, "/api/trace/nobody-s").await.status, 404);
    assert_eq!(app.get(&theirs, "/api/trace/job-1").await.status, 403, "its own page shows it");
}
