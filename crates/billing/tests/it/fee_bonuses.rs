//! A bonus for a fee in advance is given when Stripe says that the fee is paid: once, however often and wherever it says so, and it goes back
//! with the money.

use crate::shop::{Shop, days, list, terms};
use billing::{
    apply_pending_webhooks,
    payment::{StripePages, first_fee, open_plan_checkout},
    receive_webhook,
};
use domain::{
    credit::fee_bonus::FeeBonus,
    id::{InvoiceId, PartnerId, PlanVersionId},
    plan::PlanTerms,
    rating::FeeDue,
};
use serde_json::{Value, json};
use store::{Actor, InvoiceStatus, LedgerAccount, test_db::world::World};
use stripe_stand_in::signature;

/// $49.00 a month in advance, and 5,000 units once that is paid.
fn generous() -> PlanTerms {
    let mut terms = terms("invoice_items");
    (terms.fee_due, terms.included_credit_micros) = (FeeDue::Advance, 0);
    terms.admission.credit.required = true;
    terms.admission.credit.fee_bonus = Some(FeeBonus { units: 5_000, valid_days: None });
    terms
}

async fn generous_plan(shop: &Shop) -> PlanVersionId {
    let version = shop.plan("generous", generous()).await;
    let plan = shop.store.find_plan_by_code("generous").await.expect("asked").expect("a plan").id;
    shop.store.set_asks_for_payment_method(plan, true, Actor::System, shop.now().await).await.expect("set");
    version
}

/// Units that can be used, and how many grants there ever were.
async fn units(shop: &Shop, partner: PartnerId) -> (i64, usize) {
    let balance = shop.store.credit(partner).await.expect("a standing").balance;
    (balance, shop.store.credit_grants(partner).await.expect("grants").len())
}

/// All events come again, each under three new names, to two servers that look at them at once.
async fn told_at_two_servers(shop: &Shop) {
    let now = shop.now().await;
    for _ in 0..3 {
        for event in list(&shop.state().await, "events") {
            let mut event = event.clone();
            event["id"] = json!(format!("evt_{}", uuid::Uuid::new_v4().simple()));
            let body = event.to_string();
            let header = signature("whsec_a", now.as_second(), body.as_bytes());
            receive_webhook(&shop.store, &["whsec_a".to_owned()], body.as_bytes(), &header, now).await.expect("kept");
        }
    }
    let (one, other) = tokio::join!(apply_pending_webhooks(shop.desk(), now), apply_pending_webhooks(shop.desk(), now));
    one.expect("applied");
    other.expect("applied");
    apply_pending_webhooks(shop.desk(), now).await.expect("applied");
}

async fn status(shop: &Shop, partner: PartnerId, invoice: InvoiceId) -> InvoiceStatus {
    shop.store.invoice(partner, invoice).await.expect("ours").0.status
}

#[tokio::test]
async fn the_first_fee_gives_its_bonus_when_its_page_is_paid_and_takes_it_back_when_it_is_refunded() {
    let shop = Shop::open().await;
    generous_plan(&shop).await;
    let partner = World::named(&shop.store, "acme").await.partner;
    shop.member(partner, "billing@acme.example").await;
    let plan = shop.store.find_plan_by_code("generous").await.expect("asked").expect("a plan").id;
    let now = shop.now().await;
    let fee = first_fee(&shop.store, partner, plan, now).await.expect("previewed").expect("a fee is due");
    let who = (partner, Actor::System);
    let back = "https://portal.example/plan";
    open_plan_checkout(shop.desk(), &StripePages::usual(), who, (&fee, back), now).await.expect("opened");
    let (_, session) = shop.newest_page().await;
    shop.told(|_| true, 2, false).await;
    assert_eq!(units(&shop, partner).await, (0, 0), "nobody has paid");

    shop.on_page(&session, "complete").await;
    shop.told(|_| true, 2, true).await;
    told_at_two_servers(&shop).await;
    assert_eq!(units(&shop, partner).await, (5_000, 1));
    let invoice = shop.store.invoices(partner).await.expect("invoices")[0].clone();
    let grant = shop.store.credit_grants(partner).await.expect("grants")[0].clone();
    assert_eq!((invoice.status, invoice.total.to_string()), (InvoiceStatus::Paid, "$49.00".to_owned()));
    assert!(grant.expires_at.is_some_and(|end| end >= invoice.period.end && end < invoice.period.end + days(1)));

    // Somebody pays it back in Stripe's dashboard.
    let state = shop.state().await;
    let intent = list(&state, "invoice_payments")[0]["payment"]["payment_intent"].clone();
    let refund = vec![("payment_intent".to_owned(), intent.as_str().expect("an id").to_owned())];
    shop.stripe.create("/v1/refunds", &refund, "dashboard").await.expect("refunded");
    told_at_two_servers(&shop).await;
    assert_eq!(units(&shop, partner).await, (0, 1));
    let books = shop.store.ledger_balances(partner).await.expect("balances");
    let of = |account| books.iter().find(|(held, _)| *held == account).map_or(0, |(_, money)| money.micros);
    assert_eq!([LedgerAccount::Cash, LedgerAccount::Revenue, LedgerAccount::Breakage].map(of), [0, 0, 0]);
    assert_eq!(shop.store.check_all_credit().await.expect("checked"), []);
}

#[tokio::test]
async fn each_fee_gives_its_bonus_when_its_invoice_is_paid_and_not_before() {
    let shop = Shop::open().await;
    let version = generous_plan(&shop).await;
    let now = shop.now().await;
    let partner = shop.partner("acme", version, now).await;
    let invoice = shop.close(now).await.invoices[0];
    shop.reconcile().await;
    told_at_two_servers(&shop).await;
    assert_eq!((status(&shop, partner, invoice).await, units(&shop, partner).await), (InvoiceStatus::Sent, (0, 0)));

    let pay = async |invoice| {
        let id: Value = shop.at_stripe(invoice).await.0["id"].clone();
        shop.control("invoices", json!({ "invoice": id, "step": "pay" })).await;
        told_at_two_servers(&shop).await;
    };
    pay(invoice).await;
    assert_eq!((status(&shop, partner, invoice).await, units(&shop, partner).await), (InvoiceStatus::Paid, (5_000, 1)));
    told_at_two_servers(&shop).await;
    assert_eq!(units(&shop, partner).await, (5_000, 1));

    // The next month's is its own.
    shop.advance(days(31)).await;
    let now = shop.now().await;
    let next = shop.close(now).await.invoices;
    shop.reconcile().await;
    told_at_two_servers(&shop).await;
    let grants = |units: (i64, usize)| units.1;
    assert_eq!(grants(units(&shop, partner).await), 1);
    for invoice in next {
        pay(invoice).await;
    }
    assert_eq!(grants(units(&shop, partner).await), 2);
    assert_eq!(shop.store.check_all_credit().await.expect("checked"), []);
}
