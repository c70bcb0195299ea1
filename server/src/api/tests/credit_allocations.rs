//! A partner's budgets over REST: its own tokens allocate its credit, and the provider's those of the partner that they name.

use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::json;
use store::{Actor, NewCreditGrant, test_db::world::World};

const PATH: &str = "/api/credit/allocations";

#[tokio::test]
async fn units_are_allocated_once_listed_and_given_back() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let provider = app.token(None, &Scope::ALL).await;
    app.store
        .grant_credit(world.partner, &NewCreditGrant::new(100, "Welcome"), Actor::System, world.now)
        .await
        .expect("granted");
    let of = app.store.apps(world.partner).await.expect("apps")[0].app.id;
    let team = app.store.create_team(world.partner, "Payments", Actor::System, world.now).await.expect("a team");
    for wrong in
        [json!({ "units": 1 }), json!({ "app": of, "team": team, "units": 1 }), json!({ "app": team, "units": 1 })]
    {
        assert_eq!(app.post(&own, PATH, wrong).await.status, 422);
    }
    let asked = json!({ "app": of, "units": 30, "reference": "march" });
    let made = app.post(&own, PATH, asked.clone()).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let told = made.json();
    assert_eq!(
        (&told["app"], &told["team"], &told["left"], &told["spend"]),
        (&json!(of), &json!(null), &json!(30), &json!("only"))
    );
    assert_eq!(app.post(&own, PATH, asked).await.json(), told, "the same reference allocates once");
    assert_eq!(app.post(&own, PATH, json!({ "app": of, "units": 31, "reference": "march" })).await.status, 409);
    let too_many = app.post(&own, PATH, json!({ "team": team, "units": 71 })).await;
    assert_eq!(too_many.status, 409);
    assert!(too_many.text.contains("70 units can be allocated now"), "{}", too_many.text);
    let by_provider = format!("{PATH}?partner={}", world.partner);
    let first = json!({ "team": team, "units": 20, "spend": "first" });
    assert_eq!(app.post(&provider, &by_provider, first).await.json()["spend"], "first");
    let listed = app.get(&own, PATH).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    let credit = app.get(&provider, &format!("/api/partners/{}/credit", world.partner)).await.json();
    assert_eq!((&credit["balance"], &credit["allocated"]), (&json!(50), &json!(50)));

    let id = told["id"].as_str().expect("an id");
    let back = format!("{PATH}/{id}/give-back");
    let theirs = app.token(Some(other.partner), &Scope::ALL).await;
    assert_eq!(app.post(&theirs, &back, json!({})).await.status, 404);
    assert_eq!(app.get(&theirs, PATH).await.json()["items"], json!([]));
    let asked = json!({ "units": 10, "reference": "march-back" });
    for _ in 0..2 {
        assert_eq!(app.post(&own, &back, asked.clone()).await.json()["left"], 20);
    }
    assert_eq!(app.post(&own, &back, json!({ "units": 21 })).await.status, 409);
    let ended = app.post(&own, &back, json!({})).await.json();
    assert_eq!((&ended["left"], ended["ended_at"].is_null()), (&json!(0), false));
    let credit = app.get(&provider, &format!("/api/partners/{}/credit", world.partner)).await.json();
    assert_eq!((&credit["balance"], &credit["allocated"]), (&json!(80), &json!(20)));
    assert_eq!(app.store.check_all_credit().await.expect("checked"), []);
}
