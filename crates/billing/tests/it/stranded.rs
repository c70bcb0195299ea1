//! What comes or is corrected after a partner's last invoice is on a final one, a day later, charge or credit.

use crate::{
    corrections::{adjusted, asked, at, carry_out, draft, no_finding},
    shop::{GRACE, Shop, terms},
};
use billing::{BilledOn, Closing, close_due_periods};
use domain::{
    correction::Change,
    id::{InvoiceId, PartnerId},
    key_text::Environment,
    money::Currency,
    period::Period,
    plan::PlanTerms,
};
use store::{
    Actor,
    reconcile::{Kind, ToldLane, ToldTally},
};

/// A partner whose last dollar invoice is that of March, which has 3,000 units: 49.00 + 10.00 − 5.00. It pays in euros since, and
/// its euro invoices have no adjustment.
async fn moved_to_euros(shop: &Shop) -> (PartnerId, InvoiceId) {
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let euros = shop.plan("euros", PlanTerms { currency: Currency::Eur, ..terms("invoice_items") }).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(1, 3_000)]).await;
    let change = at("2026-04-10T00:00:00Z");
    shop.store.assign_plan_version(partner, euros, Actor::System, change).await.expect("another plan");
    let invoices = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    assert_eq!(invoices.len(), 1);
    assert_eq!(adjusted(shop, partner, invoices[0]).await, (vec![], "$54.00".to_owned()));
    (partner, invoices[0])
}

async fn made(shop: &Shop, partner: PartnerId, now: &str) -> Vec<String> {
    let mut made = Vec::new();
    for id in shop.close(at(now)).await.invoices {
        let (invoice, _) = shop.store.invoice(partner, id).await.expect("an invoice");
        made.push(format!("{} {}", if invoice.is_final { "final" } else { "usual" }, invoice.total));
    }
    made
}

#[tokio::test]
async fn what_no_next_invoice_brings_is_on_a_final_one_a_day_later_and_once() {
    let shop = Shop::open().await;
    let (partner, _) = moved_to_euros(&shop).await;
    let new = asked(Change::Void, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (id, tried) = draft(&shop, partner, new, "2026-04-20T00:00:00Z").await;
    assert!(tried.has_final_invoice, "whoever approves is told");
    carry_out(&shop, id, "2026-04-20T00:00:00Z").await;
    assert!(made(&shop, partner, "2026-04-20T12:00:00Z").await.is_empty(), "others may follow");
    let late = (at("2026-03-15T00:00:00Z"), at("2026-04-20T13:00:00Z"));
    shop.handed_over(partner, late, Environment::Live, &[(2, 1_200)]).await;
    // 1,200 units instead of 3,000: 1.00, all of it included, instead of 10.00.
    assert_eq!(made(&shop, partner, "2026-04-21T00:00:00Z").await, ["final −$5.00"]);
    assert_eq!(made(&shop, partner, "2026-05-10T01:00:00Z").await, ["usual €49.00"], "with nothing of it");
    no_finding(&shop, "2026-05-10T02:00:00Z").await;

    // And the other way: it owes again what was given back, and all of it is once more in one.
    let told =
        shop.store.revert_correction(partner, id, ("It was right", false), Actor::System, at("2026-05-11T00:00:00Z"));
    assert!(told.await.expect("reverted"));
    assert!(made(&shop, partner, "2026-05-11T23:59:59Z").await.is_empty());
    // 4,200 units: 16.00 less 5.00, where nothing was owed.
    assert_eq!(made(&shop, partner, "2026-05-12T00:00:00Z").await, ["final $11.00"]);
    assert!(made(&shop, partner, "2026-05-13T00:00:00Z").await.is_empty());
    no_finding(&shop, "2026-05-13T00:00:00Z").await;
}

#[tokio::test]
async fn while_a_next_invoice_is_to_come_nothing_is_made_before_it() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(1, 3_000)]).await;
    shop.close(at("2026-04-10T01:00:00Z")).await;
    let new = asked(Change::Void, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (id, tried) = draft(&shop, partner, new, "2026-04-20T00:00:00Z").await;
    assert!(!tried.has_final_invoice);
    carry_out(&shop, id, "2026-04-20T00:00:00Z").await;
    assert!(made(&shop, partner, "2026-05-09T00:00:00Z").await.is_empty());
    assert_eq!(made(&shop, partner, "2026-05-10T01:00:00Z").await, ["usual $44.00"]);
}

#[tokio::test]
async fn while_the_usage_of_their_period_is_in_doubt_late_and_corrected_units_wait() {
    let shop = Shop::open().await;
    let (partner, _) = moved_to_euros(&shop).await;
    let new = asked(Change::Void, "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z");
    let (id, _) = draft(&shop, partner, new, "2026-04-20T00:00:00Z").await;
    carry_out(&shop, id, "2026-04-20T00:00:00Z").await;
    // The gateway says that it served one call more than is stored.
    let hour = at("2026-03-11T00:00:00Z");
    let tally = ToldTally { partner, hour, environment: Environment::Live, part: 0, calls: 2, units: 3_000 };
    let told = ToldLane { lane: 0, epoch: 0, first: 0, through: 1, told: 0, tallies: vec![tally] };
    shop.store.tell_tallies("batch-0", &[told], at("2026-04-20T00:00:00Z")).await.expect("told");
    let range = Period { start: hour, end: at("2026-03-11T01:00:00Z") };
    let now = at("2026-04-20T01:00:00Z");
    let found = shop.store.reconcile_all(range, &[Kind::Gateway], now).await.expect("compared").findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(made(&shop, partner, "2026-04-21T00:00:00Z").await.is_empty());
    assert_eq!(made(&shop, partner, "2026-05-10T01:00:00Z").await, ["usual €49.00"], "its own usage is in no doubt");
    shop.store.accept_findings("a test told it", Actor::System, at("2026-05-11T00:00:00Z")).await.expect("accepted");
    assert_eq!(made(&shop, partner, "2026-05-11T01:00:00Z").await, ["final −$5.00"]);
}

#[tokio::test]
async fn what_is_closed_is_told_although_final_invoices_cannot_be_made() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.store.hide_when_late_usage_came().await;
    let now = at("2026-04-10T01:00:00Z");
    let closing = Closing { grace: GRACE, ingested_through: Some(now) };
    let report = close_due_periods(&shop.store, closing, now).await.expect("a report");
    assert_eq!(report.invoices.len(), 1);
    assert!(matches!(report.problems.as_slice(), [(None, _)]), "{report:?}");
}

#[tokio::test]
async fn each_bill_of_a_dry_run_says_where_its_difference_will_be() {
    let shop = Shop::open().await;
    let (partner, _) = moved_to_euros(&shop).await;
    shop.live(partner, at("2026-04-11T00:00:00Z"), &[(1, 3_000)]).await;
    shop.close(at("2026-05-10T01:00:00Z")).await;
    shop.live(partner, at("2026-05-11T00:00:00Z"), &[(1, 3_000)]).await;
    let new = asked(Change::Void, "2026-03-11T00:00:00Z", "2026-05-12T00:00:00Z");
    let (_, tried) = draft(&shop, partner, new, "2026-05-13T00:00:00Z").await;
    let on: Vec<_> = tried.bills.iter().map(|bill| (bill.before.currency, tried.billed_on(bill))).collect();
    use Currency::{Eur, Usd};
    assert_eq!(on, [(Usd, BilledOn::Final), (Eur, BilledOn::Next), (Eur, BilledOn::ItsOwn)]);
}
