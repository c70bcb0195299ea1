//! Stripe's own invoice of a period is final before it has all that is ours: what it has missed is billed once, on an invoice of the same period,
//! and ours is paid when both are.

use crate::{
    shop::{Shop, days, hours, list, terms},
    subscribed::{at, bill, change, is_all_billed, larger, minutes, period_end, push, running},
};
use domain::{
    id::{InvoiceId, PartnerId},
    plan_change::When,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Invoice, InvoiceStatus};

/// A partner with 3,201 units in a period that has just ended, which is closed.
async fn closed(shop: &Shop) -> (PartnerId, InvoiceId, Timestamp) {
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    for _ in 0..2 {
        push(shop).await;
    }
    shop.live(partner, since + days(2), &[(1, 700), (2, 2_501)]).await;
    let end = period_end(shop, partner).await;
    at(shop, end + minutes(2)).await;
    let made = shop.close(shop.now().await).await.invoices;
    (partner, made[0], end)
}

async fn ours(shop: &Shop, partner: PartnerId, invoice: InvoiceId) -> Invoice {
    shop.store.invoice(partner, invoice).await.expect("an invoice").0
}

/// Stripe's invoices: who made them, what they come to, and where they stand.
async fn theirs(shop: &Shop) -> Vec<(String, i64, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let state = shop.state().await;
    let all = list(&state, "invoices").iter();
    all.map(|one| (text(&one["billing_reason"]), one["total"].as_i64().unwrap_or(-1), text(&one["status"]))).collect()
}

/// Somebody does something at Stripe.
async fn by_hand(shop: &Shop, path: &str, form: &str) {
    shop.control("api", json!({ "method": "POST", "path": path, "form": form })).await;
}

/// The only draft that Stripe has made.
async fn draft(shop: &Shop) -> String {
    let state = shop.state().await;
    let held =
        list(&state, "invoices").iter().find(|one| one["status"] == "draft" && one["billing_reason"] != "manual");
    held.and_then(|held| held["id"].as_str()).expect("a draft").to_owned()
}

#[tokio::test]
async fn an_outage_after_stripes_draft_was_chosen_leaves_nothing_to_the_next_invoice() {
    for outage in [minutes(70), hours(72)] {
        let shop = Shop::open().await;
        let (partner, invoice, end) = closed(&shop).await;
        // The draft is seen and noted, and nothing gets onto it.
        shop.control("faults", json!({ "only_changes": true, "error_before": 100 })).await;
        assert_eq!(push(&shop).await.pushed, []);
        at(&shop, end + outage).await;
        assert_eq!(theirs(&shop).await, [("subscription_cycle".to_owned(), 0, "paid".to_owned())]);
        shop.control("faults", json!({})).await;
        let report = push(&shop).await;
        assert_eq!((report.pushed, report.problems), (vec![invoice], vec![]));
        is_all_billed(&shop, partner).await;
        for _ in 0..3 {
            shop.advance(hours(2)).await;
            push(&shop).await;
        }
        let manual = ("manual".to_owned(), 5_501, "open".to_owned());
        assert_eq!(theirs(&shop).await[1..], [manual], "the rest of it, and once");
        assert_eq!(
            ours(&shop, partner, invoice).await.status,
            InvoiceStatus::Sent,
            "Stripe's empty one is paid, and ours is not"
        );
        let (rest, _) = shop.at_stripe(invoice).await;
        shop.control("invoices", json!({ "invoice": rest["id"], "step": "pay" })).await;
        shop.advance(hours(2)).await;
        push(&shop).await;
        assert_eq!(ours(&shop, partner, invoice).await.status, InvoiceStatus::Paid);
        // The next period is Stripe's again, and has nothing of this one.
        shop.live(partner, shop.now().await, &[(0, 1_001)]).await;
        let next = period_end(&shop, partner).await;
        bill(&shop, next).await;
        is_all_billed(&shop, partner).await;
    }
}

/// What is on Stripe's invoice by then stays there, and included units and credit count once over both.
#[tokio::test]
async fn what_has_got_there_before_the_outage_is_not_billed_again() {
    let mut parts = Vec::new();
    for seed in [3, 7, 11, 19, 23] {
        let shop = Shop::impatient().await;
        let (partner, invoice, end) = closed(&shop).await;
        let faults = json!({ "only_changes": true, "error_before": 50, "reset": 15, "error_after": 15, "seed": seed });
        shop.control("faults", faults).await;
        push(&shop).await;
        shop.control("faults", json!({ "down": true })).await;
        at(&shop, end + hours(3)).await;
        push(&shop).await;
        shop.control("faults", json!({})).await;
        for _ in 0..3 {
            push(&shop).await;
            shop.advance(hours(1)).await;
        }
        is_all_billed(&shop, partner).await;
        for one in list(&shop.state().await, "invoices") {
            if one["status"] == "open" {
                shop.control("invoices", json!({ "invoice": one["id"], "step": "pay" })).await;
            }
        }
        shop.advance(hours(2)).await;
        push(&shop).await;
        assert_eq!(ours(&shop, partner, invoice).await.status, InvoiceStatus::Paid, "{seed}");
        parts.push(theirs(&shop).await.iter().map(|(_, total, _)| *total).collect::<Vec<_>>());
    }
    assert!(parts.iter().any(|totals| totals[0] > 0), "something had got there: {parts:?}");
    assert!(parts.iter().any(|totals| totals.len() > 1), "something had not: {parts:?}");
}

