//! Customers who are moved from a subscription by hand to ours or back, and subscriptions that do not bill: each unit is billed once.

use crate::{
    shop::{Shop, days, list, terms},
    subscribed::{at, bill, is_all_billed, minutes, period_end, push, running, subscribe_by_hand},
};
use billing::Reconciled;
use domain::{id::PartnerId, rating::LineKind};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::InvoiceStatus;

const UNITS: [(usize, u64); 2] = [(1, 700), (2, 2_501)];

/// Ends with the period that runs.
async fn ends_with_period(shop: &Shop, id: &Value) {
    let path = format!("/v1/subscriptions/{}", id.as_str().expect("an id"));
    shop.control("api", json!({ "method": "POST", "path": path, "form": "cancel_at_period_end=true" })).await;
}

async fn cancel(shop: &Shop, id: &Value) {
    let path = format!("/v1/subscriptions/{}", id.as_str().expect("an id"));
    shop.control("api", json!({ "method": "DELETE", "path": path, "form": "" })).await;
}

fn by_hand(state: &Value) -> &Value {
    let found = list(state, "subscriptions").iter().find(|held| held["metadata"]["turnpike_subscription"].is_null());
    found.expect("one by hand")
}

fn ours(state: &Value) -> &Value {
    let found = list(state, "subscriptions").iter().find(|held| !held["metadata"]["turnpike_subscription"].is_null());
    found.expect("one of ours")
}

/// By either setting.
async fn run(shop: &Shop, makes_ours: bool) -> Reconciled {
    match makes_ours {
        true => push(shop).await,
        false => shop.reconcile().await,
    }
}

/// A partner of a plan that Stripe rates, and when its period began.
async fn partner(shop: &Shop) -> (PartnerId, Timestamp) {
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    (shop.partner("acme", plan, since).await, since)
}

/// A period with one of ours and one by hand, of which `which` ends with it: whose, and when.
async fn billed_once(shop: &Shop, which: fn(&Value) -> &Value) -> (PartnerId, Timestamp) {
    let (partner, since) = partner(shop).await;
    for _ in 0..2 {
        push(shop).await;
    }
    subscribe_by_hand(shop).await;
    let state = shop.state().await;
    assert_eq!(running(&state).len(), 2);
    ends_with_period(shop, &which(&state)["id"]).await;
    shop.live(partner, since + days(2), &UNITS).await;
    let end = period_end(shop, partner).await;
    bill(shop, end).await;
    let state = shop.state().await;
    assert_eq!((running(&state).len(), list(&state, "meter_events").len()), (1, 0), "{state:#}");
    is_all_billed(shop, partner).await;
    (partner, end)
}

#[tokio::test]
async fn one_by_hand_that_ends_with_the_period_of_ours_bills_nothing_again() {
    let shop = Shop::open().await;
    let (partner, end) = billed_once(&shop, by_hand).await;
    // From then on ours is alone.
    shop.live(partner, end + days(2), &UNITS).await;
    let next = period_end(&shop, partner).await;
    bill(&shop, next).await;
    assert_eq!(list(&shop.state().await, "meter_events").len(), 2);
    is_all_billed(&shop, partner).await;
}

#[tokio::test]
async fn one_of_ours_that_ends_with_the_period_of_one_by_hand_bills_nothing_again() {
    let shop = Shop::open().await;
    billed_once(&shop, ours).await;
}

#[tokio::test]
async fn what_one_by_hand_does_not_bill_is_billed_by_us() {
    let wrong =
        [json!({ "status": "incomplete" }), json!({ "status": "paused" }), json!({ "start_date": 4_000_000_000_i64 })];
    for (set, makes_ours) in wrong.iter().flat_map(|set| [(set, false), (set, true)]) {
        let shop = Shop::open().await;
        let (partner, since) = partner(&shop).await;
        shop.reconcile().await;
        subscribe_by_hand(&shop).await;
        let id = by_hand(&shop.state().await)["id"].clone();
        shop.control("change", json!({ "kind": "subscriptions", "id": id, "set": set })).await;
        shop.live(partner, since + days(2), &UNITS).await;
        let end = period_end(&shop, partner).await;
        at(&shop, end + minutes(2)).await;
        let made = shop.close(shop.now().await).await.invoices;
        let report = run(&shop, makes_ours).await;
        assert!(report.problems.is_empty(), "{report:?}");
        let state = shop.state().await;
        assert_eq!(list(&state, "meter_events").len(), 0, "{set}");
        let open: Vec<i64> = list(&state, "invoices")
            .iter()
            .filter(|held| held["status"] == "open")
            .filter_map(|held| held["total"].as_i64())
            .collect();
        let ours = shop.store.invoice(partner, made[0]).await.expect("an invoice").0;
        assert_eq!((ours.total.minor_units(), ours.status), (open.first().copied(), InvoiceStatus::Sent), "{set}");
    }
}

