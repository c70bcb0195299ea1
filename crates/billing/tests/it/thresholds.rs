//! Threshold invoices: a period that is billed in parts costs to the cent what it costs in one, and each part is billed once.

use crate::{
    corrections::no_finding,
    revenue,
    shop::{GRACE, Shop, days, hours, terms},
};
use billing::{Behind, Closing, Opening, close_due_periods, open_line, project};
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId},
    money::{Currency, Money},
    plan::PlanTerms,
    rating::{LineKind, OwnThreshold},
    revenue::Account,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::{
    Actor, Invoice, InvoiceLine, InvoiceStatus,
    credit_notes::{CreditKind, Issue, NewCreditNote, Payback},
    trace::{TracedBilling, TracedInvoice},
};

pub const START: &str = "2026-06-01T00:00:00Z";
pub const END: &str = "2026-07-01T00:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// A dollar a unit, whatever else the rest says.
pub fn priced(rest: Value) -> PlanTerms {
    let mut all = json!({
        "currency": "USD", "products": [{ "product": "payments" }], "collect": "invoice_items",
        "price": { "model": "per_unit", "unit_price": "1" },
    });
    all.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
    serde_json::from_value(all).expect("terms")
}

pub fn dollars(dollars: i64) -> Money {
    Money::new(Currency::Usd, dollars * 1_000_000)
}

/// The partner's invoices with their lines, in the order in which they were made.
pub async fn made(shop: &Shop, partner: PartnerId) -> Vec<(Invoice, Vec<InvoiceLine>)> {
    let mut invoices = shop.store.invoices(partner).await.expect("invoices");
    invoices.sort_by_key(|invoice| invoice.number);
    let mut all = Vec::new();
    for invoice in invoices {
        all.push(shop.store.invoice(partner, invoice.id).await.expect("an invoice"));
    }
    all
}

pub fn totals(made: &[(Invoice, Vec<InvoiceLine>)]) -> Vec<String> {
    made.iter().map(|(invoice, _)| invoice.total.to_string()).collect()
}

pub fn shown(lines: &[InvoiceLine]) -> Vec<(LineKind, String, i64, String)> {
    lines.iter().map(|line| (line.kind, line.description.clone(), line.quantity, line.amount.to_string())).collect()
}

pub fn row(kind: LineKind, words: &str, quantity: i64, amount: &str) -> (LineKind, String, i64, String) {
    (kind, words.to_owned(), quantity, amount.to_owned())
}

pub async fn void(shop: &Shop, partner: PartnerId, invoice: InvoiceId, now: Timestamp) {
    let (kind, payback, reason) = (CreditKind::Void, Payback::Refund, "Made by mistake".to_owned());
    let new = NewCreditNote { invoice, kind, lines: Vec::new(), payback, reason };
    let id = shop.store.draft_credit_note(partner, &new, false, Actor::System, now).await.expect("a draft");
    let issue = Issue { seen_paid: false, four_eyes: false };
    shop.store.issue_credit_note(partner, id, issue, Actor::System, now).await.expect("void");
}

pub async fn sold(shop: &Shop, rest: Value) -> (PlanVersionId, PartnerId) {
    let plan = shop.plan("sold", priced(rest)).await;
    (plan, shop.partner("acme", plan, at(START)).await)
}

