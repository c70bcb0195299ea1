//! Meter events at volume: each unit once, as one by one, whatever happens to requests, answers and sessions.

use crate::shop::{GRACE, Shop, days, hours, list, terms};
use billing::{PushSettings, Reconciled};
use domain::id::PartnerId;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::InvoiceStatus;

const PARTNERS: usize = 40;

fn streaming(from: usize) -> PushSettings {
    PushSettings { meters_open: days(40), stream_from: Some(from), ..PushSettings::default() }
}

/// Partners with three operations each, closed and not told; and what each has used.
async fn closed(shop: &Shop, partners: usize) -> BTreeMap<PartnerId, i64> {
    let plan = shop.plan("starter", terms("meter_events")).await;
    let now = shop.now().await;
    let mut used = BTreeMap::new();
    for number in 0..partners {
        let partner = shop.partner(&format!("partner-{number}"), plan, now - days(32)).await;
        let units = [3_u64, 5, 7].map(|each| each * (number as u64 + 1));
        shop.live(partner, now - days(5), &[(0, units[0]), (1, units[1]), (2, units[2])]).await;
        used.insert(partner, units.iter().sum::<u64>().cast_signed());
    }
    let at = now + GRACE;
    shop.close(at).await;
    used
}

/// What Stripe's meters have counted, by partner.
async fn counted(shop: &Shop) -> BTreeMap<PartnerId, i64> {
    let state = shop.state().await;
    let mut partners: BTreeMap<&str, PartnerId> = BTreeMap::new();
    for customer in list(&state, "customers") {
        let own = customer["metadata"]["turnpike_partner"].as_str().expect("ours").parse().expect("an identifier");
        partners.insert(customer["id"].as_str().expect("an id"), own);
    }
    let mut counted = BTreeMap::new();
    for event in list(&state, "meter_events") {
        let partner = partners[event["customer"].as_str().expect("a customer")];
        *counted.entry(partner).or_default() += event["value"].as_i64().expect("a number");
    }
    counted
}

/// What does not depend on who was asked: name, value and instant of each event.
async fn told(shop: &Shop, now: i64) -> Vec<(String, i64, i64)> {
    let state = shop.state().await;
    let one = |event: &Value| {
        let number = |name: &str| event[name].as_i64().expect("a number");
        (event["event_name"].as_str().expect("a name").to_owned(), number("value"), now - number("timestamp"))
    };
    let mut told: Vec<_> = list(&state, "meter_events").iter().map(one).collect();
    told.sort();
    told
}

async fn requests(shop: &Shop, path: &str) -> usize {
    let all = shop.stand_in.control("GET", "requests", Value::Null).await.expect("a log");
    all.as_array().expect("a log").iter().filter(|one| one["path"] == path).count()
}

async fn all_sent(shop: &Shop, used: &BTreeMap<PartnerId, i64>) -> bool {
    for partner in used.keys() {
        if shop.store.invoices(*partner).await.expect("invoices")[0].status != InvoiceStatus::Sent {
            return false;
        }
    }
    true
}

const ONE: &str = "/v1/billing/meter_events";
const MANY: &str = "/v2/billing/meter_event_stream";

#[tokio::test]
async fn what_is_streamed_is_to_the_unit_what_is_told_one_by_one() {
    let (one, many) = (Shop::open().await, Shop::open().await);
    let used = closed(&many, PARTNERS).await;
    closed(&one, PARTNERS).await;
    let report = many.reconcile_with(streaming(100)).await;
    assert_eq!(report.pushed.len(), PARTNERS, "{report:?}");
    one.reconcile().await;
    assert_eq!(counted(&many).await, used);
    let (of_one, of_many) = (one.now().await.as_second(), many.now().await.as_second());
    let (one_told, many_told) = (told(&one, of_one - of_one % 60).await, told(&many, of_many - of_many % 60).await);
    let values =
        |told: &[(String, i64, i64)]| told.iter().map(|(name, value, _)| (name.clone(), *value)).collect::<Vec<_>>();
    assert_eq!(values(&one_told), values(&many_told));
    assert_eq!((requests(&many, ONE).await, requests(&many, MANY).await), (0, 2), "120 events in two requests");
    assert_eq!((requests(&one, ONE).await, requests(&one, MANY).await), (120, 0));
    many.reconcile_with(streaming(100)).await;
    assert_eq!(counted(&many).await, used, "and once");
    many.keep_requests("streamed").await;
}

#[tokio::test]
async fn few_events_are_told_one_by_one() {
    let shop = Shop::open().await;
    let used = closed(&shop, 3).await;
    shop.reconcile_with(streaming(10)).await;
    assert_eq!((requests(&shop, ONE).await, requests(&shop, MANY).await), (9, 0));
    assert_eq!(counted(&shop).await, used);
}

