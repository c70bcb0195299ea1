//! Usage that Stripe answered with success and did not count: the invoice gets a problem, and the report stays with the failed events.

use crate::shop::{Shop, days, list, terms};
use billing::{apply_pending_webhooks, receive_webhook};
use serde_json::json;
use store::stripe_events::StripeEventState;
use stripe_stand_in::signature;

#[tokio::test]
async fn a_rejected_meter_event_is_a_problem_of_the_invoice_that_has_its_units() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let partner = shop.partner("acme", plan, now - days(32)).await;
    shop.live(partner, now - days(30), &[(1, 2_501)]).await;
    let invoice = shop.close(now).await.invoices[0];
    shop.control("faults", json!({ "rejected_later": 100 })).await;
    assert_eq!(shop.reconcile().await.pushed, [invoice], "Stripe said yes");
    let state = shop.state().await;
    assert!(list(&state, "meter_events").is_empty());

    for report in list(&state, "thin_events") {
        let mut thin = report.clone();
        thin.as_object_mut().expect("an object").remove("data");
        let body = thin.to_string();
        let header = signature("whsec_a", now.as_second(), body.as_bytes());
        receive_webhook(&shop.store, &["whsec_a".to_owned()], body.as_bytes(), &header, now).await.expect("kept");
    }
    assert_eq!(apply_pending_webhooks(shop.desk(), now).await.expect("applied"), 1);
    let (held, _) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    let problem = held.push_problem.expect("a problem");
    assert!(problem.contains("did not count 2,501 units"), "{problem}");
    let failed = shop.store.stripe_events(Some(StripeEventState::Failed), None, 10).await.expect("a page").items;
    assert_eq!(failed.len(), 1);
    let error = failed[0].error.clone().expect("a reason");
    assert!(error.contains("2,501 units") && error.contains(&held.number.to_string()), "{error}");

    // Another account's event, under the same secret, is told of and touches nothing.
    let stranger = shop.store.all_partners_meter_event("somebody-elses").await.expect("asked");
    assert_eq!(stranger, None);
    let known = &list(&state, "thin_events")[0]["data"]["reason"]["error_types"][0]["sample_errors"][0]["request"];
    let identifier = known["identifier"].as_str().expect("an identifier");
    let found = shop.store.all_partners_meter_event(identifier).await.expect("asked").expect("ours");
    assert_eq!((found.0, found.1), (partner, invoice));
    let key = format!("turnpike:{partner}:meter_event:{invoice}:{}:1", found.2);
    assert_eq!(shop.store.all_partners_meter_event(&key).await.expect("asked"), Some(found), "by the request's key");
}
