//! What Stripe Tax computed stands below the total of an invoice, for the partner and for the operator.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use billing::{Closing, close_due_periods};
use domain::{
    money::{Currency, Money},
    plan::Approval,
    role::OperatorRole,
};
use jiff::SignedDuration;
use serde_json::json;
use store::{Actor, Collection, InvoiceStatus, NewPlan};

#[tokio::test(flavor = "multi_thread")]
async fn tax_stands_below_the_total_and_in_what_is_to_be_paid() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, began) = (&portal.store, portal.now());
    let terms = json!({
        "currency": "EUR", "products": [{ "product": acme.product_code }], "base_fee_micros": 49_000_000,
        "price": { "model": "per_unit", "unit_price": "1" },
    });
    let terms = serde_json::from_value(terms).expect("terms");
    let plan = NewPlan { terms, ..new_plan("taxed", &acme.product_code, true, Approval::Automatic) };
    let plan = store.create_plan(&plan, Actor::System, began).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, began).await.expect("a subscription");
    let now = began + SignedDuration::from_hours(24 * 32);
    let closing = Closing { grace: SignedDuration::ZERO, ingested_through: Some(now) };
    let invoice = close_due_periods(store, closing, now).await.expect("closes").invoices[0];
    let mut owner = portal.as_member(acme.owner).await;
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let paths = [format!("/invoices/{invoice}"), format!("/console/partners/{}/invoices/{invoice}", acme.id)];
    assert!(!owner.get(&paths[0]).await.text.contains("Tax (by Stripe)"));

    let tax = Some(Money::new(Currency::Eur, 7_350_000));
    let total = store.invoice(acme.id, invoice).await.expect("the invoice").0.total;
    let with_tax = Money::new(Currency::Eur, total.micros + 7_350_000);
    let (total, with_tax, owed) = (total.to_string(), with_tax.to_string(), format!("{with_tax} with tax"));
    let collection = Collection { due_at: Some(now + SignedDuration::from_hours(24)), tax, ..Collection::default() };
    store.note_collection(acme.id, invoice, &collection).await.expect("noted");
    store.set_invoice_status(acme.id, invoice, InvoiceStatus::Sent, now).await.expect("sent");
    for page in [owner.get(&paths[0]).await.text, admin.get(&paths[1]).await.text] {
        for words in ["Tax (by Stripe)", "€7.35", "Total with tax", &with_tax, &total, &owed] {
            assert!(page.contains(words), "{words}: {page}");
        }
    }
}
