//! The lines of invoices, one row each, the same in CSV and JSON.

use crate::api::csv::Csv;
use domain::money::Money;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use store::{Invoice, InvoiceLine};
use utoipa::ToSchema;

/// The columns, in the order of [`BilledLine::cells`].
const COLUMNS: [&str; 21] = [
    "partner",
    "partner_name",
    "invoice",
    "number",
    "created_at",
    "period_start",
    "period_end",
    "time_zone",
    "status",
    "plan",
    "position",
    "kind",
    "product",
    "operation",
    "description",
    "quantity",
    "free",
    "prepaid",
    "currency",
    "amount",
    "threshold_number",
];

/// A line and the invoice that it is on.
#[derive(Debug, Serialize, ToSchema)]
pub struct BilledLine {
    partner: String,
    partner_name: String,
    /// The invoice's identifier.
    invoice: String,
    /// As on paper.
    #[schema(example = "TP-000042")]
    number: String,
    /// In the partner's time zone, with its offset.
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    period_start: String,
    #[schema(format = DateTime)]
    period_end: String,
    /// IANA name.
    time_zone: String,
    status: String,
    plan: String,
    position: i32,
    kind: String,
    /// The product's code; empty where the line is for none.
    product: String,
    operation: String,
    description: String,
    /// Units; below zero where an adjustment takes some back.
    quantity: i64,
    /// Units among them that cost nothing.
    free: u64,
    /// Units among them that prepaid credit paid.
    prepaid: u64,
    /// ISO 4217.
    currency: String,
    /// Decimal text in the currency's unit, with its decimals.
    #[schema(example = "49.00")]
    amount: String,
    /// Which threshold invoice of its period it is on, from 1 on; 0 for others. Usage lines of threshold invoices are on the last invoice of
    /// the period once more, which takes off what they billed: whoever adds up units leaves them out.
    threshold_number: u32,
}

impl BilledLine {
    /// The invoice's lines.
    pub fn all(invoice: &Invoice, lines: Vec<InvoiceLine>) -> Vec<Self> {
        let zone = domain::period::zone(&invoice.time_zone).unwrap_or(TimeZone::UTC);
        lines.into_iter().map(|line| Self::new(invoice, &zone, line)).collect()
    }

    fn new(invoice: &Invoice, zone: &TimeZone, line: InvoiceLine) -> Self {
        Self {
            partner: invoice.partner.to_string(),
            partner_name: invoice.partner_name.clone(),
            invoice: invoice.id.to_string(),
            number: invoice.code(),
            created_at: local(invoice.created_at, zone),
            period_start: local(invoice.period.start, zone),
            period_end: local(invoice.period.end, zone),
            time_zone: invoice.time_zone.clone(),
            status: invoice.status.to_string(),
            plan: invoice.plan_name.clone(),
            position: line.position,
            kind: line.kind.code().to_owned(),
            product: line.product_code.unwrap_or_default(),
            operation: line.operation_code.unwrap_or_default(),
            description: line.description,
            quantity: line.quantity,
            free: line.free,
            prepaid: line.prepaid,
            currency: line.amount.currency.to_string(),
            amount: amount(line.amount),
            threshold_number: invoice.threshold_number,
        }
    }

    fn cells(&self) -> [String; 21] {
        let text = String::clone;
        [
            text(&self.partner),
            text(&self.partner_name),
            text(&self.invoice),
            text(&self.number),
            text(&self.created_at),
            text(&self.period_start),
            text(&self.period_end),
            text(&self.time_zone),
            text(&self.status),
            text(&self.plan),
            self.position.to_string(),
            text(&self.kind),
            text(&self.product),
            text(&self.operation),
            text(&self.description),
            self.quantity.to_string(),
            self.free.to_string(),
            self.prepaid.to_string(),
            text(&self.currency),
            text(&self.amount),
            self.threshold_number.to_string(),
        ]
    }
}

/// An empty file with its heading.
pub fn heading() -> Csv {
    Csv::new(&COLUMNS)
}

/// A row for each line.
pub fn append(csv: &mut Csv, lines: &[BilledLine]) {
    lines.iter().for_each(|line| csv.row(&line.cells()));
}

/// A JSON object for each line, on a line of its own.
pub fn jsonl(lines: &[BilledLine]) -> String {
    lines.iter().filter_map(|line| serde_json::to_string(line).ok()).map(|line| line + "\n").collect()
}

/// Exact, with at least the coin's decimals.
pub fn amount(money: Money) -> String {
    let mut amount = money.to_decimal().normalize();
    amount.rescale(amount.scale().max(money.currency.decimals()));
    amount.to_string()
}

/// `2026-11-01T00:00:00+13:00`
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
