//! Base fees in advance: billed when a period begins, once, and given back for what a change cuts off.

use crate::shop::{Shop, days, hours, terms};
use billing::{Wanted, order_change, preview_change};
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId},
    money::{Currency, Money},
    plan::PlanTerms,
    plan_change::When,
    rating::{FeeDue, LineKind},
};
use jiff::Timestamp;
use store::{
    Actor, InvoiceStatus, LedgerAccount, OrderedBy, StoreError, Wish,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn fee(euros: i64, fee_due: FeeDue) -> PlanTerms {
    PlanTerms { base_fee_micros: euros * 1_000_000, fee_due, included_credit_micros: 0, ..terms("invoice_items") }
}

/// Totals of the partner's invoices, as they were made.
async fn totals(shop: &Shop, partner: PartnerId) -> Vec<i64> {
    let mut invoices = shop.store.invoices(partner).await.expect("invoices");
    invoices.sort_by_key(|invoice| invoice.number);
    invoices.iter().map(|invoice| invoice.total.micros).collect()
}

async fn change(shop: &Shop, partner: PartnerId, to: Option<PlanVersionId>, when: When, now: Timestamp) -> Option<i64> {
    let wish = to.map_or(Wish::Nothing, Wish::Version);
    let wanted = Wanted { wish, when, by: OrderedBy::Operator };
    let shown = preview_change(&shop.store, partner, wanted, now).await.expect("a preview");
    let letter = |_: &_, _: &_| unreachable!("nobody to write to");
    order_change(&shop.store, partner, wanted, &shown.token, &letter, Actor::System, now).await.expect("made");
    shown.preview.given_back.map(|money| money.micros)
}

#[tokio::test]
async fn each_period_s_fee_is_billed_when_it_begins_and_its_usage_when_it_ends() {
    let shop = Shop::open().await;
    let plan = shop.plan("ahead", fee(30, FeeDue::Advance)).await;
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", plan, start).await;
    shop.close(start).await;
    shop.close(start + hours(1)).await;
    assert_eq!(totals(&shop, partner).await, [30_000_000]);
    shop.live(partner, start + days(3), &[(1, 3_000)]).await;
    let bill = billing::project(&shop.store, partner, start + days(4)).await.expect("rated").expect("a bill");
    assert_eq!(bill.so_far.total.micros, 10_000_000, "the fee is paid");
    shop.close(at("2026-07-01T00:00:00Z")).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&shop, partner).await, [30_000_000, 30_000_000, 10_000_000]);
    // Nobody looked for two months.
    shop.close(at("2026-09-15T00:00:00Z")).await;
    assert_eq!(totals(&shop, partner).await.len(), 5);
    let balances = shop.store.ledger_balances(partner).await.expect("balances");
    let owed = balances.iter().find(|(account, _)| *account == LedgerAccount::Receivable).expect("an account").1;
    assert_eq!(owed.micros, 130_000_000);
}

/// Ten of thirty days ran: twenty dollars of thirty are given back, and sixty for twenty of thirty days of ninety are owed.
#[tokio::test]
async fn what_an_upgrade_cuts_off_is_given_back_once_on_the_next_invoice() {
    let shop = Shop::open().await;
    let (small, big) = (fee(30, FeeDue::Advance), fee(90, FeeDue::Advance));
    let (small, big) = (shop.plan("small", small).await, shop.plan("big", big).await);
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", small, start).await;
    shop.close(start).await;
    let now = start + days(10);
    assert_eq!(change(&shop, partner, Some(big), When::Usual, now).await, Some(20_000_000));
    shop.close(now).await;
    shop.close(now + hours(1)).await;
    assert_eq!(totals(&shop, partner).await, [30_000_000, 40_000_000]);
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    let next = invoices.iter().find(|invoice| invoice.total.micros == 40_000_000).expect("an invoice");
    let lines = shop.store.invoice(partner, next.id).await.expect("an invoice").1;
    let fees: Vec<_> = lines.iter().map(|line| (line.kind, line.amount.micros)).collect();
    assert_eq!(fees, [(LineKind::BaseFee, 60_000_000), (LineKind::BaseFee, -20_000_000)]);
    assert!(lines[1].description.contains("given back"), "{}", lines[1].description);
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&shop, partner).await, [30_000_000, 40_000_000, 90_000_000]);
}

/// A credit note of that many dollars on the invoice, or why there is none.
async fn credit(shop: &Shop, partner: PartnerId, invoice: InvoiceId, dollars: i64) -> Result<(), StoreError> {
    let amount = Money::new(Currency::Usd, dollars * 1_000_000);
    let lines = vec![NewCreditLine { invoice_position: Some(0), amount }];
    let (kind, payback, reason) = (CreditKind::Credit, Payback::Refund, "Our mistake".to_owned());
    let new = NewCreditNote { invoice, kind, lines, payback, reason };
    let now = at("2026-06-20T00:00:00Z");
    let id = shop.store.draft_credit_note(partner, &new, false, Actor::System, now).await?;
    let issue = Issue { seen_paid: false, four_eyes: false };
    shop.store.issue_credit_note(partner, id, issue, Actor::System, now).await.map(drop)
}

