//! Quotes over REST: the engine's figures, and no name that the caller may not know.

use crate::test_app::TestApp;
use domain::{plan::Approval, product::Visibility, scope::Scope};
use serde_json::{Value, json};
use store::{Actor, NewOperation, NewPlan, NewProduct, PlanMeta, test_db::world::World};

pub(super) async fn product(app: &TestApp, code: &str, visibility: Visibility, weight: u32) {
    let operation = NewOperation {
        code: "pay".to_owned(),
        method: "POST".to_owned(),
        path: "/pay".to_owned(),
        summary: "Pay".to_owned(),
        weight,
        deprecated: false,
    };
    let new = NewProduct {
        code: code.to_owned(),
        name: code.to_owned(),
        summary: String::new(),
        route: format!("/{code}"),
        upstream_url: "http://127.0.0.1:1".to_owned(),
        timeout_ms: 1_000,
        visibility,
        document: json!({}),
        operations: vec![operation],
        headers: Vec::new(),
        policy: None,
        secrets: None,
    };
    app.store.create_product(&new, Actor::System, app.state.clock.now()).await.expect("a product");
}

async fn plan(app: &TestApp, code: &str, private: bool, terms: Value) {
    let meta =
        PlanMeta { name: code.to_owned(), summary: String::new(), position: 1, private, approval: Approval::Automatic };
    let new = NewPlan { code: code.to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    app.store.create_plan(&new, Actor::System, app.state.clock.now()).await.expect("a plan");
}

#[tokio::test]
async fn each_plan_that_may_be_chosen_and_the_own_one_is_quoted() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    product(&app, "payments", Visibility::Public, 2).await;
    product(&app, "vault", Visibility::Plan, 1).await;
    let price = json!({"model": "per_unit", "included": 50_000, "unit_price": "0.005"});
    let pro = json!({"currency": "USD", "products": [{"product": "payments"}], "base_fee_micros": 99_000_000, "price": price});
    plan(&app, "pro", false, pro).await;
    plan(
        &app,
        "own",
        true,
        json!({"currency": "EUR", "products": [{"product": "vault"}], "interval": "year",
        "price": {"model": "per_unit", "unit_price": "0.01"}}),
    )
    .await;
    let visitor = app.token(Some(World::named(&app.store, "bolt").await.partner), &[Scope::PlansRead]).await;
    let own = app.token(Some(world.partner), &[Scope::PlansRead]).await;
    let version = app.store.find_plan_by_code("own").await.expect("answered").expect("a plan").versions[0].id;
    app.store
        .assign_plan_version(world.partner, version, Actor::System, app.state.clock.now())
        .await
        .expect("assigned");

    // 73,212 units: 23,212 beyond the included ones.
    let wish = json!({"calls": [{"product": "payments", "operation": "pay", "calls": 36_606}]});
    let told = app.post(&visitor, "/api/plans/quotes", wish.clone()).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let told = told.json();
    assert_eq!(told["items"].as_array().map(Vec::len), Some(1), "{told}");
    let only = &told["items"][0];
    assert_eq!(
        (&only["plan"], &only["own"], &only["total"]["amount"]),
        (&json!("pro"), &json!(false), &json!("215.06"))
    );
    assert_eq!((&only["lines"][1]["quantity"], &only["lines"][1]["free"]), (&json!(73_212), &json!(50_000)));

    let both = json!({"calls": [{"product": "payments", "operation": "pay", "calls": 36_606},
        {"product": "vault", "operation": "pay", "calls": 10}]});
    let told = app.post(&own, "/api/plans/quotes", both.clone()).await.json();
    let (first, second) = (&told["items"][0], &told["items"][1]);
    assert_eq!((&first["plan"], &first["own"], &first["interval"]), (&json!("own"), &json!(true), &json!("year")));
    // Twelve months of ten calls.
    assert_eq!((&first["total"]["amount"], &first["not_opened"][0]["product"]), (&json!("1.20"), &json!("payments")));
    assert_eq!((&second["total"]["amount"], &second["not_opened"][0]["product"]), (&json!("215.06"), &json!("vault")));

    // To others the vault is as if it did not exist.
    let hidden = app.post(&visitor, "/api/plans/quotes", both).await;
    let nothing = json!({"calls": [{"product": "payments", "operation": "pay", "calls": 36_606},
        {"product": "nothing", "operation": "pay", "calls": 10}]});
    let missing = app.post(&visitor, "/api/plans/quotes", nothing).await;
    assert_eq!((hidden.status.as_u16(), &hidden.text), (422, &missing.text));
    let huge = json!({"calls": [{"product": "payments", "operation": "pay", "calls": 1_000_000_000_001_u64}]});
    assert_eq!(app.post(&visitor, "/api/plans/quotes", huge).await.status, 422);
    let many = vec![json!({"product": "payments", "operation": "pay", "calls": 1}); 1_001];
    assert_eq!(app.post(&visitor, "/api/plans/quotes", json!({"calls": many})).await.status, 422);
}
