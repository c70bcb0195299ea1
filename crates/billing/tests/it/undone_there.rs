//! What is undone at Stripe after it was taken over is told: a credit note that somebody makes void before its invoice is paid.

use crate::{
    shop::{hours, list},
    went_back::Till,
};
use domain::id::CreditNoteId;
use serde_json::{Value, json};
use store::InvoiceStatus;

const NOTHING: [String; 0] = [];

/// Only events of that type are posted.
async fn hears(till: &Till, kind: &str) {
    let now = till.shop.now().await;
    let state = till.shop.state().await;
    let mut events: Vec<Value> = list(&state, "events").iter().filter(|event| event["type"] == kind).cloned().collect();
    assert!(!events.is_empty(), "no {kind}");
    for event in &mut events {
        event["id"] = json!(format!("evt_{}", uuid::Uuid::new_v4().simple()));
    }
    till.shop.hears(&events, now).await;
}

/// Somebody credits $9.00 in the dashboard, which is taken over: Stripe's name and ours of it.
async fn credited_there(till: &Till) -> (String, CreditNoteId) {
    let id = till.at_stripe().await;
    let note = till.in_dashboard("/v1/credit_notes", &[("invoice", &id), ("amount", "900")]).await;
    hears(till, "credit_note.created").await;
    assert_eq!(till.credited().await, (900, 1));
    let ours = till.shop.store.credit_notes_of(till.partner, till.invoice).await.expect("notes")[0].id;
    (note, ours)
}

async fn void(till: &Till, note: &str) {
    till.in_dashboard(&format!("/v1/credit_notes/{note}/void"), &[]).await;
    assert_eq!(till.shop.at_stripe(till.invoice).await.0["amount_remaining"], 4_900, "all of it is owed there again");
}

async fn pay(till: &Till) {
    let id = till.at_stripe().await;
    till.shop.control("invoices", json!({ "invoice": id, "step": "pay" })).await;
}

/// What is said on the credit note's own page.
async fn said(till: &Till, note: CreditNoteId) -> String {
    let (note, _) = till.shop.store.credit_note(till.partner, note).await.expect("ours");
    note.push_problem.unwrap_or_default()
}

/// All that a person is told: with the invoice, with the credit note, in the list of what Stripe holds otherwise.
async fn told_of(till: &Till, note: CreditNoteId) -> Vec<String> {
    let mut told = vec![till.problem().await, said(till, note).await];
    told.retain(|text| !text.is_empty());
    told.extend(till.compared().await);
    told
}

#[tokio::test]
async fn a_credit_note_that_is_made_void_before_the_payment_is_told_however_it_is_heard_of() {
    for way in ["credit_note.voided", "invoice.paid", "an hour", "the comparison"] {
        let till = Till::sent().await;
        let (note, ours) = credited_there(&till).await;
        void(&till, &note).await;
        match way {
            "an hour" => {
                till.shop.advance(hours(2)).await;
                till.shop.reconcile().await;
            }
            "the comparison" => drop(till.compared().await),
            "invoice.paid" => {
                pay(&till).await;
                hears(&till, way).await;
            }
            _ => hears(&till, way).await,
        }
        for problem in [till.problem().await, said(&till, ours).await] {
            assert!(problem.contains(&note) && problem.contains("Stripe collects it again"), "{way}: {problem}");
            assert!(!problem.contains("bill it anew"), "{way}: {problem}");
        }
        if way != "invoice.paid" {
            pay(&till).await;
            hears(&till, "invoice.paid").await;
        }
        till.told(2, true).await;
        let found = till.compared().await;
        assert!(found.len() == 1 && found[0].contains(&note), "{way}: {found:?}");
        // The books are as the credit note has it, as long as nobody decides.
        let books = (till.status().await, till.credited().await, till.cash().await, till.owed().await);
        assert_eq!(books, (InvoiceStatus::Paid, (900, 1), 4_000, 0), "{way}");
    }
}

#[tokio::test]
async fn what_nobody_has_decided_is_over_once_it_is_made_void() {
    let till = Till::sent().await;
    // Not at Stripe yet: less is left here than there.
    let ours = till.credits(till.invoice, 4_500, false).await;
    let id = till.at_stripe().await;
    let note = till.in_dashboard("/v1/credit_notes", &[("invoice", &id), ("amount", "900")]).await;
    hears(&till, "credit_note.created").await;
    assert!(till.problem().await.contains("not taken over"), "{}", till.problem().await);
    void(&till, &note).await;
    hears(&till, "credit_note.voided").await;
    assert_eq!(told_of(&till, ours).await, NOTHING);
    assert_eq!(till.credited().await, (4_500, 1));
}
