//! Usage that is told late is billed all the same, once, by the terms of its own period; the closed bill stands.

use crate::shop::{Shop, terms};
use billing::{Closing, close_due_periods};
use domain::{
    id::{PartnerId, TokenId},
    key_text::Environment,
    period::Period,
    plan::PlanTerms,
    rating::LineKind,
    usage::{
        cloud_event::TYPE,
        outside::{Outside, read},
    },
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    Actor, Closed,
    outside::{AdjustmentFilter, Teller, Told},
};
use uuid::Uuid;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

pub fn event(id: &str, time: &str, operation: &str, units: u64) -> Outside {
    let data = json!({"units": units, "product": "payments", "operation": operation});
    let event = json!({"specversion": "1.0", "type": TYPE, "source": "s", "id": id, "time": time, "data": data});
    read(&event).expect("an event")
}

pub async fn tell(shop: &Shop, partner: PartnerId, events: &[Outside], now: &str) -> Vec<Told> {
    let teller = Teller { token: TokenId(Uuid::from_u128(1)), is_partner: false };
    shop.store.take_in_outside(partner, teller, events, at(now)).await.expect("taken in")
}

#[tokio::test]
async fn late_units_are_on_the_next_invoice_at_the_terms_of_their_period_and_once() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let dearer = PlanTerms { base_fee_micros: 99_000_000, ..terms("invoice_items") };
    let later_plan = shop.plan("dearer", dearer).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let march = Period { start: at("2026-03-10T00:00:00Z"), end: at("2026-04-10T00:00:00Z") };
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(1, 900)]).await;
    // In time: it counts as a call does.
    let in_time = event("1", "2026-03-12T00:00:00Z", "read", 500);
    assert_eq!(tell(&shop, partner, &[in_time], "2026-04-01T00:00:00Z").await, [Told::Accepted]);
    let first = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    // 1,400 units, 1,000 free; 400 × 0.005 = 2.00, all of it included.
    let (invoice, _) = shop.store.invoice(partner, first[0]).await.expect("an invoice");
    assert_eq!(invoice.total.to_string(), "$49.00");

    let late = [
        event("2", "2026-03-12T00:00:00Z", "read", 700),
        event("3", "2026-04-09T23:59:59.999999Z", "cancel", 400),
        event("1", "2026-03-12T00:00:00Z", "read", 500),
        event("4", "2026-04-10T00:00:00Z", "read", 100),
    ];
    let answers = tell(&shop, partner, &late, "2026-04-11T00:00:00Z").await;
    assert_eq!(answers, [Told::Late(march), Told::Late(march), Told::Duplicate, Told::Accepted]);
    assert_eq!(
        shop.store.units_used(partner, march, Environment::Live).await.expect("units"),
        1_400,
        "the closed period's total is what its bill says"
    );

    shop.store
        .assign_plan_version(partner, later_plan, Actor::System, at("2026-04-20T00:00:00Z"))
        .await
        .expect("a plan");
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    let mut adjusted = Vec::new();
    let mut total = 0;
    for id in second {
        let (invoice, lines) = shop.store.invoice(partner, id).await.expect("an invoice");
        total += invoice.total.micros;
        adjusted.extend(lines.into_iter().filter(|line| line.kind == LineKind::Adjustment));
    }
    let shown: Vec<_> = adjusted
        .iter()
        .map(|line| (line.description.as_str(), line.quantity, line.free, line.amount.to_string()))
        .collect();
    // 2,500 units: 1,500 × 0.005 = 7.50; 5.00 of it included: 2.50 where nothing was owed before. `cancel` comes first on the
    // price curve and takes free units from those behind it.
    assert_eq!(
        shown,
        [
            ("Late usage of 2026-03-10 to 2026-04-10: Payments, POST /cancel", 400, 400, "$0.00".to_owned()),
            ("Late usage of 2026-03-10 to 2026-04-10: payments, create", 0, 0, "$1.50".to_owned()),
            ("Late usage of 2026-03-10 to 2026-04-10: Payments, POST /read", 700, 0, "$4.00".to_owned()),
            ("Late usage of 2026-03-10 to 2026-04-10: included credit", 1, 0, "−$3.00".to_owned()),
        ]
    );
    let own = AdjustmentFilter { partner: Some(partner), billed: None };
    let adjustments = shop.store.adjustments_of_any_partner(&own, None, 10).await.expect("adjustments").items;
    assert!(adjustments.len() == 2 && adjustments.iter().all(|late| late.invoice.is_some()), "{adjustments:?}");
    assert!(total > 0);

    // More of the same period: only what they add is billed, the next time.
    let more = event("5", "2026-03-12T00:00:00Z", "read", 100);
    assert_eq!(tell(&shop, partner, &[more], "2026-05-11T00:00:00Z").await, [Told::Late(march)]);
    let third = shop.close(at("2026-06-10T01:00:00Z")).await.invoices;
    let mut amounts = Vec::new();
    for id in third {
        let (_, lines) = shop.store.invoice(partner, id).await.expect("an invoice");
        let adjusted = lines.into_iter().filter(|line| line.kind == LineKind::Adjustment);
        amounts.extend(adjusted.map(|line| (line.quantity, line.amount.to_string())));
    }
    assert_eq!(amounts, [(100, "$0.50".to_owned())]);
}

