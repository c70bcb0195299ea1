//! The way of a call is told as it is: up to the open period, and later to the invoice's line.

use crate::{
    corrections::{asked, at, carry_out, draft},
    late,
    shop::{Shop, days, hours, list, terms},
};
use domain::{
    correction::Change,
    id::{AppId, KeyId, PartnerId},
    key_text::Environment,
    period::Period,
    refusal::Code,
    usage::{Outcome, UsageEvent},
};
use jiff::Timestamp;
use store::{
    StoreError,
    ingest::Position,
    trace::{TracedBilling, TracedCall, TracedInvoice, TracedLine, Unbilled},
    usage::RequestFilter,
};
use uuid::Uuid;

fn closed(call: &TracedCall) -> &TracedInvoice {
    match &call.billing {
        Some(TracedBilling::Closed { invoice: Some(invoice), .. }) => invoice,
        other => panic!("it is on no invoice: {other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_traced_to_its_hour_its_open_period_and_once_that_is_closed_its_invoice_line() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let since = at("2026-03-10T08:30:00Z");
    let partner = shop.partner("acme", plan, since).await;
    let call = at("2026-03-10T09:30:00.000001Z");
    shop.live(partner, call, &[(1, 1_700)]).await;
    shop.calls(partner, at("2026-03-11T09:30:00Z"), Environment::Test, &[(1, 5)]).await;
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
    let [live, test] = traced.as_slice() else { panic!("{traced:?}") };
    assert_eq!((live.partner, live.partner_code.as_str(), live.at, live.units), (partner, "acme", call, 1_700));
    assert_eq!((live.operation_code.as_str(), live.stored_to), ("create", live.sequence + 1));
    assert_eq!((live.hour, live.hour_calls, live.hour_units), (at("2026-03-10T09:00:00Z"), 1, 1_700));
    let stretch = Period { start: since, end: at("2026-04-10T08:30:00Z") };
    assert_eq!(live.billing, Some(TracedBilling::Open { since, stretch }));
    assert_eq!((live.unbilled(), test.unbilled()), (None, Some(Unbilled::TestKey)));
    assert_eq!((live.seal.as_ref(), test.billing.as_ref()), (None, None));

    let invoice = shop.close(at("2026-04-10T08:31:00Z")).await.invoices[0];
    let (_, lines) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
    let Some(TracedBilling::Closed { stretch: then, .. }) = &traced[0].billing else { panic!("{traced:?}") };
    assert_eq!(*then, stretch);
    let line = lines.iter().find(|line| line.quantity == 1_700).expect("a line").position;
    let told = closed(&traced[0]);
    let unsent = TracedLine { position: line, quantity: 1_700, stripe: None };
    assert_eq!((told.id, &told.lines, told.stripe.as_ref()), (invoice, &vec![unsent], None));
    shop.reconcile().await;
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
    let told = closed(&traced[0]);
    assert_eq!(told.stripe.as_deref(), shop.at_stripe(invoice).await.0["id"].as_str());
    let item = told.lines[0].stripe.as_deref().expect("the item's id");
    let state = shop.state().await;
    let held = list(&state, "invoice_items").iter().find(|held| held["id"] == item).expect("Stripe has the item");
    assert_eq!(held["metadata"]["turnpike_line"].as_str(), Some(line.to_string().as_str()), "{held}");
    assert_eq!(shop.store.all_partners_trace("nobody's", None).await.expect("traced"), []);
}

#[tokio::test]
async fn the_way_of_a_call_tells_how_it_was_corrected_and_which_invoice_has_it_where_it_came_late() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let call = at("2026-03-11T00:00:00Z");
    shop.live(partner, call, &[(1, 3_000)]).await;
    let set = asked(Change::SetUnits { units: 2_500 }, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (in_place, _) = draft(&shop, partner, set, "2026-03-20T00:00:00Z").await;
    carry_out(&shop, in_place, "2026-03-20T00:00:00Z").await;
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
    assert_eq!((traced[0].units, traced[0].counted(), traced[0].hour_units), (3_000, (1, 2_500), 2_500));
    shop.close(at("2026-04-10T01:00:00Z")).await;

    let void = asked(Change::Void, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (later, _) = draft(&shop, partner, void, "2026-04-20T00:00:00Z").await;
    carry_out(&shop, later, "2026-04-20T00:00:00Z").await;
    let late = (at("2026-03-11T00:00:01Z"), at("2026-04-20T00:00:00Z"));
    shop.handed_over(partner, late, Environment::Live, &[(2, 40)]).await;
    let told = async || {
        let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
        let [first, second] = traced.as_slice() else { panic!("{traced:?}") };
        let number = |invoice: &Option<TracedInvoice>| invoice.as_ref().map(|invoice| invoice.number);
        let steps = first.corrections.iter().map(|one| (one.correction, one.units, one.in_place, number(&one.invoice)));
        assert!(first.late.is_none() && second.corrections.is_empty(), "{traced:?}");
        (steps.collect::<Vec<_>>(), number(&second.late.as_ref().expect("it came late").invoice))
    };
    assert_eq!(told().await, (vec![(in_place, -500, true, None), (later, -2_500, false, None)], None));
    let next = shop.close(at("2026-05-10T01:00:00Z")).await.invoices[0];
    let number = Some(shop.store.invoice(partner, next).await.expect("an invoice").0.number);
    assert_eq!(told().await, (vec![(in_place, -500, true, None), (later, -2_500, false, number)], number));
}

#[tokio::test]
async fn only_a_call_whose_units_came_late_is_traced_as_late_and_not_those_with_numbers_between() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.close(at("2026-04-10T01:00:00Z")).await;
    let late = (at("2026-03-11T00:00:00Z"), at("2026-04-20T00:00:00Z"));
    // Of one operation the first and the last; a call of another one and one that costs nothing are between them.
    shop.handed_over(partner, late, Environment::Live, &[(1, 5), (2, 0), (1, 0), (0, 2), (1, 5)]).await;
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
    let mut is_late: Vec<_> = traced.iter().map(|call| (call.sequence, call.late.is_some())).collect();
    is_late.sort_unstable();
    assert_eq!(is_late, [(0, true), (1, false), (2, false), (3, true), (4, true)]);
}

#[tokio::test]
async fn what_came_late_is_traced_to_the_line_that_adjusts_and_to_stripe() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.close(at("2026-04-10T01:00:00Z")).await;
    let handed_over = (at("2026-03-11T00:00:00Z"), at("2026-04-20T00:00:00Z"));
    shop.handed_over(partner, handed_over, Environment::Live, &[(1, 40)]).await;
    let told = late::event("told-late", "2026-03-12T00:00:00Z", "read", 70);
    late::tell(&shop, partner, &[told], "2026-04-20T00:00:00Z").await;
    let both = async || {
        let call = shop.store.all_partners_trace("r", None).await.expect("traced").swap_remove(0);
        let told = shop.store.all_partners_late("told-late", None).await.expect("traced").swap_remove(0);
        assert_eq!((told.partner, told.units), (partner, 70));
        [call.late.expect("it came late").invoice, told.invoice]
    };
    assert_eq!(both().await, [None, None]);
    let invoice = shop.close(at("2026-05-10T01:00:00Z")).await.invoices[0];
    let (_, lines) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    let position = |units: i64| lines.iter().find(|line| line.quantity == units).expect("a line").position;
    shop.reconcile().await;
    for (on, units) in both().await.into_iter().zip([40, 70]) {
        let on = on.expect("it is billed");
        let line = on.lines.iter().map(|line| (line.position, line.quantity)).collect::<Vec<_>>();
        assert_eq!((on.id, line), (invoice, vec![(position(units), units)]));
        assert_eq!(on.stripe.as_deref(), shop.at_stripe(invoice).await.0["id"].as_str());
        assert!(on.lines[0].stripe.as_deref().is_some_and(|id| id.starts_with("ii_")), "{on:?}");
    }
}

#[tokio::test]
async fn units_that_stripe_rates_are_traced_to_their_meter_event() {
    let shop = Shop::open().await;
    let plan = shop.plan("metered", terms("meter_events")).await;
    let end = shop.now().await;
    let partner = shop.partner("acme", plan, end - days(30)).await;
    shop.live(partner, end - days(29), &[(1, 2_000)]).await;
    shop.advance(days(2)).await;
    let now = shop.now().await;
    shop.close(now).await;
    shop.reconcile().await;
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
    let (state, told) = (shop.state().await, closed(&traced[0]));
    let sent: Vec<_> = list(&state, "meter_events").iter().filter_map(|event| event["identifier"].as_str()).collect();
    assert_eq!((told.lines[0].stripe.as_deref(), told.stripe.as_ref()), (sent.first().copied(), None), "{state}");
}

#[tokio::test]
async fn units_that_credit_paid_are_on_the_line_like_the_others() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let when = at("2026-03-12T12:30:00Z");
    shop.paid_by_credit(partner, (when, when), Environment::Live, &[(1, 300, 300)]).await;
    shop.close(at("2026-04-10T01:00:00Z")).await;
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced").swap_remove(0);
    assert_eq!((traced.units, traced.credits, traced.unbilled()), (300, 300, None));
    assert_eq!(closed(&traced).lines[0].quantity, 300);
}

