//! Usage that reaches Stripe after its invoice of the period is final is on the next one as an item, and on none twice.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{PushSettings, Reconciled};
use domain::{
    id::{InvoiceId, PartnerId},
    rating::LineKind,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// A partner with a metered plan whose month of 3,201 units ended `ago`.
async fn billed(shop: &Shop, ago: SignedDuration) -> (PartnerId, InvoiceId) {
    let now = shop.now().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let started = (now - ago).to_zoned(jiff::tz::TimeZone::UTC);
    let started = started.checked_sub(jiff::Span::new().months(1)).expect("a month before").timestamp();
    let partner = shop.partner("acme", plan, started).await;
    shop.live(partner, started + days(2), &[(1, 700), (2, 2_501)]).await;
    let invoices = shop.close(now).await.invoices;
    (partner, invoices[0])
}

async fn push(shop: &Shop) -> Reconciled {
    shop.reconcile_with(PushSettings::default()).await
}

/// Units on the meter, and the amounts of items.
async fn at_stripe(shop: &Shop) -> (Vec<i64>, Vec<i64>) {
    let state = shop.state().await;
    let numbers = |kind: &str, field: &str| {
        let mut all: Vec<_> = list(&state, kind).iter().filter_map(|one| one[field].as_i64()).collect();
        all.sort_unstable();
        all
    };
    (numbers("meter_events", "value"), numbers("invoice_items", "amount"))
}

#[tokio::test]
async fn a_partner_whose_plan_stripe_rates_is_a_customer_before_its_first_period_ends() {
    let shop = Shop::open().await;
    let (metered, items) =
        (shop.plan("metered", terms("meter_events")).await, shop.plan("items", terms("invoice_items")).await);
    let since = shop.now().await - days(1);
    let partner = shop.partner("acme", metered, since).await;
    shop.partner("bolt", items, since).await;
    push(&shop).await;
    push(&shop).await;
    let state = shop.state().await;
    let customers: Vec<&Value> =
        list(&state, "customers").iter().map(|one| &one["metadata"]["turnpike_partner"]).collect();
    assert_eq!(customers, [&json!(partner.to_string())]);
}

#[tokio::test]
async fn usage_goes_to_the_meter_as_long_as_stripes_invoice_is_open() {
    let shop = Shop::open().await;
    let (_, invoice) = billed(&shop, SignedDuration::from_mins(20)).await;
    assert_eq!(push(&shop).await.pushed, [invoice]);
    assert_eq!(at_stripe(&shop).await, (vec![700, 2_501], vec![4_900]));
}

#[tokio::test]
async fn usage_of_a_period_that_is_final_at_stripe_is_an_item_of_the_next_invoice() {
    for ago in [SignedDuration::from_mins(46), days(20)] {
        let shop = Shop::open().await;
        let (_, invoice) = billed(&shop, ago).await;
        assert_eq!(push(&shop).await.pushed, [invoice]);
        assert!(push(&shop).await.pushed.is_empty());
        // The fee, each operation at the amount of its line, and the included credit, which Stripe does not take off items.
        let (meters, items) = at_stripe(&shop).await;
        assert_eq!((meters, items.iter().sum::<i64>(), items.len()), (vec![], 5_501, 4), "{ago}");
        let state = shop.state().await;
        let named = |item: &&Value| {
            item["description"]
                .as_str()
                .is_some_and(|text| text.starts_with("Previous period, ") && text.contains("2,501"))
        };
        assert_eq!(list(&state, "invoice_items").iter().filter(named).count(), 1);
    }
}

#[tokio::test]
async fn an_event_that_came_before_the_outage_is_no_item_after_it() {
    let shop = Shop::impatient().await;
    billed(&shop, SignedDuration::from_mins(20)).await;
    // Answers are lost: what Stripe has is not known when it is late.
    shop.control("faults", json!({ "reset": 40, "seed": 5 })).await;
    while at_stripe(&shop).await.0.is_empty() {
        push(&shop).await;
    }
    shop.control("faults", json!({ "down": true })).await;
    push(&shop).await;
    shop.advance(hours(26)).await;
    assert!(push(&shop).await.pushed.is_empty());
    shop.control("faults", json!({})).await;
    push(&shop).await;
    let (counted, items) = at_stripe(&shop).await;
    let of_items = items.iter().filter(|amount| [0, 1_101].contains(*amount)).count();
    assert_eq!(counted.len() + of_items, 2, "each operation once: {counted:?} {items:?}");
    assert!(
        shop.store.all_partners_invoices_to_push(true, shop.now().await, hours(0), 1).await.expect("asked").is_empty()
    );
}

#[tokio::test]
async fn an_event_that_was_sent_again_just_before_it_was_late_is_waited_for() {
    let shop = Shop::open().await;
    let (partner, invoice) = billed(&shop, SignedDuration::from_mins(34)).await;
    let (_, lines) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    let of_usage = lines.iter().filter(|line| line.kind == LineKind::Usage);
    let events: Vec<String> = of_usage.map(|line| format!("meter_event:{invoice}:{}", line.position)).collect();
    for event in &events {
        let parameters = vec![("identifier".to_owned(), event.clone())];
        shop.store.begin_stripe_object(partner, event, 1, &parameters, shop.now().await).await.expect("begun");
    }
    // The first try is old enough to be summed up, and the last one is not: its answer was lost.
    shop.advance(SignedDuration::from_mins(10)).await;
    for event in &events {
        shop.store.send_stripe_object(partner, event, shop.now().await).await.expect("noted");
    }
    shop.advance(SignedDuration::from_mins(2)).await;
    let report = push(&shop).await;
    assert_eq!((report.pushed, report.waiting), (vec![], 1));
    let usage = [0, 350, 1_101];
    assert!(!at_stripe(&shop).await.1.iter().any(|amount| usage.contains(amount)));
    shop.advance(SignedDuration::from_mins(10)).await;
    assert_eq!(push(&shop).await.pushed, [invoice]);
    assert_eq!(at_stripe(&shop).await.0, Vec::<i64>::new());
}