#[tokio::test]
async fn usage_is_invoiced_whenever_it_reaches_the_threshold_and_the_last_invoice_takes_that_off() {
    let shop = Shop::open().await;
    let rest = json!({ "invoice_threshold_micros": 100_000_000, "base_fee_micros": 50_000_000, "minimum_micros": 900_000_000 });
    let (_, partner) = sold(&shop, rest).await;
    shop.live(partner, at("2026-06-03T10:20:00Z"), &[(1, 99)]).await;
    assert_eq!(shop.close(at("2026-06-03T12:00:00Z")).await.invoices, [], "a dollar is missing");
    shop.live(partner, at("2026-06-03T12:30:00Z"), &[(2, 1)]).await;
    assert_eq!(shop.close(at("2026-06-03T13:00:59Z")).await.invoices, [], "calls of that hour may still be recorded");
    let first = shop.close(at("2026-06-03T13:01:00Z")).await.invoices;
    assert_eq!(first.len(), 1);
    assert_eq!(shop.close(at("2026-06-03T14:30:00Z")).await.invoices, []);
    let seen = project(&shop.store, partner, at("2026-06-03T15:00:00Z")).await.expect("rated").expect("a bill");
    // 50.00 and the minimum of 900.00, less 100.00.
    assert_eq!((seen.billed_before, seen.so_far.total), (dollars(100), dollars(850)));
    // Enough for two at once is one.
    shop.live(partner, at("2026-06-10T00:00:00Z"), &[(1, 250)]).await;
    assert_eq!(shop.close(at("2026-06-12T00:00:00Z")).await.invoices.len(), 1);
    shop.live(partner, at("2026-06-30T23:59:59Z"), &[(1, 7)]).await;
    assert_eq!(shop.close(at("2026-07-01T00:05:00Z")).await.invoices.len(), 1);
    let made = made(&shop, partner).await;
    assert_eq!(totals(&made), ["$100.00", "$250.00", "$600.00"]);
    let numbers: Vec<_> = made.iter().map(|(invoice, _)| (invoice.threshold_number, invoice.period.end)).collect();
    assert_eq!(numbers, [(1, at("2026-06-03T13:00:00Z")), (2, at("2026-06-11T23:00:00Z")), (0, at(END))]);
    assert!(made.iter().all(|(invoice, _)| invoice.period.start == at(START)));
    let [first, second, last] = [0, 1, 2].map(|index| shown(&made[index].1));
    let [one, two] = [0, 1].map(|index| made[index].0.code());
    let billed = |code: &str, until: &str, amount: &str| {
        let words = format!("Billed already by threshold invoice {code}: usage until {until}");
        row(LineKind::BilledBefore, &words, 1, amount)
    };
    let usage = |words: &str, units: i64| row(LineKind::Usage, words, units, &format!("${units}.00"));
    let (create, read) = ("Payments, POST /create", "Payments, POST /read");
    assert_eq!(first, [usage(create, 99), usage(read, 1)]);
    assert_eq!(second, [usage(create, 349), usage(read, 1), billed(&one, "2026-06-03 13:00", "−$100.00")]);
    assert_eq!(
        last,
        [
            row(LineKind::BaseFee, "Base fee", 1, "$50.00"),
            usage(create, 356),
            usage(read, 1),
            row(LineKind::Minimum, "To the minimum of $900.00 for usage", 1, "$543.00"),
            billed(&one, "2026-06-03 13:00", "−$100.00"),
            billed(&two, "2026-06-11 23:00", "−$250.00"),
        ]
    );
    let owed: i64 = made.iter().map(|(invoice, _)| invoice.total.micros).sum();
    let balances = shop.store.ledger_balances(partner).await.expect("balances");
    assert_eq!((owed, balances[0].1), (950_000_000, dollars(950)));
}

#[tokio::test]
async fn a_cut_waits_for_every_node_and_what_comes_late_for_it_is_on_the_next_invoice() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at("2026-06-03T10:20:00Z"), &[(1, 120)]).await;
    let now = at("2026-06-04T00:00:00Z");
    for through in [None, Some(at("2026-06-03T11:00:00Z")), Some(at("2026-06-03T11:00:59Z"))] {
        let closing = Closing { grace: GRACE, ingested_through: through };
        let report = close_due_periods(&shop.store, closing, now).await.expect("closes");
        assert_eq!((report.invoices.len(), report.problems.len()), (0, 0), "{through:?}");
    }
    let first = shop.close(now).await.invoices;
    assert_eq!(first.len(), 1);
    // Of an hour that was cut.
    shop.live(partner, at("2026-06-03T10:21:00Z"), &[(1, 30)]).await;
    let opened = open_line(&shop.store, (partner, first[0], 0), Opening::default(), now).await.expect("opened");
    assert!(matches!(opened.behind, Behind::Usage { units: 150, late: 30, .. }), "{opened:?}");
    shop.live(partner, at("2026-06-05T10:00:00Z"), &[(1, 80)]).await;
    shop.close(at("2026-06-06T00:00:00Z")).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let made = made(&shop, partner).await;
    assert_eq!(totals(&made), ["$120.00", "$110.00", "$0.00"]);
    for (invoice, lines) in &made[1..] {
        let opened = open_line(&shop.store, (partner, invoice.id, 0), Opening::default(), now).await.expect("opened");
        assert!(matches!(opened.behind, Behind::Usage { units: 230, late: 0, .. }), "{opened:?}");
        assert_eq!(lines[0].quantity, 230);
    }
}

