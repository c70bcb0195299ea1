//! What is added to usage charges and taken off them, on invoices, on the bill so far and at Stripe.

use crate::{
    late,
    shop::{Shop, hours, terms},
};
use billing::{After, project};
use domain::{
    id::PartnerId,
    money::{Currency, Money},
    plan::PlanTerms,
    rating::LineKind,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Actor, AddedVersion};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn priced(rest: Value) -> PlanTerms {
    let mut all = json!({ "currency": "USD", "products": [{ "product": "payments" }], "collect": "invoice_items" });
    all.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
    serde_json::from_value(all).expect("terms")
}

/// Kind, description and amount of each line of the partner's newest invoice.
async fn newest(shop: &Shop, partner: PartnerId) -> Vec<(LineKind, String, String)> {
    let invoice = shop.store.invoices(partner).await.expect("invoices").remove(0);
    let (invoice, lines) = shop.store.invoice(partner, invoice.id).await.expect("an invoice");
    assert_eq!(lines.iter().map(|line| line.amount.micros).sum::<i64>(), invoice.total.micros);
    lines.into_iter().map(|line| (line.kind, line.description, line.amount.to_string())).collect()
}

fn line(kind: LineKind, description: &str, amount: &str) -> (LineKind, String, String) {
    (kind, description.to_owned(), amount.to_owned())
}

#[tokio::test]
async fn every_step_of_the_price_is_a_line_with_its_words_and_stripe_collects_their_sum() {
    let shop = Shop::open().await;
    let rest = json!({
        "base_fee_micros": 100_000_000, "minimum_micros": 1_000_000_000, "included_credit_micros": 50_000_000,
        "price": { "model": "volume", "steps": [{ "up_to": 300, "unit_price": "2" }, { "unit_price": "1" }] },
        "discounts": [{ "name": "Launch offer", "percent": "50.0", "on": "base_fee" }, { "name": "Friends", "percent": "10", "on": "usage" }],
        "commitment": { "micros": 950_000_000, "discounts": [{ "up_to_micros": 500_000_000, "percent": "2" }, { "percent": "10" }] },
    });
    let plan = shop.plan("all-of-it", priced(rest)).await;
    let begin = shop.now().await;
    let partner = shop.partner("acme", plan, begin).await;
    shop.live(partner, begin + hours(1), &[(1, 250), (2, 150)]).await;
    let end =
        begin.to_zoned(jiff::tz::TimeZone::UTC).checked_add(jiff::Span::new().months(1)).expect("a month").timestamp();
    let before = end - hours(1);
    let projected = project(&shop.store, partner, before).await.expect("projects").expect("a plan");
    shop.advance(jiff::SignedDuration::from_secs((end + hours(1)).as_second() - begin.as_second())).await;
    shop.close(end + hours(1)).await;
    let lines = newest(&shop, partner).await;
    assert_eq!(
        lines,
        [
            line(LineKind::BaseFee, "Base fee", "$100.00"),
            line(LineKind::Usage, "Payments, POST /create", "$250.00"),
            line(LineKind::Usage, "Payments, POST /read", "$150.00"),
            line(LineKind::Minimum, "To the minimum of $1,000.00 for usage", "$600.00"),
            line(LineKind::Discount, "Launch offer, 50 % off the base fee", "−$50.00"),
            line(LineKind::Discount, "Friends, 10 % off usage", "−$100.00"),
            line(LineKind::CommittedUse, "Committed-use discount", "−$50.00"),
            line(LineKind::Commitment, "To the commitment of $950.00 for usage", "$100.00"),
            line(LineKind::IncludedCredit, "Included credit", "−$50.00"),
        ]
    );
    let invoice = shop.store.invoices(partner).await.expect("invoices").remove(0);
    assert_eq!(invoice.total.to_string(), "$950.00");
    assert_eq!(projected.so_far.total, invoice.total, "the dashboard's bill is the invoice");
    shop.reconcile().await;
    let (at_stripe, count) = shop.at_stripe(invoice.id).await;
    assert_eq!((count, at_stripe["total"].as_i64(), at_stripe["status"].as_str()), (1, Some(95_000), Some("open")));
    shop.keep_requests("every-step-of-the-price").await;
}

