//! What a correction does to bills: to the cent, once, at the terms of its period; the closed bill stands.

use crate::shop::{Shop, terms};
use billing::{DryRun, apply_correction, approve_correction, draft_correction};
use domain::{
    correction::{BackFill, Change, Filter, NewCorrection},
    id::{CorrectionId, InvoiceId, PartnerId},
    key_text::Environment,
    period::Period,
    rating::LineKind,
};
use jiff::Timestamp;
use store::{Actor, Closed, corrections::Approval, outside::AdjustmentFilter, reconcile::Kind};

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

pub fn march() -> Period {
    Period { start: at("2026-03-10T00:00:00Z"), end: at("2026-04-10T00:00:00Z") }
}

pub fn asked(change: Change, from: &str, to: &str) -> NewCorrection {
    let filter = match change {
        Change::BackFill(_) => Filter::default(),
        _ => Filter { from: Some(at(from)), to: Some(at(to)), ..Filter::default() },
    };
    NewCorrection { change, filter, reason: "Counted wrongly".to_owned() }
}

pub async fn draft(shop: &Shop, partner: PartnerId, new: NewCorrection, now: &str) -> (CorrectionId, DryRun) {
    let id = draft_correction(&shop.store, partner, new, (false, Actor::System), at(now)).await.expect("drafted");
    let held = shop.store.correction_of_any_partner(id).await.expect("it is there");
    (id, serde_json::from_value(held.dry_run).expect("a dry run"))
}

pub async fn carry_out(shop: &Shop, id: CorrectionId, now: &str) {
    let seen = shop.store.correction_of_any_partner(id).await.expect("it is there").hash;
    let approval = Approval { seen, four_eyes: false };
    approve_correction(&shop.store, id, approval, Actor::System, at(now)).await.expect("approved");
    for first in [true, false] {
        let applied = apply_correction(&shop.store, id, (false, Actor::System), at(now)).await.expect("applied");
        assert_eq!(applied, first, "it counts once");
    }
}

async fn revert(shop: &Shop, partner: PartnerId, id: CorrectionId, now: &str) {
    for first in [true, false] {
        let told = shop.store.revert_correction(partner, id, ("It was right", false), Actor::System, at(now)).await;
        assert_eq!(told.expect("reverted"), first);
    }
}

/// Description, units, free units and amount of each adjustment, and the invoice's total.
pub async fn adjusted(shop: &Shop, partner: PartnerId, id: InvoiceId) -> (Vec<(String, i64, u64, String)>, String) {
    let (invoice, lines) = shop.store.invoice(partner, id).await.expect("an invoice");
    let line = lines.into_iter().filter(|line| line.kind == LineKind::Adjustment);
    let line = line.map(|line| (line.description, line.quantity, line.free, line.amount.to_string()));
    (line.collect(), invoice.total.to_string())
}

pub async fn no_finding(shop: &Shop, now: &str) {
    let range = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-08-01T00:00:00Z") };
    let done = shop.store.reconcile_all(range, &Kind::ALL, at(now)).await.expect("compared");
    assert_eq!(done.findings, []);
    assert!(done.compared > 0);
}

#[tokio::test]
async fn a_closed_bill_stands_and_the_next_one_gives_back_what_its_own_terms_took() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(0, 900), (2, 1_100)]).await;
    shop.live(partner, at("2026-03-20T00:00:00Z"), &[(1, 600), (2, 2_000)]).await;
    let first = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    // 4,600 units, 1,000 free: 3,600 × 0.005 = 18.00, 5.00 of it included.
    assert_eq!(adjusted(&shop, partner, first[0]).await, (vec![], "$62.00".to_owned()));

    let new = asked(Change::Void, "2026-03-20T00:00:00Z", "2026-03-21T00:00:00Z");
    let (id, tried) = draft(&shop, partner, new, "2026-04-11T00:00:00Z").await;
    assert_eq!((tried.events, tried.units_before, tried.units_after), (2, 2_600, 0));
    let bills: Vec<_> = tried
        .bills
        .iter()
        .map(|bill| (bill.period, bill.is_closed, bill.before.to_string(), bill.after.to_string()))
        .collect();
    // 2,000 units: 1,000 × 0.005 = 5.00, all of it included.
    assert_eq!(bills, [(march(), true, "$62.00".to_owned(), "$49.00".to_owned())]);
    carry_out(&shop, id, "2026-04-11T00:00:00Z").await;
    assert_eq!(shop.store.units_used(partner, march(), Environment::Live).await.expect("units"), 4_600);
    let waiting = AdjustmentFilter { partner: Some(partner), billed: Some(false) };
    let listed = shop.store.adjustments_of_any_partner(&waiting, None, 10).await.expect("a page").items;
    assert_eq!(
        listed.iter().map(|one| (one.correction, one.units)).collect::<Vec<_>>(),
        [(Some(id), -600), (Some(id), -2_000)]
    );

    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    let of = |label: &str| format!("Corrected usage of 2026-03-10 to 2026-04-10: {label}");
    // `read` keeps 1,100 of 3,100 units and gets the 100 free ones that `create` no longer takes.
    let (lines, total) = adjusted(&shop, partner, second[0]).await;
    assert_eq!(
        lines,
        [
            (of("Payments, POST /read"), -2_000, 0, "−$10.50".to_owned()),
            (of("Payments, POST /create"), -600, 100, "−$2.50".to_owned()),
        ]
    );
    assert_eq!(total, "$36.00", "49.00 less the 13.00 that were too much");
    no_finding(&shop, "2026-05-10T02:00:00Z").await;

    revert(&shop, partner, id, "2026-05-11T00:00:00Z").await;
    let third = shop.close(at("2026-06-10T01:00:00Z")).await.invoices;
    let (lines, total) = adjusted(&shop, partner, third[0]).await;
    assert_eq!(lines.iter().map(|line| line.1).sum::<i64>(), 2_600);
    assert_eq!(total, "$62.00", "49.00 and the 13.00 again");
    assert_eq!(adjusted(&shop, partner, first[0]).await.1, "$62.00");
    let fourth = shop.close(at("2026-07-10T01:00:00Z")).await.invoices;
    assert_eq!(adjusted(&shop, partner, fourth[0]).await, (vec![], "$49.00".to_owned()), "each is billed once");
    no_finding(&shop, "2026-07-10T02:00:00Z").await;
}

