//! Where invoices go changes while some are on their way: each is collected by one.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{
    PushSettings,
    payment::{StripePages, open_portal},
};
use domain::{
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
};
use serde_json::json;
use store::{
    Actor, Collector, InvoiceStatus, StoreError,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
    document_deliveries::Delivery,
};

/// Invoices go elsewhere; Stripe's key is still there.
fn elsewhere() -> PushSettings {
    PushSettings { takes_new: false, meters_open: days(40), ..PushSettings::default() }
}

/// Invoices of $49.00, one of each partner.
async fn closed(shop: &Shop, collect: &str, partners: usize) -> Vec<(PartnerId, InvoiceId)> {
    let plan = shop.plan("starter", terms(collect)).await;
    let now = shop.now().await;
    let mut all = Vec::new();
    for number in 0..partners {
        all.push(shop.partner(&format!("partner-{number}"), plan, now - days(32)).await);
    }
    shop.close(now).await;
    let mut made = Vec::new();
    for partner in all {
        made.push((partner, shop.store.invoices(partner).await.expect("invoices")[0].id));
    }
    made
}

async fn credited(shop: &Shop, (partner, invoice): (PartnerId, InvoiceId), kind: CreditKind) {
    let amount = Money::new(Currency::Usd, 9_000_000);
    let lines = match kind {
        CreditKind::Credit => vec![NewCreditLine { invoice_position: Some(0), amount }],
        CreditKind::Void => Vec::new(),
    };
    let now = shop.now().await;
    let new = NewCreditNote { invoice, kind, lines, payback: Payback::Refund, reason: "Our mistake".to_owned() };
    let id = shop.store.draft_credit_note(partner, &new, false, Actor::System, now).await.expect("a draft");
    let issue = Issue { seen_paid: false, four_eyes: false };
    assert!(shop.store.issue_credit_note(partner, id, issue, Actor::System, now).await.expect("issued"));
}

async fn status(shop: &Shop, (partner, invoice): (PartnerId, InvoiceId)) -> InvoiceStatus {
    shop.store.invoice(partner, invoice).await.expect("an invoice").0.status
}

/// Makes a delivery of everything that a receiver would get, and says of which invoices. They can be claimed from then on.
async fn enlisted(shop: &Shop) -> Vec<InvoiceId> {
    let now = shop.now().await;
    let unlisted = shop.store.all_partners_unlisted_documents(100).await.expect("a list");
    for one in &unlisted {
        shop.store.enlist_document(one, "{}", now).await.expect("enlisted");
    }
    unlisted.iter().map(|one| one.invoice).collect()
}

/// Claims some of them, by a clock that has gone on since they were made.
async fn claimed(shop: &Shop, at_most: u32) -> Vec<Delivery> {
    let now = shop.now().await;
    shop.store.claim_deliveries(now, now + hours(1), at_most).await.expect("claimed")
}

#[tokio::test]
async fn what_stripe_has_taken_goes_to_no_receiver_and_is_seen_to_its_end() {
    let shop = Shop::open().await;
    let all = closed(&shop, "invoice_items", 3).await;
    let now = shop.now().await;
    for (partner, _) in &all {
        let who = (*partner, Actor::System);
        open_portal(&shop.store, &shop.stripe, &StripePages::usual(), who, "https://p.example", now)
            .await
            .expect("a customer");
    }
    // Drafts are made, and nobody hears of it.
    shop.control("faults", json!({ "reset": 100, "only_changes": true })).await;
    shop.reconcile().await;
    assert_eq!(list(&shop.state().await, "invoices").len(), 3);
    assert_eq!(status(&shop, all[0]).await, InvoiceStatus::Open);
    shop.store.note_invoice_sink(Some(Collector::Webhook), now).await.expect("noted");
    assert_eq!(enlisted(&shop).await, [], "Stripe may hold them");

    shop.control("faults", json!({})).await;
    assert_eq!(shop.reconcile_with(elsewhere()).await.pushed.len(), 3, "what was begun is ended");
    credited(&shop, all[0], CreditKind::Credit).await;
    credited(&shop, all[1], CreditKind::Void).await;
    assert_eq!(enlisted(&shop).await, [], "Stripe collects them, so that no other is told of them");
    let refused = shop.store.mark_invoice_paid(all[0].0, all[0].1, Actor::System, now).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");

    let third = shop.at_stripe(all[2].1).await.0["id"].clone();
    shop.control("invoices", json!({ "invoice": third, "step": "pay" })).await;
    shop.advance(hours(2)).await;
    shop.reconcile_with(elsewhere()).await;
    assert_eq!(list(&shop.state().await, "credit_notes").len(), 1);
    assert_eq!(shop.at_stripe(all[1].1).await.0["status"], "void");
    assert_eq!(status(&shop, all[2]).await, InvoiceStatus::Paid, "Stripe is asked what became of it");
    for (_, invoice) in &all {
        assert_eq!(shop.at_stripe(*invoice).await.1, 1);
    }
}

