//! What a partner sees of meters: what is measured, and how much it was.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use domain::{
    policy::{Meter, MeterValue, Policy},
    usage::{MeterKind, Metered, UsageEvent},
};
use jiff::SignedDuration;
use std::collections::BTreeSet;
use store::{Actor, ingest::Position};

fn meter(name: &str, kind: MeterKind, operations: BTreeSet<String>) -> Meter {
    let value = MeterValue::JsonField { pointer: "/usage/tokens".to_owned() };
    Meter { unit: "token".to_owned(), operations, ..Meter::new(name, kind, value) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_products_page_says_what_is_measured_and_the_usage_page_how_much() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut owner = portal.as_member(acme.owner).await;
    let page = format!("/products/{}", acme.product_code);
    assert!(!owner.get(&page).await.text.contains("What else is measured"));
    assert!(!owner.get("/usage").await.text.contains("What else was measured"));

    let meters = [
        ("tokens", meter("Words & tokens", MeterKind::Sum, BTreeSet::new())),
        ("secret", meter("Of nobody", MeterKind::Sum, ["anotherOperation".to_owned()].into())),
    ];
    let policy = Policy { meters: meters.map(|(code, meter)| (code.to_owned(), meter)).into(), ..Policy::default() };
    portal.store.set_product_policy(acme.product, &policy, Actor::System, portal.now()).await.expect("a policy");
    let text = owner.get(&page).await.text;
    assert!(text.contains("What else is measured") && text.contains("Words &amp; tokens"), "{text}");
    assert!(text.contains("The sum of what the API says of each call."), "{text}");

    let now = portal.now();
    let metered = |meter: &str, kind, quantity| Metered { meter: meter.to_owned(), kind, quantity, item: None };
    let call = |meters| UsageEvent {
        product: Some(acme.product),
        meters,
        ..UsageEvent::new(now - SignedDuration::from_secs(1), acme.id, acme.app, acme.key)
    };
    let events = vec![
        (0, call(vec![metered("tokens", MeterKind::Sum, 1_200), metered("gone", MeterKind::Latest, 7)])),
        (1, call(vec![metered("tokens", MeterKind::Sum, 34)])),
    ];
    let to = Position { segment: 0, byte_offset: 1, sequence: 2 };
    portal.store.ingest(("of-meters", 0, events), Position::default(), to, now).await.expect("taken in");
    let text = owner.get("/usage").await.text;
    for told in ["What else was measured", "Words &amp; tokens", "1,234 token", "· gone", "In all", "Latest"] {
        assert!(text.contains(told), "{told} is missing: {text}");
    }
    assert!(!text.contains("Of nobody"));
}
