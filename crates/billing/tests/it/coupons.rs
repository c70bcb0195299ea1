//! Coupons come off bills last, once for each billing period, never more than there is, and the same on the draft as on the invoice.

use crate::{
    late::{event, tell},
    shop::{Shop, days, hours, terms},
};
use billing::{Wanted, order_change, preview_change, project};
use domain::{
    id::{PartnerId, PlanVersionId},
    money::Money,
    plan::PlanTerms,
    plan_change::When,
    rating::FeeDue,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{
    Actor, BilledAlready, CouponStanding, CouponsTaken, NewInvoice, OrderedBy, StoreError, Wish, outside::Told,
};
use tokio::join;

const START: &str = "2026-06-01T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn fee(dollars: i64, fee_due: FeeDue) -> PlanTerms {
    PlanTerms { base_fee_micros: dollars * 1_000_000, fee_due, included_credit_micros: 0, ..terms("invoice_items") }
}

async fn give(shop: &Shop, partner: PartnerId, code: &str, coupon: Value, when: Timestamp) {
    let coupon = serde_json::from_value(coupon).expect("a coupon");
    shop.store.put_coupon(code, &coupon, Actor::System, when).await.expect("saved");
    shop.store.redeem_coupon(partner, code, OrderedBy::Operator, Actor::System, when).await.expect("redeemed");
}

/// Totals of the partner's invoices as they were made, and what coupons took off each.
async fn bills(shop: &Shop, partner: PartnerId) -> Vec<(String, Vec<String>)> {
    let mut invoices = shop.store.invoices(partner).await.expect("invoices");
    invoices.sort_by_key(|invoice| invoice.number);
    let mut bills = Vec::new();
    for invoice in invoices {
        let (_, lines) = shop.store.invoice(partner, invoice.id).await.expect("an invoice");
        let coupons = lines.into_iter().filter(|line| line.description.contains("Coupon"));
        bills.push((
            invoice.total.to_string(),
            coupons.map(|line| format!("{} {}", line.description, line.amount)).collect(),
        ));
    }
    bills
}

fn bill(total: &str, coupons: &[&str]) -> (String, Vec<String>) {
    (total.to_owned(), coupons.iter().map(|line| (*line).to_owned()).collect())
}

async fn moved(shop: &Shop, partner: PartnerId, to: PlanVersionId, now: Timestamp) -> Option<String> {
    let wanted = Wanted { wish: Wish::Version(to), when: When::AtOnce, by: OrderedBy::Operator };
    let shown = preview_change(&shop.store, partner, wanted, now).await.expect("a preview");
    let letter = |_: &_, _: &_| unreachable!("nobody to write to");
    order_change(&shop.store, partner, wanted, &shown.token, &letter, Actor::System, now).await.expect("made");
    shown.preview.given_back.map(|money| money.to_string())
}

#[tokio::test]
async fn they_are_lines_of_their_own_on_draft_and_invoice_for_as_many_periods_as_they_say() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", fee(100, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", plan, at(START)).await;
    give(&shop, partner, "spring", json!({"name": "Spring", "percent": "25", "periods": 2}), at(START) + days(3)).await;
    give(&shop, partner, "sorry", json!({"name": "Sorry", "amount": "20", "currency": "USD"}), at(START) + days(4))
        .await;
    shop.live(partner, at(START) + days(5), &[(1, 5_000)]).await;
    let draft = project(&shop.store, partner, at(START) + days(6)).await.expect("rated").expect("a bill").so_far;
    // 100.00 and 4,000 × 0.005.
    assert_eq!(draft.total.to_string(), "$70.00");
    let labels: Vec<_> = draft.charges.iter().filter_map(|charge| charge.label.as_deref()).collect();
    assert_eq!(labels, ["Coupon Spring, 25 % off", "Coupon Sorry, $20.00 off the period"]);
    shop.close(at("2026-09-01T01:00:00Z")).await;
    let (share, amount) = ("Coupon Spring, 25 % off −$25.00", "Coupon Sorry, $20.00 off the period −$20.00");
    assert_eq!(
        bills(&shop, partner).await,
        [
            bill("$70.00", &["Coupon Spring, 25 % off −$30.00", amount]),
            bill("$55.00", &[share, amount]),
            bill("$80.00", &[amount]),
        ]
    );
    let held = shop.store.redeemed_coupons(partner, at("2026-09-01T01:00:00Z")).await.expect("coupons");
    assert_eq!(
        held.iter().map(|own| (own.periods_used, own.standing)).collect::<Vec<_>>(),
        [(2, CouponStanding::UsedUp), (3, CouponStanding::Counts)]
    );
}

