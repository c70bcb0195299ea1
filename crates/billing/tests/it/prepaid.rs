//! Units that prepaid credit paid are on the bill and are not billed again, and every place says the same.

use crate::{
    corrections::{asked, at, carry_out, draft, march, no_finding},
    shop::{Shop, terms},
};
use billing::{After, impact, project};
use domain::{correction::Change, id::PartnerId, key_text::Environment, plan::PlanTerms, rating::LineKind};
use store::reconcile::Kind;

/// 49.00 a month with 1,000 units, then 0.005 each, and no included credit.
fn plain(collect: &str) -> PlanTerms {
    PlanTerms { included_credit_micros: 0, ..terms(collect) }
}

/// 1,000 free units, 400 that are billed, 600 of `create` and all 300 of `read` from credit.
async fn used(shop: &Shop, partner: PartnerId) {
    let (noon, edge) = (at("2026-03-12T12:30:00Z"), at("2026-04-09T23:59:59Z"));
    for (when, calls) in [(noon, [(1, 1_700, 300), (2, 100, 100)]), (edge, [(1, 300, 300), (2, 200, 200)])] {
        shop.paid_by_credit(partner, (when, when), Environment::Live, &calls).await;
    }
}

/// Operation, units, free units, those that credit paid, amount.
async fn lines(shop: &Shop, partner: PartnerId, number: usize) -> Vec<(String, i64, u64, u64, String)> {
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    let (_, lines) = shop.store.invoice(partner, invoices[number].id).await.expect("an invoice");
    let lines = lines.into_iter().filter(|line| matches!(line.kind, LineKind::Usage | LineKind::Adjustment));
    lines
        .map(|line| {
            (line.operation_code.unwrap_or_default(), line.quantity, line.free, line.prepaid, line.amount.to_string())
        })
        .collect()
}

fn line(operation: &str, quantity: i64, free: u64, prepaid: u64, amount: &str) -> (String, i64, u64, u64, String) {
    (operation.to_owned(), quantity, free, prepaid, amount.to_owned())
}

#[tokio::test]
async fn bill_dashboard_and_impact_leave_out_what_credit_paid_and_reconciliation_agrees() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain("invoice_items")).await;
    let partner = shop.partner("acme", version, march().start).await;
    used(&shop, partner).await;
    let so_far = project(&shop.store, partner, at("2026-04-09T23:59:59Z")).await.expect("projects").expect("a bill");
    assert_eq!(so_far.so_far.total.to_string(), "$51.00", "49.00 and 400 × 0.005");
    shop.close(at("2026-04-10T01:00:00Z")).await;
    assert_eq!(
        lines(&shop, partner, 0).await,
        [line("create", 2_000, 1_000, 600, "$2.00"), line("read", 300, 0, 300, "$0.00")]
    );
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    assert_eq!(invoices[0].total, so_far.so_far.total);
    let plan = shop.store.all_plans().await.expect("plans")[0].id;
    let dearer: PlanTerms = PlanTerms { base_fee_micros: 50_000_000, ..plain("invoice_items") };
    let impact = impact(&shop.store, plan, &dearer, at("2026-04-12T00:00:00Z")).await.expect("an impact");
    let shown: Vec<_> = impact.partners.iter().map(|one| (one.units, one.before, one.after.clone())).collect();
    let total = invoices[0].total;
    let after = After::Comparable(domain::money::Money { micros: total.micros + 1_000_000, ..total });
    assert_eq!(shown, [(2_300, Some(total), after)]);
    no_finding(&shop, "2026-04-12T00:00:00Z").await;
}

#[tokio::test]
async fn a_sum_that_lost_a_unit_of_credit_holds_the_bill_and_one_on_a_bill_is_found() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain("invoice_items")).await;
    let partner = shop.partner("acme", version, march().start).await;
    used(&shop, partner).await;
    shop.store.move_prepaid_sum(-1).await;
    let held = shop.close(at("2026-04-10T01:00:00Z")).await;
    assert_eq!((held.invoices.len(), held.waiting), (0, 1));
    assert_eq!(held.doubtful[0].1.meter, "prepaid");
    shop.store.move_prepaid_sum(1).await;
    shop.store.reconcile_all(march(), &Kind::ALL, at("2026-04-10T02:00:00Z")).await.expect("compared");
    shop.close(at("2026-04-10T02:00:00Z")).await;
    shop.store.move_prepaid_lines(1).await;
    let range = domain::period::Period { start: march().start, end: at("2026-04-11T00:00:00Z") };
    let again = shop.store.reconcile_all(range, &Kind::ALL, at("2026-04-11T02:00:00Z")).await.expect("compared");
    let found: Vec<_> = again.findings.iter().map(|finding| (finding.kind, finding.meter.as_str())).collect();
    assert!(!found.is_empty() && found.iter().all(|found| *found == (Kind::Invoice, "prepaid")), "{found:?}");
}

#[tokio::test]
async fn what_comes_late_or_is_corrected_after_the_bill_is_rated_without_what_credit_paid() {
    let shop = Shop::open().await;
    let version = shop.plan("starter", plain("invoice_items")).await;
    let partner = shop.partner("acme", version, march().start).await;
    used(&shop, partner).await;
    shop.close(at("2026-04-10T01:00:00Z")).await;
    // Handed over after the close: 500 units, 450 of them from credit: 50 × 0.005.
    let late = (at("2026-03-20T00:00:00Z"), at("2026-04-11T00:00:00Z"));
    shop.paid_by_credit(partner, late, Environment::Live, &[(1, 500, 450)]).await;
    shop.close(at("2026-05-10T01:00:00Z")).await;
    assert_eq!(lines(&shop, partner, 0).await, [line("create", 500, 0, 450, "$0.25")]);
    // A call that credit paid in part is taken back: 1,400 units were the plan's.
    let new = asked(Change::Void, "2026-03-12T12:00:00Z", "2026-03-12T13:00:00Z");
    let (id, tried) = draft(&shop, partner, new, "2026-05-11T00:00:00Z").await;
    assert_eq!((tried.credit_back, tried.bills[0].before.to_string()), (400, "$51.25".to_owned()));
    assert_eq!(tried.bills[0].after.to_string(), "$49.00", "50 units are left that credit did not pay");
    carry_out(&shop, id, "2026-05-11T00:00:00Z").await;
    shop.close(at("2026-06-10T01:00:00Z")).await;
    assert_eq!(
        lines(&shop, partner, 0).await,
        [line("create", -1_700, 950, 300, "−$2.25"), line("read", -100, 0, 100, "$0.00")]
    );
    no_finding(&shop, "2026-06-12T00:00:00Z").await;
}

#[tokio::test]
async fn stripe_rates_only_what_credit_did_not_pay() {
    let shop = Shop::open().await;
    let version = shop.plan("metered", plain("meter_events")).await;
    let end = shop.now().await;
    let start = end - crate::shop::days(30);
    let partner = shop.partner("acme", version, start).await;
    let when = start + crate::shop::hours(1);
    shop.paid_by_credit(partner, (when, when), Environment::Live, &[(1, 2_000, 600), (2, 300, 300)]).await;
    shop.advance(crate::shop::days(2)).await;
    let now = shop.now().await;
    shop.close(now).await;
    shop.reconcile().await;
    let state = shop.state().await;
    let told: Vec<_> =
        crate::shop::list(&state, "meter_events").iter().filter_map(|event| event["value"].as_i64()).collect();
    assert_eq!(told, [1_400]);
}