#[tokio::test]
async fn an_open_period_is_corrected_in_place_and_one_that_closes_meanwhile_is_billed_anew() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(0, 3_000), (1, 5_000)]).await;
    let filter =
        Filter { product: Some("payments".to_owned()), operation: Some("create".to_owned()), ..Filter::default() };
    let mut new = asked(Change::SetUnits { units: 1_000 }, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    new.filter = Filter { from: new.filter.from, to: new.filter.to, ..filter };
    let (id, tried) = draft(&shop, partner, new, "2026-04-01T00:00:00Z").await;
    let bill = &tried.bills[0];
    // 7,000 × 0.005 = 35.00 and 3,000 × 0.005 = 15.00; 5.00 included.
    assert_eq!((bill.before.to_string(), bill.after.to_string()), ("$79.00".to_owned(), "$59.00".to_owned()));
    let subscription = shop.store.open_subscription(partner).await.expect("one").expect("a subscription").id;
    let mark = shop.store.outside_mark(partner).await.expect("a mark");
    carry_out(&shop, id, "2026-04-01T00:00:00Z").await;
    let now = at("2026-04-10T01:00:00Z");
    let closed = shop.store.close_billing_period(partner, subscription, march(), (None, mark), now).await;
    assert_eq!(closed.expect("an answer"), Closed::Changed, "a bill of what was read before would be wrong");
    let first = shop.close(now).await.invoices;
    assert_eq!(adjusted(&shop, partner, first[0]).await, (vec![], "$59.00".to_owned()));
    no_finding(&shop, "2026-04-10T02:00:00Z").await;

    // What was in place when its period was open goes back with the next bill once it is closed.
    revert(&shop, partner, id, "2026-04-11T00:00:00Z").await;
    let fill = BackFill {
        at: at("2026-03-15T00:00:00Z"),
        calls: 10,
        units: 1_000,
        environment: Environment::Live,
        product: Some("payments".to_owned()),
        operation: Some("cancel".to_owned()),
        app: None,
    };
    let (fill, tried) = draft(&shop, partner, asked(Change::BackFill(fill), "", ""), "2026-04-11T00:00:00Z").await;
    let bill = &tried.bills[0];
    assert_eq!((bill.before.to_string(), bill.after.to_string()), ("$79.00".to_owned(), "$84.00".to_owned()));
    carry_out(&shop, fill, "2026-04-11T00:00:00Z").await;
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    let (lines, total) = adjusted(&shop, partner, second[0]).await;
    assert_eq!((lines.len(), total.as_str()), (2, "$74.00"), "49.00, the 20.00 again and 5.00 more: {lines:?}");
    no_finding(&shop, "2026-05-10T02:00:00Z").await;
}

#[tokio::test]
async fn a_bill_that_gives_more_back_than_it_asks_for_is_the_same_at_stripe() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    shop.live(partner, since + crate::shop::days(1), &[(0, 41_000)]).await;
    shop.advance(crate::shop::days(32)).await;
    let first = shop.close(shop.now().await).await.invoices;
    // 40,000 × 0.005 = 200.00 less 5.00.
    assert_eq!(adjusted(&shop, partner, first[0]).await.1, "$244.00");
    let new = NewCorrection {
        change: Change::Void,
        filter: Filter { from: Some(since), to: Some(since + crate::shop::days(2)), ..Filter::default() },
        reason: "Counted wrongly".to_owned(),
    };
    let now = shop.now().await;
    let (id, _) = draft(&shop, partner, new, &now.to_string()).await;
    carry_out(&shop, id, &now.to_string()).await;
    shop.advance(crate::shop::days(31)).await;
    let second = shop.close(shop.now().await).await.invoices;
    assert_eq!(adjusted(&shop, partner, second[0]).await.1, "−$146.00", "49.00 less 195.00");
    for _ in 0..3 {
        shop.reconcile().await;
        shop.advance(crate::shop::hours(2)).await;
    }
    let (invoice, _) = shop.store.invoice(partner, second[0]).await.expect("an invoice");
    let (held, count) = shop.at_stripe(second[0]).await;
    assert_eq!((count, held["total"].as_i64()), (1, Some(-14_600)), "{:?}", invoice.push_problem);
}
