//! Ours is written to Stripe where somebody asked for it, once, and never over what nobody has seen.

use crate::{
    drift::{OPERATOR, agreeing, change, compared, drift, held},
    shop::{Shop, days, list},
};
use billing::{
    BillingError,
    drift::{can_write, makes_another, write_asked},
};
use serde_json::json;
use store::{
    StoreError,
    stripe_drift::{DriftKind, DriftState},
};

/// Asks for everything that differs.
async fn ask(shop: &Shop) {
    let now = shop.now().await;
    for one in drift(shop).await {
        shop.store.ask_to_write_stripe_drift(one.id, OPERATOR, now).await.expect("asked");
    }
}

async fn written(shop: &Shop) -> Result<u64, BillingError> {
    write_asked(&shop.store, &shop.stripe, shop.now().await).await
}

#[tokio::test]
async fn what_was_asked_for_is_written_and_the_rest_is_left_alone() {
    let shop = Shop::open().await;
    agreeing(&shop).await;
    let customer = held(&shop, "customers").await;
    change(&shop, "customers", &customer["id"], &json!({ "name": "Akme", "email": "x@acme.example" })).await;
    compared(&shop).await;
    let now = shop.now().await;
    let found = drift(&shop).await;
    let email = found.iter().find(|one| one.drift.field == "email").expect("found");
    shop.store.ask_to_write_stripe_drift(email.id, OPERATOR, now).await.expect("asked");
    assert_eq!(written(&shop).await.expect("written"), 1);
    let after = held(&shop, "customers").await;
    assert_eq!((&after["email"], &after["name"]), (&json!("owner@acme.example"), &json!("Akme")));
    assert_eq!(drift(&shop).await.len(), 1, "it is off the list at once, and the name is still on it");
    assert_eq!(written(&shop).await.expect("nothing"), 0);

    let product = held(&shop, "products").await;
    change(&shop, "products", &product["id"], &json!({ "name": "X", "active": false })).await;
    let price = held(&shop, "prices").await;
    change(&shop, "prices", &price["id"], &json!({ "nickname": "X", "active": false })).await;
    let meter = held(&shop, "meters").await;
    change(&shop, "meters", &meter["id"], &json!({ "display_name": "X", "status": "inactive" })).await;
    assert_eq!(compared(&shop).await, 7);
    ask(&shop).await;
    assert_eq!(written(&shop).await.expect("written"), 7);
    assert_eq!(compared(&shop).await, 0, "{:?}", drift(&shop).await);
    assert_eq!(held(&shop, "prices").await["id"], price["id"], "none of these takes another price");
    shop.keep_requests("drift-written").await;
}

#[tokio::test]
async fn an_amount_takes_another_price_with_the_lookup_key_and_a_lost_answer_makes_no_third() {
    let shop = Shop::open().await;
    agreeing(&shop).await;
    let old = held(&shop, "prices").await;
    let tiers = json!([{ "up_to": null, "unit_amount_decimal": "0.4", "flat_amount_decimal": null }]);
    change(&shop, "prices", &old["id"], &json!({ "tiers": tiers })).await;
    compared(&shop).await;
    ask(&shop).await;
    shop.control("faults", json!({ "error_after": 100 })).await;
    assert!(written(&shop).await.is_err(), "the answer is lost, and what was asked for waits");
    assert_eq!(drift(&shop).await[0].state, DriftState::Asked);
    shop.control("faults", json!({})).await;
    written(&shop).await.expect("it is there by now");
    assert_eq!(compared(&shop).await, 0);
    let state = shop.state().await;
    let prices = list(&state, "prices");
    assert_eq!(prices.len(), 2);
    assert_eq!(
        (&prices[0]["lookup_key"], &prices[0]["active"]),
        (&json!(null), &json!(true)),
        "subscriptions stay on it"
    );
    assert_eq!(prices[1]["lookup_key"], old["lookup_key"]);
    assert!(makes_another(DriftKind::Price, "tiers") && !makes_another(DriftKind::Price, "nickname"));
}

#[tokio::test]
async fn what_changed_again_meanwhile_is_shown_anew_and_not_written_over() {
    let shop = Shop::open().await;
    agreeing(&shop).await;
    let customer = held(&shop, "customers").await;
    change(&shop, "customers", &customer["id"], &json!({ "name": "Akme" })).await;
    compared(&shop).await;
    ask(&shop).await;
    change(&shop, "customers", &customer["id"], &json!({ "name": "Acme Holding" })).await;
    written(&shop).await.expect("looked");
    assert_eq!(held(&shop, "customers").await["name"], "Acme Holding");
    let left = drift(&shop).await.remove(0);
    assert_eq!((left.state, left.drift.theirs.as_str()), (DriftState::Open, "Acme Holding"));
}

