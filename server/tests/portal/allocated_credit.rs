//! Prepaid credit that an app has for itself: the page of a call says that it paid, and whose it was.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use domain::{
    credit::allocation::{Holder, Spend},
    period::Period,
    role::OperatorRole,
    usage::{Allocated, UsageEvent},
};
use jiff::SignedDuration;
use store::{Actor, NewCreditAllocation, NewCreditGrant, ingest::Position, usage::RequestFilter};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_call_says_whose_credit_paid_for_it() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let grant = NewCreditGrant::new(5_000, "Welcome");
    store.grant_credit(acme.id, &grant, Actor::System, now).await.expect("granted");
    let new = NewCreditAllocation { of: Holder::App(acme.app), units: 30, spend: Spend::First, reference: None };
    let own = store.allocate_credit(acme.id, &new, Actor::System, now).await.expect("allocated");
    let at = now - SignedDuration::from_mins(1);
    let call = UsageEvent {
        request_id: "paid".to_owned(),
        units: 1_500,
        credits: 1_500,
        allocated: Some(Allocated { allocation: own.id, units: 12 }),
        ..UsageEvent::new(at, acme.id, acme.app, acme.key)
    };
    let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
    store.ingest(("paid", 0, vec![(0, call)]), Position::default(), to, now).await.expect("taken in");
    let range = Period { start: at, end: now };
    let log = store.request_log(acme.id, range, &RequestFilter::default(), None, 1).await.expect("a log");
    let mut owner = portal.as_member(acme.owner).await;
    let page = owner.get(&format!("/requests/{}", log.requests[0].place)).await.text;
    let told = format!("1,500 units, 12 of them from what the app {} has for itself", own.name);
    assert!(page.contains(&told), "{told} is not in {page}");
    let page = owner.get(&format!("/requests/{}", acme.place)).await.text;
    assert!(!page.contains("Paid with credit"), "credit paid nothing of that one: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn units_for_some_products_are_given_in_the_console_and_told_of_wherever_credit_is() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut console = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let credit = format!("/console/partners/{}/credit", acme.id);
    let id = acme.id.to_string();
    let give = |products: &'static str| {
        [
            ("grant[partner]", id.as_str()),
            ("grant[units]", "300"),
            ("grant[kind]", "promotional"),
            ("grant[reason]", "Spring"),
            ("grant[products]", products),
        ]
    };
    let back = console.post("/do/console/credit/grant", &give("acme-ledger, cards")).await;
    let page = console.get(back.location()).await.text;
    assert!(page.contains("No product has the code") && page.contains("value=\"acme-ledger, cards\""), "{page}");
    console.post("/do/console/credit/grant", &give("acme-ledger")).await;
    let page = console.get(&credit).await.text;
    assert!(page.contains("For some products only") && page.contains("Left for some products"), "{page}");
    let bound = store.bound_credit(acme.id).await.expect("purses");
    assert_eq!((bound.len(), bound[0].left), (1, 300));
    let mut owner = portal.as_member(acme.owner).await;
    let page = owner.get("/credit").await.text;
    assert!(page.contains("For some products only") && page.contains(&bound[0].words()), "{page}");
    let at = now - SignedDuration::from_mins(1);
    let call = UsageEvent {
        request_id: "bound".to_owned(),
        units: 12,
        credits: 12,
        allocated: Some(Allocated { allocation: bound[0].id, units: 7 }),
        ..UsageEvent::new(at, acme.id, acme.app, acme.key)
    };
    let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
    store.ingest(("bound", 0, vec![(0, call)]), Position::default(), to, now).await.expect("taken in");
    let range = Period { start: at, end: now };
    let log = store.request_log(acme.id, range, &RequestFilter::default(), None, 1).await.expect("a log");
    let page = owner.get(&format!("/requests/{}", log.requests[0].place)).await.text;
    let told = format!("12 units, 7 of them from what only calls of {} use", bound[0].words());
    assert!(page.contains(&told), "{told} is not in {page}");
}
