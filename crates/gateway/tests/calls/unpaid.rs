//! A partner that does not pay: served, served less, refused with the invoice and where to pay, and served again at once.

use super::world::World;
use domain::{
    directory::Unpaid,
    dunning::{Stage, UnpaidRules},
    id::InvoiceId,
    limit::{Limit, Window},
};
use uuid::Uuid;

fn put(world: &mut World, stage: Option<Stage>) {
    world.change(|directory| {
        directory.plans[0].terms.limits = vec![Limit { calls: 100, window: Window::Hour }];
        directory.plans[0].terms.unpaid = Some(UnpaidRules {
            grace_days: 14,
            limited_days: 14,
            limited_percent: Some(3),
            limited_limits: Vec::new(),
            minimum_micros: 0,
        });
        let invoice = InvoiceId(Uuid::from_u128(7));
        directory.partners[0].unpaid = stage.map(|stage| Unpaid { stage, invoice, number: 42 });
    });
}

#[tokio::test]
async fn good_then_limited_then_refused_and_after_the_payment_served_at_once() {
    let mut world = World::start().await;
    put(&mut world, None);
    let served = world.get("/payments/items/1").await;
    assert_eq!((served.status, served.header("x-ratelimit-limit")), (200, "100"));
    put(&mut world, Some(Stage::Grace));
    assert_eq!(world.get("/payments/items/1").await.header("x-ratelimit-limit"), "100", "grace changes nothing");

    put(&mut world, Some(Stage::Limited));
    let served = world.get("/payments/items/1").await;
    assert_eq!((served.status, served.header("x-ratelimit-limit")), (200, "3"));
    assert_eq!(served.header("ratelimit-policy"), "\"hour\";q=3;w=3600");
    assert_eq!(world.get("/payments/items/1").await.code(), "limit-exceeded", "the calls before count");

    put(&mut world, Some(Stage::Suspended));
    let before = world.upstream.seen().len();
    let refused = world.get("/payments/items/1").await;
    assert_eq!((refused.status, refused.code()), (402, "invoice-unpaid".to_owned()));
    let problem: serde_json::Value = serde_json::from_str(&refused.body).expect("a problem");
    assert_eq!(problem["invoice"], "TP-000042");
    let page = problem["pay_url"].as_str().expect("an address");
    assert!(page.ends_with(&format!("/invoices/{}", InvoiceId(Uuid::from_u128(7)))), "{page}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("TP-000042")), "{problem}");
    assert_eq!(world.upstream.seen().len(), before, "nothing was forwarded");

    put(&mut world, None);
    let served = world.get("/payments/items/1").await;
    assert_eq!((served.status, served.header("x-ratelimit-limit")), (200, "100"));
}
