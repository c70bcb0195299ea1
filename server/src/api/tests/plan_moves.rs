//! Bulk moves over REST.

use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::{Value, json};
use store::{Actor, NewPlan, PlanMeta, test_db::world::World};

async fn plan(app: &TestApp, code: &str, euros: i64) {
    let approval = domain::plan::Approval::Automatic;
    let meta = PlanMeta { name: code.to_owned(), summary: String::new(), position: 1, private: false, approval };
    let terms = json!({"currency": "EUR", "products": [], "base_fee_micros": euros * 1_000_000});
    let new = NewPlan { code: code.to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    app.store.create_plan(&new, Actor::System, app.state.clock.now()).await.expect("a plan");
}

/// The order of a move as it is shown now.
async fn as_shown(app: &TestApp, token: &str, wish: &Value) -> Value {
    let shown = app.post(token, "/api/plan-moves/preview", wish.clone()).await.json();
    let mut order = wish.clone();
    order["preview"] = shown["preview"].clone();
    order
}

#[tokio::test]
async fn a_move_is_shown_ordered_seen_by_its_partner_and_cancelled() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    plan(&app, "old", 10).await;
    plan(&app, "new", 25).await;
    let now = app.state.clock.now();
    let version = app.store.find_plan_by_code("old").await.expect("answered").expect("a plan").versions[0].id;
    app.store.assign_plan_version(world.partner, version, Actor::System, now).await.expect("a plan");
    let provider = app.token(None, &Scope::ALL).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let narrow = app.token(None, &[Scope::PlansRead]).await;
    let wish = json!({ "from": "old", "to": "new", "notice_days": 30, "reason": "Costs rose" });

    for (field, value) in [
        ("from", json!("nothing")),
        ("to", json!("nothing")),
        ("to_version", json!(7)),
        ("from_version", json!(7)),
        ("notice_days", json!(0)),
        ("notice_days", json!(367)),
        ("reason", json!("x".repeat(501))),
    ] {
        let mut wrong = wish.clone();
        wrong[field] = value;
        for path in ["/api/plan-moves/preview", "/api/plan-moves"] {
            let refused = app.post(&provider, path, wrong.clone()).await;
            assert_eq!(refused.status, 422, "{path} {wrong}: {}", refused.text);
            wrong["preview"] = json!("");
        }
    }
    // All versions but the one that they come to: a move of nobody, over at once.
    let mut of_nobody = wish.clone();
    of_nobody["to"] = json!("old");
    let nobody = as_shown(&app, &provider, &of_nobody).await;
    assert_eq!(app.post(&provider, "/api/plan-moves", nobody).await.status, 201);
    let nobody = app.get(&provider, "/api/plan-moves").await.json()["items"][0].clone();
    assert_eq!((&nobody["told"], &nobody["waiting"]), (&json!(0), &json!(0)));

    let shown = app.post(&provider, "/api/plan-moves/preview", wish.clone()).await.json();
    assert_eq!((&shown["partners_in_all"], &shown["partners"][0]["waits"]), (&json!(1), &json!(false)), "{shown}");
    let blind = app.post(&narrow, "/api/plan-moves/preview", wish.clone()).await.json();
    assert_eq!((&blind["partners_in_all"], &blind["partners"]), (&json!(1), &json!([])));
    let before = as_shown(&app, &provider, &wish).await;
    for token in [&narrow, &own] {
        assert_eq!(app.post(token, "/api/plan-moves", before.clone()).await.status, 403);
    }
    assert_eq!(app.post(&provider, "/api/plan-moves", wish.clone()).await.status, 422, "nothing was shown");
    // Somebody else comes to the plan: it is looked at anew.
    let other = World::named(&app.store, "other").await.partner;
    app.store.assign_plan_version(other, version, Actor::System, now).await.expect("a plan");
    let refused = app.post(&provider, "/api/plan-moves", before).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["errors"][0]["pointer"]),
        (409, &json!("/preview")),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("Look at what it means now"), "{}", refused.text);
    let wish = as_shown(&app, &provider, &wish).await;
    let ordered = app.post(&provider, "/api/plan-moves", wish.clone()).await;
    assert_eq!(ordered.status, 201, "{}", ordered.text);
    let ordered = ordered.json();
    let letter =
        |to: &billing::Recipient, news: &billing::News| app::plan_letters::letter(&app.state.settings, to, news);
    billing::follow_moves(&app.store, &letter, app.state.clock.now()).await.expect("told");
    let planned = app.get(&own, "/api/plan").await.json()["scheduled"].clone();
    assert_eq!((&planned["to"]["code"], &planned["move_reason"]), (&json!("new"), &json!("Costs rose")));
    assert_eq!(planned["effective_at"], shown["partners"][0]["effective_at"], "as it was shown");
    assert_eq!(app.send(Some(&own), "DELETE", "/api/plan/change", None).await.status, 409, "it cannot stay");
    assert_eq!(app.post(&provider, "/api/plan-moves", wish).await.status, 409, "one at a time");

    let listed = app.get(&provider, "/api/plan-moves").await.json()["items"][0].clone();
    assert_eq!((&listed["id"], &listed["told"], &listed["waiting"]), (&ordered["id"], &json!(2), &json!(2)));
    let cancel = format!("/api/plan-moves/{}/cancel", ordered["id"].as_str().expect("an id"));
    for _ in 0..2 {
        assert_eq!(app.post(&provider, &cancel, json!({})).await.status, 204);
    }
    assert_eq!(app.get(&own, "/api/plan").await.json()["scheduled"], Value::Null);
    let over = app.get(&provider, "/api/plan-moves").await.json()["items"][0].clone();
    assert!(over["ended_at"].is_string() && over["waiting"] == 0, "{over}");
    let unknown = "/api/plan-moves/move_00000000000000000000000000000001/cancel";
    assert_eq!(app.post(&provider, unknown, json!({})).await.status, 404);
}
