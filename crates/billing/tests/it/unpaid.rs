//! Stripe collects: its due day and its page are ours, and its webhooks bring a partner down by nothing and back at once.

use crate::shop::{Shop, days, list, terms};
use domain::{
    dunning::{Next, Stage, UnpaidRules},
    limit::{Limit, Window},
    plan::PlanTerms,
};
use store::InvoiceStatus;

fn strict() -> PlanTerms {
    PlanTerms {
        unpaid: Some(UnpaidRules {
            grace_days: 5,
            limited_days: 5,
            limited_percent: None,
            limited_limits: vec![Limit { calls: 1, window: Window::Minute }],
            minimum_micros: 0,
        }),
        ..terms("invoice_items")
    }
}

#[tokio::test]
async fn an_invoice_is_due_when_stripe_says_and_its_payment_brings_the_partner_back() {
    let shop = Shop::open().await;
    let began = shop.now().await;
    let plan = shop.plan("strict", strict()).await;
    let mut owing = Vec::new();
    for name in ["pays", "void", "given-up"] {
        owing.push(shop.partner(name, plan, began - days(32)).await);
    }
    shop.close(began).await;
    let waiting = shop.store.all_partners_to_dun(began + days(400)).await.expect("partners");
    assert_eq!(waiting, [], "what Stripe does not hold yet has no consequence");
    shop.reconcile().await;
    let mut invoices = Vec::new();
    for partner in &owing {
        let invoice = shop.store.invoices(*partner).await.expect("invoices").remove(0);
        assert_eq!(invoice.status, InvoiceStatus::Sent);
        let due = invoice.due_at.expect("Stripe says when");
        assert!((due.as_second() - (began + days(14)).as_second()).abs() < 3_600, "{due}");
        assert!(invoice.pay_url.is_some_and(|url| url.starts_with("https://")));
        invoices.push(invoice.id);
    }
    for _ in 0..26 {
        shop.advance(days(1)).await;
        let now = shop.now().await;
        for partner in &owing {
            while let Some(step) = shop.store.dunning_step(*partner, now).await.expect("an answer") {
                assert!(
                    step.next != Next::Nothing && shop.store.take_dunning_step(&step, &[], now).await.expect("taken")
                );
            }
        }
    }
    let now = shop.now().await;
    let stages = async || {
        let mut stages = Vec::new();
        for partner in &owing {
            stages.push(shop.store.dunning(*partner, now).await.expect("a standing").stage);
        }
        stages
    };
    assert_eq!(stages().await, [Stage::Suspended; 3]);
    for (invoice, step) in invoices.iter().zip(["pay", "void", "mark_uncollectible"]) {
        let id = shop.at_stripe(*invoice).await.0["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/invoices/{id}/{step}");
        shop.stripe.create(&path, &Vec::new(), &format!("{step}-{id}")).await.expect("done");
    }
    shop.hears(list(&shop.state().await, "events"), now).await;
    assert_eq!(stages().await, [Stage::Good, Stage::Good, Stage::Suspended], "given up is not paid");
    let id = shop.at_stripe(invoices[2]).await.0["id"].as_str().expect("an id").to_owned();
    shop.stripe.create(&format!("/v1/invoices/{id}/pay"), &Vec::new(), "late").await.expect("done");
    shop.hears(list(&shop.state().await, "events"), now).await;
    assert_eq!(stages().await, [Stage::Good; 3]);
}