#[tokio::test]
async fn what_is_made_after_the_change_goes_to_the_receiver_only() {
    let shop = Shop::open().await;
    let all = closed(&shop, "meter_events", 1).await;
    let now = shop.now().await;
    shop.store.note_invoice_sink(Some(Collector::Webhook), now).await.expect("noted");
    assert!(shop.reconcile_with(elsewhere()).await.pushed.is_empty());
    assert_eq!(list(&shop.state().await, "customers").len(), 0, "nobody becomes a customer there any more");
    assert_eq!(enlisted(&shop).await, [all[0].1]);
    let claimed = claimed(&shop, 1).await;
    assert_eq!(claimed.len(), 1);
    assert!(shop.reconcile().await.pushed.is_empty(), "nor where Stripe's time comes again");
}

#[tokio::test]
async fn what_was_offered_to_a_receiver_goes_to_stripe_only_where_nothing_was_sent() {
    let shop = Shop::open().await;
    let all = closed(&shop, "invoice_items", 3).await;
    let now = shop.now().await;
    shop.store.note_invoice_sink(Some(Collector::Webhook), now).await.expect("noted");
    assert_eq!(enlisted(&shop).await.len(), 3);
    // Of the first the answer was lost, the second was refused; nothing was sent of the third.
    let claimed = claimed(&shop, 2).await;
    let [lost, refused] = &claimed[..] else { panic!("not two") };
    shop.store.note_document_failure(refused.document, "500", false, now + hours(1), now).await.expect("noted");
    let sent = [lost, refused].map(|one| one.document.to_string());
    shop.store.note_invoice_sink(Some(Collector::Stripe), now).await.expect("noted");
    let pushed = shop.reconcile().await.pushed;
    assert_eq!(pushed.len(), 1);
    assert!(!sent.contains(&pushed[0].to_string()), "the receiver may have it");
    assert_eq!(list(&shop.state().await, "invoices").len(), 1);
    let left = shop.store.all_partners_left_behind(Some(Collector::Stripe)).await.expect("counted");
    assert_eq!((left.stripe, left.webhook), (0, 2), "and the operator is told");
    // Whoever collects them says so.
    let other = all.iter().find(|(_, invoice)| *invoice != pushed[0]).expect("another");
    assert!(shop.store.mark_invoice_paid(other.0, other.1, Actor::System, now).await.expect("paid"));
}

/// A server of the version before says of nothing who collects it.
#[tokio::test]
async fn what_is_pushed_without_a_word_is_taken_all_the_same() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let all = closed(&shop, "invoice_items", 3).await;
    for ((partner, invoice), subject) in all.iter().zip(["invoice", "item", "drawing"]) {
        let subject = format!("{subject}:{invoice}:0");
        let begun = shop.store.begin_stripe_object(*partner, &subject, 1, &Vec::new(), now).await;
        assert_eq!(begun.expect("noted").attempt, 1);
    }
    assert_eq!(enlisted(&shop).await, [all[2].1]);
    let mut taken = Vec::new();
    for (partner, invoice) in &all {
        taken.push(shop.store.invoice(*partner, *invoice).await.expect("an invoice").0.collected_by);
    }
    assert_eq!(taken, [Some(Collector::Stripe), Some(Collector::Stripe), Some(Collector::Webhook)]);
}

#[tokio::test]
async fn of_two_who_take_an_invoice_at_once_one_has_it() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    for of in closed(&shop, "invoice_items", 8).await {
        let unlisted = shop.store.all_partners_unlisted_documents(100).await.expect("a list");
        let own = unlisted.into_iter().find(|one| one.invoice == of.1).expect("it is listed");
        let (stripe, receiver) = tokio::join!(
            shop.store.take_invoice_for_stripe(of.0, of.1, now),
            shop.store.enlist_document(&own, "{}", now)
        );
        receiver.expect("looked");
        let deliveries = shop.store.all_partners_deliveries(None, None, 50).await.expect("a list").items;
        let is_delivered = deliveries.iter().any(|one| one.document == own.document);
        assert_ne!(stripe.expect("looked"), is_delivered, "one of them has it");
    }
}

#[tokio::test]
async fn where_invoices_go_is_noted_once_with_its_beginning() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let note = async |collector, at| shop.store.note_invoice_sink(collector, at).await.expect("noted");
    assert_eq!(note(None, now).await, now);
    assert_eq!(note(Some(Collector::Webhook), now + hours(1)).await, now + hours(1));
    assert_eq!(note(Some(Collector::Webhook), now + hours(2)).await, now + hours(1), "a restart changes nothing");
    let log = shop.store.all_audit_page(None, 50).await.expect("a page").items;
    let changed: Vec<_> = log.iter().filter(|entry| entry.action == "invoices.sink").collect();
    assert_eq!(changed.len(), 1);
    assert_eq!((&changed[0].before, &changed[0].after), (&Some(json!("none")), &Some(json!("webhook"))));
}