#[tokio::test]
async fn two_runs_at_once_take_it_off_once() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", fee(30, FeeDue::Advance)).await;
    let partner = shop.partner_without_members("acme", plan, at(START)).await;
    give(&shop, partner, "sorry", json!({"name": "Sorry", "amount": "35", "currency": "USD"}), at(START)).await;
    join!(shop.close(at(START)), shop.close(at(START)));
    shop.live(partner, at(START) + days(5), &[(1, 3_000)]).await;
    let end = at("2026-07-01T01:00:00Z");
    join!(shop.close(end), shop.close(end), shop.close(end));
    shop.close(end).await;
    let line = |amount: &str| format!("Coupon Sorry, $35.00 off the period −{amount}");
    let mut made = bills(&shop, partner).await;
    made.sort();
    // June's fee in advance, July's, and 2,000 × 0.005 of June, whose coupon has 5.00 left.
    let expected =
        [bill("$0.00", &[&line("$30.00")]), bill("$0.00", &[&line("$30.00")]), bill("$5.00", &[&line("$5.00")])];
    assert_eq!(made, expected);
}

#[tokio::test]
async fn an_amount_is_taken_once_where_the_plan_changes_within_the_period() {
    let shop = Shop::open().await;
    let small = shop.plan("small", fee(30, FeeDue::Arrears)).await;
    let big = shop.plan("big", fee(90, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", small, at(START)).await;
    let coupon = json!({"name": "Sorry", "amount": "25", "currency": "USD", "periods": 1});
    give(&shop, partner, "sorry", coupon, at(START) + days(1)).await;
    moved(&shop, partner, big, at(START) + days(10)).await;
    shop.close(at("2026-08-01T01:00:00Z")).await;
    let line = |amount: &str| format!("Coupon Sorry, $25.00 off the period −{amount}");
    let expected = [bill("$0.00", &[&line("$10.00")]), bill("$45.00", &[&line("$15.00")]), bill("$90.00", &[])];
    assert_eq!(bills(&shop, partner).await, expected);
}

/// Half of thirty dollars was paid for June; ten of thirty days ran.
#[tokio::test]
async fn of_a_fee_that_a_coupon_lowered_no_more_is_given_back_than_was_paid() {
    let shop = Shop::open().await;
    let small = shop.plan("small", fee(30, FeeDue::Advance)).await;
    let free = shop.plan("free", fee(0, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", small, at(START)).await;
    give(&shop, partner, "half", json!({"name": "Half", "percent": "50"}), at(START)).await;
    shop.close(at(START)).await;
    assert_eq!(bills(&shop, partner).await, [bill("$15.00", &["Coupon Half, 50 % off −$15.00"])]);
    let now = at(START) + days(10);
    assert_eq!(moved(&shop, partner, free, now).await.as_deref(), Some("$10.00"), "as it is shown");
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(bills(&shop, partner).await[1..], [bill("−$10.00", &[])]);
}

/// What is redeemed while the fee of the period is paid counts from the next one on: else its only period could have no more of it.
#[tokio::test]
async fn it_begins_with_the_next_fee_where_this_one_is_paid() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", fee(30, FeeDue::Advance)).await;
    let partner = shop.partner_without_members("acme", plan, at(START)).await;
    shop.close(at(START)).await;
    give(&shop, partner, "once", json!({"name": "Once", "percent": "100", "periods": 1}), at(START) + days(3)).await;
    shop.live(partner, at(START) + days(5), &[(1, 3_000)]).await;
    shop.close(at("2026-08-01T00:00:01Z")).await;
    shop.close(at("2026-08-01T01:00:00Z")).await;
    let mut made = bills(&shop, partner).await;
    made.sort();
    let mut expected = [
        bill("$30.00", &[]),
        bill("$0.00", &["Coupon Once, 100 % off −$30.00"]),
        bill("$10.00", &[]),
        bill("$30.00", &[]),
    ];
    expected.sort();
    assert_eq!(made, expected);
}

/// Rated without the coupon, the late units would cost all that they do, and a correction would give back what was never paid.
#[tokio::test]
async fn late_units_have_the_share_off_that_their_bill_had() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", fee(100, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", plan, at(START)).await;
    give(&shop, partner, "half", json!({"name": "Half", "percent": "50", "periods": 1}), at(START)).await;
    shop.live(partner, at(START) + days(5), &[(1, 2_000)]).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let late = event("1", "2026-06-12T00:00:00Z", "read", 1_000);
    assert!(matches!(tell(&shop, partner, &[late], "2026-07-02T00:00:00Z").await[..], [Told::Late(_)]));
    shop.close(at("2026-08-01T01:00:00Z")).await;
    let late = "Late usage of 2026-06-01 to 2026-07-01: Coupon Half, 50 % off −$2.50";
    let expected = [bill("$52.50", &["Coupon Half, 50 % off −$52.50"]), bill("$102.50", &[late])];
    assert_eq!(bills(&shop, partner).await, expected);
}

#[tokio::test]
async fn late_units_of_a_period_without_a_bill_have_the_share_off_too() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", fee(0, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", plan, at(START)).await;
    give(&shop, partner, "half", json!({"name": "Half", "percent": "50", "periods": 1}), at(START)).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert!(bills(&shop, partner).await.is_empty());
    for (number, when) in [("1", "2026-07-02T00:00:00Z"), ("2", "2026-08-02T00:00:00Z")] {
        let late = event(number, "2026-06-12T00:00:00Z", "read", 3_000);
        assert!(matches!(tell(&shop, partner, &[late], when).await[..], [Told::Late(_)]));
        shop.close(at(when) + days(31)).await;
    }
    let late = |amount: &str| format!("Late usage of 2026-06-01 to 2026-07-01: Coupon Half, 50 % off −{amount}");
    // 2,000 × 0.005, as 1,000 are free; then 3,000 × 0.005.
    assert_eq!(bills(&shop, partner).await, [bill("$5.00", &[&late("$5.00")]), bill("$7.50", &[&late("$7.50")])]);
}

