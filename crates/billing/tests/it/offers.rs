//! Phases and promotions, from the preview to the last line: each period is billed by its own, says so, and stays billed by it.

use crate::{
    late::{event, tell},
    shop::{Shop, days, hours},
    thresholds::{made, totals},
};
use billing::{After, Wanted, impact, order_change, preview_change, project};
use domain::{
    id::{PartnerId, PlanVersionId},
    money::{Currency, Money},
    plan::PlanTerms,
    plan_change::When,
    rating::LineKind,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Actor, OrderedBy, Wish};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// 99.00 a month and a cent a unit, whatever else the rest says.
fn sold(rest: Value) -> PlanTerms {
    let mut all = json!({
        "currency": "USD", "products": [{ "product": "payments" }], "base_fee_micros": 99_000_000,
        "price": { "model": "per_unit", "unit_price": "0.01" },
    });
    all.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
    serde_json::from_value(all).expect("terms")
}

fn ramp(periods: u32, dollars: i64) -> Value {
    json!([{ "name": "Ramp", "periods": periods, "instead": { "base_fee_micros": dollars * 1_000_000 } }])
}

/// Half a cent a unit in the billing periods that begin in March.
fn spring() -> Value {
    json!([{ "name": "Spring offer", "from": "2026-03-01", "until": "2026-03-31",
        "instead": { "price": { "model": "per_unit", "unit_price": "0.005" } } }])
}

fn usd(micros: i64) -> Money {
    Money::new(Currency::Usd, micros)
}

/// Words and amounts of each invoice's lines.
async fn lines(shop: &Shop, partner: PartnerId) -> Vec<Vec<(String, String)>> {
    let all = made(shop, partner).await.into_iter();
    all.map(|(_, lines)| lines.into_iter().map(|line| (line.description, line.amount.to_string())).collect()).collect()
}

async fn change(shop: &Shop, partner: PartnerId, to: Option<PlanVersionId>, now: Timestamp) -> billing::Proposal {
    let wanted = Wanted { wish: to.map_or(Wish::Nothing, Wish::Version), when: When::AtOnce, by: OrderedBy::Operator };
    let shown = preview_change(&shop.store, partner, wanted, now).await.expect("a preview");
    let letter = |_: &_, _: &_| unreachable!("nobody to write to");
    order_change(&shop.store, partner, wanted, &shown.token, &letter, Actor::System, now).await.expect("made");
    shown
}

#[tokio::test]
async fn two_periods_at_49_and_one_with_cheaper_units_come_back_to_the_list_by_themselves() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", sold(json!({ "phases": ramp(2, 49), "promotions": spring() }))).await;
    let start = at("2026-01-10T00:00:00Z");
    let partner = shop.partner_without_members("acme", plan, start).await;
    for month in ["2026-01", "2026-02", "2026-03", "2026-04"] {
        shop.live(partner, at(&format!("{month}-15T00:00:00Z")), &[(1, 1_000)]).await;
    }
    let seen = project(&shop.store, partner, at("2026-03-20T00:00:00Z")).await.expect("rated").expect("a bill");
    assert_eq!(seen.so_far.total, usd(104_000_000), "half a cent a unit already");
    for end in ["2026-02-10T01:00:00Z", "2026-03-10T01:00:00Z", "2026-04-10T01:00:00Z"] {
        shop.close(at(end)).await;
    }
    let seen = project(&shop.store, partner, at("2026-04-20T00:00:00Z")).await.expect("rated").expect("a bill");
    assert_eq!(seen.so_far.total, usd(109_000_000));
    // Told when the promotion is long over: it is March's price all the same.
    tell(&shop, partner, &[event("late", "2026-03-12T00:00:00Z", "create", 200)], "2026-04-25T00:00:00Z").await;
    shop.close(at("2026-05-10T01:00:00Z")).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$59.00", "$59.00", "$104.00", "$110.00"]);
    let lines = lines(&shop, partner).await;
    assert_eq!(lines[0][0], ("Base fee, Ramp (period 1 of 2)".to_owned(), "$49.00".to_owned()));
    assert_eq!(lines[1][0].0, "Base fee, Ramp (period 2 of 2)");
    assert_eq!(lines[2][0], ("Base fee".to_owned(), "$99.00".to_owned()));
    let offered = ", Spring offer until 31 March 2026";
    let (words, amount) = &lines[2][1];
    assert!(words.ends_with(offered) && amount == "$5.00", "{words} {amount}");
    assert!(!lines[3][1].0.contains("offer"), "{:?}", lines[3]);
    let (words, amount) = &lines[3][2];
    assert!(words.starts_with("Late usage") && words.ends_with(offered) && amount == "$1.00", "{words} {amount}");
}

