//! Calls that a gateway hands over when their period is closed are billed once, and what is never billed is never given back.

use crate::{
    corrections::{adjusted, asked, at, carry_out, draft, march, no_finding},
    shop::{GRACE, Shop, terms},
};
use billing::{Closing, close_due_periods};
use domain::{correction::Change, id::PartnerId, key_text::Environment, rating::LineKind};
use store::{Closed, outside::AdjustmentFilter};

/// 2,000 units of March, of which the bill is made: 1,000 × 0.005 = 5.00, all of it included.
async fn billed_march(shop: &Shop) -> PartnerId {
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(1, 2_000)]).await;
    let first = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    assert_eq!(adjusted(shop, partner, first[0]).await, (vec![], "$49.00".to_owned()));
    partner
}

async fn hand_over(shop: &Shop, partner: PartnerId, when: &str, taken_in: &str, calls: &[(usize, u64)]) {
    shop.handed_over(partner, (at(when), at(taken_in)), Environment::Live, calls).await;
}

#[tokio::test]
async fn calls_that_come_when_their_period_is_closed_are_on_the_next_invoice_once() {
    let shop = Shop::open().await;
    let partner = billed_march(&shop).await;
    let late = [(1, 500), (2, 100), (1, 0), (1, 0)];
    hand_over(&shop, partner, "2026-03-12T00:00:00Z", "2026-04-11T00:00:00Z", &late).await;
    let calls = [(1, 7)];
    shop.handed_over(partner, (at("2026-03-12T00:00:00Z"), at("2026-04-11T00:00:00Z")), Environment::Test, &calls)
        .await;
    no_finding(&shop, "2026-04-11T01:00:00Z").await;
    let own = AdjustmentFilter { partner: Some(partner), billed: Some(false) };
    let waiting = shop.store.adjustments_of_any_partner(&own, None, 10).await.expect("a page").items;
    let mut units: Vec<_> = waiting.iter().map(|one| (one.source.as_str(), one.units)).collect();
    units.sort_unstable();
    assert_eq!(units, [("gateway", 100), ("gateway", 500)]);

    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    let of = |label: &str| format!("Late usage of 2026-03-10 to 2026-04-10: {label}");
    let (lines, total) = adjusted(&shop, partner, second[0]).await;
    assert_eq!(
        lines,
        [
            (of("Payments, POST /create"), 500, 0, "$2.50".to_owned()),
            (of("Payments, POST /read"), 100, 0, "$0.50".to_owned()),
        ]
    );
    assert_eq!(total, "$52.00");
    let third = shop.close(at("2026-06-10T01:00:00Z")).await.invoices;
    assert_eq!(adjusted(&shop, partner, third[0]).await, (vec![], "$49.00".to_owned()), "each is billed once");
    no_finding(&shop, "2026-06-10T02:00:00Z").await;
}

#[tokio::test]
async fn a_void_of_calls_that_no_bill_has_gives_nothing_back() {
    let shop = Shop::open().await;
    let partner = billed_march(&shop).await;
    hand_over(&shop, partner, "2026-03-12T00:00:00Z", "2026-04-11T00:00:00Z", &[(1, 600)]).await;
    let new = asked(Change::Void, "2026-03-12T00:00:00Z", "2026-03-13T00:00:00Z");
    let (id, tried) = draft(&shop, partner, new, "2026-04-12T00:00:00Z").await;
    let bill = &tried.bills[0];
    assert_eq!((bill.before.to_string(), bill.after.to_string()), ("$52.00".to_owned(), "$49.00".to_owned()));
    assert!(!tried.has_final_invoice);
    carry_out(&shop, id, "2026-04-12T00:00:00Z").await;
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    assert_eq!(adjusted(&shop, partner, second[0]).await, (vec![], "$49.00".to_owned()));
    no_finding(&shop, "2026-05-10T02:00:00Z").await;

    // Of what was billed it gives back all, though more was stored of the time than the bill has.
    hand_over(&shop, partner, "2026-03-13T00:00:00Z", "2026-05-11T00:00:00Z", &[(1, 400)]).await;
    let new = asked(Change::SetUnits { units: 1_000 }, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (id, _) = draft(&shop, partner, new, "2026-05-12T00:00:00Z").await;
    carry_out(&shop, id, "2026-05-12T00:00:00Z").await;
    let third = shop.close(at("2026-06-10T01:00:00Z")).await.invoices;
    // 1,400 units cost no more than 2,000 did: the included credit pays for both.
    let (lines, total) = adjusted(&shop, partner, third[0]).await;
    assert_eq!(lines.iter().map(|line| line.1).filter(|units| *units != 1).sum::<i64>(), -600, "{lines:?}");
    assert_eq!(total, "$49.00");
    no_finding(&shop, "2026-06-10T02:00:00Z").await;
}

#[tokio::test]
async fn what_is_handed_over_between_the_reading_and_the_closing_of_a_period_makes_the_bill_anew() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let subscription = shop.store.open_subscription(partner).await.expect("one").expect("a subscription").id;
    let mark = shop.store.outside_mark(partner).await.expect("a mark");
    hand_over(&shop, partner, "2026-03-12T00:00:00Z", "2026-04-10T00:30:00Z", &[(1, 2_000)]).await;
    let now = at("2026-04-10T01:00:00Z");
    let closed = shop.store.close_billing_period(partner, subscription, march(), (None, mark), now).await;
    assert_eq!(closed.expect("an answer"), Closed::Changed, "an empty bill would lose the 2,000 units");
}

#[tokio::test]
async fn whatever_is_handed_over_while_a_period_is_closed_is_on_one_invoice_and_on_no_other() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let taken_in = "2026-04-10T01:00:00Z";
    let giving = async {
        for number in 0..60 {
            hand_over(&shop, partner, "2026-03-12T00:00:00Z", taken_in, &[(number % 3, 10)]).await;
        }
    };
    let closing = async {
        let closing = Closing { grace: GRACE, ingested_through: Some(at(taken_in)) };
        let mut invoices = Vec::new();
        while invoices.is_empty() {
            let report = close_due_periods(&shop.store, closing, at(taken_in)).await.expect("closes");
            invoices = report.invoices;
        }
        invoices
    };
    let ((), first) = tokio::join!(giving, closing);
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    let mut units = Vec::new();
    for id in first.into_iter().chain(second) {
        let (_, lines) = shop.store.invoice(partner, id).await.expect("an invoice");
        let of_calls = lines.iter().filter(|line| line.operation.is_some());
        assert!(of_calls.clone().all(|line| matches!(line.kind, LineKind::Usage | LineKind::Adjustment)));
        units.push(of_calls.map(|line| line.quantity).sum::<i64>());
    }
    assert_eq!(units.iter().sum::<i64>(), 600, "by invoice: {units:?}");
    no_finding(&shop, "2026-05-10T02:00:00Z").await;
}
