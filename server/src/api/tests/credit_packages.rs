//! Packages over REST: the provider sells, a partner buys once, and the units are there when the invoice is paid.

use super::invoices::{billed, some_lines};
use crate::test_app::TestApp;
use domain::{id::InvoiceId, scope::Scope};
use serde_json::{Value, json};
use store::test_db::world::World;

fn million() -> Value {
    json!({ "name": "One million", "units": 1_000_000, "currency": "USD", "price": "1000.00", "valid_days": 365,
        "discounts": [{ "from": 10, "percent": "15" }], "plans": ["growth"] })
}

#[tokio::test]
async fn a_partner_buys_once_what_the_provider_sells_and_spends_it_when_it_is_paid() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let provider = app.token(None, &Scope::ALL).await;
    let put = async |body: Value| app.send(Some(&provider), "PUT", "/api/credit-packages/million", Some(body)).await;
    assert_eq!(put(million()).await.status, 422, "there is no such plan");
    billed(&app, world.partner, "growth", Vec::new()).await;
    let wrong = json!({ "name": "", "units": 0, "currency": "USD", "price": "0" });
    assert_eq!(put(wrong).await.json()["errors"].as_array().map(Vec::len), Some(3));
    for _ in 0..2 {
        assert_eq!(put(million()).await.status, 200);
    }
    let offered = app.get(&own, "/api/credit-packages").await.json();
    assert_eq!(
        (&offered["items"][0]["code"], &offered["items"][0]["discounts"][0]["percent"]),
        (&json!("million"), &json!("15"))
    );
    let order = json!({ "package": "million", "quantity": 10, "reference": "order-7" });
    let bought = app.post(&own, "/api/credit/purchases", order.clone()).await;
    assert_eq!(bought.status, 200, "{}", bought.text);
    assert_eq!(app.post(&own, "/api/credit/purchases", order).await.json(), bought.json());
    let other = json!({ "package": "million", "quantity": 1, "reference": "order-7" });
    assert_eq!(app.post(&own, "/api/credit/purchases", other).await.status, 409);
    let list = app.get(&own, "/api/credit/purchases").await.json();
    assert_eq!(list["items"], json!([bought.json()]));
    assert_eq!((&bought.json()["cost"]["amount"], &bought.json()["status"]), (&json!("8500.00"), &json!("open")));
    let credit = format!("/api/partners/{}/credit", world.partner);
    assert_eq!(app.get(&provider, &credit).await.json()["balance"], 0);
    let invoice = bought.json()["invoice"].as_str().expect("an id").to_owned();
    let seen = app.get(&own, &format!("/api/invoices/{invoice}")).await.json();
    assert_eq!((&seen["stands_alone"], &seen["lines"][0]["kind"]), (&json!(true), &json!("credit_package")));
    let paid = format!("/api/invoices/{invoice}/paid");
    assert_eq!(app.post(&own, &paid, json!({ "partner": world.partner })).await.status, 403);
    for _ in 0..2 {
        assert_eq!(app.post(&provider, &paid, json!({ "partner": world.partner })).await.status, 204);
    }
    assert_eq!(app.get(&provider, &credit).await.json()["balance"], 10_000_000);
    assert_eq!(app.get(&own, "/api/credit/purchases").await.json()["items"][0]["status"], "paid");
}

#[tokio::test]
async fn where_stripe_collects_nobody_else_says_that_an_invoice_is_paid() {
    let app = TestApp::start_with(|settings| settings.stripe_is_on = true).await;
    let world = World::new(&app.store).await;
    let provider = app.token(None, &Scope::ALL).await;
    let invoices = billed(&app, world.partner, "growth", vec![some_lines(), some_lines()]).await;
    let paid = async |invoice: InvoiceId| {
        app.post(&provider, &format!("/api/invoices/{invoice}/paid"), json!({ "partner": world.partner })).await.status
    };
    assert_eq!(paid(invoices[0]).await, 422);
    // What another has taken Stripe does not collect.
    let now = app.state.clock.now();
    let unlisted = app.store.all_partners_unlisted_documents(10).await.expect("a list");
    let theirs = unlisted.iter().find(|one| one.invoice == invoices[1]).expect("it is listed");
    app.store.enlist_document(theirs, "{}", now).await.expect("enlisted");
    assert_eq!(paid(invoices[1]).await, 204);
}

#[tokio::test]
async fn a_standing_order_is_set_read_and_ended() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let own = app.token(Some(world.partner), &[Scope::PlanWrite, Scope::InvoicesRead]).await;
    let provider = app.token(None, &Scope::ALL).await;
    billed(&app, world.partner, "growth", Vec::new()).await;
    assert_eq!(app.send(Some(&provider), "PUT", "/api/credit-packages/million", Some(million())).await.status, 200);
    let put = async |body: Value| app.send(Some(&own), "PUT", "/api/credit/top-up", Some(body)).await;
    let order = json!({ "below": 100_000, "package": "million", "quantity": 1, "monthly_cap": "5000.00" });
    assert_eq!(app.get(&own, "/api/credit/top-up").await.status, 404);
    let mut little = order.clone();
    little["monthly_cap"] = json!("999.99");
    assert_eq!(put(little).await.json()["errors"][0]["pointer"], "/monthly_cap");
    let mut seen = order.clone();
    seen["cost"] = json!("999.00");
    let refused = put(seen.clone()).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("It costs $1,000.00"), "{}", refused.text);
    assert_eq!(app.get(&own, "/api/credit/top-up").await.status, 404, "nothing is ordered");
    seen["cost"] = json!("a lot");
    assert_eq!(put(seen.clone()).await.json()["errors"][0]["pointer"], "/cost");
    seen["cost"] = json!("1000.00");
    assert_eq!(put(seen).await.status, 200);
    let set = put(order).await;
    assert_eq!(set.status, 200, "{}", set.text);
    assert_eq!(app.get(&own, "/api/credit/top-up").await.json(), set.json());
    assert_eq!(
        (&set.json()["monthly_cap"]["amount"], &set.json()["spent"]["amount"]),
        (&json!("5000.00"), &json!("0.00"))
    );
    for _ in 0..2 {
        assert_eq!(app.send(Some(&own), "DELETE", "/api/credit/top-up", None).await.status, 204);
    }
    assert_eq!(app.get(&own, "/api/credit/top-up").await.status, 404);
}
