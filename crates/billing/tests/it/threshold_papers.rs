//! Several invoices have the same usage where a threshold cuts its period: it is credited once, disputed once, and what was given back
//! stays given back.

use crate::{
    shop::{GRACE, Shop, days, hours},
    thresholds::{END, START, at, dollars, made, row, shown, sold, totals, void},
};
use billing::{Closing, close_due_periods, project};
use domain::{
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
    rating::LineKind,
};
use jiff::Timestamp;
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use store::{
    Actor, InvoiceLine, InvoiceStatus, StoreError,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
    disputes::{Accept, Accepted, Dispute, NewDispute},
};

/// Credits some of a line, or of the invoice, that is not paid.
pub async fn credit(
    shop: &Shop,
    (partner, invoice): (PartnerId, InvoiceId),
    (invoice_position, amount): (Option<i32>, Money),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let new = NewCreditNote {
        invoice,
        kind: CreditKind::Credit,
        lines: vec![NewCreditLine { invoice_position, amount }],
        payback: Payback::Refund,
        reason: "Too much".to_owned(),
    };
    let id = shop.store.draft_credit_note(partner, &new, false, Actor::System, now).await?;
    let issue = Issue { seen_paid: false, four_eyes: false };
    shop.store.issue_credit_note(partner, id, issue, Actor::System, now).await
}

pub async fn dispute(
    shop: &Shop,
    partner: PartnerId,
    (invoice, position): (InvoiceId, i32),
    amount: Money,
    now: Timestamp,
) -> Result<Dispute, StoreError> {
    let new = NewDispute { invoice, position, amount, reason: "Counted twice".to_owned() };
    shop.store.open_dispute(partner, &new, &|_| Vec::new(), Actor::System, now).await
}

/// Where the line of an operation is.
pub fn of(lines: &[InvoiceLine], operation: &str) -> i32 {
    lines.iter().find(|line| line.operation_code.as_deref() == Some(operation)).expect("a line").position
}

