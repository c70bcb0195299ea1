//! Stripe's books come to be ours, in both modes, and a difference is never sent.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{
    PushSettings,
    payment::Desk,
    stripe::{SecretKey, Stripe, StripeSettings},
};
use domain::{
    id::{InvoiceId, PartnerId},
    period::Interval,
    plan::PlanTerms,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;
use store::{Invoice, InvoiceStatus, LedgerAccount};

/// A partner with a closed month of 3,201 units.
async fn billed(shop: &Shop, name: &str, collect: &str) -> (PartnerId, InvoiceId) {
    let now = shop.now().await;
    let plan = shop.plan(&format!("plan-of-{name}"), terms(collect)).await;
    let partner = shop.partner(name, plan, now - days(32)).await;
    shop.live(partner, now - days(30), &[(1, 700), (2, 2_501)]).await;
    let invoices = shop.close(now).await.invoices;
    (partner, invoices[0])
}

#[tokio::test]
async fn the_draft_is_filled_compared_and_finalised_once() {
    let shop = Shop::open().await;
    let (partner, invoice) = billed(&shop, "acme", "invoice_items").await;
    let report = shop.reconcile().await;
    assert_eq!(report.pushed, [invoice], "{report:?}");
    let again = shop.reconcile().await;
    assert!(again.pushed.is_empty() && again.problems.is_empty());

    let (held, how_many) = shop.at_stripe(invoice).await;
    assert_eq!(how_many, 1);
    assert_eq!(
        (held["status"].as_str(), held["total"].as_i64(), held["currency"].as_str()),
        (Some("open"), Some(5_501), Some("usd"))
    );
    let amounts: Vec<_> = list(&held["lines"], "data").iter().filter_map(|line| line["amount"].as_i64()).collect();
    assert_eq!(amounts, [4_900, 0, 1_101, -500]);
    let state = shop.state().await;
    assert_eq!(list(&state, "customers").len(), 1);
    assert_eq!(list(&state, "customers")[0]["email"], "owner@acme.example");
    let (ours, _) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    assert_eq!(ours.status, InvoiceStatus::Sent);
}

#[tokio::test]
async fn several_partners_are_told_of_at_a_time_and_the_invoices_of_one_after_the_other() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    for (number, collect) in ["invoice_items", "meter_events"].into_iter().cycle().take(6).enumerate() {
        let weekly = PlanTerms { interval: Interval::Week, ..terms(collect) };
        let plan = shop.plan(&format!("plan-{number}"), weekly).await;
        let partner = shop.partner(&format!("acme-{number}"), plan, now - days(15)).await;
        for ago in [14, 7] {
            shop.live(partner, now - days(ago), &[(1, 700), (2, 2_501)]).await;
        }
    }
    shop.close(now).await;
    let target = shop.store.all_partners_invoices_to_push(true, now, days(40), 100).await.expect("invoices");
    let all: Vec<InvoiceId> = target.iter().map(|invoice| invoice.id).collect();
    assert_eq!(all.len(), 12);
    shop.control("faults", json!({ "delay_ms": 20 })).await;
    let report = shop.reconcile().await;
    assert_eq!((&report.pushed, report.waiting), (&all, 0), "{report:?}");
    for invoice in all {
        assert!(shop.at_stripe(invoice).await.1 <= 1, "{invoice}");
    }
    let state = shop.state().await;
    assert_eq!((list(&state, "customers").len(), list(&state, "meters").len()), (6, 1), "{state:#}");
    // Two operations of two weeks of three partners.
    assert_eq!(list(&state, "meter_events").len(), 12, "{state:#}");
    assert_eq!(state["limits"]["overlapping_meter_events"], 0);
    let at_once = state["limits"]["most_at_once"].as_u64().expect("a number");
    assert!((2..=4).contains(&at_once), "{at_once} at once");
}

