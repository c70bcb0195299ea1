//! Webhooks: forged ones are refused, and order, repeats and delay change nothing.

use crate::shop::{Shop, days, list, terms};
use billing::{
    Received, WebhookError, apply_pending_webhooks, receive_webhook, stripe::webhook_signature::BadSignature,
};
use domain::id::{InvoiceId, PartnerId};
use serde_json::Value;
use store::InvoiceStatus;
use stripe_stand_in::signature;

fn secrets() -> Vec<String> {
    vec!["whsec_old".to_owned(), "whsec_a".to_owned()]
}

/// Four invoices at Stripe: paid, void, uncollectible, then paid after all, and open. Stripe's events of all of it.
async fn story(shop: &Shop) -> (Vec<(PartnerId, InvoiceId)>, Vec<Value>) {
    let now = shop.now().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let mut invoices = Vec::new();
    for name in ["paid", "void", "late", "open"] {
        let partner = shop.partner(name, plan, now - days(32)).await;
        invoices.push(partner);
    }
    shop.close(now).await;
    shop.reconcile().await;
    let mut ours = Vec::new();
    for partner in invoices {
        ours.push((partner, shop.store.invoices(partner).await.expect("invoices")[0].id));
    }
    for (index, steps) in [vec!["pay"], vec!["void"], vec!["mark_uncollectible", "pay"], vec![]].into_iter().enumerate()
    {
        let id = shop.at_stripe(ours[index].1).await.0["id"].as_str().expect("an id").to_owned();
        for step in steps {
            let path = format!("/v1/invoices/{id}/{step}");
            shop.stripe.create(&path, &Vec::new(), &format!("{step}-{id}")).await.expect("done");
        }
    }
    let events = list(&shop.state().await, "events").to_vec();
    (ours, events)
}

async fn statuses(shop: &Shop, ours: &[(PartnerId, InvoiceId)]) -> Vec<InvoiceStatus> {
    let mut statuses = Vec::new();
    for (partner, invoice) in ours {
        statuses.push(shop.store.invoice(*partner, *invoice).await.expect("an invoice").0.status);
    }
    statuses
}

#[tokio::test]
async fn shuffled_repeated_and_late_events_end_in_the_same_state() {
    use InvoiceStatus::{Paid, Sent, Void};
    for order in 0..3_usize {
        let shop = Shop::open().await;
        let (ours, mut events) = story(&shop).await;
        shop.advance(days(3)).await;
        let now = shop.now().await;
        match order {
            0 => events.reverse(),
            1 => events.sort_by_key(|event| event["id"].to_string().bytes().map(u32::from).sum::<u32>() % 7),
            _ => {}
        }
        let (mut kept, mut repeated) = (0, 0);
        for copy in 0..3 {
            for event in &events {
                let body = event.to_string();
                let header = signature("whsec_a", now.as_second(), body.as_bytes());
                match receive_webhook(&shop.store, &secrets(), body.as_bytes(), &header, now).await.expect("accepted") {
                    Received::Kept => kept += 1,
                    Received::Repeated => repeated += 1,
                }
            }
            if copy != 1 {
                apply_pending_webhooks(shop.desk(), now).await.expect("applied");
            }
        }
        assert_eq!((kept, repeated), (events.len(), 2 * events.len()));
        assert_eq!(statuses(&shop, &ours).await, [Paid, Void, Paid, Sent], "order {order}");
        for (partner, _) in &ours[..3] {
            let balances = shop.store.ledger_balances(*partner).await.expect("balances");
            let owed =
                balances.iter().find(|(account, _)| *account == store::LedgerAccount::Receivable).expect("posted");
            assert_eq!(owed.1.micros, 0, "settled once, not twice");
        }
    }
}

#[tokio::test]
async fn forged_altered_and_old_events_are_refused_and_rotation_works() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let body = br#"{"id":"evt_1","type":"invoice.paid","data":{"object":{"object":"invoice","id":"in_1"}}}"#;
    let receive = async |header: &str, body: &[u8]| receive_webhook(&shop.store, &secrets(), body, header, now).await;
    let refused = async |header: &str, body: &[u8], why: BadSignature| {
        let answer = receive(header, body).await;
        assert!(matches!(&answer, Err(WebhookError::Signature(reason)) if *reason == why), "{header}: {answer:?}");
    };
    let good = signature("whsec_a", now.as_second(), body);
    refused(&signature("whsec_other", now.as_second(), body), body, BadSignature::NoMatch).await;
    refused(&good, b"{\"id\":\"evt_2\",\"type\":\"invoice.paid\"}", BadSignature::NoMatch).await;
    for seconds in [-301, 301] {
        let header = signature("whsec_a", now.as_second() + seconds, body);
        refused(&header, body, BadSignature::OutsideTolerance).await;
    }
    let moved = good.replacen(&now.as_second().to_string(), &(now.as_second() + 1).to_string(), 1);
    refused(&moved, body, BadSignature::NoMatch).await;
    for malformed in ["", "t=1", "v1=00", "t=x,v1=00", "t=99999999999999999999,v1=00"] {
        refused(malformed, body, BadSignature::Malformed).await;
    }
    refused(&format!("t={},v1=", now.as_second()), body, BadSignature::NoMatch).await;
    assert!(shop.store.pending_stripe_events(10).await.expect("asked").is_empty(), "nothing forged is kept");

    let not_an_event = signature("whsec_a", now.as_second(), b"[]");
    assert!(matches!(receive(&not_an_event, b"[]").await, Err(WebhookError::NotAnEvent)));
    // While a secret is rotated Stripe signs with both, and either of ours may match.
    let both =
        format!("{},{}", signature("whsec_gone", now.as_second(), body), good.split_once(',').expect("two parts").1);
    assert!(matches!(receive(&both, body).await, Ok(Received::Kept)));
    assert!(matches!(receive(&signature("whsec_old", now.as_second(), body), body).await, Ok(Received::Repeated)));
}

#[tokio::test]
async fn an_event_waits_while_stripe_cannot_be_asked() {
    let shop = Shop::open().await;
    let (ours, events) = story(&shop).await;
    let now = shop.now().await;
    for event in &events {
        let body = event.to_string();
        let header = signature("whsec_a", now.as_second(), body.as_bytes());
        receive_webhook(&shop.store, &secrets(), body.as_bytes(), &header, now).await.expect("accepted");
    }
    shop.control("faults", serde_json::json!({ "down": true })).await;
    assert!(apply_pending_webhooks(shop.desk(), now).await.is_err());
    assert_eq!(statuses(&shop, &ours).await[0], InvoiceStatus::Sent);
    shop.control("faults", serde_json::json!({})).await;
    apply_pending_webhooks(shop.desk(), now).await.expect("applied");
    assert_eq!(statuses(&shop, &ours).await[0], InvoiceStatus::Paid);
}