#[tokio::test]
async fn runs_at_once_make_each_threshold_invoice_once() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    for day in 1..6 {
        shop.live(partner, at(START) + days(day), &[(1, 130)]).await;
        let now = at(START) + days(day) + hours(3);
        let racing = (0..4).map(|_| {
            let store = shop.store.handle();
            tokio::spawn(async move {
                close_due_periods(&store, Closing { grace: GRACE, ingested_through: Some(now) }, now).await
            })
        });
        let mut invoices = 0;
        for run in racing.collect::<Vec<_>>() {
            invoices += run.await.expect("no panic").expect("closes").invoices.len();
        }
        assert_eq!(invoices, 1, "day {day}");
    }
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$130.00", "$130.00", "$130.00", "$130.00", "$130.00", "$0.00"]);
}

#[tokio::test]
async fn a_volume_price_may_give_back_on_the_last_invoice() {
    let shop = Shop::open().await;
    let rest = json!({
        "invoice_threshold_micros": 100_000_000,
        "price": { "model": "volume", "steps": [{ "up_to": 200, "unit_price": "1" }, { "unit_price": "0.25" }] },
    });
    let (_, partner) = sold(&shop, rest).await;
    shop.live(partner, at(START) + days(1), &[(1, 200)]).await;
    shop.close(at(START) + days(2)).await;
    shop.live(partner, at(START) + days(3), &[(1, 200)]).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$200.00", "−$100.00"]);
}

#[tokio::test]
async fn what_is_void_is_billed_by_the_next_invoice_and_is_not_made_again_at_once() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    let first = shop.close(at(START) + days(2)).await.invoices[0];
    void(&shop, partner, first, at(START) + days(2)).await;
    assert_eq!(shop.close(at(START) + days(3)).await.invoices, []);
    shop.live(partner, at(START) + days(4), &[(1, 100)]).await;
    let second = shop.close(at(START) + days(5)).await.invoices[0];
    shop.store.set_invoice_status(partner, second, InvoiceStatus::Paid, at(START) + days(6)).await.expect("paid");
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let made = made(&shop, partner).await;
    assert_eq!(totals(&made), ["$100.00", "$200.00", "$0.00"]);
    assert_eq!(made[1].0.threshold_number, 2);
    let balances = shop.store.ledger_balances(partner).await.expect("balances");
    let owed = balances.iter().filter(|(_, money)| money.micros != 0);
    let owed: BTreeSet<_> = owed.map(|(account, money)| format!("{account:?} {money}")).collect();
    assert_eq!(owed, BTreeSet::from(["Cash $200.00", "Revenue −$200.00"].map(str::to_owned)));
}

#[tokio::test]
async fn after_a_void_one_the_threshold_counts_from_where_it_was_cut() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    let mut day = 0;
    let mut used = async |units: u64| {
        day += 1;
        shop.live(partner, at(START) + days(day), &[(1, units)]).await;
        shop.close(at(START) + days(day) + hours(3)).await.invoices
    };
    let first = used(100).await[0];
    void(&shop, partner, first, at(START) + days(1)).await;
    assert_eq!(used(99).await, []);
    assert_eq!(used(1).await.len(), 1, "what was void and as much again");
    assert_eq!(used(99).await, []);
    let third = used(1).await;
    assert_eq!(third.len(), 1, "as much again since then");
    void(&shop, partner, third[0], at(START) + days(5)).await;
    assert_eq!(used(99).await, []);
    assert_eq!(used(1).await.len(), 1);
    assert_eq!(used(100).await.len(), 1);
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let totals = totals(&made(&shop, partner).await);
    assert_eq!(totals, ["$100.00", "$200.00", "$100.00", "$200.00", "$100.00", "$0.00"]);
}