/// The wait for what comes late is the installation's (`TURNPIKE_CLOSING_GRACE`).
#[tokio::test]
async fn what_comes_half_an_hour_late_is_on_its_own_invoice_where_that_waits_an_hour() {
    for (minutes, on_time) in [(60, true), (11, false)] {
        let shop = Shop::open().await;
        let plan = shop.plan("starter", terms("invoice_items")).await;
        let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
        let march = Period { start: at("2026-03-10T00:00:00Z"), end: at("2026-04-10T00:00:00Z") };
        let grace = SignedDuration::from_mins(minutes);
        let run = async |now: &str| {
            let closing = Closing { grace, ingested_through: Some(at(now)) };
            let report = close_due_periods(&shop.store, closing, at(now)).await.expect("closes");
            assert!(report.problems.is_empty(), "{report:?}");
            report.invoices
        };
        let before = run("2026-04-10T00:20:00Z").await;
        assert_eq!(before.is_empty(), on_time, "{minutes}");
        let late = event("1", "2026-04-09T23:00:00Z", "read", 3_000);
        let told = tell(&shop, partner, &[late], "2026-04-10T00:30:00Z").await;
        assert_eq!(told, [if on_time { Told::Accepted } else { Told::Late(march) }], "{minutes}");

        let made = run("2026-04-10T01:00:00Z").await;
        let own = before.first().or(made.first()).expect("an invoice of March");
        let (invoice, _) = shop.store.invoice(partner, *own).await.expect("an invoice");
        // 3,000 units, 1,000 free; 2,000 × 0.005 = 10.00; 5.00 of it included.
        assert_eq!(
            (invoice.period, invoice.total.to_string()),
            (march, if on_time { "$54.00" } else { "$49.00" }.into())
        );
        let next = run("2026-05-10T01:00:00Z").await;
        let (_, lines) = shop.store.invoice(partner, next[0]).await.expect("an invoice");
        let adjusted = lines.iter().filter(|line| line.kind == LineKind::Adjustment).map(|line| line.amount.micros);
        assert_eq!(adjusted.sum::<i64>(), if on_time { 0 } else { 5_000_000 }, "{minutes}");
    }
}

#[tokio::test]
async fn what_is_told_between_the_reading_and_the_closing_of_a_period_makes_the_bill_anew() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let march = Period { start: at("2026-03-10T00:00:00Z"), end: at("2026-04-10T00:00:00Z") };
    let subscription = shop.store.open_subscription(partner).await.expect("one").expect("a subscription").id;
    let read_before = shop.store.outside_mark(partner).await.expect("a mark");
    let told = tell(&shop, partner, &[event("1", "2026-03-12T00:00:00Z", "read", 2_000)], "2026-04-10T00:30:00Z").await;
    assert_eq!(told, [Told::Accepted]);
    let now = at("2026-04-10T01:00:00Z");
    let closed = shop.store.close_billing_period(partner, subscription, march, (None, read_before), now).await;
    assert_eq!(closed.expect("an answer"), Closed::Changed, "an empty bill would lose the 2,000 units");
    let closing = Closing { grace: crate::shop::GRACE, ingested_through: Some(now) };
    let report = close_due_periods(&shop.store, closing, now).await.expect("closes");
    let (invoice, _) = shop.store.invoice(partner, report.invoices[0]).await.expect("an invoice");
    assert_eq!(invoice.total.to_string(), "$49.00", "1,000 × 0.005 = 5.00, all of it included");
}
