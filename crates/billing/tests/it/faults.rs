//! Ten of a hundred requests meet each fault, for many invoices in both modes; what Stripe holds in the end is what we hold.

use crate::shop::{Shop, days, hours, list, terms};
use domain::id::{InvoiceId, PartnerId};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{InvoiceStatus, Store};

const PARTNERS: usize = 12;

struct Billed {
    partner: PartnerId,
    invoice: InvoiceId,
    metered: bool,
}

async fn many(shop: &Shop) -> Vec<Billed> {
    let now = shop.now().await;
    let items = shop.plan("items", terms("invoice_items")).await;
    let meters = shop.plan("meters", terms("meter_events")).await;
    let mut billed = Vec::new();
    for number in 0..PARTNERS {
        let metered = number % 2 == 1;
        let (name, since) = (format!("partner-{number}"), now - days(32));
        let partner = match number % 4 {
            1 => shop.partner_without_members(&name, meters, since).await,
            3 => shop.partner(&name, meters, since).await,
            _ => shop.partner(&name, items, since).await,
        };
        let units = 1_000 + 137 * number as u64;
        shop.live(partner, now - days(20), &[(0, units), (1, 17 * units), (2, 3)]).await;
        billed.push((partner, metered));
    }
    shop.close(now).await;
    let mut with_invoices = Vec::new();
    for (partner, metered) in billed {
        let invoice = shop.store.invoices(partner).await.expect("invoices")[0].id;
        with_invoices.push(Billed { partner, invoice, metered });
    }
    with_invoices
}

/// Runs until nothing is open, moving both clocks by `step` between runs. Says how many runs it took.
async fn settle(shop: &Shop, step: SignedDuration) -> u32 {
    for run in 1..=400 {
        let report = shop.reconcile().await;
        assert!(report.problems.is_empty(), "{report:?}");
        if shop
            .store
            .all_partners_invoices_to_push(true, shop.now().await, hours(0), 1)
            .await
            .expect("asked")
            .is_empty()
        {
            return run;
        }
        shop.advance(step).await;
    }
    panic!("not settled after 400 runs");
}

fn carrying<'a>(state: &'a Value, kind: &str, invoice: InvoiceId) -> Vec<&'a Value> {
    let id = invoice.to_string();
    list(state, kind).iter().filter(|held| held["metadata"]["turnpike_invoice"] == id.as_str()).collect()
}

async fn assert_equal_books(shop: &Shop, store: &Store, all: &[Billed]) {
    let state = shop.state().await;
    assert_eq!(list(&state, "customers").len(), all.len(), "one customer for each partner");
    assert!(list(&state, "meters").len() <= 1);
    for Billed { partner, invoice, metered } in all {
        let (ours, lines) = store.invoice(*partner, *invoice).await.expect("an invoice");
        assert_eq!(ours.status, InvoiceStatus::Sent);
        let items = carrying(&state, "invoice_items", *invoice);
        let invoices = carrying(&state, "invoices", *invoice);
        if *metered {
            let customer = list(&state, "customers")
                .iter()
                .find(|customer| customer["metadata"]["turnpike_partner"] == partner.to_string().as_str())
                .expect("a customer");
            let mut counted: Vec<i64> = list(&state, "meter_events")
                .iter()
                .filter(|event| event["customer"] == customer["id"])
                .filter_map(|event| event["value"].as_i64())
                .collect();
            let mut expected: Vec<i64> =
                lines.iter().filter(|line| line.operation.is_some()).map(|line| line.quantity).collect();
            counted.sort();
            expected.sort();
            assert_eq!(counted, expected, "each operation's units once");
            assert_eq!((items.len(), invoices.len()), (1, 0), "the base fee once");
        } else {
            assert_eq!((items.len(), invoices.len()), (lines.len(), 1));
            assert_eq!(
                (invoices[0]["status"].as_str(), invoices[0]["total"].as_i64()),
                (Some("open"), ours.total.minor_units())
            );
        }
    }
}

fn faults(seed: u64) -> Value {
    json!({ "error_before": 10, "error_after": 10, "conflict": 10, "rate_limited": 10, "timeout": 10, "reset": 10,
        "timeout_ms": 1_000, "seed": seed })
}

#[tokio::test]
async fn every_kind_of_fault_ends_in_equal_books() {
    let shop = Shop::impatient().await;
    let all = many(&shop).await;
    shop.control("faults", faults(7)).await;
    let runs = settle(&shop, SignedDuration::from_mins(2)).await;
    assert!(runs > 1, "the faults have struck");
    assert_equal_books(&shop, &shop.store, &all).await;
    shop.keep_requests("faults").await;
}

#[tokio::test]
async fn lost_answers_that_stripe_has_forgotten_by_the_next_try_end_in_equal_books() {
    let shop = Shop::impatient().await;
    let all = many(&shop).await;
    // Every answer of the first run is lost, though everything was done; a day later Stripe remembers no key.
    shop.control("faults", json!({ "reset": 100 })).await;
    shop.reconcile().await;
    shop.advance(hours(26)).await;
    shop.control("faults", json!({ "timeout": 8, "reset": 8, "error_after": 8, "timeout_ms": 1_000, "seed": 3 })).await;
    let runs = settle(&shop, hours(26)).await;
    assert!(runs > 1, "the faults have struck");
    assert_equal_books(&shop, &shop.store, &all).await;
    shop.keep_requests("forgotten").await;
}
