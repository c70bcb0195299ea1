//! A purchase of credit is one invoice at Stripe, whatever mode the plan has, and its units come when Stripe says that it is paid.

use crate::shop::{Shop, days};
use domain::{credit::package::CreditPackage, id::InvoiceId, plan::PlanTerms};
use serde_json::json;
use store::{Actor, InvoiceStatus, NewCreditPurchase};

/// With calls that spend credit.
fn terms(collect: &str) -> PlanTerms {
    let mut terms = crate::shop::terms(collect);
    terms.admission.credit.required = true;
    terms
}

#[tokio::test]
async fn stripe_collects_it_once_and_its_webhook_opens_the_grant_once() {
    for mode in ["invoice_items", "meter_events"] {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let plan = shop.plan("starter", terms(mode)).await;
        let partner = shop.partner("acme", plan, now - days(3)).await;
        let package: CreditPackage = serde_json::from_value(json!({
            "name": "Thousand", "units": 1000, "currency": "USD", "price": "12.34",
        }))
        .expect("a package");
        shop.store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");
        let new = NewCreditPurchase { code: "thousand".to_owned(), quantity: 2, reference: "a".to_owned(), cost: None };
        let invoice = shop.store.buy_credit(partner, &new, Actor::System, now).await.expect("bought").invoice;
        for _ in 0..2 {
            shop.reconcile().await;
        }
        let (held, count) = shop.at_stripe(invoice).await;
        assert_eq!((count, &held["total"], &held["status"]), (1, &json!(2468), &json!("open")), "{mode}");
        assert_eq!(shop.store.credit(partner).await.expect("a standing").balance, 0);
        let id = held["id"].as_str().expect("an id");
        shop.stripe.create(&format!("/v1/invoices/{id}/pay"), &Vec::new(), "pay").await.expect("paid");
        shop.told(|_| true, 2, false).await;
        assert_eq!(shop.store.invoice(partner, invoice).await.expect("ours").0.status, InvoiceStatus::Paid);
        assert_eq!(shop.store.credit(partner).await.expect("a standing").balance, 2000);
        assert_eq!(shop.store.credit_grants(partner).await.expect("grants").len(), 1);
        assert_eq!(shop.store.check_all_credit().await.expect("checked"), []);
    }
}

#[tokio::test]
async fn a_purchase_at_the_instant_at_which_a_period_begins_stands_in_no_invoices_way() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let since = now - days(32);
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, since).await;
    let package: CreditPackage =
        serde_json::from_value(json!({ "name": "Thousand", "units": 1000, "currency": "USD", "price": "10.00" }))
            .expect("a package");
    shop.store.put_credit_package(("thousand", None), &package, Actor::System, since).await.expect("sold");
    for reference in ["a", "b", "c"] {
        let new =
            NewCreditPurchase { code: "thousand".to_owned(), quantity: 1, reference: reference.to_owned(), cost: None };
        shop.store.buy_credit(partner, &new, Actor::System, since).await.expect("bought");
    }
    let closed = shop.close(now).await.invoices.len();
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    assert_eq!((closed, invoices.len()), (1, 4));
    assert_eq!(invoices.iter().filter(|invoice| invoice.stands_alone).count(), 3);
}

/// What somebody takes off in Stripe's dashboard, in cents, with how it is paid back.
async fn credited_at_stripe(shop: &Shop, invoice: InvoiceId, cents: u64, back: bool) {
    let (held, _) = shop.at_stripe(invoice).await;
    let id = held["id"].as_str().expect("an id").to_owned();
    let mut note = vec![("invoice".to_owned(), id), ("amount".to_owned(), cents.to_string())];
    if back {
        note.push(("out_of_band_amount".to_owned(), cents.to_string()));
    }
    shop.stripe.create("/v1/credit_notes", &note, &format!("{invoice}-{cents}")).await.expect("credited");
}

#[tokio::test]
async fn units_that_somebody_credited_at_stripe_before_they_were_paid_are_not_given_and_later_they_are_taken_back() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, now - days(3)).await;
    let package: CreditPackage =
        serde_json::from_value(json!({ "name": "Thousand", "units": 1000, "currency": "USD", "price": "12.34" }))
            .expect("a package");
    shop.store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");
    let buy = async |reference: &str| {
        let new =
            NewCreditPurchase { code: "thousand".to_owned(), quantity: 1, reference: reference.to_owned(), cost: None };
        let invoice = shop.store.buy_credit(partner, &new, Actor::System, now).await.expect("bought").invoice;
        shop.reconcile().await;
        invoice
    };
    let told = async |invoice| {
        let (held, _) = shop.store.invoice(partner, invoice).await.expect("ours");
        (held.status, held.push_problem.unwrap_or_default())
    };
    let unpaid = buy("a").await;
    credited_at_stripe(&shop, unpaid, 1234, false).await;
    assert_eq!(shop.at_stripe(unpaid).await.0["status"], "paid", "as Stripe calls it");
    shop.told(|_| true, 1, false).await;
    let (status, problem) = told(unpaid).await;
    assert!(status == InvoiceStatus::Void && problem.contains("its units were not given"), "{status} {problem}");
    assert_eq!(shop.store.credit(partner).await.expect("a standing").balance, 0);
    let paid = buy("b").await;
    let (held, _) = shop.at_stripe(paid).await;
    let id = held["id"].as_str().expect("an id");
    shop.stripe.create(&format!("/v1/invoices/{id}/pay"), &Vec::new(), "pay").await.expect("paid");
    shop.told(|_| true, 1, false).await;
    assert_eq!(told(paid).await, (InvoiceStatus::Paid, String::new()));
    credited_at_stripe(&shop, paid, 1000, true).await;
    shop.told(|_| true, 1, false).await;
    assert_eq!(told(paid).await, (InvoiceStatus::Paid, String::new()));
    // $10.00 of $12.34 for 1,000 units are worth 811 of them, at the least.
    assert_eq!(shop.store.credit(partner).await.expect("a standing").balance, 1000 - 811);
    assert_eq!(shop.store.check_all_credit().await.expect("checked"), []);
}