#[tokio::test]
async fn a_payment_without_a_webhook_is_found_within_the_hour() {
    let shop = Shop::open().await;
    let (partner, invoice) = billed(&shop, "acme", "invoice_items").await;
    shop.reconcile().await;
    let (held, _) = shop.at_stripe(invoice).await;
    let id = held["id"].as_str().expect("an id");
    shop.stripe.create(&format!("/v1/invoices/{id}/pay"), &Vec::new(), "pay").await.expect("paid");
    shop.reconcile().await;
    assert_eq!(shop.store.invoice(partner, invoice).await.expect("an invoice").0.status, InvoiceStatus::Sent);
    shop.advance(hours(2)).await;
    shop.reconcile().await;
    assert_eq!(shop.store.invoice(partner, invoice).await.expect("an invoice").0.status, InvoiceStatus::Paid);
    let balances = shop.store.ledger_balances(partner).await.expect("balances");
    let shown: Vec<_> = balances.iter().map(|(account, money)| (*account, money.micros)).collect();
    assert_eq!(
        shown,
        [(LedgerAccount::Cash, 55_010_000), (LedgerAccount::Receivable, 0), (LedgerAccount::Revenue, -55_010_000)]
    );
}

#[tokio::test]
async fn a_draft_with_another_total_stays_a_draft_and_is_reported() {
    let shop = Shop::open().await;
    let (partner, invoice) = billed(&shop, "acme", "invoice_items").await;
    let now = shop.now().await;
    // Somebody has put an item of their own on our draft.
    let owned =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let customer = owned(&[("name", "acme"), ("email", "owner@acme.example")]);
    let customer = shop.stripe.create("/v1/customers", &customer, "c").await.expect("a customer");
    let ours = invoice.to_string();
    let draft = owned(&[("customer", &customer), ("currency", "usd"), ("metadata[turnpike_invoice]", &ours)]);
    let draft_id = shop.stripe.create("/v1/invoices", &draft, "i").await.expect("a draft");
    for (subject, id) in [("customer".to_owned(), &customer), (format!("invoice:{invoice}"), &draft_id)] {
        shop.store.begin_stripe_object(partner, &subject, 1, &Vec::new(), now).await.expect("noted");
        shop.store.finish_stripe_object(partner, &subject, id, now).await.expect("noted");
    }
    let item = owned(&[("customer", &customer), ("invoice", &draft_id), ("amount", "1"), ("currency", "usd")]);
    shop.stripe.create("/v1/invoiceitems", &item, "x").await.expect("an item");

    let report = shop.reconcile().await;
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(shop.at_stripe(invoice).await.0["status"], "draft");
    let (held, _) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    assert_eq!(held.status, InvoiceStatus::Open);
    assert!(held.push_problem.expect("a reason").contains("5502 USD"));

    // A second item with our names, though, is ours to remove.
    let state = shop.state().await;
    let foreign = list(&state, "invoice_items")[0]["id"].as_str().expect("an id").to_owned();
    shop.stripe.delete_item(&foreign).await.expect("removed");
    let twin = owned(&[
        ("customer", &customer),
        ("invoice", &draft_id),
        ("amount", "4900"),
        ("currency", "usd"),
        ("metadata[turnpike_invoice]", &ours),
        ("metadata[turnpike_line]", "0"),
    ]);
    shop.stripe.create("/v1/invoiceitems", &twin, "y").await.expect("an item");
    let report = shop.reconcile().await;
    assert_eq!(report.pushed, [invoice], "{report:?}");
    assert_eq!(shop.at_stripe(invoice).await.0["total"], 5_501);
    assert_eq!(shop.store.invoice(partner, invoice).await.expect("an invoice").0.push_problem, None);
}

#[tokio::test]
async fn meters_get_each_operations_units_once_and_the_fee_as_an_item() {
    let shop = Shop::open().await;
    let (partner, invoice) = billed(&shop, "acme", "meter_events").await;
    assert_eq!(shop.reconcile().await.pushed, [invoice]);
    let state = shop.state().await;
    let meters: Vec<_> =
        list(&state, "meters").iter().map(|meter| meter["event_name"].as_str().expect("a name")).collect();
    assert_eq!(meters, ["turnpike_units_payments"]);
    let mut values: Vec<_> = list(&state, "meter_events").iter().filter_map(|event| event["value"].as_i64()).collect();
    values.sort();
    assert_eq!(values, [700, 2_501]);
    let period = shop.store.invoice(partner, invoice).await.expect("an invoice").0.period;
    for event in list(&state, "meter_events") {
        let at = event["timestamp"].as_i64().expect("a time");
        assert!((period.start.as_second()..period.end.as_second()).contains(&at), "inside the period");
        assert_eq!(at % 60, 0);
    }
    let items: Vec<_> =
        list(&state, "invoice_items").iter().map(|item| (item["amount"].as_i64(), item["invoice"].is_null())).collect();
    assert_eq!(items, [(Some(4_900), true)], "it waits for Stripe's own next invoice");
}

