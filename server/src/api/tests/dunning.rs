//! Unpaid invoices over REST: the partner reads how it stands, the provider pauses, holds back and marks as paid.

use super::invoices::{billed, some_lines};
use crate::{tasks::dun_partners, test_app::TestApp};
use domain::scope::Scope;
use jiff::SignedDuration;
use serde_json::json;
use store::{NewPlan, PlanMeta, test_db::world::World};

#[tokio::test]
async fn a_partner_that_does_not_pay_is_told_and_listed_and_is_back_when_it_has_paid() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let (state, store) = (&app.state, app.store.handle());
    let invoice = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let terms = json!({
        "currency": "USD", "products": [], "limits": [{"calls": 100, "window": "minute"}],
        "unpaid": {"grace_days": 0, "limited_days": 0, "limited_percent": 50}
    });
    let approval = domain::plan::Approval::Automatic;
    let meta = PlanMeta { name: "Strict".to_owned(), summary: String::new(), position: 1, private: false, approval };
    let new = NewPlan { code: "strict".to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    let plan = store.create_plan(&new, store::Actor::System, state.clock.now()).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(world.partner, version, store::Actor::System, state.clock.now()).await.expect("assigned");

    let provider = app.token(None, &[Scope::PartnersRead, Scope::PartnersWrite, Scope::InvoicesRead]).await;
    let own = app.token(Some(world.partner), &[Scope::InvoicesRead]).await;
    let run =
        async || dun_partners::run(store.clone(), state.clock.clone(), state.settings.clone()).await.expect("ran");
    let ahead = |days: i64| state.clock.set_ahead_seconds(SignedDuration::from_hours(24 * days).as_secs());
    let stage =
        async || app.get(&own, "/api/dunning").await.json()["stage"].as_str().map(str::to_owned).expect("a stage");
    run().await;
    let held = app.get(&own, &format!("/api/invoices/{invoice}")).await.json();
    assert!(held["due_at"].is_string() && held["disputed"] == json!(false), "{held}");
    assert_eq!(stage().await, "good");
    ahead(60);
    run().await;
    ahead(64);
    run().await;
    assert_eq!(stage().await, "suspended");
    let listed = app.get(&provider, "/api/unpaid").await.json();
    assert_eq!(listed["items"][0]["invoice"], json!(invoice.to_string()), "{listed}");
    assert_eq!(listed["items"][0]["stage"], "suspended");

    let dispute = format!("/api/invoices/{invoice}/dispute");
    let reason = json!({ "partner": world.partner, "reason": "Counted twice" });
    assert_eq!(app.send(Some(&provider), "PUT", &dispute, Some(reason)).await.status, 204);
    assert_eq!(stage().await, "good");
    let over = json!({ "partner": world.partner });
    assert_eq!(app.send(Some(&provider), "PUT", &dispute, Some(over)).await.status, 204);
    let pause = format!("/api/partners/{}/dunning/pause", world.partner);
    let wrong = app.post(&provider, &pause, json!({ "until": "2020-01-01T00:00:00Z", "reason": "x" })).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    let until = state.clock.now() + SignedDuration::from_hours(48);
    let paused = app.post(&provider, &pause, json!({ "until": until, "reason": "They pay in parts" })).await;
    assert_eq!((paused.status.as_u16(), paused.json()["paused_until"].is_string()), (200, true), "{}", paused.text);
    let resume = format!("/api/partners/{}/dunning/resume", world.partner);
    assert_eq!(app.post(&provider, &resume, json!({})).await.status, 200);
    assert_eq!(app.post(&provider, &resume, json!({})).await.status, 409, "there is no pause");
    let days = json!({ "grace_days": 3 });
    let set =
        app.send(Some(&provider), "PUT", &format!("/api/partners/{}/dunning", world.partner), Some(days)).await.json();
    assert_eq!((&set["grace_days"], &set["limited_days"]), (&json!(3), &json!(0)));

    let paid = format!("/api/invoices/{invoice}/paid");
    let body = json!({ "partner": world.partner });
    assert_eq!(app.post(&own, &paid, body.clone()).await.status, 403);
    for _ in 0..2 {
        assert_eq!(app.post(&provider, &paid, body.clone()).await.status, 204);
    }
    let held = app.get(&own, &format!("/api/invoices/{invoice}")).await.json();
    assert_eq!(held["status"], "paid");
    assert_eq!(app.get(&provider, "/api/unpaid").await.json()["items"], json!([]));
}