#[tokio::test]
async fn a_discount_for_the_first_periods_ends_with_them_and_no_new_version_begins_it_again() {
    let shop = Shop::open().await;
    let fee = |micros: i64| {
        priced(json!({ "base_fee_micros": micros, "discounts": [{ "name": "Launch", "percent": "50", "periods": 2 }] }))
    };
    let first = shop.plan("launched", fee(30_000_000)).await;
    let other = shop.plan("other", terms("invoice_items")).await;
    let partner = shop.partner("acme", first, at("2026-01-01T00:00:00Z")).await;
    shop.close(at("2026-02-01T01:00:00Z")).await;
    let half = [
        line(LineKind::BaseFee, "Base fee", "$30.00"),
        line(LineKind::Discount, "Launch, 50 % off the base fee", "−$15.00"),
    ];
    assert_eq!(newest(&shop, partner).await, half);

    // Away in the middle of the second period, and back in the third, to a new version.
    let moves = |version, when: &'static str| shop.store.assign_plan_version(partner, version, Actor::System, at(when));
    moves(other, "2026-02-15T00:00:00Z").await.expect("changed");
    shop.close(at("2026-02-15T01:00:00Z")).await;
    let part = [
        line(LineKind::BaseFee, "Base fee for part of the period", "$15.00"),
        line(LineKind::Discount, "Launch, 50 % off the base fee", "−$7.50"),
    ];
    assert_eq!(newest(&shop, partner).await, part);
    let plan = shop.store.find_plan_by_code("launched").await.expect("answered").expect("a plan").id;
    let added = shop.store.add_plan_version(plan, &fee(60_000_000), Actor::System, at("2026-03-01T00:00:00Z")).await;
    let AddedVersion::Added(second) = added.expect("added") else { panic!("it is another") };
    moves(second, "2026-03-01T00:00:00Z").await.expect("changed");
    shop.close(at("2026-04-01T01:00:00Z")).await;
    assert_eq!(newest(&shop, partner).await, [line(LineKind::BaseFee, "Base fee", "$60.00")]);
}

#[tokio::test]
async fn new_terms_are_tried_on_what_each_partner_used_in_its_last_period_and_change_nothing() {
    let shop = Shop::open().await;
    let rest = json!({ "base_fee_micros": 10_000_000, "price": { "model": "per_unit", "unit_price": "0.01" },
        "discounts": [{ "name": "Launch", "percent": "50", "on": "base_fee", "periods": 1 }] });
    let plan = shop.plan("tried", priced(rest.clone())).await;
    let other = shop.plan("other", terms("invoice_items")).await;
    // Periods of acme begin on the 1st, those of bolt on the 15th; cent came this month, and delta is on another plan.
    let acme = shop.partner("acme", plan, at("2026-01-01T00:00:00Z")).await;
    let bolt = shop.partner("bolt", plan, at("2026-01-15T00:00:00Z")).await;
    shop.partner("cent", plan, at("2026-03-10T00:00:00Z")).await;
    shop.partner("delta", other, at("2026-01-01T00:00:00Z")).await;
    shop.live(acme, at("2026-01-20T00:00:00Z"), &[(1, 77)]).await;
    shop.live(acme, at("2026-02-28T23:59:59Z"), &[(1, 1_000)]).await;
    shop.live(acme, at("2026-03-01T00:00:00Z"), &[(1, 5_000)]).await;
    shop.live(bolt, at("2026-02-14T23:59:59Z"), &[(2, 300)]).await;
    shop.live(bolt, at("2026-02-15T00:00:00Z"), &[(2, 4_000)]).await;
    let now = at("2026-03-12T00:00:00Z");
    let id = shop.store.find_plan_by_code("tried").await.expect("answered").expect("a plan").id;
    let mut new = rest.clone();
    new["base_fee_micros"] = json!(20_000_000);
    new["price"] = json!({ "model": "package", "size": 1_000, "package_price": "9" });
    let tried = billing::impact(&shop.store, id, &priced(new.clone()), now).await.expect("tried");
    let seen: Vec<_> = tried
        .partners
        .iter()
        .map(|one| {
            let before = one.before.map_or("nothing".to_owned(), |before| before.to_string());
            (one.name.as_str(), one.period.start.to_string(), one.units, before, one.after.clone())
        })
        .collect();
    let cents = |coins: i64| After::Comparable(Money::new(Currency::Usd, coins * 10_000));
    assert_eq!(
        seen,
        [
            // The second period, without the launch offer.
            ("acme", "2026-02-01T00:00:00Z".to_owned(), 1_000, "$20.00".to_owned(), cents(2_900)),
            ("bolt", "2026-01-15T00:00:00Z".to_owned(), 300, "$8.00".to_owned(), cents(1_900)),
            // It came with the period after, so that its fee of this one says nothing.
            ("cent", "2026-02-10T00:00:00Z".to_owned(), 0, "nothing".to_owned(), After::New),
        ]
    );
    assert_eq!(
        (tried.partners_in_all, tried.before.to_string(), tried.after.to_string()),
        (3, "$28.00".into(), "$48.00".into()),
        "who is new is in no sum"
    );

    // What it said is what a bill by these terms says.
    let AddedVersion::Added(version) =
        shop.store.add_plan_version(id, &priced(new.clone()), Actor::System, now).await.expect("added")
    else {
        panic!("it is another")
    };
    let twin = shop.partner("twin", version, at("2025-12-01T00:00:00Z")).await;
    shop.live(twin, at("2026-01-20T00:00:00Z"), &[(1, 1_000)]).await;
    shop.close(at("2026-02-01T01:00:00Z")).await;
    assert_eq!(shop.store.invoices(twin).await.expect("invoices")[0].total.to_string(), "$29.00");

    new["interval"] = json!("year");
    let yearly = billing::impact(&shop.store, id, &priced(new.clone()), now).await.expect("tried");
    assert!(yearly.partners.iter().all(|one| one.after == After::OtherInterval), "{yearly:?}");
    new["interval"] = json!("month");
    new["currency"] = json!("EUR");
    let foreign = billing::impact(&shop.store, id, &priced(new), now).await.expect("tried");
    assert_eq!(foreign.partners[0].after, After::OtherCurrency(Money::new(Currency::Eur, 29_000_000)));
    assert_eq!(foreign.after.micros, 0, "what cannot be compared is in no sum");
}