/// What tells lines apart is not what they are called.
#[tokio::test]
async fn late_units_have_the_share_off_of_each_of_two_coupons_that_are_called_the_same() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", fee(100, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", plan, at(START)).await;
    for (code, after) in [("half", 0), ("half-again", 1)] {
        let coupon = json!({"name": "Half", "percent": "50", "periods": 1});
        give(&shop, partner, code, coupon, at(START) + hours(after)).await;
    }
    shop.live(partner, at(START) + days(5), &[(1, 2_000)]).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let late = event("1", "2026-06-12T00:00:00Z", "read", 1_000);
    assert!(matches!(tell(&shop, partner, &[late], "2026-07-02T00:00:00Z").await[..], [Told::Late(_)]));
    shop.close(at("2026-08-01T01:00:00Z")).await;
    let line = |amount: &str| format!("Coupon Half, 50 % off −{amount}");
    let late = |amount: &str| format!("Late usage of 2026-06-01 to 2026-07-01: {}", line(amount));
    // 105.00 less a half and its half; 5.00 more, of which a quarter is left.
    let expected =
        [bill("$26.25", &[&line("$52.50"), &line("$26.25")]), bill("$101.25", &[&late("$2.50"), &late("$1.25")])];
    assert_eq!(bills(&shop, partner).await, expected);
}

