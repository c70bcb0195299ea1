//! The way of a call is told as it is: up to the open period, and later to the invoice's line.

use crate::{
    corrections::{asked, at, carry_out, draft},
    shop::{Shop, terms},
};
use domain::{correction::Change, key_text::Environment};
use store::trace::TracedBilling;

#[tokio::test]
async fn a_call_is_traced_to_its_hour_its_open_period_and_once_that_is_closed_its_invoice_line() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let since = at("2026-03-10T08:30:00Z");
    let partner = shop.partner("acme", plan, since).await;
    let call = at("2026-03-10T09:30:00.000001Z");
    shop.live(partner, call, &[(1, 1_700)]).await;
    shop.calls(partner, at("2026-03-11T09:30:00Z"), Environment::Test, &[(1, 5)]).await;
    let traced = shop.store.all_partners_trace("r").await.expect("traced");
    let [live, test] = traced.as_slice() else { panic!("{traced:?}") };
    assert_eq!((live.partner, live.partner_code.as_str(), live.at, live.units), (partner, "acme", call, 1_700));
    assert_eq!((live.operation_code.as_str(), live.stored_to), ("create", live.sequence + 1));
    assert_eq!((live.hour, live.hour_calls, live.hour_units), (at("2026-03-10T09:00:00Z"), 1, 1_700));
    assert_eq!(live.billing, Some(TracedBilling::Open { since }));
    assert_eq!((live.seal.as_ref(), test.billing.as_ref()), (None, None));

    let invoice = shop.close(at("2026-04-10T08:31:00Z")).await.invoices[0];
    let (_, lines) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    let traced = shop.store.all_partners_trace("r").await.expect("traced");
    let Some(TracedBilling::Closed { stretch, invoice: Some(invoice) }) = &traced[0].billing else {
        panic!("{traced:?}")
    };
    assert_eq!((stretch.start, stretch.end), (since, at("2026-04-10T08:30:00Z")));
    let line = lines.iter().find(|line| line.quantity == 1_700).expect("a line");
    assert_eq!((invoice.line, invoice.stripe.as_ref()), (Some((line.position, 1_700)), None));
    shop.reconcile().await;
    let traced = shop.store.all_partners_trace("r").await.expect("traced");
    assert!(
        matches!(&traced[0].billing, Some(TracedBilling::Closed { invoice: Some(invoice), .. }) if invoice.stripe.is_some()),
        "{traced:?}"
    );
    assert_eq!(shop.store.all_partners_trace("nobody's").await.expect("traced"), []);
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
    let traced = shop.store.all_partners_trace("r").await.expect("traced");
    assert_eq!((traced[0].units, traced[0].counted(), traced[0].hour_units), (3_000, (1, 2_500), 2_500));
    shop.close(at("2026-04-10T01:00:00Z")).await;

    let void = asked(Change::Void, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (later, _) = draft(&shop, partner, void, "2026-04-20T00:00:00Z").await;
    carry_out(&shop, later, "2026-04-20T00:00:00Z").await;
    let late = (at("2026-03-11T00:00:01Z"), at("2026-04-20T00:00:00Z"));
    shop.handed_over(partner, late, Environment::Live, &[(2, 40)]).await;
    let told = async || {
        let traced = shop.store.all_partners_trace("r").await.expect("traced");
        let [first, second] = traced.as_slice() else { panic!("{traced:?}") };
        let steps = first.corrections.iter().map(|one| (one.correction, one.units, one.in_place, one.invoice));
        assert!(first.late.is_none() && second.corrections.is_empty(), "{traced:?}");
        (steps.collect::<Vec<_>>(), second.late.expect("it came late").invoice)
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
    let traced = shop.store.all_partners_trace("r").await.expect("traced");
    let mut is_late: Vec<_> = traced.iter().map(|call| (call.sequence, call.late.is_some())).collect();
    is_late.sort_unstable();
    assert_eq!(is_late, [(0, true), (1, false), (2, false), (3, true), (4, true)]);
}
