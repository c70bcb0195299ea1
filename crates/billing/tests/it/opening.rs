//! A line opens to its days, hours, apps, keys and teams, and each of them adds up to its quantity.

use crate::{
    late::{event, tell},
    shop::{Shop, hours, terms},
};
use billing::{Behind, OpenBy, Opening, open_line};
use domain::{id::PartnerId, period::Period, rating::LineKind, usage::outside::Outside};
use jiff::Timestamp;
use store::{Invoice, InvoiceLine};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// A month with calls of two operations on three days, closed.
async fn closed() -> (Shop, PartnerId, Invoice, Vec<InvoiceLine>) {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T10:20:00Z"), &[(1, 900), (2, 40)]).await;
    shop.live(partner, at("2026-03-11T13:00:00Z"), &[(1, 60)]).await;
    shop.live(partner, at("2026-04-09T23:59:59Z"), &[(1, 7), (2, 1)]).await;
    let invoice = shop.close(at("2026-04-10T01:00:00Z")).await.invoices[0];
    let (invoice, lines) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    (shop, partner, invoice, lines)
}

/// The sum of the rows of a usage line, the units that came late, and how many rows there are.
async fn opened(shop: &Shop, partner: PartnerId, of: (&Invoice, &InvoiceLine), opening: Opening) -> (u64, i64, usize) {
    let now = at("2026-05-01T00:00:00Z");
    let opened = open_line(&shop.store, (partner, of.0.id, of.1.position), opening, now).await.expect("opens");
    let Behind::Usage { rows, units, late, .. } = opened.behind else { panic!("{:?}", opened.behind) };
    assert_eq!(rows.iter().map(|row| row.quantity).sum::<u64>(), units);
    (units, late, rows.len())
}

#[tokio::test]
async fn every_way_to_open_a_usage_line_adds_up_to_its_quantity() {
    let (shop, partner, invoice, lines) = closed().await;
    let usage: Vec<&InvoiceLine> = lines.iter().filter(|line| line.kind == LineKind::Usage).collect();
    assert_eq!(usage.iter().map(|line| line.quantity).collect::<Vec<_>>(), [967, 41]);
    for line in usage {
        let quantity = line.quantity.unsigned_abs();
        for by in [OpenBy::Day, OpenBy::App, OpenBy::Key, OpenBy::Team] {
            let (units, late, _) = opened(&shop, partner, (&invoice, line), Opening { by, ..Opening::default() }).await;
            assert_eq!((units, late), (quantity, 0), "{by:?}");
        }
        // The hours of each day add up to the day, and the days to the line.
        let mut sum = 0;
        let mut start = invoice.period.start;
        while start < invoice.period.end {
            let part = Some(Period { start, end: start + hours(24) });
            let by_hour = Opening { by: OpenBy::Hour, part, ..Opening::default() };
            let by_day = Opening { by: OpenBy::Day, ..by_hour };
            let (units, ..) = opened(&shop, partner, (&invoice, line), by_hour).await;
            assert_eq!(units, opened(&shop, partner, (&invoice, line), by_day).await.0);
            sum += units;
            start += hours(24);
        }
        assert_eq!(sum, quantity);
    }
    let (_, _, days) = opened(&shop, partner, (&invoice, &lines[1]), Opening::default()).await;
    assert_eq!(days, 2);
}

#[tokio::test]
async fn what_came_after_the_close_is_told_apart_and_opens_on_the_next_invoice() {
    let (shop, partner, invoice, lines) = closed().await;
    let line = lines.iter().find(|line| line.quantity == 967).expect("a line");
    // A gateway that had been forgotten hands over one call; somebody tells of another.
    shop.handed_over(
        partner,
        (at("2026-03-20T00:00:00Z"), at("2026-04-11T00:00:00Z")),
        domain::key_text::Environment::Live,
        &[(1, 30)],
    )
    .await;
    tell(&shop, partner, &[event("9", "2026-03-12T00:00:00Z", "create", 700)], "2026-04-12T00:00:00Z").await;
    let (units, late, _) = opened(&shop, partner, (&invoice, line), Opening::default()).await;
    assert_eq!((units, late), (997, 30), "the sum is the line's and what was handed over late");

    let next = shop.close(at("2026-05-10T01:00:00Z")).await.invoices[0];
    let (next, lines) = shop.store.invoice(partner, next).await.expect("an invoice");
    let adjusted: Vec<&InvoiceLine> =
        lines.iter().filter(|line| line.kind == LineKind::Adjustment && line.operation.is_some()).collect();
    assert_eq!(adjusted.iter().map(|line| line.quantity).collect::<Vec<_>>(), [730]);
    let now = at("2026-05-11T00:00:00Z");
    let opened =
        open_line(&shop.store, (partner, next.id, adjusted[0].position), Opening::default(), now).await.expect("opens");
    let Behind::Adjustment(page) = opened.behind else { panic!("{:?}", opened.behind) };
    let mut units: Vec<i64> = page.rows.iter().map(|row| row.units).collect();
    units.sort_unstable();
    assert_eq!((page.units, units), (730, vec![30, 700]));
    // Who told of it is said, and not which gateway handed what over.
    let told: Vec<(i64, bool)> =
        page.rows.iter().map(|row| (row.units, row.source.is_empty() && row.id.is_empty())).collect();
    assert!(told.contains(&(30, true)) && told.contains(&(700, false)), "{told:?}");
    let fee = lines.iter().find(|line| line.kind == LineKind::BaseFee).expect("a fee");
    let opened =
        open_line(&shop.store, (partner, next.id, fee.position), Opening::default(), now).await.expect("opens");
    assert!(matches!(opened.behind, Behind::Nothing));
}

#[tokio::test]
async fn a_line_without_an_operation_opens_to_the_calls_that_had_none() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T10:20:00Z"), &[(1, 900)]).await;
    let of_none = |mut told: Outside| {
        told.data.operation = None;
        told
    };
    tell(&shop, partner, &[of_none(event("1", "2026-03-11T10:25:00Z", "create", 8))], "2026-03-12T00:00:00Z").await;
    let invoice = shop.close(at("2026-04-10T01:00:00Z")).await.invoices[0];
    let (invoice, lines) = shop.store.invoice(partner, invoice).await.expect("an invoice");
    let line = lines.iter().find(|line| line.kind == LineKind::Usage && line.operation.is_none()).expect("a line");
    assert!(line.product.is_some() && line.quantity == 8, "{line:?}");
    // By the hour's sums, and by the raw events of a part of an hour.
    let part = Period { start: at("2026-03-11T10:10:00Z"), end: at("2026-03-11T10:50:00Z") };
    for part in [None, Some(part)] {
        let (units, late, _) = opened(&shop, partner, (&invoice, line), Opening { part, ..Opening::default() }).await;
        assert_eq!((units, late), (8, 0), "{part:?}");
    }
}
