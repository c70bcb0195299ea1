//! Subscriptions that we make at Stripe begin and end there whatever waits beside them and whichever answer is lost.

use crate::{
    shop::{Shop, days, hours, list, terms},
    subscribed::{at, bill, change, is_all_billed, minutes, period_end, push, running, subscribe_by_hand},
};
use billing::drift;
use domain::plan_change::When;
use serde_json::{Value, json};
use store::{
    stripe_drift::{DriftFilter, DriftKind},
    stripe_subscriptions::stripe_subscription,
};

fn of(state: &Value, partner: domain::id::PartnerId) -> usize {
    let own = json!(partner.to_string());
    running(state).into_iter().filter(|one| one["metadata"]["turnpike_partner"] == own).count()
}

#[tokio::test]
async fn one_whose_making_was_answered_to_nobody_ends_with_ours() {
    let shop = Shop::impatient().await;
    let metered = shop.plan("metered", terms("meter_events")).await;
    let items = shop.plan("items", terms("invoice_items")).await;
    let since = shop.now().await;
    // Meter, product and price are there already, and so is the customer.
    shop.partner("acme", metered, since).await;
    let partner = shop.partner_without_members("bolt", metered, since).await;
    push(&shop).await;
    assert_eq!(of(&shop.state().await, partner), 0);
    shop.member(partner, "billing@bolt.example").await;
    shop.control("faults", json!({ "only_changes": true, "reset": 100 })).await;
    for _ in 0..2 {
        push(&shop).await;
    }
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    let noted = shop.store.stripe_object(partner, &stripe_subscription(own.id)).await.expect("asked").expect("noted");
    assert_eq!((of(&shop.state().await, partner), noted.stripe_id), (1, None), "made, and nobody knows");
    at(&shop, since + days(2)).await;
    change(&shop, partner, items, When::Usual).await;
    shop.control("faults", json!({})).await;
    let changed = shop.now().await;
    bill(&shop, changed).await;
    assert_eq!(of(&shop.state().await, partner), 0, "it ends there, too");
    let noted = shop.store.stripe_object(partner, &stripe_subscription(own.id)).await.expect("asked").expect("noted");
    assert!(noted.parameters.iter().any(|(name, _)| name == "ended"), "and is not looked for again: {noted:?}");
}

/// Partners whom nobody has joined have nobody to send an invoice to: their subscriptions wait.
#[tokio::test]
async fn a_hundred_that_wait_keep_no_other_from_its_subscription() {
    let shop = Shop::open().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    for number in 0..105 {
        shop.partner_without_members(&format!("waits-{number}"), plan, since).await;
    }
    let partner = shop.partner("acme", plan, since).await;
    for _ in 0..3 {
        push(&shop).await;
        shop.advance(minutes(1)).await;
    }
    let state = shop.state().await;
    assert_eq!((list(&state, "customers").len(), of(&state, partner), running(&state).len()), (106, 1, 1));
}

/// The fee waits for the invoice of a subscription by hand that is cancelled before any unit was about to be sent.
#[tokio::test]
async fn an_item_that_waits_for_an_invoice_by_hand_that_never_comes_is_billed_all_the_same() {
    let shop = Shop::impatient().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    shop.reconcile().await;
    subscribe_by_hand(&shop).await;
    shop.live(partner, since + days(2), &[(1, 700), (2, 2_501)]).await;
    let end = period_end(&shop, partner).await;
    at(&shop, end + minutes(2)).await;
    shop.close(shop.now().await).await;
    // The fee gets there, its answer does not, and nothing after it is tried.
    shop.control("faults", json!({ "only_changes": true, "reset": 100 })).await;
    push(&shop).await;
    shop.control("faults", json!({})).await;
    let state = shop.state().await;
    assert_eq!((list(&state, "invoice_items").len(), list(&state, "meter_events").len()), (1, 0));
    assert!(list(&state, "invoice_items")[0]["invoice"].is_null(), "{state:#}");
    let by_hand = running(&state)[0]["id"].as_str().expect("an id").to_owned();
    let cancelled = json!({ "method": "DELETE", "path": format!("/v1/subscriptions/{by_hand}"), "form": "" });
    shop.control("api", cancelled).await;
    for _ in 0..2 {
        let report = push(&shop).await;
        assert!(report.problems.is_empty(), "{report:?}");
        shop.advance(hours(1)).await;
    }
    is_all_billed(&shop, partner).await;
}

#[tokio::test]
async fn a_price_under_its_former_lookup_key_is_no_drift_of_its_subscription() {
    let shop = Shop::open().await;
    let plan = shop.plan("pay-go", terms("meter_events")).await;
    let since = shop.now().await;
    shop.partner("acme", plan, since).await;
    push(&shop).await;
    let state = shop.state().await;
    let [held] = running(&state)[..] else { panic!("one: {state:#}") };
    let compared = async |key: &str| {
        let mut items = held["items"].clone();
        items["data"][0]["price"]["lookup_key"] = json!(key);
        shop.control("change", json!({ "kind": "subscriptions", "id": held["id"], "set": { "items": items } })).await;
        drift::compare(&shop.store, &shop.stripe, shop.now().await).await.expect("compared");
        let filter = DriftFilter { kind: Some(DriftKind::Subscription), ..DriftFilter::default() };
        let found = shop.store.all_partners_stripe_drift(&filter, None, 50).await.expect("a list").items;
        found.into_iter().map(|one| one.drift.theirs).collect::<Vec<_>>()
    };
    assert_eq!(held["items"]["data"][0]["price"]["lookup_key"], "turnpike_pay-go_1_payments");
    assert_eq!(compared("turnpike_pay_go_1_payments").await, Vec::<String>::new());
    assert_eq!(compared("turnpike_pay_go_2_payments").await, ["turnpike_pay_go_2_payments"], "another version's is");
}
