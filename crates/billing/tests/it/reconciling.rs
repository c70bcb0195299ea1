//! An invoice is compared with the events it was made of, and none is made of usage that two places tell differently.

use crate::shop::{GRACE, Shop, terms};
use billing::{Closing, close_due_periods};
use domain::{key_text::Environment, period::Period};
use jiff::Timestamp;
use store::{
    Actor,
    reconcile::{Kind, ToldLane, ToldTally},
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

#[tokio::test]
async fn an_invoice_that_is_not_what_the_events_say_is_found_by_partner_and_operation() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    shop.live(partner, at("2026-03-10T09:30:00Z"), &[(1, 700), (2, 5)]).await;
    shop.calls(partner, at("2026-03-11T09:30:00Z"), Environment::Test, &[(1, 5)]).await;
    let now = at("2026-04-10T08:31:00Z");
    assert_eq!(shop.close(now).await.invoices.len(), 1);
    let ended = Period { start: at("2026-04-10T08:00:00Z"), end: at("2026-04-10T09:00:00Z") };
    let compare = async || shop.store.reconcile_all(ended, &[Kind::Invoice], now).await.expect("compared");
    let whole = compare().await;
    assert_eq!((whole.compared, whole.findings), (4, vec![]), "units, and those that credit paid");
    // Comes after the close, so that the next invoice has it; and then that is lost.
    shop.live(partner, at("2026-04-10T08:29:59Z"), &[(1, 3)]).await;
    assert_eq!(compare().await.findings, []);
    shop.store.lose_adjustments().await;
    let findings = compare().await.findings;
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.partner, finding.hour, finding.meter.as_str()), (Some(partner), ended.start, "units"));
    assert_eq!((finding.expected.as_str(), finding.actual.as_str()), ("703", "700"));
    assert!(finding.place.contains(&shop.operations[1].0.to_string()), "{}", finding.place);
}

#[tokio::test]
async fn a_period_with_numbers_that_differ_is_not_invoiced_until_they_agree_or_somebody_accepts_it() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    let other = shop.partner("other", plan, at("2026-03-10T08:30:00Z")).await;
    let (call, now) = (at("2026-03-10T09:30:00Z"), at("2026-04-10T08:32:00Z"));
    shop.live(partner, call, &[(1, 7)]).await;
    let hour = at("2026-03-10T09:00:00Z");
    let tally = ToldTally { partner, hour, environment: Environment::Live, part: 0, calls: 2, units: 7 };
    let told = ToldLane { lane: 0, epoch: 0, first: 0, through: 1, told: 0, tallies: vec![tally] };
    shop.store.tell_tallies("batch-0", &[told], call).await.expect("told");
    // Nobody has compared that hour until its period is to be closed.
    let close = async || {
        let closing = Closing { grace: GRACE, ingested_through: Some(now) };
        close_due_periods(&shop.store, closing, now).await.expect("closes")
    };
    let report = close().await;
    assert_eq!((report.invoices.len(), report.waiting), (1, 1), "the other's is made");
    let [(doubtful, finding)] = report.doubtful.as_slice() else { panic!("{report:?}") };
    assert_eq!((*doubtful, finding.hour, finding.meter.as_str()), (partner, hour, "calls"));
    assert_ne!(*doubtful, other);
    shop.store.accept_findings("a test told it", Actor::System, now).await.expect("accepted");
    assert_eq!(close().await.invoices.len(), 1);
}