/// Nor does one that was left before it ended: the plan's first paid period is still to come.
#[tokio::test]
async fn a_trial_that_was_left_early_uses_up_no_period_of_it() {
    let shop = Shop::open().await;
    let tried = json!({"currency": "USD", "products": [{"product": "payments"}], "base_fee_micros": 40_000_000, "trial": {"days": 14}});
    let tried = shop.plan("tried", serde_json::from_value(tried).expect("terms")).await;
    let plain = shop.plan("plain", fee(10, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", tried, at(START)).await;
    let coupon = json!({"name": "Once", "percent": "50", "periods": 1, "plans": ["tried"]});
    give(&shop, partner, "once", coupon, at(START) + hours(1)).await;
    moved(&shop, partner, plain, at(START) + days(5)).await;
    shop.close(at("2026-07-20T00:00:00Z")).await;
    moved(&shop, partner, tried, at("2026-08-01T00:00:00Z")).await;
    shop.close(at("2026-09-20T00:00:00Z")).await;
    // Of 40.00, 14 of 31 days.
    let lowered = bills(&shop, partner).await.into_iter().filter(|(_, coupons)| !coupons.is_empty());
    let expected = [bill("$9.03", &["Coupon Once, 50 % off −$9.03"])];
    assert_eq!(lowered.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_trial_uses_up_no_period_of_it_and_a_plan_that_it_is_not_for_has_none() {
    let shop = Shop::open().await;
    let tried = json!({"currency": "USD", "products": [{"product": "payments"}], "base_fee_micros": 40_000_000, "trial": {"days": 14}});
    let tried = shop.plan("tried", serde_json::from_value(tried).expect("terms")).await;
    let other = shop.plan("other", fee(10, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", tried, at(START)).await;
    let coupon = json!({"name": "Once", "percent": "50", "periods": 1, "plans": ["tried"]});
    give(&shop, partner, "once", coupon, at(START) + hours(1)).await;
    let bolt = shop.partner_without_members("bolt", other, at(START)).await;
    shop.store.redeem_coupon(bolt, "once", OrderedBy::Operator, Actor::System, at(START)).await.expect("given");
    shop.close(at("2026-08-15T01:00:00Z")).await;
    let expected = [bill("$20.00", &["Coupon Once, 50 % off −$20.00"]), bill("$40.00", &[])];
    assert_eq!(bills(&shop, partner).await, expected);
    assert_eq!(bills(&shop, bolt).await, [bill("$10.00", &[]), bill("$10.00", &[])]);
}

/// A coupon that is taken back or redeemed between reading and writing makes the bill anew.
#[tokio::test]
async fn a_bill_that_was_made_for_other_coupons_is_not_written() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", fee(30, FeeDue::Advance)).await;
    let partner = shop.partner_without_members("acme", plan, at(START)).await;
    let due = shop.store.all_partners_fees_due(at(START)).await.expect("fees").remove(0);
    let whole = due.cycle.period_at(due.from).expect("a period");
    give(&shop, partner, "late", json!({"name": "Late", "percent": "50"}), at(START)).await;
    let invoice = NewInvoice {
        plan_version: plan,
        time_zone: "UTC".to_owned(),
        collect: due.terms.collect,
        total: Money::zero(due.terms.currency),
        lines: Vec::new(),
        late: Vec::new(),
        in_advance: true,
        threshold_number: 0,
        billed_before: BilledAlready::default(),
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: Some(CouponsTaken {
            period_start: whole.start,
            part_start: whole.start,
            known: Vec::new(),
            taken: Vec::new(),
            returned: Vec::new(),
            late: Vec::new(),
        }),
    };
    let written = shop.store.bill_fee_in_advance(&due, whole, (due.terms.base_fee(), Some(invoice)), at(START)).await;
    assert!(matches!(written, Err(StoreError::Conflict { .. })), "{written:?}");
    shop.close(at(START)).await;
    assert_eq!(bills(&shop, partner).await, [bill("$15.00", &["Coupon Late, 50 % off −$15.00"])]);
}

/// What is neither used nor paid out of a fee is the coupon's again: 20.00 less in June, whatever plan it is.
#[tokio::test]
async fn an_amount_that_a_fee_in_advance_gives_back_is_there_for_the_next_plan_of_the_period() {
    for (amount, first, second) in [
        // Of 30.00 a third was used; of the 10.00 paid 6.67 are given back, and of the coupon 13.33.
        ("20", bill("$10.00", &["Coupon Sorry, $20.00 off the period −$20.00"]), ("$40.00", "−$13.33")),
        // Nothing was paid, so nothing is given back but to the coupon: 35.00 less in June.
        ("35", bill("$0.00", &["Coupon Sorry, $35.00 off the period −$30.00"]), ("$35.00", "−$25.00")),
    ] {
        let shop = Shop::open().await;
        let small = shop.plan("small", fee(30, FeeDue::Advance)).await;
        let big = shop.plan("big", fee(90, FeeDue::Advance)).await;
        let partner = shop.partner_without_members("acme", small, at(START)).await;
        let coupon = json!({"name": "Sorry", "amount": amount, "currency": "USD", "periods": 1});
        give(&shop, partner, "sorry", coupon, at(START)).await;
        shop.close(at(START)).await;
        let now = at(START) + days(10);
        moved(&shop, partner, big, now).await;
        join!(shop.close(now), shop.close(now));
        shop.close(at("2026-07-01T01:00:00Z")).await;
        let line = format!("Coupon Sorry, ${amount}.00 off the period {}", second.1);
        // July's fee has none, as it is for one period.
        let expected = [first, bill(second.0, &[&line]), bill("$90.00", &[])];
        assert_eq!(bills(&shop, partner).await, expected, "{amount}");
    }
}

/// The same of late usage: the parts of the period were closed without a bill that takes of it.
#[tokio::test]
async fn late_units_may_take_of_an_amount_what_a_fee_gave_back() {
    let shop = Shop::open().await;
    let usage = json!({"currency": "USD", "products": [{"product": "payments"}],
        "price": {"model": "per_unit", "unit_price": "0.005"}});
    let usage: PlanTerms = serde_json::from_value(usage).expect("terms");
    let (small, usage) = (shop.plan("small", fee(20, FeeDue::Advance)).await, shop.plan("usage", usage).await);
    let partner = shop.partner_without_members("acme", small, at(START)).await;
    give(&shop, partner, "sorry", json!({"name": "Sorry", "amount": "20", "currency": "USD"}), at(START)).await;
    shop.close(at(START)).await;
    // 13.33 go back to the coupon, and nothing was paid.
    moved(&shop, partner, usage, at(START) + days(10)).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    tell(&shop, partner, &[event("1", "2026-06-20T00:00:00Z", "read", 2_000)], "2026-07-02T00:00:00Z").await;
    shop.close(at("2026-08-01T01:00:00Z")).await;
    let off = "Coupon Sorry, $20.00 off the period";
    let late = format!("Late usage of 2026-06-11 to 2026-07-01: {off} −$10.00");
    let expected = [bill("$0.00", &[&format!("{off} −$20.00")]), bill("$0.00", &[&late])];
    assert_eq!(bills(&shop, partner).await, expected);
    // Of the 3.33 that are left.
    tell(&shop, partner, &[event("2", "2026-06-21T00:00:00Z", "read", 2_000)], "2026-08-02T00:00:00Z").await;
    shop.close(at("2026-09-01T01:00:00Z")).await;
    let late = format!("Late usage of 2026-06-11 to 2026-07-01: {off} −$3.33");
    assert_eq!(bills(&shop, partner).await[2..], [bill("$6.67", &[&late])]);
}

/// It waited for the end of a fee that was paid; the plan of that fee ends before, and the next bill is not paid yet.
#[tokio::test]
async fn it_waits_no_longer_for_the_end_of_a_fee_whose_plan_was_left() {
    let shop = Shop::open().await;
    let year = PlanTerms { interval: domain::period::Interval::Year, ..fee(300, FeeDue::Advance) };
    let (year, month) = (shop.plan("year", year).await, shop.plan("month", fee(90, FeeDue::Arrears)).await);
    let partner = shop.partner_without_members("acme", year, at(START)).await;
    shop.close(at(START)).await;
    let coupon = json!({"name": "Once", "percent": "100", "periods": 1});
    give(&shop, partner, "once", coupon, at(START) + days(3)).await;
    let held = async |now| shop.store.redeemed_coupons(partner, now).await.expect("coupons").remove(0);
    assert_eq!(held(at(START) + days(9)).await.starts_at, at("2027-06-01T00:00:00Z"));
    let now = at(START) + days(10);
    moved(&shop, partner, month, now).await;
    assert_eq!(held(now).await.starts_at, now);
    shop.close(at("2026-08-11T01:00:00Z")).await;
    let lowered: Vec<_> = bills(&shop, partner).await.into_iter().filter(|(_, coupons)| !coupons.is_empty()).collect();
    assert_eq!(lowered, [bill("$0.00", &["Coupon Once, 100 % off −$90.00"])]);
    assert_eq!(held(at("2026-08-11T01:00:00Z")).await.standing, CouponStanding::UsedUp);
}

/// Nor do they run where there is no plan.
#[tokio::test]
async fn its_periods_do_not_run_out_where_no_bill_can_have_it_and_the_page_says_so() {
    let shop = Shop::open().await;
    let dollars = shop.plan("dollars", fee(10, FeeDue::Arrears)).await;
    let euros = PlanTerms { currency: domain::money::Currency::Eur, ..fee(20, FeeDue::Arrears) };
    let euros = shop.plan("euros", euros).await;
    let metered = PlanTerms { collect: domain::plan::Collect::MeterEvents, ..fee(0, FeeDue::Arrears) };
    let metered = shop.plan("metered", metered).await;
    let partner = shop.partner_without_members("acme", dollars, at(START)).await;
    give(&shop, partner, "sorry", json!({"name": "Sorry", "amount": "5", "currency": "EUR", "periods": 2}), at(START))
        .await;
    let standing =
        async |now: &str| shop.store.redeemed_coupons(partner, at(now)).await.expect("coupons").remove(0).standing;
    assert_eq!(standing("2026-07-20T00:00:00Z").await, CouponStanding::Waits);
    // June and July in dollars, August in euros, September by Stripe's meters, October in euros again, and November.
    moved(&shop, partner, euros, at("2026-08-01T00:00:00Z")).await;
    assert_eq!(standing("2026-08-20T00:00:00Z").await, CouponStanding::Counts);
    moved(&shop, partner, metered, at("2026-09-01T00:00:00Z")).await;
    assert_eq!(standing("2026-09-20T00:00:00Z").await, CouponStanding::Waits);
    moved(&shop, partner, euros, at("2026-10-01T00:00:00Z")).await;
    assert_eq!(standing("2026-10-20T00:00:00Z").await, CouponStanding::Counts, "the second");
    shop.close(at("2026-12-01T01:00:00Z")).await;
    let euros: Vec<_> = bills(&shop, partner).await.into_iter().filter(|(total, _)| total.starts_with('€')).collect();
    let lowered = bill("€15.00", &["Coupon Sorry, €5.00 off the period −€5.00"]);
    assert_eq!(euros, [lowered.clone(), lowered, bill("€20.00", &[])]);
    assert_eq!(standing("2026-12-01T01:00:00Z").await, CouponStanding::UsedUp);
}

/// A period without a bill is one of them all the same.
#[tokio::test]
async fn a_coupon_that_had_nothing_to_take_off_is_used_up_all_the_same() {
    let shop = Shop::open().await;
    let free = shop.plan("free", fee(0, FeeDue::Arrears)).await;
    let partner = shop.partner_without_members("acme", free, at(START)).await;
    give(&shop, partner, "once", json!({"name": "Once", "percent": "50", "periods": 1}), at(START)).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert!(bills(&shop, partner).await.is_empty());
    let standing =
        async |now: &str| shop.store.redeemed_coupons(partner, at(now)).await.expect("coupons").remove(0).standing;
    assert_eq!(standing("2026-06-20T00:00:00Z").await, CouponStanding::Counts);
    assert_eq!(standing("2026-07-20T00:00:00Z").await, CouponStanding::UsedUp);
}

/// Both parts of June were closed without an invoice; what their late usage takes of the coupon is June's, once.
#[tokio::test]
async fn late_units_of_parts_of_a_period_without_a_bill_share_its_amount() {
    let shop = Shop::open().await;
    let usage = json!({"currency": "USD", "products": [{"product": "payments"}],
        "price": {"model": "per_unit", "unit_price": "0.005"}});
    let usage: PlanTerms = serde_json::from_value(usage).expect("terms");
    let (one, two) = (shop.plan("one", usage.clone()).await, shop.plan("two", usage).await);
    let partner = shop.partner_without_members("acme", one, at(START)).await;
    let coupon = json!({"name": "Sorry", "amount": "20", "currency": "USD", "periods": 1});
    give(&shop, partner, "sorry", coupon, at(START)).await;
    moved(&shop, partner, two, at(START) + days(10)).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert!(bills(&shop, partner).await.is_empty());
    let late = [event("1", "2026-06-05T00:00:00Z", "read", 3_000), event("2", "2026-06-20T00:00:00Z", "read", 2_000)];
    tell(&shop, partner, &late, "2026-07-02T00:00:00Z").await;
    join!(shop.close(at("2026-08-01T01:00:00Z")), shop.close(at("2026-08-01T01:00:00Z")));
    shop.close(at("2026-08-01T01:00:00Z")).await;
    let off = "Coupon Sorry, $20.00 off the period";
    let first = format!("Late usage of 2026-06-01 to 2026-06-11: {off} −$15.00");
    let second = format!("Late usage of 2026-06-11 to 2026-07-01: {off} −$5.00");
    assert_eq!(bills(&shop, partner).await, [bill("$5.00", &[&first, &second])]);
    tell(&shop, partner, &[event("3", "2026-06-06T00:00:00Z", "read", 1_000)], "2026-08-02T00:00:00Z").await;
    shop.close(at("2026-09-01T01:00:00Z")).await;
    assert_eq!(bills(&shop, partner).await[1..], [bill("$5.00", &[])]);
    let held = shop.store.redeemed_coupons(partner, at("2026-09-01T01:00:00Z")).await.expect("coupons").remove(0);
    assert_eq!((held.periods_used, held.standing), (1, CouponStanding::UsedUp));
}
