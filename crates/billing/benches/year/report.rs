//! What was told and what was billed, for the oracle: one line of JSON for the plans, then one for each partner.

use crate::town::{OPERATIONS, Partner, Stay, Town};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{fmt::Write as _, path::Path};
use store::{InvoiceLine, InvoiceStatus, Store};

pub async fn write(store: &Store, town: &Town, horizon: Timestamp, file: &Path) {
    let mut text = format!("{}\n", json!({ "plans": town.plans, "horizon": horizon.as_second() }));
    for partner in &town.partners {
        let line = of(store, partner).await;
        writeln!(text, "{line}").expect("written");
    }
    std::fs::write(file, text).expect("written");
}

async fn of(store: &Store, partner: &Partner) -> Value {
    let mut invoices = Vec::new();
    for invoice in store.invoices(partner.id).await.expect("invoices") {
        let (invoice, lines) = store.invoice(partner.id, invoice.id).await.expect("an invoice");
        invoices.push(json!({
            "start": invoice.period.start.as_second(), "end": invoice.period.end.as_second(),
            "currency": invoice.total.currency, "total": invoice.total.micros,
            "cut": invoice.threshold_number, "void": invoice.status == InvoiceStatus::Void,
            "lines": lines.iter().map(line).collect::<Vec<_>>(),
        }));
    }
    let stay = |stay: &Stay| json!({ "plan": stay.plan, "since": stay.since.as_second(), "until": stay.until.map(Timestamp::as_second) });
    let void = partner.void.iter().map(|(start, end)| json!([start.as_second(), end.as_second()]));
    let used = partner.used.iter().map(|(at, operation, units)| json!([at.as_second(), OPERATIONS[*operation], units]));
    json!({
        "partner": partner.id.to_string(), "zone": partner.zone, "stays": partner.stays.iter().map(stay).collect::<Vec<_>>(),
        "used": used.collect::<Vec<_>>(), "void": void.collect::<Vec<_>>(), "invoices": invoices,
    })
}

fn line(line: &InvoiceLine) -> Value {
    json!([
        line.kind.code(),
        line.product_code,
        line.operation_code,
        line.meter,
        line.quantity,
        line.free,
        line.amount.micros
    ])
}
