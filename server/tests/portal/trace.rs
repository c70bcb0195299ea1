//! The way of a call on pages: from the meter to the invoice's line and to Stripe, for its partner and for an operator.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use billing::{Closing, close_due_periods};
use domain::{plan::Approval, rating::LineKind, role::OperatorRole, usage::UsageEvent};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    Actor, NewPlan,
    ingest::Position,
    usage::{Place, RequestFilter},
};

async fn close(portal: &Portal, now: Timestamp) {
    let closing = Closing { grace: SignedDuration::ZERO, ingested_through: Some(now) };
    let report = close_due_periods(&portal.store, closing, now).await.expect("closes");
    assert!(report.problems.is_empty() && report.doubtful.is_empty(), "{report:?}");
}

/// A call of 100 units at a euro each, an hour after the plan began.
async fn used(portal: &Portal, acme: &Company) -> Place {
    let (store, began) = (&portal.store, portal.now());
    let terms = json!({
        "currency": "EUR", "products": [{ "product": acme.product_code }], "base_fee_micros": 49_000_000,
        "price": { "model": "per_unit", "unit_price": "1" },
    });
    let terms = serde_json::from_value(terms).expect("terms");
    let plan = NewPlan { terms, ..new_plan("traced", &acme.product_code, true, Approval::Automatic) };
    let plan = store.create_plan(&plan, Actor::System, began).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, began).await.expect("a subscription");
    let operation = store.product(acme.product).await.expect("a product").operations[0].id;
    let at = began + SignedDuration::from_hours(1);
    let event = UsageEvent {
        request_id: "acme-traced".to_owned(),
        product: Some(acme.product),
        operation: Some(operation),
        method: "GET".to_owned(),
        path: "/entries".to_owned(),
        units: 100,
        ..UsageEvent::new(at, acme.id, acme.app, acme.key)
    };
    store.make_partitions(at, 1).await.expect("partitions");
    let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
    store.ingest(("traced", 0, vec![(0, event)]), Position::default(), to, at).await.expect("taken in");
    let range = domain::period::Period { start: began, end: at + SignedDuration::from_hours(1) };
    let log = store.request_log(acme.id, range, &RequestFilter::default(), None, 1).await.expect("a log");
    log.requests[0].place.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_follows_its_call_to_the_invoice_line_and_to_stripe_and_nobody_else_does() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let (acme, bolt) = (Company::found(&portal, "acme").await, Company::found(&portal, "bolt").await);
    let page = format!("/requests/{}", used(&portal, &acme).await);
    let mut owner = portal.as_member(acme.owner).await;
    let mut developer = portal.as_member(acme.developer).await;
    let mut stranger = portal.as_member(bolt.owner).await;
    let text = owner.get(&page).await.text;
    for told in ["From call to invoice", "counted as 100 units", "The period ends on", "the invoice waits until"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    close(&portal, portal.now() + SignedDuration::from_hours(24 * 32)).await;
    let invoices = portal.store.invoices(acme.id).await.expect("invoices");
    let mut found = Vec::new();
    for invoice in &invoices {
        let lines = portal.store.invoice(acme.id, invoice.id).await.expect("an invoice").1;
        let line = lines.into_iter().find(|line| line.kind == LineKind::Usage && line.quantity == 100);
        found.extend(line.map(|line| (invoice.clone(), line.position)));
    }
    let [(invoice, position)] = found.as_slice() else { panic!("{found:?}") };
    let link = format!("href=\"/invoices/{}/lines/{position}\"", invoice.id);
    let text = owner.get(&page).await.text;
    for told in [link.as_str(), &invoice.code(), "It is closed", "has 100 units of all its calls", "It is not paid yet"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
    let text = developer.get(&page).await.text;
    assert!(text.contains("members with the billing role see which"), "{text}");
    assert!(!text.contains(&invoice.id.to_string()) && !text.contains(&invoice.code()), "{text}");

    let own = format!("/invoices/{}", invoice.id);
    assert!(!owner.get(&own).await.text.contains("Stripe's id"));
    for (subject, id) in
        [(format!("invoice:{}", invoice.id), "in_traced"), (format!("item:{}:{position}", invoice.id), "ii_traced")]
    {
        let store = &portal.store;
        store.begin_stripe_object(acme.id, &subject, 1, &Vec::new(), portal.now()).await.expect("begun");
        store.finish_stripe_object(acme.id, &subject, id, portal.now()).await.expect("finished");
    }
    let text = owner.get(&own).await.text;
    assert!(text.contains("Stripe's id") && text.contains("in_traced"), "{text}");
    let text = owner.get(&page).await.text;
    assert!(text.contains("in_traced") && text.contains("ii_traced"), "{text}");
    assert!(!developer.get(&page).await.text.contains("in_traced"));

    let theirs = stranger.get(&page).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
    assert!(!theirs.text.contains("traced"), "{}", theirs.text);
    assert_eq!(
        stranger.get("/console/trace?request=acme-traced").await.status,
        owner.get("/console/trace").await.status
    );

    let mut operator = portal.as_operator(portal.operator(OperatorRole::Viewer).await).await;
    let text = operator.get("/console/trace?request=acme-traced").await.text;
    let link = format!("href=\"/console/partners/{}/invoices/{}/lines/{position}\"", acme.id, invoice.id);
    for told in [link.as_str(), "in_traced", "ii_traced", "GET /entries"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let line = format!("/console/partners/{}/invoices/{}/lines/{position}", acme.id, invoice.id);
    let text = operator.get(&line).await.text;
    assert!(text.contains("href=\"/console/trace?request=acme%2Dtraced\""), "{text}");
    let other = operator.get(&format!("/console/trace?request=acme-traced&partner={}", bolt.id)).await.text;
    assert!(
        other.contains("No call with this request id is stored") && other.contains("Only calls of bolt"),
        "{other}"
    );
    assert!(operator.get("/console/trace").await.text.contains("Nothing was asked for"));
    assert_eq!(operator.get("/console/trace?partner=x").await.status, StatusCode::NOT_FOUND);
}
