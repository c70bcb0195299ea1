//! Subscriptions that we make at Stripe: what it bills by them, and what we rate beside them, is what our invoices say, and nothing twice.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{News, PushSettings, Recipient, Reconciled, Wanted, drift, order_change, preview_change};
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId},
    plan::PlanTerms,
    plan_change::When,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use store::{
    Actor, InvoiceStatus, NewMail, NewPartner, OrderedBy, Wish,
    stripe_drift::{DriftFilter, DriftKind},
};

pub async fn push(shop: &Shop) -> Reconciled {
    shop.reconcile_with(PushSettings { makes_subscriptions: true, ..PushSettings::default() }).await
}

pub fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// 99.00 a month with 2,000 units, then a quarter of a cent each.
pub fn larger() -> PlanTerms {
    serde_json::from_value(json!({
        "currency": "USD", "products": [{ "product": "payments" }], "base_fee_micros": 99_000_000,
        "price": { "model": "graduated", "steps": [{ "up_to": 2000, "unit_price": "0" }, { "unit_price": "0.0025" }] },
        "collect": "meter_events",
    }))
    .expect("terms")
}

/// Moves to an instant, and lets everything happen that is due by then.
pub async fn at(shop: &Shop, instant: Timestamp) {
    let now = shop.now().await;
    if instant > now {
        shop.advance(instant.duration_since(now)).await;
    }
}

pub async fn period_end(shop: &Shop, partner: PartnerId) -> Timestamp {
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    own.cycle().period_at(shop.now().await).expect("a period").end
}

/// Closes and tells Stripe as a server does after the end of a period, until Stripe's invoice is final and followed.
pub async fn bill(shop: &Shop, end: Timestamp) -> Vec<InvoiceId> {
    at(shop, end + minutes(2)).await;
    push(shop).await;
    let made = shop.close(shop.now().await).await.invoices;
    push(shop).await;
    for _ in 0..3 {
        shop.advance(minutes(70)).await;
        let report = push(shop).await;
        assert!(report.problems.is_empty(), "{report:?}");
    }
    made
}

/// Everything of ours is on final invoices of Stripe's, and nothing else is.
pub async fn is_all_billed(shop: &Shop, partner: PartnerId) {
    let ours = shop.store.invoices(partner).await.expect("invoices");
    let state = shop.state().await;
    let total = |status: &str| -> i64 {
        let of = list(&state, "invoices").iter().filter(|held| held["status"] == status);
        of.filter_map(|held| held["total"].as_i64()).sum()
    };
    let waiting: Vec<&Value> = list(&state, "invoice_items").iter().filter(|item| item["invoice"].is_null()).collect();
    assert!(waiting.is_empty(), "{waiting:?}");
    let sum: i64 = ours.iter().filter_map(|invoice| invoice.total.minor_units()).sum();
    assert_eq!((total("open") + total("paid"), total("draft")), (sum, 0), "{ours:#?}");
    for invoice in &ours {
        assert_eq!((invoice.status == InvoiceStatus::Open, &invoice.push_problem), (false, &None), "{invoice:?}");
    }
}

fn letter(to: &Recipient, news: &News) -> NewMail {
    let subject = format!("{news:?}");
    NewMail { recipient: to.email.clone(), subject, body_text: String::new(), body_html: String::new() }
}

pub async fn change(shop: &Shop, partner: PartnerId, version: PlanVersionId, when: When) {
    let wanted = Wanted { wish: Wish::Version(version), when, by: OrderedBy::Operator };
    let now = shop.now().await;
    let proposal = preview_change(&shop.store, partner, wanted, now).await.expect("a preview");
    order_change(&shop.store, partner, wanted, &proposal.token, &letter, Actor::System, now).await.expect("made");
}

pub fn running(state: &Value) -> Vec<&Value> {
    list(state, "subscriptions").iter().filter(|held| held["status"] == "active").collect()
}