/// Runs until all is told, a few minutes of Stripe's and our time after each other.
async fn until_told(shop: &Shop, used: &BTreeMap<PartnerId, i64>, most: u32) -> Reconciled {
    let mut last = Reconciled::default();
    for _ in 0..most {
        last = shop.reconcile_with(streaming(1)).await;
        if all_sent(shop, used).await {
            return last;
        }
        shop.advance(SignedDuration::from_mins(4)).await;
    }
    last
}

fn hostile(remembered_seconds: i64) -> Value {
    json!({ "error_before": 8, "error_after": 12, "conflict": 8, "rate_limited": 8, "timeout": 5, "reset": 12, "timeout_ms": 900,
        "remembered_seconds": remembered_seconds, "seed": 11 })
}

#[tokio::test]
async fn each_unit_is_counted_once_through_every_fault() {
    let shop = Shop::impatient().await;
    let used = closed(&shop, 12).await;
    shop.control("faults", hostile(86_400)).await;
    until_told(&shop, &used, 40).await;
    shop.control("faults", json!({})).await;
    until_told(&shop, &used, 10).await;
    assert!(all_sent(&shop, &used).await);
    assert_eq!(counted(&shop).await, used);
    let all = shop.stand_in.control("GET", "requests", Value::Null).await.expect("a log");
    let name = |value: &Value| value.as_str().expect("an identifier").to_owned();
    let (mut one_by_one, mut streamed) = (BTreeSet::new(), BTreeSet::new());
    for request in all.as_array().expect("a log") {
        match request["path"].as_str() {
            Some(ONE) => drop(one_by_one.insert(name(&request["params"]["identifier"]))),
            Some(MANY) => {
                streamed.extend(list(&request["params"], "events").iter().map(|event| name(&event["identifier"])))
            }
            _ => {}
        }
    }
    let both: Vec<_> = one_by_one.intersection(&streamed).collect();
    assert!(both.is_empty(), "what was streamed goes no other way: {both:?}");
    assert!(streamed.len() > 10, "{} streamed, {} one by one", streamed.len(), one_by_one.len());
}

/// Control: what the identifiers are for.
#[tokio::test]
async fn without_identifiers_such_faults_count_units_twice() {
    let shop = Shop::impatient().await;
    let used = closed(&shop, 4).await;
    let faults = json!({ "error_after": 60, "only_changes": true, "remembered_seconds": 0, "seed": 5 });
    shop.control("faults", faults).await;
    until_told(&shop, &used, 10).await;
    let counted = counted(&shop).await;
    assert!(
        used.iter().any(|(partner, units)| counted.get(partner).is_some_and(|counted| counted > units)),
        "{counted:?}"
    );
}

#[tokio::test]
async fn an_answer_that_was_lost_for_more_than_a_day_is_looked_for_and_not_sent_again() {
    let shop = Shop::impatient().await;
    let used = closed(&shop, 4).await;
    // Customers and meters are there, and the first request of the stream is answered by nobody.
    shop.control("faults", json!({ "reset": 100, "only_changes": true })).await;
    for _ in 0..2 {
        shop.reconcile_with(streaming(1)).await;
    }
    shop.control("faults", json!({})).await;
    shop.reconcile_with(streaming(1)).await;
    shop.advance(hours(26)).await;
    until_told(&shop, &used, 5).await;
    assert_eq!(counted(&shop).await, used);
    assert!(all_sent(&shop, &used).await);
}

#[tokio::test]
async fn a_session_that_has_ended_is_replaced_and_nothing_waits_for_it() {
    let shop = Shop::open().await;
    let used = closed(&shop, PARTNERS).await;
    shop.control("faults", json!({ "dead_sessions": 1 })).await;
    let report = shop.reconcile_with(streaming(1)).await;
    assert_eq!(report.pushed.len(), PARTNERS, "{report:?}");
    assert_eq!(counted(&shop).await, used);
    assert_eq!(requests(&shop, "/v2/billing/meter_event_session").await, 2);
}

#[tokio::test]
async fn what_stripe_does_not_count_afterwards_is_told_beside_its_invoice() {
    let shop = Shop::open().await;
    let used = closed(&shop, 2).await;
    shop.control("faults", json!({ "rejected_later": 100 })).await;
    shop.reconcile_with(streaming(1)).await;
    let state = shop.state().await;
    let now = shop.now().await;
    for event in list(&state, "thin_events") {
        let (id, kind) = (event["id"].as_str().expect("an id"), event["type"].as_str().expect("a type"));
        shop.store.keep_stripe_event(id, kind, event, now).await.expect("kept");
    }
    billing::apply_pending_webhooks(shop.desk(), now).await.expect("applied");
    for partner in used.keys() {
        let problem = shop.store.invoices(*partner).await.expect("invoices")[0].push_problem.clone();
        assert!(problem.is_some_and(|text| text.contains("Bill them there by hand")));
    }
}
