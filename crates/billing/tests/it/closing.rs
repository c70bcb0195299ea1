//! Each stretch of a subscription is billed once, to the cent, and not before its usage is complete.

use crate::shop::{GRACE, Shop, days, hours, terms};
use billing::{Closing, close_due_periods, project};
use domain::{
    key_text::Environment,
    policy::{Counting, Policy, StatusClass},
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use store::{Actor, LedgerAccount};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

#[tokio::test]
async fn a_period_becomes_one_invoice_to_the_cent_however_often_it_is_closed() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    shop.live(partner, at("2026-03-10T08:30:00Z"), &[(1, 700)]).await;
    shop.live(partner, at("2026-04-10T08:29:59.999999Z"), &[(2, 2_501)]).await;
    // The next period's first instant, and a call of the test environment.
    shop.live(partner, at("2026-04-10T08:30:00Z"), &[(2, 9_999)]).await;
    shop.calls(partner, at("2026-03-20T00:00:00Z"), Environment::Test, &[(0, 5_000)]).await;
    let now = at("2026-04-10T08:31:00Z");
    let projected =
        project(&shop.store, partner, at("2026-04-10T08:29:59.999999Z")).await.expect("projects").expect("a plan");

    let racing = (0..4).map(|_| {
        let store = shop.store.handle();
        tokio::spawn(async move {
            close_due_periods(&store, Closing { grace: GRACE, ingested_through: Some(now) }, now).await
        })
    });
    let mut made = Vec::new();
    for run in racing.collect::<Vec<_>>() {
        made.extend(run.await.expect("no panic").expect("closes").invoices);
    }
    assert_eq!(made.len(), 1, "four runs at once, one invoice");
    assert!(shop.close(now).await.invoices.is_empty());

    let (invoice, lines) = shop.store.invoice(partner, made[0]).await.expect("an invoice");
    let shown: Vec<_> = lines
        .iter()
        .map(|line| (line.kind, line.description.as_str(), line.quantity, line.free, line.amount.to_string()))
        .collect();
    // 3,201 units: 1,000 free; 2,201 × 0.005 = 11.005 → 11.01; 5.00 of it included.
    assert_eq!(
        shown,
        [
            (LineKind::BaseFee, "Base fee", 1, 0, "$49.00".to_owned()),
            (LineKind::Usage, "Payments, POST /create", 700, 700, "$0.00".to_owned()),
            (LineKind::Usage, "Payments, POST /read", 2_501, 300, "$11.01".to_owned()),
            (LineKind::IncludedCredit, "Included credit", 1, 0, "−$5.00".to_owned()),
        ]
    );
    assert_eq!(invoice.total.to_string(), "$55.01");
    assert_eq!(projected.so_far.total, invoice.total, "the dashboard's bill is the invoice");
    assert_eq!(lines[1].operation_code.as_deref(), Some("create"));
    let balances = shop.store.ledger_balances(partner).await.expect("balances");
    let shown: Vec<_> = balances.iter().map(|(account, money)| (*account, money.to_string())).collect();
    assert_eq!(
        shown,
        [(LedgerAccount::Receivable, "$55.01".to_owned()), (LedgerAccount::Revenue, "−$55.01".to_owned())]
    );
}

#[tokio::test]
async fn an_invoice_keeps_the_words_of_what_counted_when_it_was_closed() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    let rule = |class| {
        let counting = Counting { statuses: [class].into(), ..Counting::default() };
        Policy { counting, ..Policy::default() }
    };
    let closed_under = |class: StatusClass, end: &'static str| {
        let (shop, policy) = (&shop, rule(class));
        async move {
            shop.live(partner, at(end) - hours(1), &[(1, 10)]).await;
            shop.store.set_product_policy(shop.product, &policy, Actor::System, at(end)).await.expect("a policy");
            let made = shop.close(at(end) + hours(1)).await.invoices;
            shop.store.invoice(partner, made[0]).await.expect("an invoice").0
        }
    };
    let first = closed_under(StatusClass::Success, "2026-04-10T08:30:00Z").await;
    let second = closed_under(StatusClass::ServerError, "2026-05-10T08:30:00Z").await;
    let first = shop.store.invoice(partner, first.id).await.expect("an invoice").0;
    for (invoice, class) in [(first, "2xx"), (second, "5xx")] {
        let words = format!("Calls that the API answers with {class} count.");
        assert!(matches!(&invoice.counting[..], [note] if note.product == "Payments" && note.rule.starts_with(&words)));
    }
}

#[tokio::test]
async fn a_period_waits_for_its_last_usage() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    let end = at("2026-04-10T08:30:00Z");
    let now = end + hours(5);
    for through in [None, Some(end), Some(end + GRACE - SignedDuration::from_secs(1))] {
        let closing = Closing { grace: GRACE, ingested_through: through };
        let report = close_due_periods(&shop.store, closing, now).await.expect("closes");
        assert_eq!((report.invoices.len(), report.waiting), (0, 1), "{through:?}");
    }
    let closing = Closing { grace: GRACE, ingested_through: Some(end + GRACE) };
    let report = close_due_periods(&shop.store, closing, now).await.expect("closes");
    assert_eq!((report.invoices.len(), report.waiting), (1, 0));
}

