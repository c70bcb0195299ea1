//! Credit notes, refunds and voids reach Stripe once, whatever happens to the answers.

use crate::shop::{Shop, list, terms};
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    money::{Currency, Money},
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{
    Actor, InvoiceStatus,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
};

/// An invoice of $49.00 that Stripe collects.
async fn sent() -> (Shop, PartnerId, InvoiceId) {
    let shop = Shop::open().await;
    let (partner, invoice) = closed(&shop).await;
    shop.reconcile().await;
    (shop, partner, invoice)
}

async fn closed(shop: &Shop) -> (PartnerId, InvoiceId) {
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let now = shop.now().await;
    let partner = shop.partner("acme", plan, now - SignedDuration::from_hours(32 * 24)).await;
    let invoice = shop.close(now).await.invoices[0];
    (partner, invoice)
}

pub async fn issued(
    shop: &Shop,
    (partner, invoice): (PartnerId, InvoiceId),
    kind: CreditKind,
    cents: i64,
    paid: bool,
) -> CreditNoteId {
    let amount = Money::new(Currency::Usd, cents * 10_000);
    let lines = match kind {
        CreditKind::Credit => vec![NewCreditLine { invoice_position: Some(0), amount }],
        CreditKind::Void => Vec::new(),
    };
    let (payback, reason) = (Payback::Refund, "Our mistake".to_owned());
    let now = shop.now().await;
    let new = NewCreditNote { invoice, kind, lines, payback, reason };
    let id = shop.store.draft_credit_note(partner, &new, false, Actor::System, now).await.expect("a draft");
    let issue = Issue { seen_paid: paid, four_eyes: false };
    assert!(shop.store.issue_credit_note(partner, id, issue, Actor::System, now).await.expect("issued"));
    id
}

async fn notes(shop: &Shop) -> Vec<Value> {
    list(&shop.state().await, "credit_notes").to_vec()
}

#[tokio::test]
async fn an_unpaid_invoice_is_reduced_and_one_that_is_credited_whole_is_settled() {
    let (shop, partner, invoice) = sent().await;
    let id = issued(&shop, (partner, invoice), CreditKind::Credit, 900, false).await;
    shop.reconcile().await;
    shop.reconcile().await;
    let held = notes(&shop).await;
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0]["amount"], &held[0]["type"]), (&json!(900), &json!("pre_payment")));
    assert_eq!(held[0]["metadata"]["turnpike_credit_note"], id.to_string());
    let (at_stripe, _) = shop.at_stripe(invoice).await;
    assert_eq!((&at_stripe["amount_remaining"], &at_stripe["status"]), (&json!(4_000), &json!("open")));
    issued(&shop, (partner, invoice), CreditKind::Credit, 4_000, false).await;
    shop.reconcile().await;
    let (at_stripe, _) = shop.at_stripe(invoice).await;
    assert_eq!(at_stripe["status"], "paid");
    assert_eq!(shop.store.invoice(partner, invoice).await.expect("an invoice").0.status, InvoiceStatus::Paid);
    // Nothing came in, and nothing is owed.
    assert!(shop.store.ledger_balances(partner).await.expect("balances").iter().all(|(_, money)| money.micros == 0));
    shop.keep_requests("credit_notes").await;
}

#[tokio::test]
async fn a_paid_invoice_is_refunded() {
    let (shop, partner, invoice) = sent().await;
    let (at_stripe, _) = shop.at_stripe(invoice).await;
    shop.control("invoices", json!({ "invoice": at_stripe["id"], "step": "pay" })).await;
    shop.store.set_invoice_status(partner, invoice, InvoiceStatus::Paid, shop.now().await).await.expect("paid");
    issued(&shop, (partner, invoice), CreditKind::Credit, 900, true).await;
    shop.reconcile().await;
    let held = notes(&shop).await;
    assert_eq!((&held[0]["type"], &held[0]["refunds"][0]["amount_refunded"]), (&json!("post_payment"), &json!(900)));
    shop.keep_requests("refunds").await;
}

#[tokio::test]
async fn a_void_is_void_at_stripe_and_an_invoice_that_never_was_there_stays_away() {
    let (shop, partner, invoice) = sent().await;
    issued(&shop, (partner, invoice), CreditKind::Void, 0, false).await;
    shop.reconcile().await;
    assert_eq!(shop.at_stripe(invoice).await.0["status"], "void");
    shop.keep_requests("voids").await;

    let shop = Shop::open().await;
    let (partner, invoice) = closed(&shop).await;
    issued(&shop, (partner, invoice), CreditKind::Void, 0, false).await;
    shop.reconcile().await;
    assert_eq!(shop.at_stripe(invoice).await.1, 0);
    assert!(shop.store.all_partners_credit_notes_to_push(10).await.expect("notes").is_empty());
}

#[tokio::test]
async fn a_lost_answer_credits_once() {
    let (shop, partner, invoice) = sent().await;
    issued(&shop, (partner, invoice), CreditKind::Credit, 900, false).await;
    // Many requests are carried out without our hearing of it.
    shop.control("faults", json!({ "error_after": 30, "reset": 20, "error_before": 10, "seed": 11 })).await;
    for _ in 0..8 {
        shop.reconcile().await;
    }
    shop.control("faults", json!({})).await;
    for _ in 0..3 {
        shop.reconcile().await;
    }
    assert_eq!(notes(&shop).await.len(), 1);
    assert!(shop.store.all_partners_credit_notes_to_push(10).await.expect("notes").is_empty());
}

#[tokio::test]
async fn what_stripe_rates_is_credited_there_by_hand_and_told_of_once() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("meter_events")).await;
    let now = shop.now().await;
    let partner = shop.partner("acme", plan, now - SignedDuration::from_hours(32 * 24)).await;
    let invoice = shop.close(now).await.invoices[0];
    shop.reconcile().await;
    let id = issued(&shop, (partner, invoice), CreditKind::Credit, 900, false).await;
    let told = shop.reconcile().await.problems;
    assert_eq!(told.len(), 1);
    assert!(told[0].1.contains("credit that one in Stripe"), "{told:?}");
    let before = shop.stand_in.control("GET", "count", Value::Null).await.expect("a count");
    for _ in 0..3 {
        assert_eq!(shop.reconcile().await.problems, [], "and not every minute");
    }
    assert_eq!(shop.stand_in.control("GET", "count", Value::Null).await.expect("a count"), before);
    let (note, _) = shop.store.credit_note(partner, id).await.expect("a note");
    assert!(note.pushed_at.is_none() && note.push_problem.is_some(), "it stands beside the note");
}