#[tokio::test]
async fn a_partner_s_own_threshold_takes_the_place_of_the_plan_s() {
    let shop = Shop::open().await;
    let (plan, early) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    let never = shop.partner("never", plan, at(START)).await;
    let as_planned = shop.partner("planned", plan, at(START)).await;
    let set = |partner, own| shop.store.set_invoice_threshold(partner, own, Actor::System, at(START));
    set(early, Some(OwnThreshold::At(dollars(20)))).await.expect("set");
    set(never, Some(OwnThreshold::Never)).await.expect("set");
    for (wrong, field) in [(Money::new(Currency::Eur, 5_000_000), "USD"), (dollars(0), "more than zero")] {
        let refused = set(early, Some(OwnThreshold::At(wrong))).await.expect_err("refused").to_string();
        assert!(refused.contains(field), "{refused}");
    }
    for partner in [early, never, as_planned] {
        shop.live(partner, at(START) + days(1), &[(1, 60)]).await;
    }
    let count = async || {
        let mut count = Vec::new();
        for partner in [early, never, as_planned] {
            count.push(shop.store.invoices(partner).await.expect("invoices").len());
        }
        count
    };
    shop.close(at(START) + days(2)).await;
    assert_eq!(count().await, [1, 0, 0]);
    // Usage that was too little is looked at again when the threshold is another.
    set(as_planned, Some(OwnThreshold::At(dollars(60)))).await.expect("set");
    shop.close(at(START) + days(2)).await;
    assert_eq!(count().await, [1, 0, 1]);
    set(early, None).await.expect("cleared");
    assert_eq!(shop.store.own_invoice_threshold(early).await.expect("asked"), None);
    let stripes = shop.plan("stripes", terms("meter_events")).await;
    let theirs = shop.partner("theirs", stripes, at(START)).await;
    let refused = set(theirs, Some(OwnThreshold::At(dollars(20)))).await.expect_err("refused").to_string();
    assert!(refused.contains("Stripe rates the usage"), "{refused}");
}

#[tokio::test]
async fn a_part_of_a_period_before_a_change_of_plan_is_cut_and_closed_by_itself() {
    let shop = Shop::open().await;
    let (_, partner) =
        sold(&shop, json!({ "invoice_threshold_micros": 100_000_000, "base_fee_micros": 30_000_000 })).await;
    let dearer = shop.plan("dearer", priced(json!({ "invoice_threshold_micros": 40_000_000 }))).await;
    shop.live(partner, at(START) + days(3), &[(1, 150)]).await;
    shop.close(at(START) + days(4)).await;
    shop.live(partner, at(START) + days(8), &[(1, 50)]).await;
    let change = at(START) + days(10);
    let told = project(&shop.store, partner, change).await.expect("rated").expect("a bill").ended_now.total;
    shop.store.assign_plan_version(partner, dearer, Actor::System, change).await.expect("changed");
    shop.close(change + hours(2)).await;
    shop.live(partner, change + days(1), &[(1, 40)]).await;
    shop.close(change + days(2)).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let made = made(&shop, partner).await;
    // Ten of thirty days of the fee, and 200.00 less 150.00; then 40.00, and nothing is left.
    assert_eq!(totals(&made), ["$150.00", "$60.00", "$40.00", "$0.00"]);
    assert_eq!(told, made[1].0.total);
}

#[tokio::test]
async fn stripe_collects_each_of_them_to_the_cent() {
    let shop = Shop::open().await;
    let plan = shop.plan("sold", priced(json!({ "invoice_threshold_micros": 100_000_000 }))).await;
    let begin = shop.now().await;
    let partner = shop.partner("acme", plan, begin).await;
    shop.live(partner, begin + hours(1), &[(1, 130)]).await;
    shop.close(begin + hours(4)).await;
    shop.reconcile().await;
    shop.live(partner, begin + days(1), &[(1, 25)]).await;
    shop.close(begin + days(32)).await;
    shop.reconcile().await;
    let mut held = Vec::new();
    for (invoice, _) in made(&shop, partner).await {
        let (at_stripe, count) = shop.at_stripe(invoice.id).await;
        held.push((count, at_stripe["total"].as_i64(), at_stripe["status"].as_str().map(str::to_owned)));
    }
    let open = |cents| (1, Some(cents), Some("open".to_owned()));
    assert_eq!(held[..2], [open(13_000), open(2_500)]);
    shop.keep_requests("threshold-invoices").await;
}

#[tokio::test]
async fn a_period_closes_with_what_was_billed_or_not_at_all() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    shop.close(at(START) + days(2)).await;
    let refused = shop.store.close_as_the_version_before(partner, at(END)).await.expect_err("refused");
    assert!(refused.contains("threshold invoices of the period come to 100000000"), "{refused}");
}