#[tokio::test]
async fn stripe_rates_a_whole_period_by_a_subscription_of_ours_and_its_payment_is_followed() {
    let shop = Shop::open().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    for _ in 0..3 {
        push(&shop).await;
    }
    let end = period_end(&shop, partner).await;
    let state = shop.state().await;
    let [made] = running(&state)[..] else { panic!("one subscription: {state:#}") };
    let prices: Vec<&Value> = list(&state, "prices").iter().map(|price| &price["lookup_key"]).collect();
    assert_eq!(prices, [&json!("turnpike_metered_1_payments")]);
    assert_eq!(made["items"]["data"][0]["current_period_end"], json!(end.as_second()));
    assert_eq!(made["metadata"]["turnpike_partner"], json!(partner.to_string()));
    shop.live(partner, since + days(2), &[(1, 700), (2, 2_501)]).await;
    let invoices = bill(&shop, end).await;
    let state = shop.state().await;
    assert_eq!(list(&state, "meter_events").len(), 2);
    let billed: Vec<&Value> = list(&state, "invoices").iter().collect();
    let [billed] = billed[..] else { panic!("one invoice: {billed:#?}") };
    assert_eq!((&billed["total"], &billed["status"]), (&json!(5_501), &json!("open")));
    is_all_billed(&shop, partner).await;
    let ours = shop.store.invoice(partner, invoices[0]).await.expect("an invoice").0;
    assert_eq!(ours.status, InvoiceStatus::Sent);
    shop.control("invoices", json!({ "invoice": billed["id"], "step": "pay" })).await;
    shop.advance(hours(2)).await;
    push(&shop).await;
    let ours = shop.store.invoice(partner, invoices[0]).await.expect("an invoice").0;
    assert_eq!(ours.status, InvoiceStatus::Paid);
    // The next period is Stripe's by the same subscription.
    shop.live(partner, end + days(3), &[(0, 1_001)]).await;
    let next = period_end(&shop, partner).await;
    bill(&shop, next).await;
    assert_eq!(list(&shop.state().await, "meter_events").len(), 3);
    is_all_billed(&shop, partner).await;
    shop.keep_requests("subscribed").await;
}

#[tokio::test]
async fn a_change_of_plan_within_a_period_loses_nothing_and_bills_nothing_twice() {
    let shop = Shop::open().await;
    let small = shop.plan("metered", terms("meter_events")).await;
    let large = shop.plan("larger", larger()).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", small, since).await;
    push(&shop).await;
    let end = period_end(&shop, partner).await;
    shop.live(partner, since + days(2), &[(1, 700), (2, 2_501)]).await;
    at(&shop, since + days(10)).await;
    change(&shop, partner, large, When::Usual).await;
    let changed = shop.now().await;
    shop.live(partner, changed + hours(1), &[(0, 5), (1, 3_333)]).await;
    bill(&shop, changed).await;
    // The part before is ours to rate, and the old subscription is over at Stripe.
    let state = shop.state().await;
    assert_eq!(running(&state).len(), 1, "{state:#}");
    assert!(list(&state, "meter_events").is_empty());
    is_all_billed(&shop, partner).await;
    bill(&shop, end).await;
    is_all_billed(&shop, partner).await;
    // Usage of both parts that comes after all that is on the next invoice, which is of a whole period: Stripe rates that one.
    let (early, late) = (since + days(3), shop.now().await);
    shop.handed_over(partner, (early, late), domain::key_text::Environment::Live, &[(1, 411)]).await;
    shop.handed_over(partner, (changed + days(1), late), domain::key_text::Environment::Live, &[(2, 822)]).await;
    shop.live(partner, late, &[(0, 2_801)]).await;
    let next = period_end(&shop, partner).await;
    bill(&shop, next).await;
    is_all_billed(&shop, partner).await;
    let counted: i64 =
        list(&shop.state().await, "meter_events").iter().filter_map(|event| event["value"].as_i64()).sum();
    assert_eq!(counted, 2_801);
}