/// Takes in one call that ended so.
async fn ended(shop: &Shop, partner: PartnerId, when: Timestamp, outcome: Outcome, request_id: &str) {
    let event = UsageEvent {
        request_id: request_id.to_owned(),
        environment: Environment::Live,
        product: Some(shop.product),
        operation: Some(shop.operations[1]),
        method: "POST".to_owned(),
        path: "/".to_owned(),
        outcome,
        units: 0,
        period: Some(Period { start: when, end: when + hours(24) }),
        ..UsageEvent::new(when, partner, AppId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(2)))
    };
    let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
    shop.store.ingest((request_id, 0, vec![(0, event)]), Position::default(), to, when).await.expect("taken in");
}

#[tokio::test]
async fn a_call_that_no_invoice_has_says_why() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let when = at("2026-03-11T00:00:00Z");
    ended(&shop, partner, when, Outcome::Refused(Code::LimitExceeded), "refused").await;
    ended(&shop, partner, when, Outcome::UpstreamFailed, "failed").await;
    ended(&shop, partner, when, Outcome::Served, "free").await;
    shop.live(partner, when, &[(1, 5)]).await;
    let void = asked(Change::Void, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (correction, _) = draft(&shop, partner, void, "2026-03-20T00:00:00Z").await;
    carry_out(&shop, correction, "2026-03-20T00:00:00Z").await;
    let why = async |id: &str| shop.store.all_partners_trace(id, None).await.expect("traced")[0].unbilled();
    for (id, reason) in [
        ("refused", Unbilled::Refused),
        ("failed", Unbilled::NoUnits),
        ("free", Unbilled::NoUnits),
        ("r", Unbilled::TakenBack),
    ] {
        assert_eq!(why(id).await, Some(reason), "{id}");
    }
    let early = at("2026-03-01T00:00:00Z");
    let nobody = shop.partner("later", plan, at("2026-03-20T00:00:00Z")).await;
    shop.handed_over(nobody, (early, early), Environment::Live, &[(1, 7)]).await;
    let traced = shop.store.all_partners_trace("r", None).await.expect("traced");
    assert_eq!(traced[0].unbilled(), Some(Unbilled::NoSubscription));
}

#[tokio::test]
async fn a_partner_traces_its_own_calls_only() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let since = at("2026-03-10T00:00:00Z");
    let (own, other) = (shop.partner("acme", plan, since).await, shop.partner("other", plan, since).await);
    shop.live(own, since + hours(1), &[(1, 5)]).await;
    let range = Period { start: since, end: since + days(1) };
    let log = shop.store.request_log(own, range, &RequestFilter::default(), None, 10).await.expect("a page");
    let place = &log.requests[0].place;
    let traced = shop.store.trace_at(own, place).await.expect("its own");
    assert_eq!(vec![traced], shop.store.all_partners_trace("r", None).await.expect("traced"));
    assert!(matches!(shop.store.trace_at(other, place).await, Err(StoreError::NotFound)));
    // Whoever asks for one partner's calls is not shown as many of others instead.
    for hour in 2..23 {
        shop.live(own, since + hours(hour), &[(1, 5)]).await;
    }
    shop.live(other, since + hours(23), &[(1, 5)]).await;
    let of_other = shop.store.all_partners_trace("r", Some(other)).await.expect("traced");
    assert_eq!(of_other.iter().map(|call| call.partner).collect::<Vec<_>>(), [other]);
}