/// Their events are noted, Stripe takes none of them, and somebody cancels the subscription that would have billed them.
#[tokio::test]
async fn units_that_nobody_bills_any_more_are_billed_by_us() {
    for makes_ours in [false, true] {
        let shop = Shop::open().await;
        let (partner, since) = partner(&shop).await;
        shop.reconcile().await;
        subscribe_by_hand(&shop).await;
        shop.live(partner, since + days(2), &UNITS).await;
        let end = period_end(&shop, partner).await;
        at(&shop, end + minutes(2)).await;
        let made = shop.close(shop.now().await).await.invoices;
        // Looks are answered; what changes something is not done.
        shop.control("faults", json!({ "only_changes": true, "error_before": 100 })).await;
        run(&shop, makes_ours).await;
        shop.control("faults", json!({})).await;
        // The fee's item is noted, and so is an event.
        shop.store
            .begin_stripe_object(partner, &format!("meter_event:{}:1", made[0]), 1, &vec![], shop.now().await)
            .await
            .expect("noted");
        cancel(&shop, &by_hand(&shop.state().await)["id"]).await;
        for _ in 0..3 {
            let report = run(&shop, makes_ours).await;
            assert!(report.problems.is_empty(), "{report:?}");
            shop.advance(minutes(12)).await;
        }
        let state = shop.state().await;
        assert_eq!(list(&state, "meter_events").len(), 0, "{state:#}");
        is_all_billed(&shop, partner).await;
    }
}

/// Where subscriptions are the provider's, too: two of them would bill everything twice, and the fee of one that ends would wait for ever.
#[tokio::test]
async fn one_by_hand_that_ends_beside_another_or_alone_leaves_the_period_to_us() {
    for has_another in [false, true] {
        let shop = Shop::open().await;
        let (partner, since) = partner(&shop).await;
        shop.reconcile().await;
        subscribe_by_hand(&shop).await;
        let first = by_hand(&shop.state().await)["id"].clone();
        ends_with_period(&shop, &first).await;
        if has_another {
            let state = shop.state().await;
            let price = by_hand(&state)["items"]["data"][0]["price"]["id"].as_str().expect("an id");
            let customer = list(&state, "customers")[0]["id"].as_str().expect("an id");
            let form = format!("customer={customer}&items[0][price]={price}");
            shop.control("api", json!({ "method": "POST", "path": "/v1/subscriptions", "form": form })).await;
        }
        shop.live(partner, since + days(2), &UNITS).await;
        let end = period_end(&shop, partner).await;
        at(&shop, end + minutes(2)).await;
        shop.close(shop.now().await).await;
        for _ in 0..3 {
            let report = shop.reconcile().await;
            assert!(report.problems.is_empty(), "{report:?}");
            shop.advance(minutes(70)).await;
        }
        assert_eq!(list(&shop.state().await, "meter_events").len(), 0);
        is_all_billed(&shop, partner).await;
        if !has_another {
            // Nor does anything bill what comes after.
            shop.live(partner, end + days(2), &UNITS).await;
            let next = period_end(&shop, partner).await;
            at(&shop, next + minutes(2)).await;
            shop.close(shop.now().await).await;
            for _ in 0..2 {
                shop.reconcile().await;
                shop.advance(minutes(70)).await;
            }
            assert_eq!(list(&shop.state().await, "meter_events").len(), 0);
            is_all_billed(&shop, partner).await;
        }
    }
}

/// One event is known to have arrived, one is noted, and the subscription is cancelled in between.
#[tokio::test]
async fn what_a_meter_has_counted_already_is_left_to_it_and_told_for_good() {
    let shop = Shop::open().await;
    let (partner, since) = partner(&shop).await;
    shop.reconcile().await;
    subscribe_by_hand(&shop).await;
    shop.live(partner, since + days(2), &UNITS).await;
    let end = period_end(&shop, partner).await;
    at(&shop, end + minutes(2)).await;
    let made = shop.close(shop.now().await).await.invoices;
    let (ours, lines) = shop.store.invoice(partner, made[0]).await.expect("an invoice");
    let usage: Vec<_> = lines.iter().filter(|line| line.kind == LineKind::Usage).collect();
    for (place, line) in usage.iter().enumerate() {
        let subject = format!("meter_event:{}:{}", ours.id, line.position);
        let now = shop.now().await;
        shop.store.begin_stripe_object(partner, &subject, 1, &vec![], now).await.expect("noted");
        if place == 1 {
            shop.store.finish_stripe_object(partner, &subject, "arrived", now).await.expect("known");
        }
    }
    cancel(&shop, &by_hand(&shop.state().await)["id"]).await;
    for _ in 0..2 {
        shop.reconcile().await;
        shop.advance(minutes(12)).await;
    }
    let state = shop.state().await;
    let own = list(&state, "invoices").iter().find(|held| held["metadata"]["turnpike_invoice"] == ours.id.to_string());
    let coins = |micros: i64| micros / 10_000;
    let credit: i64 =
        lines.iter().filter(|line| line.kind == LineKind::IncludedCredit).map(|line| line.amount.micros).sum();
    // What the meter's subscription bills, with the credit taken off it there.
    let there = (usage[1].amount.micros + credit).max(0);
    assert_eq!(own.map(|held| &held["total"]), Some(&json!(coins(ours.total.micros - there))), "{lines:#?}");
    for _ in 0..3 {
        let held = shop.store.invoice(partner, ours.id).await.expect("an invoice").0;
        let told = held.push_problem.clone().unwrap_or_else(|| panic!("nothing is told: {held:?}"));
        assert!(told.contains("have counted 2,501 of the units") && held.status == InvoiceStatus::Sent, "{told}");
        shop.advance(minutes(90)).await;
        shop.reconcile().await;
    }
}