#[tokio::test]
async fn what_stripe_lets_nobody_change_is_refused_with_the_reason_and_can_be_accepted() {
    let shop = Shop::open().await;
    agreeing(&shop).await;
    let meter = held(&shop, "meters").await;
    change(&shop, "meters", &meter["id"], &json!({ "default_aggregation": { "formula": "last" } })).await;
    compared(&shop).await;
    ask(&shop).await;
    written(&shop).await.expect("looked");
    let left = drift(&shop).await.remove(0);
    assert_eq!(left.state, DriftState::Open);
    assert!(left.problem.contains("by hand"), "{}", left.problem);
    assert!(!can_write(DriftKind::Meter, "default_aggregation[formula]") && !can_write(DriftKind::Customer, "only"));
    let now = shop.now().await;
    shop.store.accept_stripe_drift(left.id, "Agreed with the provider", OPERATOR, now).await.expect("accepted");
    assert_eq!(compared(&shop).await, 1);
    assert_eq!(drift(&shop).await[0].state, DriftState::Accepted);
    let standing = shop.store.stripe_comparison().await.expect("a standing");
    assert_eq!((standing.open, standing.accepted), (0, 1));
}

#[tokio::test]
async fn a_deleted_customer_is_made_anew_only_where_somebody_asks() {
    let shop = Shop::open().await;
    let partner = agreeing(&shop).await;
    let customer = held(&shop, "customers").await;
    change(&shop, "customers", &customer["id"], &json!({ "deleted": true })).await;
    shop.reconcile().await;
    assert_eq!(list(&shop.state().await, "customers").len(), 1, "nothing is made by itself");
    compared(&shop).await;
    ask(&shop).await;
    assert_eq!(written(&shop).await.expect("written"), 1);
    let state = shop.state().await;
    let [_, new] = list(&state, "customers") else { panic!("not two") };
    assert_eq!(new["metadata"]["turnpike_partner"], partner.to_string());
    let held = shop.store.stripe_object(partner, "customer").await.expect("asked").expect("an object");
    assert_eq!(held.stripe_id.as_deref(), new["id"].as_str());
    assert_eq!(compared(&shop).await, 0);
}

#[tokio::test]
async fn a_push_tells_what_changed_here_and_leaves_what_somebody_changed_there() {
    let shop = Shop::open().await;
    let partner = agreeing(&shop).await;
    let customer = held(&shop, "customers").await;
    change(&shop, "customers", &customer["id"], &json!({ "email": "books@acme.example" })).await;
    let now = shop.now().await;
    shop.store.rename_partner(partner, "Acme & Söhne", OPERATOR, now).await.expect("renamed");
    assert_eq!(compared(&shop).await, 1, "a name that was not told yet is no difference: {:?}", drift(&shop).await);
    shop.close(now).await;
    shop.reconcile().await;
    let after = held(&shop, "customers").await;
    assert_eq!((&after["name"], &after["email"]), (&json!("Acme & Söhne"), &json!("books@acme.example")));
    change(&shop, "customers", &customer["id"], &json!({ "name": "Acme Group" })).await;
    shop.store.rename_partner(partner, "Acme AG", OPERATOR, now).await.expect("renamed");
    shop.advance(days(31)).await;
    let now = shop.now().await;
    assert_eq!(shop.close(now).await.invoices.len(), 1);
    shop.reconcile().await;
    assert_eq!(held(&shop, "customers").await["name"], "Acme Group", "two changes of one field are for a person");
    assert_eq!(compared(&shop).await, 2);
}

#[tokio::test]
async fn a_price_waits_for_its_product() {
    let shop = Shop::open().await;
    agreeing(&shop).await;
    shop.advance(days(1)).await;
    let price = held(&shop, "prices").await;
    let product = held(&shop, "products").await;
    change(&shop, "prices", &price["id"], &json!({ "lookup_key": null })).await;
    change(&shop, "products", &product["id"], &json!({ "deleted": true })).await;
    compared(&shop).await;
    let now = shop.now().await;
    let missing = drift(&shop).await.into_iter().find(|one| one.drift.kind == DriftKind::Price).expect("found");
    shop.store.ask_to_write_stripe_drift(missing.id, OPERATOR, now).await.expect("asked");
    written(&shop).await.expect("looked");
    let left = drift(&shop).await.into_iter().find(|one| one.drift.kind == DriftKind::Price).expect("still there");
    assert!(left.problem.contains("Write the product first"), "{}", left.problem);
    let unknown = shop.store.ask_to_write_stripe_drift(domain::id::DriftId(uuid::Uuid::nil()), OPERATOR, now).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
}
