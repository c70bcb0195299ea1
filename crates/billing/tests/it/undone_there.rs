//! What is undone at Stripe after it was taken over or carried out is told, and nothing is credited twice where it is put right there: a credit
//! note that somebody makes void before its invoice is paid, a refund of a credit note of ours that fails.

use crate::{
    shop::{days, hours, list},
    went_back::Till,
};
use domain::id::CreditNoteId;
use serde_json::{Value, json};
use store::{InvoiceStatus, stripe_drift::DriftFilter};

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

/// A refund over Stripe's API, under our name of the credit note.
async fn refunds(till: &Till, payment: &str, amount: &str, note: CreditNoteId) -> String {
    let own = note.to_string();
    let refund = [("payment_intent", payment), ("amount", amount), ("metadata[turnpike_credit_note]", &own)];
    till.in_dashboard("/v1/refunds", &refund).await
}

async fn fails(till: &Till, refund: &str) {
    till.shop.control("refunds", json!({ "refund": refund, "reason": "expired_or_canceled_card" })).await;
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
        // Whoever pays it back under our name of it does what the credit note says.
        refunds(&till, &till.payment().await, "900", ours).await;
        till.told(2, false).await;
        assert_eq!(told_of(&till, ours).await, NOTHING, "{way}");
        assert_eq!((till.credited().await, till.cash().await), ((900, 1), 4_000), "{way}");
    }
}

#[tokio::test]
async fn what_is_credited_anew_under_our_name_ends_it_and_is_not_credited_twice() {
    let till = Till::sent().await;
    let (note, ours) = credited_there(&till).await;
    void(&till, &note).await;
    hears(&till, "credit_note.voided").await;
    assert!(said(&till, ours).await.contains(&format!("turnpike_credit_note={ours}")));
    let (id, own) = (till.at_stripe().await, ours.to_string());
    let anew = [("invoice", id.as_str()), ("amount", "900"), ("metadata[turnpike_credit_note]", &own)];
    till.in_dashboard("/v1/credit_notes", &anew).await;
    till.told(2, true).await;
    assert_eq!(told_of(&till, ours).await, NOTHING);
    pay(&till).await;
    till.told(2, false).await;
    assert_eq!((till.credited().await, till.cash().await, till.owed().await), ((900, 1), 4_000, 0));
    assert_eq!(till.problem().await, "");
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

#[tokio::test]
async fn a_credit_note_of_ours_that_somebody_makes_void_at_stripe_is_told() {
    for way in ["credit_note.voided", "an hour", "the comparison"] {
        let till = Till::sent().await;
        let ours = till.credits(till.invoice, 900, false).await;
        till.shop.reconcile().await;
        let note = list(&till.shop.state().await, "credit_notes")[0]["id"].as_str().expect("an id").to_owned();
        till.told(1, false).await;
        assert_eq!(told_of(&till, ours).await, NOTHING);
        void(&till, &note).await;
        match way {
            "an hour" => {
                till.shop.advance(hours(2)).await;
                till.shop.reconcile().await;
            }
            "the comparison" => drop(till.compared().await),
            _ => hears(&till, way).await,
        }
        for problem in [till.problem().await, said(&till, ours).await] {
            assert!(problem.contains(&note) && problem.contains("Stripe collects it again"), "{way}: {problem}");
        }
        pay(&till).await;
        till.told(2, true).await;
        assert_eq!((till.credited().await, till.cash().await, till.compared().await.len()), ((900, 1), 4_000, 1));
    }
}

#[tokio::test]
async fn a_refund_of_our_own_credit_note_that_fails_is_told_and_ended_by_another_under_its_name() {
    for by_webhook in [true, false] {
        let till = Till::sent().await.paid().await;
        let ours = till.credits(till.invoice, 900, true).await;
        till.shop.reconcile().await;
        let refund = list(&till.shop.state().await, "refunds")[0]["id"].as_str().expect("an id").to_owned();
        till.told(1, false).await;
        assert_eq!(told_of(&till, ours).await, NOTHING);
        till.shop.advance(days(20)).await;
        fails(&till, &refund).await;
        if by_webhook {
            hears(&till, "refund.failed").await;
            hears(&till, "charge.refund.updated").await;
        } else {
            till.compared().await;
        }
        for problem in [till.problem().await, said(&till, ours).await] {
            assert!(problem.contains("could not pay back $9.00") && problem.contains(&refund), "{problem}");
            assert!(problem.contains("expired or canceled card"), "{problem}");
        }
        for _ in 0..2 {
            let found = till.compared().await;
            assert!(found.len() == 1 && found[0].contains(&refund), "{found:?}");
        }
        let again = refunds(&till, &till.payment().await, "900", ours).await;
        till.told(2, !by_webhook).await;
        assert_eq!(told_of(&till, ours).await, NOTHING);
        // That one fails as well.
        fails(&till, &again).await;
        till.told(2, by_webhook).await;
        let found = till.compared().await;
        assert!(found.len() == 1 && found[0].contains(&again) && found[0].contains("$9.00"), "{found:?}");
        assert_eq!((till.credited().await, till.cash().await), ((900, 1), 4_000));
        assert_eq!(list(&till.shop.state().await, "refunds").len(), 2, "nobody sends it again by himself");
    }
}

#[tokio::test]
async fn a_refund_by_the_payment_of_a_page_that_fails_is_told() {
    for by_webhook in [true, false] {
        let till = Till::of_units().await;
        let invoice = till.bought_on_page().await;
        let ours = till.credits(invoice, 500, true).await;
        till.shop.reconcile().await;
        let state = till.shop.state().await;
        let [refund] = list(&state, "refunds") else { panic!("not one: {state}") };
        let text = |name: &str| refund[name].as_str().expect("a text").to_owned();
        let (payment, refund) = (text("payment_intent"), text("id"));
        assert_eq!(told_of(&till, ours).await, NOTHING);
        till.shop.advance(days(20)).await;
        fails(&till, &refund).await;
        if by_webhook {
            hears(&till, "refund.failed").await;
        } else {
            till.compared().await;
        }
        let problem = said(&till, ours).await;
        assert!(problem.contains("could not pay back $5.00") && problem.contains(&refund), "{problem}");
        let found = till.compared().await;
        assert!(found.len() == 1 && found[0].contains(&refund), "{found:?}");
        refunds(&till, &payment, "500", ours).await;
        till.told(2, by_webhook).await;
        assert_eq!(told_of(&till, ours).await, NOTHING);
        till.is_sound().await;
    }
}

#[tokio::test]
async fn a_refund_that_was_taken_over_and_fails_weeks_later_is_found_by_the_comparison() {
    let till = Till::sent().await.paid().await;
    let payment = till.payment().await;
    let refund = till.in_dashboard("/v1/refunds", &[("payment_intent", &payment), ("amount", "900")]).await;
    till.told(1, false).await;
    assert_eq!((till.credited().await, till.compared().await), ((900, 1), Vec::new()));
    till.shop.advance(days(20)).await;
    fails(&till, &refund).await;
    let found = till.compared().await;
    assert!(found.len() == 1 && found[0].contains(&refund) && found[0].contains("did not go back"), "{found:?}");
    let filter = DriftFilter::default();
    let listed = till.shop.store.all_partners_stripe_drift(&filter, None, 50).await.expect("a list").items;
    assert_eq!(listed[0].drift.partner, Some(till.partner));
}