#[tokio::test]
async fn the_way_of_a_call_tells_every_invoice_that_has_it() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    shop.close(at(START) + days(2)).await;
    shop.live(partner, at(START) + days(3), &[(1, 100)]).await;
    shop.close(at(START) + days(4)).await;
    let traced = async || {
        let calls = shop.store.all_partners_trace("r", None).await.expect("traced");
        calls
            .into_iter()
            .map(|call| (call.at, call.thresholds, call.billing.expect("it is billed")))
            .collect::<Vec<_>>()
    };
    let numbers: Vec<i64> = made(&shop, partner).await.iter().map(|(invoice, _)| invoice.number).collect();
    let before = traced().await;
    let on = |call: &(Timestamp, Vec<TracedInvoice>, TracedBilling)| {
        let lines = |invoice: &TracedInvoice| invoice.lines.iter().map(|line| (line.position, line.quantity)).collect();
        call.1.iter().map(|invoice| (invoice.number, lines(invoice))).collect::<Vec<(i64, Vec<_>)>>()
    };
    let both = [(numbers[0], vec![(0, 100)]), (numbers[1], vec![(0, 200)])];
    assert_eq!((on(&before[0]), on(&before[1])), (both.to_vec(), both[1..].to_vec()));
    assert!(before.iter().all(|call| matches!(call.2, TracedBilling::Open { .. })));
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let after = traced().await;
    assert_eq!(on(&after[0]), both);
    let TracedBilling::Closed { invoice: Some(last), .. } = &after[0].2 else { panic!("{after:?}") };
    assert_eq!(last.lines.iter().map(|line| (line.position, line.quantity)).collect::<Vec<_>>(), [(0, 200)]);
}

#[tokio::test]
async fn a_call_on_a_void_invoice_is_traced_to_the_one_that_billed_it_again() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    let first = shop.close(at(START) + days(2)).await.invoices[0];
    let on = async || {
        let call = shop.store.all_partners_trace("r", None).await.expect("traced").swap_remove(0);
        call.thresholds.iter().map(|invoice| (invoice.id, invoice.lines[0].quantity)).collect::<Vec<_>>()
    };
    assert_eq!(on().await, [(first, 100)]);
    void(&shop, partner, first, at(START) + days(2)).await;
    assert_eq!(on().await, [], "what is void has nothing");
    shop.live(partner, at(START) + days(4), &[(1, 100)]).await;
    let second = shop.close(at(START) + days(5)).await.invoices[0];
    assert_eq!(on().await, [(second, 200)]);
}

#[tokio::test]
async fn late_usage_of_a_closed_period_is_rated_beside_all_of_it() {
    let shop = Shop::open().await;
    let rest = json!({
        "invoice_threshold_micros": 100_000_000,
        "price": { "model": "graduated", "steps": [{ "up_to": 250, "unit_price": "1" }, { "unit_price": "0.1" }] },
    });
    let (_, partner) = sold(&shop, rest).await;
    shop.live(partner, at(START) + days(1), &[(1, 200)]).await;
    shop.close(at(START) + days(2)).await;
    shop.live(partner, at(START) + days(3), &[(1, 40)]).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    shop.live(partner, at(START) + days(1), &[(1, 20)]).await;
    no_finding(&shop, "2026-07-02T00:00:00Z").await;
    shop.close(at("2026-08-01T01:00:00Z")).await;
    // Ten units to the 250, and ten beyond them.
    assert_eq!(totals(&made(&shop, partner).await), ["$200.00", "$40.00", "$11.00"]);
    no_finding(&shop, "2026-08-02T00:00:00Z").await;
}

#[tokio::test]
async fn what_a_threshold_invoice_bills_is_earned_when_it_was_used_and_once() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at("2026-06-03T10:00:00Z"), &[(1, 130)]).await;
    shop.close(at("2026-06-05T00:10:00Z")).await;
    shop.live(partner, at("2026-06-20T10:00:00Z"), &[(1, 25)]).await;
    shop.close(at("2026-07-01T00:20:00Z")).await;
    use Account::{AccountsReceivable, ContractAsset, Revenue};
    revenue::write(&shop, at("2026-07-03T00:00:00Z")).await;
    let told = async |day: &str| revenue::balances(&shop, partner, day.parse().expect("a day")).await;
    assert_eq!(told("2026-06-03").await, BTreeMap::new());
    assert_eq!(told("2026-06-04").await, BTreeMap::from([(ContractAsset, 13_000), (Revenue, -13_000)]));
    assert_eq!(told("2026-06-05").await, BTreeMap::from([(AccountsReceivable, 13_000), (Revenue, -13_000)]));
    let last = [(AccountsReceivable, 13_000), (ContractAsset, 2_500), (Revenue, -15_500)];
    assert_eq!(told("2026-06-30").await, BTreeMap::from(last));
    assert_eq!(told("2026-07-01").await, BTreeMap::from([(AccountsReceivable, 15_500), (Revenue, -15_500)]));
}