#[tokio::test]
async fn a_plan_change_splits_the_period_at_its_instant() {
    let shop = Shop::open().await;
    let starter = shop.plan("starter", terms("invoice_items")).await;
    let mut dearer = terms("invoice_items");
    dearer.base_fee_micros = 310_000_000;
    let pro = shop.plan("pro", dearer).await;
    let start = at("2026-03-01T00:00:00Z");
    let partner = shop.partner("acme", starter, start).await;
    let change = at("2026-03-11T00:00:00.5Z");
    shop.store.assign_plan_version(partner, pro, Actor::System, change).await.expect("changed");
    shop.live(partner, change - SignedDuration::from_micros(1), &[(1, 100)]).await;
    shop.live(partner, change, &[(1, 50)]).await;

    // The first part does not wait for the end of the month.
    assert_eq!(shop.close(change + hours(1)).await.invoices.len(), 1);
    assert_eq!(shop.close(at("2026-04-01T01:00:00Z")).await.invoices.len(), 1);
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    let mut shown = Vec::new();
    for invoice in invoices.iter().rev() {
        let (_, lines) = shop.store.invoice(partner, invoice.id).await.expect("an invoice");
        shown.push((invoice.period.start, invoice.period.end, lines[0].amount.to_string(), lines[1].quantity));
    }
    // 49 × 10/31 = 15.806…; 310 × 21/31 = 210, a second less for the half that belongs to neither.
    assert_eq!(
        shown,
        [(start, change, "$15.81".to_owned(), 100), (change, at("2026-04-01T00:00:00Z"), "$210.00".to_owned(), 50)]
    );
}

#[tokio::test]
async fn changing_the_plan_back_and_forth_gives_no_unit_free_twice() {
    let shop = Shop::open().await;
    let starter = shop.plan("starter", terms("invoice_items")).await;
    let twin = shop.plan("twin", terms("invoice_items")).await;
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner("acme", starter, start).await;
    for (day, plan) in [(10, twin), (20, starter)] {
        shop.live(partner, start + days(day) - hours(1), &[(1, 2_334)]).await;
        let change = start + days(day);
        let told = project(&shop.store, partner, change).await.expect("projects").expect("a plan").ended_now.total;
        shop.store.assign_plan_version(partner, plan, Actor::System, change).await.expect("changed");
        // A third of 49.00; 334 free and 2,000 × 0.005, a third of 5.00 of it included.
        assert_eq!(told.to_string(), "$24.66");
        assert_eq!(shop.close(change + hours(1)).await.invoices.len(), 1);
    }
    shop.live(partner, start + days(29), &[(1, 2_334)]).await;
    shop.close(at("2026-07-01T01:00:00Z")).await;
    let invoices = shop.store.invoices(partner).await.expect("invoices");
    assert_eq!(invoices.iter().map(|invoice| invoice.total.to_string()).collect::<Vec<_>>(), ["$24.66"; 3]);
    let (_, lines) = shop.store.invoice(partner, invoices[0].id).await.expect("an invoice");
    assert_eq!((lines[1].quantity, lines[1].free), (2_334, 334));
    assert_eq!(lines[2].description, "Included credit for part of the period");
}

#[tokio::test]
async fn a_stretch_with_nothing_on_it_is_closed_without_an_invoice() {
    let shop = Shop::open().await;
    let mut free = terms("invoice_items");
    free.base_fee_micros = 0;
    let plan = shop.plan("free", free).await;
    let partner = shop.partner("acme", plan, at("2026-01-01T00:00:00Z")).await;
    shop.live(partner, at("2026-02-02T00:00:00Z"), &[(1, 10)]).await;
    let report = shop.close(at("2026-04-01T01:00:00Z")).await;
    assert_eq!((report.invoices.len(), report.empty), (1, 2), "January and March hold nothing");
    let invoice = &shop.store.invoices(partner).await.expect("invoices")[0];
    assert_eq!(
        (invoice.period.start, invoice.total.micros),
        (at("2026-02-01T00:00:00Z"), 0),
        "ten free units are told"
    );
    assert_eq!(shop.close(at("2026-04-01T01:00:00Z")).await.empty, 0);
    assert!(shop.store.ledger_balances(partner).await.expect("balances").is_empty());
}

#[tokio::test]
async fn a_year_of_test_clock_closes_twelve_periods_that_touch() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let start = at("2026-01-31T09:00:00Z");
    let partner = shop.partner("acme", plan, start).await;
    assert_eq!(shop.close(at("2027-01-31T10:00:00Z")).await.invoices.len(), 12);
    let mut invoices = shop.store.invoices(partner).await.expect("invoices");
    invoices.reverse();
    assert_eq!(invoices[0].period.start, start);
    assert!(invoices.windows(2).all(|pair| pair[0].period.end == pair[1].period.start));
    assert!(invoices.iter().all(|invoice| invoice.total.to_string() == "$49.00"));
}

#[tokio::test]
async fn the_estimate_keeps_the_pace() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let start = at("2026-06-01T00:00:00Z");
    let partner = shop.partner("acme", plan, start).await;
    shop.live(partner, at("2026-06-02T00:00:00Z"), &[(1, 2_000)]).await;
    let projected = project(&shop.store, partner, start + days(10)).await.expect("projects").expect("a plan");
    // So far 1,000 × 0.005 − 5.00 of credit; at this pace 6,000 units: 25.00 − 5.00.
    assert_eq!(projected.so_far.total.to_string(), "$49.00");
    assert_eq!(projected.estimate.total.to_string(), "$69.00");
}
