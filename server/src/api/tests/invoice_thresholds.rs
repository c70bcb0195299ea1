//! A partner's own threshold over REST, and a threshold invoice as it is written.

use super::invoices::{billed, some_lines};
use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::{Value, json};
use store::{NewPlan, PlanMeta, test_db::world::World};

#[tokio::test]
async fn the_provider_gives_a_partner_a_threshold_of_its_own_none_or_its_plan_s() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let store = app.store.handle();
    let now = app.state.clock.now();
    let approval = domain::plan::Approval::Automatic;
    let meta = PlanMeta { name: "Cut".to_owned(), summary: String::new(), position: 1, private: false, approval };
    let terms = json!({ "currency": "EUR", "products": [], "invoice_threshold_micros": 500_000_000 });
    let new = NewPlan { code: "cut".to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    let plan = store.create_plan(&new, store::Actor::System, now).await.expect("a plan");
    let at = format!("/api/partners/{}/invoice-threshold", world.partner);
    let provider = app.token(None, &[Scope::PartnersRead, Scope::PartnersWrite]).await;
    let put = |amount: Value| app.send(Some(&provider), "PUT", &at, Some(json!({ "amount": amount })));
    assert_eq!(put(json!("5")).await.status, 422, "no plan has a currency for it");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(world.partner, version, store::Actor::System, now).await.expect("assigned");
    let euros = |amount: &str| json!({ "currency": "EUR", "amount": amount });
    let counts = |in_force: Value, is_own: bool| json!({ "in_force": in_force, "is_own": is_own });
    assert_eq!(app.get(&provider, &at).await.json(), counts(euros("500.00"), false));
    assert_eq!(put(json!("12.5")).await.json(), counts(euros("12.50"), true));
    assert_eq!(put(Value::Null).await.json(), counts(Value::Null, true));
    for wrong in [json!("0"), json!("-3"), json!("0.001"), json!("a lot")] {
        assert_eq!(put(wrong.clone()).await.status, 422, "{wrong}");
    }
    assert_eq!(app.send(Some(&provider), "DELETE", &at, None).await.status, 204);
    assert_eq!(app.get(&provider, &at).await.json(), counts(euros("500.00"), false));
    let log = store.all_audit_page(None, 50).await.expect("a log");
    let changes = log.items.iter().filter(|entry| entry.action == "partner.set_invoice_threshold").count();
    assert_eq!(changes, 3);
}

#[tokio::test]
async fn files_say_which_invoice_is_a_threshold_invoice() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let invoice = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let own = app.token(Some(world.partner), &[Scope::InvoicesRead]).await;
    let at = format!("/api/invoices/{invoice}");
    assert_eq!(app.get(&own, &at).await.json()["threshold_number"], json!(0));
    app.store.make_threshold_invoice(invoice, 2).await;
    assert_eq!(app.get(&own, &at).await.json()["threshold_number"], json!(2));
    for list in ["/api/invoices?format=csv".to_owned(), format!("{at}?format=csv")] {
        let csv = app.get(&own, &list).await.text;
        let mut rows = csv.lines();
        assert!(rows.next().is_some_and(|head| head.contains(",threshold_number,")), "{csv}");
        assert!(rows.next().is_some_and(|row| row.trim_end().ends_with(",2,,")), "{csv}");
    }
}