#[tokio::test]
async fn one_of_two_that_was_made_void_at_stripe_does_not_make_ours_paid() {
    let shop = Shop::open().await;
    let (partner, invoice, end) = closed(&shop).await;
    shop.control("faults", json!({ "only_changes": true, "error_before": 100 })).await;
    push(&shop).await;
    shop.control("faults", json!({})).await;
    // The fee is there in time, and the units are not.
    let settings = billing::PushSettings { makes_subscriptions: true, meters_open: minutes(1), ..Default::default() };
    shop.reconcile_with(settings).await;
    at(&shop, end + hours(2)).await;
    shop.reconcile_with(settings).await;
    assert_eq!(theirs(&shop).await.iter().map(|one| one.1).collect::<Vec<_>>(), [4_400, 1_101]);
    let state = shop.state().await;
    for (one, step) in list(&state, "invoices").iter().zip(["pay", "void"]) {
        shop.control("invoices", json!({ "invoice": one["id"], "step": step })).await;
    }
    shop.advance(hours(2)).await;
    shop.reconcile_with(settings).await;
    assert_eq!(ours(&shop, partner, invoice).await.status, InvoiceStatus::Uncollectible);
}

#[tokio::test]
async fn a_draft_that_nobody_makes_final_is_told_and_takes_everything_all_the_same() {
    let shop = Shop::open().await;
    let (partner, invoice, _) = closed(&shop).await;
    let held = draft(&shop).await;
    by_hand(&shop, &format!("/v1/invoices/{held}"), "auto_advance=false").await;
    for _ in 0..3 {
        push(&shop).await;
        let told = ours(&shop, partner, invoice).await;
        assert_eq!(told.status, InvoiceStatus::Sent);
        assert!(told.push_problem.expect("told").contains("make it final at Stripe"));
        shop.advance(hours(2)).await;
    }
    by_hand(&shop, &format!("/v1/invoices/{held}/finalize"), "").await;
    shop.advance(hours(2)).await;
    push(&shop).await;
    is_all_billed(&shop, partner).await;
    assert_eq!(theirs(&shop).await, [("subscription_cycle".to_owned(), 5_501, "open".to_owned())]);
}

#[tokio::test]
async fn units_that_wait_for_a_draft_that_nobody_makes_final_are_told() {
    let shop = Shop::open().await;
    let (partner, invoice, end) = closed(&shop).await;
    let held = draft(&shop).await;
    by_hand(&shop, &format!("/v1/invoices/{held}"), "auto_advance=false").await;
    // It is chosen, and then nothing gets through until it is too late for the meters.
    shop.control("faults", json!({ "only_changes": true, "error_before": 100 })).await;
    push(&shop).await;
    shop.control("faults", json!({})).await;
    at(&shop, end + minutes(50)).await;
    let report = push(&shop).await;
    assert!(report.problems.iter().any(|(of, told)| *of == invoice && told.contains("make it final")), "{report:?}");
    assert_eq!(ours(&shop, partner, invoice).await.status, InvoiceStatus::Open);
    by_hand(&shop, &format!("/v1/invoices/{held}/finalize"), "").await;
    push(&shop).await;
    is_all_billed(&shop, partner).await;
}

#[tokio::test]
async fn a_draft_with_nothing_of_ours_that_stays_one_holds_no_ending_up() {
    let shop = Shop::open().await;
    let (partner, _, end) = closed(&shop).await;
    let held = draft(&shop).await;
    by_hand(&shop, &format!("/v1/invoices/{held}"), "auto_advance=false").await;
    // Its prices are not ours any more: we rate the period.
    let price = list(&shop.state().await, "prices")[0]["id"].clone();
    shop.control("change", json!({ "kind": "prices", "id": price, "set": { "billing_scheme": "per_unit" } })).await;
    push(&shop).await;
    shop.control("change", json!({ "kind": "prices", "id": price, "set": { "billing_scheme": "tiered" } })).await;
    let before = running(&shop.state().await)[0]["id"].clone();
    at(&shop, end + days(3)).await;
    change(&shop, partner, shop.plan("larger", larger()).await, When::Usual).await;
    let changed = shop.now().await;
    bill(&shop, changed).await;
    assert!(running(&shop.state().await).iter().all(|one| one["id"] != before), "it has ended");
}

/// Stripe puts whatever waits onto its invoice of the period: that is no difference in what the period comes to.
#[tokio::test]
async fn somebody_elses_item_on_stripes_invoice_is_no_difference() {
    let shop = Shop::open().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    push(&shop).await;
    let customer = list(&shop.state().await, "customers")[0]["id"].as_str().expect("an id").to_owned();
    by_hand(&shop, "/v1/invoiceitems", &format!("customer={customer}&amount=777&currency=usd")).await;
    shop.live(partner, since + days(2), &[(1, 700), (2, 2_501)]).await;
    let end = period_end(&shop, partner).await;
    let made = bill(&shop, end).await;
    assert_eq!(theirs(&shop).await, [("subscription_cycle".to_owned(), 5_501 + 777, "open".to_owned())]);
    assert_eq!(ours(&shop, partner, made[0]).await.push_problem, None);
}