#[tokio::test]
async fn what_is_told_late_moves_minimum_and_discount_of_its_period_too() {
    let shop = Shop::open().await;
    let plan = priced(json!({
        "minimum_micros": 100_000_000, "price": { "model": "per_unit", "unit_price": "1" },
        "discounts": [{ "name": "Friends", "percent": "10", "on": "usage" }],
    }));
    let plan = shop.plan("least", plan).await;
    let partner = shop.partner("acme", plan, at("2026-01-01T00:00:00Z")).await;
    shop.live(partner, at("2026-01-20T00:00:00Z"), &[(1, 60)]).await;
    shop.close(at("2026-02-01T01:00:00Z")).await;
    assert_eq!(shop.store.invoices(partner).await.expect("invoices")[0].total.to_string(), "$90.00");
    let late = late::event("1", "2026-01-21T00:00:00Z", "create", 90);
    late::tell(&shop, partner, &[late], "2026-02-02T00:00:00Z").await;
    shop.close(at("2026-03-01T01:00:00Z")).await;
    let adjusted: Vec<_> =
        newest(&shop, partner).await.into_iter().filter(|(kind, ..)| *kind == LineKind::Adjustment).collect();
    let amounts: Vec<&str> = adjusted.iter().map(|(.., amount)| amount.as_str()).collect();
    // 150 instead of 60, no minimum's 40, and 15 instead of 10 off.
    assert_eq!(amounts, ["$90.00", "−$5.00", "−$40.00"], "{adjusted:?}");
    assert!(adjusted[2].1.ends_with("To the minimum of $100.00 for usage"), "{adjusted:?}");
}

#[tokio::test]
async fn a_part_of_a_period_says_that_its_minimum_and_commitment_are_for_the_part() {
    let shop = Shop::open().await;
    let rest = json!({ "minimum_micros": 56_000_000, "commitment": { "micros": 112_000_000 },
        "price": { "model": "per_unit", "unit_price": "1" } });
    let plan = shop.plan("least", priced(rest)).await;
    let other = shop.plan("other", priced(json!({}))).await;
    let partner = shop.partner("acme", plan, at("2026-02-01T00:00:00Z")).await;
    shop.live(partner, at("2026-02-02T00:00:00Z"), &[(1, 20)]).await;
    let change = at("2026-02-15T00:00:00Z");
    shop.store.assign_plan_version(partner, other, Actor::System, change).await.expect("changed");
    shop.close(at("2026-02-15T01:00:00Z")).await;
    let lines = newest(&shop, partner).await;
    assert_eq!(
        lines,
        [
            line(LineKind::Usage, "Payments, POST /create", "$20.00"),
            line(LineKind::Minimum, "To the minimum of $28.00 for usage (part of the period)", "$8.00"),
            line(LineKind::Commitment, "To the commitment of $56.00 for usage (part of the period)", "$28.00"),
        ]
    );
}

#[tokio::test]
async fn one_bill_that_no_invoice_could_hold_is_one_row_and_no_sum() {
    let shop = Shop::open().await;
    let plan = shop.plan("tried", priced(json!({ "price": { "model": "per_unit", "unit_price": "1000000" } }))).await;
    let acme = shop.partner("acme", plan, at("2026-01-01T00:00:00Z")).await;
    let bolt = shop.partner("bolt", plan, at("2026-01-01T00:00:00Z")).await;
    // 9.3 millions of millions; an amount holds 9.2 of them.
    shop.live(acme, at("2026-01-20T00:00:00Z"), &[(1, 9_300_000)]).await;
    shop.live(bolt, at("2026-01-20T00:00:00Z"), &[(1, 2)]).await;
    let id = shop.store.find_plan_by_code("tried").await.expect("answered").expect("a plan").id;
    let new = priced(json!({ "price": { "model": "per_unit", "unit_price": "1" } }));
    let tried = billing::impact(&shop.store, id, &new, at("2026-02-12T00:00:00Z")).await.expect("tried");
    let seen: Vec<_> = tried.partners.iter().map(|one| (one.before.is_some(), one.after.clone())).collect();
    let two = After::Comparable(Money::new(Currency::Usd, 2_000_000));
    assert_eq!(seen, [(false, After::TooLarge), (true, two)]);
    assert_eq!((tried.before.to_string(), tried.after.to_string()), ("$2,000,000.00".into(), "$2.00".into()));
}
