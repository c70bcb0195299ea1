//! A currency without a minor unit: what Stripe gets and gives back are whole yen.

use crate::shop::{Shop, days, hours, list};
use billing::payment::{StripePages, open_credit_checkout};
use domain::{
    credit::package::CreditPackage,
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
    plan::PlanTerms,
};
use serde_json::json;
use store::{
    Actor, InvoiceStatus, NewCreditPurchase,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
};

fn yen(yen: i64) -> Money {
    Money::new(Currency::Jpy, yen * 1_000_000)
}

/// 4,900 a month with 1,000 units, then half a yen each; 500 of usage included.
fn terms() -> PlanTerms {
    serde_json::from_value(json!({
        "currency": "JPY", "products": [{ "product": "payments" }], "base_fee_micros": 4_900_000_000_i64,
        "price": { "model": "per_unit", "included": 1000, "unit_price": "0.5" },
        "included_credit_micros": 500_000_000, "collect": "invoice_items",
    }))
    .expect("terms")
}

async fn credited(shop: &Shop, (partner, invoice): (PartnerId, InvoiceId), amount: Money) {
    let lines = vec![NewCreditLine { invoice_position: Some(0), amount }];
    let (payback, reason) = (Payback::Refund, "Our mistake".to_owned());
    let new = NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback, reason };
    let now = shop.now().await;
    let id = shop.store.draft_credit_note(partner, &new, false, Actor::System, now).await.expect("a draft");
    let issue = Issue { seen_paid: true, four_eyes: false };
    assert!(shop.store.issue_credit_note(partner, id, issue, Actor::System, now).await.expect("issued"));
    shop.reconcile().await;
}

#[tokio::test]
async fn an_invoice_and_its_refund_are_in_whole_yen() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let plan = shop.plan("starter", terms()).await;
    let partner = shop.partner("acme", plan, now - days(32)).await;
    shop.live(partner, now - days(30), &[(1, 700), (2, 2_501)]).await;
    let invoice = shop.close(now).await.invoices[0];
    assert_eq!(shop.reconcile().await.pushed, [invoice]);
    let (held, _) = shop.at_stripe(invoice).await;
    let amounts: Vec<_> = list(&held["lines"], "data").iter().filter_map(|line| line["amount"].as_i64()).collect();
    // 2,201 units at half a yen are 1,100.5, and there is no half yen.
    assert_eq!((amounts, &held["total"]), (vec![4_900, 0, 1_101, -500], &json!(5_501)));
    assert_eq!(held["currency"], "jpy");
    let (ours, _) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    assert_eq!((ours.total, ours.status), (yen(5_501), InvoiceStatus::Sent));

    shop.control("invoices", json!({ "invoice": held["id"], "step": "pay" })).await;
    shop.advance(hours(2)).await;
    shop.reconcile().await;
    credited(&shop, (partner, invoice), yen(900)).await;
    let state = shop.state().await;
    let refunds = list(&state, "refunds");
    assert_eq!((refunds.len(), &refunds[0]["amount"], &refunds[0]["currency"]), (1, &json!(900), &json!("jpy")));
    assert_eq!(shop.store.credit_standing(partner, invoice).await.expect("a standing").left(), yen(4_601));
}

#[tokio::test]
async fn a_page_takes_whole_yen() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let mut terms = terms();
    terms.admission.credit.required = true;
    let plan = shop.plan("starter", terms).await;
    let partner = shop.partner("acme", plan, now - days(3)).await;
    let package = json!({ "name": "Thousand", "units": 1000, "currency": "JPY", "price": "1234" });
    let package: CreditPackage = serde_json::from_value(package).expect("a package");
    shop.store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");
    let new = NewCreditPurchase { code: "thousand".to_owned(), quantity: 2, reference: "a".to_owned(), cost: None };
    let (pages, who) = (StripePages::usual(), (partner, Actor::System));
    open_credit_checkout(shop.desk(), &pages, who, (&new, "https://portal.example/credit"), now).await.expect("opened");
    let state = shop.state().await;
    let session = &list(&state, "checkout_sessions")[0];
    assert_eq!((&session["amount_total"], &session["currency"]), (&json!(2_468), &json!("jpy")));
    shop.control("checkout", json!({ "session": session["id"], "step": "complete" })).await;
    shop.advance(hours(2)).await;
    shop.reconcile().await;
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    assert_eq!((invoices.len(), invoices[0].total, invoices[0].status), (1, yen(2_468), InvoiceStatus::Paid));
    credited(&shop, (partner, invoices[0].id), yen(2_468)).await;
    assert_eq!(list(&shop.state().await, "refunds")[0]["amount"], 2_468);
}