#[tokio::test]
async fn a_plan_that_ends_with_its_period_is_rated_by_stripe_to_its_end() {
    let shop = Shop::open().await;
    let small = shop.plan("metered", terms("meter_events")).await;
    let large = shop.plan("larger", larger()).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", small, since).await;
    push(&shop).await;
    let end = period_end(&shop, partner).await;
    shop.live(partner, since + days(2), &[(1, 1_700)]).await;
    at(&shop, end - hours(1)).await;
    change(&shop, partner, large, When::PeriodEnd).await;
    at(&shop, end + minutes(1)).await;
    billing::put_changes_in_force(&shop.store, &letter, shop.now().await).await.expect("in force");
    shop.live(partner, end + hours(2), &[(1, 2_222)]).await;
    bill(&shop, end).await;
    let next = period_end(&shop, partner).await;
    bill(&shop, next).await;
    is_all_billed(&shop, partner).await;
    let state = shop.state().await;
    assert_eq!((running(&state).len(), list(&state, "subscriptions").len()), (1, 2));
    let counted: i64 = list(&state, "meter_events").iter().filter_map(|event| event["value"].as_i64()).sum();
    assert_eq!(counted, 1_700 + 2_222);
}

#[tokio::test]
async fn periods_of_a_time_zone_are_stripes_by_another_subscription_where_it_would_end_them_elsewhere() {
    let shop = Shop::open().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let zone = TimeZone::get("Pacific/Auckland").expect("a zone");
    let new = NewPartner { code: None, name: "acme".to_owned(), time_zone: "Pacific/Auckland".to_owned() };
    let partner = shop.store.create_partner(&new, Actor::System, shop.now().await).await.expect("a partner");
    shop.member(partner, "billing@acme.example").await;
    // Midnight of the first there is the last of a month in UTC, which has another length each time.
    let today = shop.now().await.to_zoned(zone);
    let first = today.first_of_month().and_then(|day| day.start_of_day()).expect("a day").timestamp();
    shop.store.assign_plan_version(partner, plan, Actor::System, first).await.expect("a subscription");
    for _ in 0..14 {
        let end = period_end(&shop, partner).await;
        at(&shop, end - hours(40)).await;
        push(&shop).await;
        push(&shop).await;
        shop.live(partner, end - hours(30), &[(1, 1_700), (2, 31)]).await;
        bill(&shop, end).await;
        is_all_billed(&shop, partner).await;
    }
    let state = shop.state().await;
    let by_stripe = list(&state, "invoices").iter().filter(|held| held["billing_reason"] == "subscription_cycle");
    let rated = by_stripe.filter(|held| held["total"].as_i64() > Some(0)).count();
    assert_eq!((rated, running(&state).len()), (14, 1));
    assert!(list(&state, "subscriptions").len() > 2, "months have other lengths in UTC");
}

#[tokio::test]
async fn where_somebody_has_one_by_hand_for_the_same_meter_none_is_made() {
    let shop = Shop::open().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    shop.reconcile().await;
    subscribe_by_hand(&shop).await;
    for _ in 0..3 {
        push(&shop).await;
        shop.advance(hours(1)).await;
    }
    assert_eq!(list(&shop.state().await, "subscriptions").len(), 1);
    shop.live(partner, since + days(2), &[(1, 700)]).await;
    let end = period_end(&shop, partner).await;
    at(&shop, end + minutes(5)).await;
    shop.close(shop.now().await).await;
    push(&shop).await;
    let state = shop.state().await;
    assert_eq!(list(&state, "meter_events").len(), 1);
    assert_eq!(list(&state, "invoices").iter().filter(|held| held["billing_reason"] == "manual").count(), 0);
}

/// Both would rate what is sent: nothing is, whichever way the setting is.
#[tokio::test]
async fn one_by_hand_beside_ours_and_a_setting_that_was_changed_bill_nothing_twice() {
    for makes_subscriptions in [true, false] {
        let shop = Shop::open().await;
        let plan = shop.plan("metered", terms("meter_events")).await;
        let since = shop.now().await;
        let partner = shop.partner("acme", plan, since).await;
        for _ in 0..3 {
            push(&shop).await;
        }
        assert_eq!(running(&shop.state().await).len(), 1);
        if makes_subscriptions {
            subscribe_by_hand(&shop).await;
        }
        shop.live(partner, since + days(2), &[(1, 700)]).await;
        let end = period_end(&shop, partner).await;
        at(&shop, end + minutes(5)).await;
        shop.close(shop.now().await).await;
        let settings = PushSettings { makes_subscriptions, ..PushSettings::default() };
        for _ in 0..3 {
            let report = shop.reconcile_with(settings).await;
            assert!(report.problems.is_empty(), "{report:?}");
            shop.advance(minutes(70)).await;
        }
        let state = shop.state().await;
        assert_eq!(list(&state, "meter_events").len(), 0);
        is_all_billed(&shop, partner).await;
    }
}