#[tokio::test]
async fn what_a_credit_note_took_off_a_fee_is_not_given_back_again_nor_the_other_way_round() {
    for (credited, given_back, left) in [(25, 5, 0), (4, 20, 6)] {
        let shop = Shop::open().await;
        let (small, big) = (fee(30, FeeDue::Advance), fee(90, FeeDue::Arrears));
        let (small, big) = (shop.plan("small", small).await, shop.plan("big", big).await);
        let start = at("2026-06-01T00:00:00Z");
        let partner = shop.partner_without_members("acme", small, start).await;
        let invoice = shop.close(start).await.invoices[0];
        credit(&shop, partner, invoice, credited).await.expect("credited");
        let now = start + days(10);
        change(&shop, partner, Some(big), When::Usual, now).await;
        shop.close(now + hours(1)).await;
        assert_eq!(totals(&shop, partner).await, [30_000_000, -given_back * 1_000_000]);
        credit(&shop, partner, invoice, left + 1).await.expect_err("more than was billed");
        if left > 0 {
            credit(&shop, partner, invoice, left).await.expect("credited");
        }
    }
}

#[tokio::test]
async fn a_plan_that_ends_at_once_gives_the_rest_back_on_its_last_invoice() {
    let shop = Shop::open().await;
    let ahead = shop.plan("ahead", fee(30, FeeDue::Advance)).await;
    let behind = shop.plan("behind", fee(90, FeeDue::Arrears)).await;
    let start = at("2026-06-01T00:00:00Z");
    let (leaves, goes_on) = (
        shop.partner_without_members("leaves", ahead, start).await,
        shop.partner_without_members("goes-on", ahead, start).await,
    );
    shop.close(start).await;
    let now = start + days(10);
    shop.live(leaves, start + days(1), &[(1, 1_400)]).await;
    change(&shop, leaves, None, When::AtOnce, now).await;
    change(&shop, goes_on, Some(behind), When::Usual, now).await;
    shop.close(now + hours(1)).await;
    // A third of 1,000 units is included in ten days: 1,066 at 0.005 are 5.33.
    assert_eq!(totals(&shop, leaves).await, [30_000_000, 5_330_000 - 20_000_000]);
    assert_eq!(totals(&shop, goes_on).await, [30_000_000, -20_000_000]);
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&shop, goes_on).await, [30_000_000, -20_000_000, 60_000_000]);
    assert_eq!(totals(&shop, leaves).await.len(), 2);
}

#[tokio::test]
async fn who_cancels_is_not_billed_for_a_period_that_will_not_be() {
    let shop = Shop::open().await;
    let plan = shop.plan("ahead", fee(30, FeeDue::Advance)).await;
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", plan, start).await;
    shop.close(start).await;
    assert_eq!(change(&shop, partner, None, When::Usual, start + days(3)).await, None, "nothing is cut off");
    // The end is due, and nobody has put it in force yet.
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&shop, partner).await, [30_000_000]);
}

#[tokio::test]
async fn runs_at_the_same_time_bill_a_fee_once() {
    let shop = Shop::open().await;
    let plan = shop.plan("ahead", fee(30, FeeDue::Advance)).await;
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", plan, start).await;
    shop.store.warm().await;
    tokio::join!(shop.close(start), shop.close(start), shop.close(start));
    assert_eq!(totals(&shop, partner).await, [30_000_000]);
}

/// Its own fee of 4.00 was given back by half on the next invoice, which stays: so 2.00 of it stay, too, and both come to nothing.
#[tokio::test]
async fn a_void_below_zero_leaves_what_a_later_invoice_gave_back_of_its_own_fee() {
    let shop = Shop::open().await;
    let (small, mid, big) = (fee(30, FeeDue::Advance), fee(6, FeeDue::Advance), fee(90, FeeDue::Advance));
    let (small, mid, big) = (shop.plan("small", small).await, shop.plan("mid", mid).await, shop.plan("big", big).await);
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner_without_members("acme", small, start).await;
    shop.close(start).await;
    for (number, plan) in [(10, mid), (20, big)] {
        let now = start + days(number);
        change(&shop, partner, Some(plan), When::AtOnce, now).await;
        shop.close(now).await;
    }
    // 20 of 30 days of 30.00 back and of 6.00 due; then half of those 4.00 back, and 10 days of 90.00 due.
    assert_eq!(totals(&shop, partner).await, [30_000_000, -16_000_000, -2_000_000, 30_000_000]);
    let owed = async || {
        let balances = shop.store.ledger_balances(partner).await.expect("balances");
        balances.into_iter().find(|(account, _)| *account == LedgerAccount::Receivable).expect("an account").1.micros
    };
    assert_eq!(owed().await, 42_000_000);
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    let below = invoices.iter().find(|invoice| invoice.total.micros == -16_000_000).expect("one below zero").id;
    shop.store.set_invoice_status(partner, below, InvoiceStatus::Void, start + days(21)).await.expect("void");
    assert_eq!(owed().await, 60_000_000, "30.00, 2.00 of the one that is void, -2.00 and 30.00");
    // What it gave back of the first fee is on the next invoice.
    shop.close(at("2026-07-01T00:00:00Z")).await;
    assert_eq!(totals(&shop, partner).await[4..], [-20_000_000, 90_000_000]);
    assert_eq!(owed().await, 130_000_000);
}
