//! What we rate of a plan whose units Stripe rates: minimum, commitment, discounts and meters are items beside Stripe's own lines, and what
//! is of a trial, an offer's price, a part by the calendar or a fee in advance is an invoice of its own. All together come to our invoices.

use crate::{
    meters::{call, measuring},
    shop::{Shop, days, hours, list},
    subscribed::{at, bill, change, is_all_billed, minutes, period_end, push, subscribe_by_hand},
};
use billing::PushSettings;
use domain::{
    id::{InvoiceId, PartnerId},
    key_text::Environment,
    plan::PlanTerms,
    plan_change::When,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::InvoiceStatus;

/// 20.00 a month and 0.01 a unit, of usage at least 50.00 and a tenth off; 0.002 a token.
fn terms() -> PlanTerms {
    serde_json::from_value(json!({
        "currency": "USD", "products": [{ "product": "payments" }], "base_fee_micros": 20_000_000,
        "price": { "model": "per_unit", "unit_price": "0.01" }, "minimum_micros": 50_000_000,
        "discounts": [{ "name": "Launch", "percent": "10", "on": "usage" }],
        "meters": [{ "product": "payments", "meter": "tokens", "price": { "model": "per_unit", "unit_price": "0.002" } }],
        "collect": "meter_events",
    }))
    .expect("terms")
}

/// A partner on these terms.
async fn founded(shop: &Shop) -> PartnerId {
    let plan = shop.plan("metered", terms()).await;
    shop.partner("acme", plan, shop.now().await).await
}

/// 3,201 units, which are 32.01, and 1,503 tokens, which are 3.01; and when the period ends.
async fn used(shop: &Shop, partner: PartnerId) -> Timestamp {
    let now = shop.now().await;
    shop.live(partner, now + days(2), &[(1, 700), (2, 2_501)]).await;
    call(shop, partner, &(now + days(3)).to_string(), Environment::Live, &[("tokens", 1_503, 0)]).await;
    period_end(shop, partner).await
}

async fn ours(shop: &Shop, partner: PartnerId, invoice: InvoiceId) -> (i64, InvoiceStatus) {
    let held = shop.store.invoice(partner, invoice).await.expect("an invoice").0;
    (held.total.minor_units().expect("whole coins"), held.status)
}

/// Who made each of Stripe's invoices, and what it comes to.
async fn theirs(shop: &Shop) -> Vec<(String, i64)> {
    let state = shop.state().await;
    let one = |held: &Value| {
        (held["billing_reason"].as_str().unwrap_or_default().to_owned(), held["total"].as_i64().unwrap_or(-1))
    };
    list(&state, "invoices").iter().map(one).collect()
}

/// 20.00, and of 35.02 of usage, 14.98 to the minimum, and 5.00 off.
const TOTAL: i64 = 6_500;

#[tokio::test]
async fn minimum_discount_and_meters_are_items_on_stripes_own_invoice() {
    let shop = measuring().await;
    let partner = founded(&shop).await;
    for _ in 0..3 {
        push(&shop).await;
    }
    let end = used(&shop, partner).await;
    let made = bill(&shop, end).await;
    assert_eq!(ours(&shop, partner, made[0]).await, (TOTAL, InvoiceStatus::Sent));
    assert_eq!(theirs(&shop).await, [("subscription_cycle".to_owned(), TOTAL)]);
    assert_eq!(list(&shop.state().await, "meter_events").len(), 2);
    is_all_billed(&shop, partner).await;
    // With next to no usage the minimum is most of it.
    shop.live(partner, shop.now().await, &[(1, 7)]).await;
    let next = period_end(&shop, partner).await;
    let made = bill(&shop, next).await;
    assert_eq!(ours(&shop, partner, made[0]).await.0, TOTAL);
    is_all_billed(&shop, partner).await;
}

#[tokio::test]
async fn what_stripes_invoice_has_missed_of_them_is_billed_once_beside_it() {
    let mut parts = Vec::new();
    for (share, seed) in [(100, 1), (50, 3), (50, 7), (50, 11), (50, 19), (50, 23)] {
        let shop = measuring().await;
        let partner = founded(&shop).await;
        for _ in 0..3 {
            push(&shop).await;
        }
        let end = used(&shop, partner).await;
        at(&shop, end + minutes(2)).await;
        let made = shop.close(shop.now().await).await.invoices;
        shop.control("faults", json!({ "only_changes": true, "error_before": share, "seed": seed })).await;
        push(&shop).await;
        shop.control("faults", json!({ "down": true })).await;
        at(&shop, end + hours(3)).await;
        push(&shop).await;
        shop.control("faults", json!({})).await;
        for _ in 0..3 {
            push(&shop).await;
            shop.advance(hours(1)).await;
        }
        assert_eq!(ours(&shop, partner, made[0]).await.0, TOTAL, "{seed}");
        is_all_billed(&shop, partner).await;
        parts.push(theirs(&shop).await.iter().map(|(_, total)| *total).collect::<Vec<_>>());
    }
    assert_eq!(parts[0], [0, TOTAL]);
    assert!(parts.iter().any(|totals| totals[0] > 0 && totals.len() > 1), "some had got there: {parts:?}");
}

/// Items wait for the next invoice of a subscription by hand: a discount would come a period after what it is taken off.
#[tokio::test]
async fn beside_a_subscription_by_hand_we_rate_what_has_a_minimum_or_a_discount() {
    for has_rules in [true, false] {
        let shop = measuring().await;
        let terms = match has_rules {
            true => terms(),
            false => PlanTerms { minimum_micros: 0, discounts: Vec::new(), ..terms() },
        };
        let plan = shop.plan("metered", terms).await;
        let partner = shop.partner("acme", plan, shop.now().await).await;
        shop.reconcile().await;
        subscribe_by_hand(&shop).await;
        let end = used(&shop, partner).await;
        at(&shop, end + minutes(5)).await;
        let made = shop.close(shop.now().await).await.invoices;
        for _ in 0..2 {
            shop.reconcile_with(PushSettings::default()).await;
        }
        let state = shop.state().await;
        let sum = |kind: &str, field: &str| -> i64 {
            list(&state, kind).iter().filter_map(|held| held[field].as_i64()).sum()
        };
        let (units, items) = (sum("meter_events", "value"), sum("invoice_items", "amount"));
        let (total, _) = ours(&shop, partner, made[0]).await;
        match has_rules {
            true => assert_eq!((units, items, total), (0, TOTAL, TOTAL), "{state:#}"),
            // A cent a unit, the fee and 3.01 for tokens.
            false => assert_eq!((units, items, total), (3_201, 2_301, 5_502), "{state:#}"),
        }
    }
}

/// Those terms, at 0.01 a unit and 20.00 a month without more, with these fields.
fn plain(rest: Value) -> PlanTerms {
    let mut terms = json!({
        "currency": "USD", "products": [{ "product": "payments" }], "base_fee_micros": 20_000_000,
        "price": { "model": "per_unit", "unit_price": "0.01" }, "collect": "meter_events",
    });
    for (field, value) in rest.as_object().expect("a map") {
        terms[field] = value.clone();
    }
    let terms: PlanTerms = serde_json::from_value(terms).expect("terms");
    assert!(terms.problems().is_empty(), "{:?}", terms.problems());
    terms
}

/// Periods that no price of Stripe's is for, and how many units Stripe rates of three periods with 1,000, 1,001 and 1,002.
fn kinds() -> [(&'static str, Value, i64); 6] {
    let dearer = json!({ "price": { "model": "per_unit", "unit_price": "0.05" } });
    let free = json!({ "base_fee_micros": 0 });
    let credit = json!({ "included_credit_micros": 5_000_000 });
    [
        ("a trial", json!({ "trial": { "days": 14 } }), 1_001 + 1_002),
        (
            "a phase of another price",
            json!({ "phases": [{ "name": "Ramp", "periods": 1, "instead": dearer }] }),
            1_001 + 1_002,
        ),
        ("a phase of another fee", json!({ "phases": [{ "name": "Ramp", "periods": 1, "instead": free }] }), 3_003),
        (
            "a phase of credit",
            json!({ "phases": [{ "name": "Ramp", "periods": 1, "instead": credit }] }),
            1_001 + 1_002,
        ),
        ("the calendar", json!({ "periods": "calendar" }), 1_001 + 1_002),
        ("a fee in advance", json!({ "fee_due": "advance" }), 3_003),
    ]
}

#[tokio::test]
async fn what_no_price_of_stripes_is_for_is_rated_by_us_and_the_next_period_by_stripe() {
    for (kind, rest, rated) in kinds() {
        let shop = Shop::open().await;
        let plan = shop.plan("metered", plain(rest)).await;
        let partner = shop.partner("acme", plan, shop.now().await).await;
        shop.close(shop.now().await).await;
        for _ in 0..3 {
            push(&shop).await;
        }
        for units in [1_000, 1_001, 1_002] {
            shop.live(partner, shop.now().await + hours(6), &[(1, units)]).await;
            let end = period_end(&shop, partner).await;
            bill(&shop, end).await;
            is_all_billed(&shop, partner).await;
        }
        let state = shop.state().await;
        let units: i64 = list(&state, "meter_events").iter().filter_map(|event| event["value"].as_i64()).sum();
        assert_eq!(units, rated, "{kind}");
    }
}

#[tokio::test]
async fn beside_a_subscription_by_hand_they_are_rated_by_us_too() {
    for (kind, rest, rated) in kinds() {
        let shop = Shop::open().await;
        let plan = shop.plan("metered", plain(rest)).await;
        let partner = shop.partner("acme", plan, shop.now().await).await;
        shop.reconcile_with(PushSettings::default()).await;
        subscribe_by_hand(&shop).await;
        let mut all = 0;
        for units in [1_000, 1_001, 1_002] {
            shop.close(shop.now().await).await;
            shop.live(partner, shop.now().await + hours(6), &[(1, units)]).await;
            let end = period_end(&shop, partner).await;
            at(&shop, end + minutes(5)).await;
            shop.close(shop.now().await).await;
            for _ in 0..2 {
                shop.reconcile_with(PushSettings::default()).await;
                shop.advance(minutes(20)).await;
            }
            all += units;
        }
        let state = shop.state().await;
        let sum = |kind: &str, field: &str| -> i64 {
            list(&state, kind).iter().filter_map(|held| held[field].as_i64()).sum()
        };
        let (units, items) = (sum("meter_events", "value"), sum("invoice_items", "amount"));
        assert_eq!(units, rated, "{kind} of {all}");
        let ours = shop.store.invoices(partner).await.expect("invoices");
        let total: i64 = ours.iter().filter_map(|invoice| invoice.total.minor_units()).sum();
        assert_eq!(units + items, total, "at a cent a unit, {kind}: {ours:#?}");
    }
}

/// The subscription there may be cancelled before it makes another invoice.
#[tokio::test]
async fn a_fee_that_is_given_back_does_not_wait_for_an_invoice_by_hand() {
    let shop = Shop::open().await;
    let ahead = shop.plan("ahead", plain(json!({ "fee_due": "advance" }))).await;
    let other = shop.plan("other", plain(json!({}))).await;
    let start = shop.now().await;
    let partner = shop.partner("acme", ahead, start).await;
    shop.reconcile_with(PushSettings::default()).await;
    subscribe_by_hand(&shop).await;
    shop.close(start).await;
    shop.live(partner, start + days(2), &[(1, 1_000)]).await;
    at(&shop, start + days(10)).await;
    change(&shop, partner, other, When::AtOnce).await;
    shop.advance(hours(2)).await;
    shop.close(shop.now().await).await;
    for _ in 0..2 {
        shop.reconcile_with(PushSettings::default()).await;
    }
    let state = shop.state().await;
    let back: Vec<&Value> = list(&state, "invoice_items")
        .iter()
        .filter(|item| item["amount"].as_i64().is_some_and(|cents| cents < 0))
        .collect();
    assert!(back.len() == 1 && !back[0]["invoice"].is_null(), "{back:#?}");
    assert_eq!(list(&state, "meter_events").len(), 0, "units of the same invoice");
}