/// A subscription of the one customer to a metered price of the provider's own.
pub async fn subscribe_by_hand(shop: &Shop) {
    let customer = list(&shop.state().await, "customers")[0]["id"].as_str().expect("an id").to_owned();
    let api = async |path: &str, form: String| {
        let asked = json!({ "method": "POST", "path": path, "form": form });
        shop.stand_in.control("POST", "api", asked).await.expect("done")
    };
    let made = list(&shop.state().await, "meters").first().cloned();
    let meter = match made {
        Some(made) => made,
        None => {
            let form = "display_name=x&event_name=turnpike_units_payments&default_aggregation[formula]=sum";
            api("/v1/billing/meters", form.to_owned()).await
        }
    };
    api("/v1/products", "id=own&name=Own".to_owned()).await;
    let meter = meter["id"].as_str().expect("an id");
    let price = api(
        "/v1/prices",
        format!("currency=usd&product=own&unit_amount_decimal=1&recurring[interval]=month&recurring[usage_type]=metered&recurring[meter]={meter}"),
    )
    .await;
    api("/v1/subscriptions", format!("customer={customer}&items[0][price]={}", price["id"].as_str().expect("an id")))
        .await;
}

#[tokio::test]
async fn answers_that_are_lost_make_no_second_subscription_and_no_second_price() {
    let shop = Shop::impatient().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    let mut partners = Vec::new();
    for name in ["acme", "bolt", "coil", "dyne"] {
        partners.push(shop.partner(name, plan, since).await);
    }
    shop.control("faults", json!({ "reset": 25, "error_after": 15, "error_before": 10, "seed": 11 })).await;
    for _ in 0..30 {
        push(&shop).await;
        // Long enough for Stripe to forget keys on the way.
        shop.advance(hours(2)).await;
    }
    shop.control("faults", json!({})).await;
    push(&shop).await;
    let state = shop.state().await;
    assert_eq!(running(&state).len(), partners.len());
    assert_eq!((list(&state, "prices").len(), list(&state, "products").len(), list(&state, "meters").len()), (1, 1, 1));
}

#[tokio::test]
async fn what_somebody_changed_of_one_is_told_and_the_period_rated_here() {
    let shop = Shop::open().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    push(&shop).await;
    drift::compare(&shop.store, &shop.stripe, shop.now().await).await.expect("compared");
    let found = async || {
        let filter = DriftFilter { kind: Some(DriftKind::Subscription), ..DriftFilter::default() };
        shop.store.all_partners_stripe_drift(&filter, None, 50).await.expect("a list").items
    };
    assert!(found().await.is_empty());
    let state = shop.state().await;
    let id = running(&state)[0]["id"].as_str().expect("an id").to_owned();
    let cancelled = json!({ "method": "DELETE", "path": format!("/v1/subscriptions/{id}"), "form": "" });
    shop.control("api", cancelled).await;
    drift::compare(&shop.store, &shop.stripe, shop.now().await).await.expect("compared");
    let told = found().await;
    assert_eq!(told.iter().map(|one| one.drift.theirs.as_str()).collect::<Vec<_>>(), ["deleted"]);
    shop.live(partner, since + days(2), &[(1, 1_700)]).await;
    let end = period_end(&shop, partner).await;
    bill(&shop, end).await;
    is_all_billed(&shop, partner).await;
    let state = shop.state().await;
    assert_eq!((running(&state).len(), list(&state, "meter_events").len()), (0, 0), "it is not made again by itself");
}