#[tokio::test]
async fn a_new_name_and_address_reach_the_customer() {
    let shop = Shop::open().await;
    let (partner, _) = billed(&shop, "acme", "invoice_items").await;
    shop.reconcile().await;
    shop.store.rename_partner(partner, "Acme & Söhne", store::Actor::System, shop.now().await).await.expect("renamed");
    shop.advance(days(31)).await;
    let now = shop.now().await;
    assert_eq!(shop.close(now).await.invoices.len(), 1);
    shop.reconcile().await;
    let state = shop.state().await;
    let names: Vec<_> =
        list(&state, "customers").iter().map(|customer| customer["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["Acme & Söhne"]);
    shop.keep_requests("renamed").await;
}

#[tokio::test]
async fn nothing_is_lost_while_stripe_is_down_or_the_key_is_wrong() {
    let shop = Shop::open().await;
    let (partner, invoice) = billed(&shop, "acme", "invoice_items").await;
    shop.control("faults", json!({ "down": true })).await;
    assert_eq!(shop.reconcile().await.waiting, 1);
    shop.advance(days(3)).await;
    assert_eq!(shop.reconcile().await.waiting, 1);
    shop.control("faults", json!({})).await;
    let now = shop.now().await;

    let wrong = StripeSettings {
        key: SecretKey::new("rk_test_wrong_text"),
        base_url: shop.stand_in.url(),
        timeout: Duration::from_secs(60),
    };
    let stripe = Stripe::new(wrong).expect("settings");
    let desk = Desk { stripe: &stripe, ..shop.desk() };
    let error = billing::reconcile(desk, billing::PushSettings::default(), &|| now).await.expect_err("refused");
    assert!(
        !format!("{error} {error:?} {stripe_settings:?}", stripe_settings = SecretKey::new("rk_test_wrong_text"))
            .contains("rk_test_wrong")
    );
    assert_eq!(shop.store.invoice(partner, invoice).await.expect("an invoice").0.status, InvoiceStatus::Open);

    let nobody = StripeSettings {
        base_url: "http://127.0.0.1:9".to_owned(),
        ..StripeSettings::new(SecretKey::new("sk_test_x"))
    };
    let stripe = Stripe::new(nobody).expect("settings");
    let desk = Desk { stripe: &stripe, ..shop.desk() };
    let report = billing::reconcile(desk, billing::PushSettings::default(), &|| now).await.expect("no error");
    assert_eq!(report.waiting, 1);

    assert_eq!(shop.reconcile().await.pushed, [invoice]);
    assert_eq!(list(&shop.state().await, "customers").len(), 1);
}

#[tokio::test]
async fn invoices_that_stripe_cannot_take_do_not_hold_up_the_others() {
    let shop = Shop::open().await;
    for number in 0..9 {
        billed(&shop, &format!("acme-{number}"), "invoice_items").await;
    }
    let order = async || {
        let waiting =
            shop.store.all_partners_invoices_to_push(true, shop.now().await, hours(0), 10).await.expect("asked");
        waiting.iter().map(|invoice| invoice.id).collect::<Vec<_>>()
    };
    let before = order().await;
    shop.advance(hours(1)).await;
    shop.control("faults", json!({ "down": true })).await;
    assert_eq!(shop.reconcile().await.waiting, 9, "after five failures the run ends");
    let after = order().await;
    // With the fifth failure three more had begun, in the other lanes.
    assert_eq!(after[0], before[8], "what was not reached comes first");
}

#[tokio::test]
async fn usage_that_stripes_meters_still_take_goes_before_what_has_waited_longer() {
    let shop = Shop::open().await;
    let (now, minutes) = (shop.now().await, SignedDuration::from_mins(20));
    for (name, collect, ago) in [
        ("items", "invoice_items", days(7) + minutes),
        // Of a week that has ended long ago, and of one that has just ended.
        ("acme", "meter_events", days(14) + minutes),
        ("bolt", "meter_events", days(14) + minutes),
    ] {
        let plan = shop.plan(name, PlanTerms { interval: Interval::Week, ..terms(collect) }).await;
        let partner = shop.partner(name, plan, now - ago).await;
        for used in [10, 2].map(days).into_iter().filter(|used| *used < ago) {
            shop.live(partner, now - used, &[(1, 700)]).await;
        }
        shop.close(now).await;
    }
    let PushSettings { meters_open, .. } = PushSettings::default();
    let order = async |open| {
        let waiting = shop.store.all_partners_invoices_to_push(true, now, open, 10).await.expect("asked");
        let told = |invoice: Invoice| (invoice.partner_name, now.duration_since(invoice.period.end) < days(1));
        waiting.into_iter().map(told).collect::<Vec<_>>()
    };
    let told = |all: &[(&str, bool)]| all.iter().map(|(name, fresh)| ((*name).to_owned(), *fresh)).collect::<Vec<_>>();
    let usual = [("items", true), ("acme", false), ("acme", true), ("bolt", false), ("bolt", true)];
    assert_eq!(order(SignedDuration::ZERO).await, told(&usual));
    let first = [("acme", true), ("bolt", true), ("items", true), ("acme", false), ("bolt", false)];
    assert_eq!(order(meters_open).await, told(&first));

    let rest: Vec<String> = shop
        .store
        .all_partners_invoices_to_push(true, now, meters_open, 10)
        .await
        .expect("asked")
        .into_iter()
        .skip(2)
        .map(|invoice| invoice.id.to_string())
        .collect();
    shop.reconcile_with(PushSettings::default()).await;
    let requests = shop.stand_in.control("GET", "requests", Value::Null).await.expect("a log");
    let requests = requests.as_array().expect("a log");
    let events = |one: &Value| one["path"] == "/v1/billing/meter_events" && one["method"] == "POST";
    let of_rest = |one: &Value| rest.iter().any(|invoice| one["params"].to_string().contains(invoice));
    assert_eq!(requests.iter().filter(|one| events(one)).count(), 2);
    let last = requests.iter().rposition(events).expect("events");
    let first = requests.iter().position(of_rest).expect("items of the others");
    assert!(last < first, "the others began at {first}, and events were sent until {last}");
}

#[tokio::test]
async fn without_an_address_the_operator_is_told_and_the_invoice_goes_out_once_there_is_one() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner_without_members("Acme", plan, now - days(32)).await;
    let invoice = shop.close(now).await.invoices[0];
    let report = shop.reconcile().await;
    assert!(report.problems[0].1.contains("Invite one"), "{report:?}");
    assert!(list(&shop.state().await, "customers").is_empty());
    shop.member(partner, "money@acme.example").await;
    assert_eq!(shop.reconcile().await.pushed, [invoice]);
    assert_eq!(shop.at_stripe(invoice).await.0["customer_email"], "money@acme.example");
}

#[tokio::test]
async fn an_invoice_that_stripe_does_not_know_keeps_no_other_waiting() {
    for gone in [0, 1] {
        let shop = Shop::open().await;
        let both = [billed(&shop, "acme", "invoice_items").await, billed(&shop, "beta", "invoice_items").await];
        shop.reconcile().await;
        // As of an account whose test data was deleted.
        let ((partner, missing), (other, paid)) = (both[gone], both[1 - gone]);
        let (subject, now) = (format!("invoice:{missing}"), shop.now().await);
        let id = shop.store.stripe_invoice(partner, missing).await.expect("asked").expect("there");
        shop.store.forget_stripe_object(partner, &subject, &id, now).await.expect("forgotten");
        shop.store.finish_stripe_object(partner, &subject, "in_gone", now).await.expect("noted");
        // The other one is paid, and its webhook is lost.
        let id = shop.store.stripe_invoice(other, paid).await.expect("asked").expect("there");
        shop.control("invoices", json!({ "invoice": id, "step": "pay" })).await;
        for _ in 0..2 {
            shop.advance(hours(2)).await;
            shop.reconcile().await;
        }
        let (held, _) = shop.store.invoice(other, paid).await.expect("ours");
        assert_eq!(held.status, InvoiceStatus::Paid, "{gone}");
        let (held, _) = shop.store.invoice(partner, missing).await.expect("ours");
        let told = held.push_problem.unwrap_or_default();
        assert!(held.status == InvoiceStatus::Sent && told.contains("in_gone"), "{told}");
        // It is not asked after again before its hour.
        let asked = shop.stand_in.control("GET", "count", serde_json::Value::Null).await.expect("a count");
        shop.reconcile().await;
        assert_eq!(shop.stand_in.control("GET", "count", serde_json::Value::Null).await.expect("a count"), asked);
    }
}