#[tokio::test]
async fn a_fee_in_advance_is_its_phase_s_and_what_is_given_back_is_too() {
    let shop = Shop::open().await;
    let plan = shop.plan("ahead", sold(json!({ "phases": ramp(1, 30), "fee_due": "advance" }))).await;
    let start = at("2026-06-01T00:00:00Z");
    let stays = shop.partner_without_members("stays", plan, start).await;
    let leaves = shop.partner_without_members("leaves", plan, start).await;
    shop.close(start).await;
    let shown = change(&shop, leaves, None, start + days(10)).await;
    assert_eq!(shown.preview.given_back, Some(usd(20_000_000)), "of 30.00, and not of 99.00");
    shop.close(start + days(10) + hours(1)).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&made(&shop, stays).await), ["$30.00", "$99.00"]);
    let told = lines(&shop, stays).await;
    assert_eq!([&told[0][0].0, &told[1][0].0], ["Base fee, in advance, Ramp", "Base fee, in advance"]);
    let back: i64 = made(&shop, leaves).await.iter().map(|(invoice, _)| invoice.total.micros).sum();
    assert_eq!(back, 10_000_000, "ten of thirty days of 30.00 are paid");
}

#[tokio::test]
async fn threshold_invoices_and_the_last_one_of_a_period_have_one_price() {
    let shop = Shop::open().await;
    let half = json!([{ "name": "Half price", "periods": 1,
        "instead": { "price": { "model": "per_unit", "unit_price": "0.5" } } }]);
    let dollar = json!({ "model": "per_unit", "unit_price": "1" });
    let rest =
        json!({ "phases": half, "price": dollar, "base_fee_micros": 0, "invoice_threshold_micros": 100_000_000 });
    let plan = shop.plan("cut", sold(rest)).await;
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", plan, start).await;
    shop.live(partner, start + days(1), &[(1, 199)]).await;
    assert_eq!(shop.close(start + days(2)).await.invoices, [], "99.50 are below the threshold");
    shop.live(partner, start + days(3), &[(1, 51)]).await;
    shop.close(start + days(4)).await;
    shop.live(partner, start + days(20), &[(1, 10)]).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$125.00", "$5.00"]);
}

#[tokio::test]
async fn a_preview_says_what_each_phase_costs_and_the_bill_is_as_it_was_shown() {
    let shop = Shop::open().await;
    let small = shop.plan("small", sold(json!({ "base_fee_micros": 10_000_000 }))).await;
    let pro = shop.plan("pro", sold(json!({ "phases": ramp(2, 49) }))).await;
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", small, start).await;
    let shown = change(&shop, partner, Some(pro), start + days(10)).await.preview;
    // 20 of 30 days of 49.00; July is the second period of the ramp.
    assert_eq!((shown.first_fee, shown.fee), (Some(usd(32_670_000)), Some(usd(49_000_000))));
    let later: Vec<_> = shown.later_fees.iter().map(|one| (one.from, one.fee)).collect();
    assert_eq!(later, [(at("2026-08-01T00:00:00Z"), usd(99_000_000))]);
    shop.close(at("2026-09-01T01:00:00Z")).await;
    let fees: Vec<i64> = made(&shop, partner)
        .await
        .iter()
        .flat_map(|(_, lines)| lines.iter().filter(|line| line.kind == LineKind::BaseFee))
        .map(|line| line.amount.micros)
        .collect();
    assert_eq!(fees, [3_330_000, 32_670_000, 49_000_000, 99_000_000]);
}

#[tokio::test]
async fn what_last_month_would_have_cost_has_the_promotions_of_last_month() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", sold(json!({}))).await;
    let id = shop.store.find_plan_by_code("pro").await.expect("answered").expect("a plan").id;
    let partner = shop.partner_without_members("acme", plan, at("2026-01-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-15T00:00:00Z"), &[(1, 1_000)]).await;
    let after = async |now: &str| {
        let terms = sold(json!({ "promotions": spring() }));
        let seen = impact(&shop.store, id, &terms, at(now)).await.expect("rated");
        (seen.partners[0].before, seen.partners[0].after.clone())
    };
    let of = |before, after| (Some(usd(before)), After::Comparable(usd(after)));
    assert_eq!(after("2026-04-12T00:00:00Z").await, of(109_000_000, 104_000_000));
    assert_eq!(after("2026-05-12T00:00:00Z").await, of(99_000_000, 99_000_000));
}