pub fn said<T: std::fmt::Debug>(refused: Result<T, StoreError>) -> String {
    match refused.expect_err("refused") {
        StoreError::Conflict { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_credited_on_a_void_threshold_invoice_is_not_billed_again() {
    let shop = Shop::open().await;
    let (plan, by_us) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    let at_stripe = shop.partner("at-stripe", plan, at(START)).await;
    for partner in [by_us, at_stripe] {
        shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    }
    let now = at(START) + days(2);
    shop.close(now).await;
    for partner in [by_us, at_stripe] {
        let first = made(&shop, partner).await[0].0.id;
        credit(&shop, (partner, first), (Some(0), dollars(30)), now).await.expect("credited");
        if partner == by_us {
            void(&shop, partner, first, now).await;
        } else {
            let status = InvoiceStatus::Void;
            assert!(shop.store.set_invoice_status(partner, first, status, now).await.expect("void"));
        }
        let seen = project(&shop.store, partner, now).await.expect("rated").expect("a bill");
        assert_eq!((seen.billed_before, seen.so_far.total), (dollars(0), dollars(70)));
        shop.live(partner, at(START) + days(4), &[(1, 100)]).await;
    }
    shop.close(at(START) + days(5)).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    for partner in [by_us, at_stripe] {
        let made = made(&shop, partner).await;
        assert_eq!(totals(&made), ["$100.00", "$170.00", "$0.00"]);
        let words = format!("Credited already on threshold invoice {}, which is void", made[0].0.code());
        let credited = row(LineKind::BilledBefore, &words, 1, "−$30.00");
        let usage = row(LineKind::Usage, "Payments, POST /create", 200, "$200.00");
        assert_eq!(shown(&made[1].1), [usage.clone(), credited.clone()]);
        assert_eq!(shown(&made[2].1)[..2], [usage, credited]);
        shop.store.set_invoice_status(partner, made[1].0.id, InvoiceStatus::Paid, at(END)).await.expect("paid");
        let balances = shop.store.ledger_balances(partner).await.expect("balances");
        let owed = balances.iter().filter(|(_, money)| money.micros != 0);
        let owed: BTreeSet<_> = owed.map(|(account, money)| format!("{account:?} {money}")).collect();
        assert_eq!(owed, BTreeSet::from(["Cash $170.00", "Revenue −$170.00"].map(str::to_owned)));
    }
}

#[tokio::test]
async fn a_period_with_a_void_threshold_invoice_closes_less_what_was_credited_on_it_or_not_at_all() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    let now = at(START) + days(2);
    let first = shop.close(now).await.invoices[0];
    credit(&shop, (partner, first), (None, dollars(30)), now).await.expect("credited");
    void(&shop, partner, first, now).await;
    let refused = shop.store.close_as_the_version_before(partner, at(END)).await.expect_err("refused");
    assert!(refused.contains("come to 30000000 and its last invoice takes off 0"), "{refused}");
    shop.close(at("2026-07-01T01:00:00Z")).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$100.00", "$70.00"]);
}

#[tokio::test]
async fn a_credit_that_races_a_void_is_on_the_next_invoice_or_refused() {
    let shop = Shop::open().await;
    let (plan, _) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    for number in 0..9 {
        let partner = shop.partner(&format!("racing-{number}"), plan, at(START)).await;
        shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
        let now = at(START) + days(2);
        shop.close(now).await;
        let first = made(&shop, partner).await[0].0.id;
        let end = at("2026-07-01T01:00:00Z");
        let closing = Closing { grace: GRACE, ingested_through: Some(end) };
        let after = |steps: u64| tokio::time::sleep(Duration::from_millis(8 * steps));
        let (credited, void, closed) = tokio::join!(
            credit(&shop, (partner, first), (None, dollars(30)), now),
            async {
                after(number % 3).await;
                shop.store.set_invoice_status(partner, first, InvoiceStatus::Void, now).await
            },
            async {
                after(number / 3).await;
                close_due_periods(&shop.store, closing, end).await
            },
        );
        let problems = closed.expect("closes").problems;
        assert!(void.expect("void") && problems.is_empty(), "{problems:?}");
        shop.close(end + hours(1)).await;
        let made = made(&shop, partner).await;
        let credited = if credited.is_ok() { 30 } else { 0 };
        // Where the close came first it took off what stood then.
        let last = if made[1].1.iter().any(|line| line.amount == dollars(-100)) { 0 } else { 100 - credited };
        assert_eq!((made.len(), made[1].0.total), (2, dollars(last)), "{number}");
    }
}

#[tokio::test]
async fn the_same_usage_is_disputed_and_credited_on_the_first_invoice_that_bills_it() {
    let shop = Shop::open().await;
    let rest = json!({ "invoice_threshold_micros": 100_000_000, "base_fee_micros": 50_000_000 });
    let (_, partner) = sold(&shop, rest).await;
    shop.live(partner, at(START) + days(1), &[(1, 60), (2, 40)]).await;
    shop.close(at(START) + days(2)).await;
    shop.live(partner, at(START) + days(3), &[(2, 90)]).await;
    let now = at("2026-07-01T01:00:00Z");
    shop.close(now).await;
    let made = made(&shop, partner).await;
    assert_eq!(totals(&made), ["$100.00", "$140.00"]);
    let [(first, first_lines), (last, last_lines)] = &made[..] else { panic!("{made:?}") };
    let (create, read) = (of(last_lines, "create"), of(last_lines, "read"));
    let disputed = dispute(&shop, partner, (first.id, of(first_lines, "create")), dollars(60), now).await;
    let disputed = disputed.expect("opened").id;
    // The last invoice has the same 60.00 once more.
    let own = shop.store.own_part(partner, last.id, create).await.expect("asked").expect("shared");
    assert_eq!(own.amount, dollars(0));
    let there =
        format!("{} of the same period has billed the rest, which is disputed and credited there", first.code());
    let again = said(dispute(&shop, partner, (last.id, create), dollars(60), now).await);
    assert_eq!(again, format!("Of this line $0.00 is left to dispute: {there}"));
    let twice = said(credit(&shop, (partner, last.id), (Some(create), Money::new(Currency::Usd, 10_000)), now).await);
    assert_eq!(twice, format!("Of this line $0.00 is left to credit: {there}"));
    // What is new on it is its own.
    let more = said(dispute(&shop, partner, (last.id, read), dollars(91), now).await);
    assert_eq!(more, format!("Of this line $90.00 is left to dispute: {there}"));
    dispute(&shop, partner, (last.id, read), dollars(90), now).await.expect("opened");
    let all =
        Accept { amount: None, payback: Payback::Refund, seen_paid: false, four_eyes: false, answer: String::new() };
    let accepted = shop.store.accept_dispute(partner, disputed, (&all, &|_| Vec::new()), Actor::System, now).await;
    assert!(matches!(accepted, Ok(Accepted::Credited(_))), "{accepted:?}");
    assert!(dispute(&shop, partner, (last.id, create), dollars(1), now).await.is_err());
    let fee = last_lines.iter().find(|line| line.kind == LineKind::BaseFee).expect("a fee").position;
    assert_eq!(shop.store.own_part(partner, last.id, fee).await.expect("asked"), None);
}

#[tokio::test]
async fn usage_of_a_void_threshold_invoice_is_disputed_on_the_next_one_but_for_what_was_credited() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    let now = at(START) + days(2);
    let first = shop.close(now).await.invoices[0];
    credit(&shop, (partner, first), (Some(0), dollars(30)), now).await.expect("credited");
    void(&shop, partner, first, now).await;
    shop.live(partner, at(START) + days(3), &[(1, 20), (2, 500)]).await;
    let second = shop.close(at(START) + days(4)).await.invoices[0];
    let lines = shop.store.invoice(partner, second).await.expect("an invoice").1;
    let line = (second, of(&lines, "create"));
    let told = said(dispute(&shop, partner, line, dollars(91), now).await);
    let code = made(&shop, partner).await[0].0.code();
    assert_eq!(
        told,
        format!("Of this line $90.00 is left to dispute: the rest was credited on {code} before that became void")
    );
    dispute(&shop, partner, line, dollars(90), now).await.expect("opened");
}
