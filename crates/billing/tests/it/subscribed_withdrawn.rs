//! Invoices of a plan that Stripe rates that nobody is to pay there: paid elsewhere, void, and credited before Stripe has anything of them.

use crate::{
    credit_notes::issued,
    shop::{Shop, days, hours, list},
    subscribed::{at, larger, minutes, period_end, push, running},
};
use billing::Reconciled;
use domain::{
    id::{InvoiceId, PartnerId},
    plan::PlanTerms,
};
use serde_json::{Value, json};
use store::{Actor, InvoiceStatus, credit_notes::CreditKind};

/// A period that has just ended and is closed, of a plan whose fee is `fee`.
async fn closed(shop: &Shop, fee: i64) -> (PartnerId, InvoiceId) {
    let plan = shop.plan("larger", PlanTerms { base_fee_micros: fee, ..larger() }).await;
    let since = shop.now().await;
    let partner = shop.partner("acme", plan, since).await;
    for _ in 0..2 {
        push(shop).await;
    }
    shop.live(partner, since + days(2), &[(1, 3_000)]).await;
    let end = period_end(shop, partner).await;
    at(shop, end + minutes(2)).await;
    let made = shop.close(shop.now().await).await.invoices;
    (partner, made[0])
}

/// One that Stripe refuses: its fee is above what an item may come to. Some units are on Stripe's draft all the same.
async fn refused(shop: &Shop) -> (PartnerId, InvoiceId) {
    let (partner, invoice) = closed(shop, 2_000_000_000_000).await;
    let report = push(shop).await;
    assert_eq!(report.problems.len(), 1, "{report:?}");
    let state = shop.state().await;
    let customer = list(&state, "customers")[0]["id"].as_str().expect("an id");
    let instant = shop.now().await.as_second() - 600;
    let form = format!(
        "event_name=turnpike_units_payments&payload[stripe_customer_id]={customer}&payload[value]=2400&timestamp={instant}"
    );
    shop.control("api", json!({ "method": "POST", "path": "/v1/billing/meter_events", "form": form })).await;
    (partner, invoice)
}

/// Stripe's own invoice: what it comes to, and where it stands.
async fn theirs(shop: &Shop) -> (i64, String) {
    let state = shop.state().await;
    let [held] = list(&state, "invoices") else { panic!("one invoice: {state:#}") };
    (held["total"].as_i64().expect("a number"), held["status"].as_str().expect("a status").to_owned())
}

fn fine(report: &Reconciled) {
    assert!(report.problems.is_empty(), "{report:?}");
}

#[tokio::test]
async fn what_stripe_refuses_can_be_paid_elsewhere_and_nobody_pays_it_there() {
    let shop = Shop::open().await;
    let (partner, invoice) = refused(&shop).await;
    let now = shop.now().await;
    assert!(shop.store.mark_invoice_paid(partner, invoice, Actor::System, now).await.expect("paid elsewhere"));
    for _ in 0..2 {
        fine(&push(&shop).await);
    }
    assert_eq!(theirs(&shop).await, (100, "paid".to_owned()));
    assert!(list(&shop.state().await, "payment_intents").is_empty(), "marked as paid outside");
    assert_eq!(running(&shop.state().await).len(), 1);
}

#[tokio::test]
async fn a_void_takes_the_subscriptions_draft_off_without_deleting_it() {
    let shop = Shop::open().await;
    let whose = refused(&shop).await;
    issued(&shop, whose, CreditKind::Void, 0, false).await;
    for _ in 0..2 {
        fine(&push(&shop).await);
    }
    assert_eq!(theirs(&shop).await, (100, "void".to_owned()));
    assert!(shop.store.all_partners_credit_notes_to_push(10).await.expect("notes").is_empty());
    assert_eq!(running(&shop.state().await).len(), 1);
}

#[tokio::test]
async fn a_void_leaves_what_is_somebody_elses_on_the_same_draft_to_a_person() {
    let shop = Shop::open().await;
    let whose = refused(&shop).await;
    let state = shop.state().await;
    let customer = list(&state, "customers")[0]["id"].as_str().expect("an id");
    let draft = list(&state, "invoices")[0]["id"].as_str().expect("an id");
    let form = format!("customer={customer}&invoice={draft}&amount=777&currency=usd");
    shop.control("api", json!({ "method": "POST", "path": "/v1/invoiceitems", "form": form })).await;
    issued(&shop, whose, CreditKind::Void, 0, false).await;
    let told = push(&shop).await.problems;
    assert!(told.iter().any(|(_, text)| text.contains("not of this invoice")), "{told:?}");
    // Units are rated once it is final.
    assert_eq!(theirs(&shop).await, (777, "draft".to_owned()));
}

#[tokio::test]
async fn one_that_was_never_there_is_void_and_credited_without_a_word() {
    for kind in [CreditKind::Void, CreditKind::Credit] {
        let shop = Shop::open().await;
        let (partner, invoice) = closed(&shop, 99_000_000).await;
        // It was taken for Stripe, which was down.
        shop.store.take_invoice_for_stripe(partner, invoice, shop.now().await).await.expect("taken");
        let cents = if kind == CreditKind::Void { 0 } else { 900 };
        issued(&shop, (partner, invoice), kind, cents, false).await;
        for _ in 0..3 {
            fine(&push(&shop).await);
            shop.advance(hours(1)).await;
        }
        assert!(shop.store.all_partners_credit_notes_to_push(10).await.expect("notes").is_empty());
        let state = shop.state().await;
        let status = shop.store.invoice(partner, invoice).await.expect("an invoice").0.status;
        let credited: Vec<&Value> = list(&state, "credit_notes").iter().map(|one| &one["amount"]).collect();
        match kind {
            CreditKind::Void => {
                assert_eq!((status, list(&state, "meter_events").len()), (InvoiceStatus::Void, 0));
            }
            CreditKind::Credit => {
                assert_eq!((status, credited), (InvoiceStatus::Sent, vec![&json!(900)]));
            }
        }
    }
}
