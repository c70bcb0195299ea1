//! The lines of invoices, one row each, the same in CSV and JSON.

use super::teams::TeamOut;
use crate::api::csv::Csv;
use domain::money::Money;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use store::{Invoice, InvoiceLine};
use utoipa::ToSchema;

/// The columns, in the order of [`BilledLine::cells`].
const COLUMNS: [&str; 23] = [
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
    "invoice_tax",
    "invoice_total_with_tax",
];

/// A line and the invoice that it is on.
#[derive(Debug, Serialize, ToSchema)]
pub struct BilledLine {
    pub(super) partner: String,
    pub(super) partner_name: String,
    /// The invoice's identifier.
    pub(super) invoice: String,
    /// As on paper.
    #[schema(example = "TP-000042")]
    pub(super) number: String,
    /// In the partner's time zone, with its offset.
    #[schema(format = DateTime)]
    pub(super) created_at: String,
    #[schema(format = DateTime)]
    pub(super) period_start: String,
    #[schema(format = DateTime)]
    pub(super) period_end: String,
    /// IANA name.
    pub(super) time_zone: String,
    pub(super) status: String,
    pub(super) plan: String,
    pub(super) position: i32,
    pub(super) kind: String,
    /// The product's code; empty where the line is for none.
    pub(super) product: String,
    pub(super) operation: String,
    pub(super) description: String,
    /// Units; below zero where an adjustment takes some back.
    pub(super) quantity: i64,
    /// Units among them that cost nothing.
    pub(super) free: u64,
    /// Units among them that prepaid credit paid.
    pub(super) prepaid: u64,
    /// ISO 4217.
    pub(super) currency: String,
    /// Decimal text in the currency's unit, with its decimals.
    #[schema(example = "49.00")]
    pub(super) amount: String,
    /// Which threshold invoice of its period it is on, from 1 on; 0 for others. Usage lines of threshold invoices are on the last invoice of
    /// the period once more, which takes off what they billed: whoever adds up units leaves them out.
    pub(super) threshold_number: u32,
    /// What Stripe Tax computed on the whole invoice, the same on each of its lines: decimal text; empty where it computes none.
    #[schema(example = "7.35")]
    pub(super) invoice_tax: String,
    /// The invoice's total and that tax, the same on each of its lines; empty where there is none.
    #[schema(example = "56.35")]
    pub(super) invoice_total_with_tax: String,
    /// Of usage and adjustments of it, what each team has; empty where none of it is a team's. In CSV it is a file of its own.
    pub(super) teams: Vec<TeamOut>,
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
            invoice_tax: invoice.tax.map(amount).unwrap_or_default(),
            invoice_total_with_tax: invoice.total_with_tax().map(amount).unwrap_or_default(),
            teams: TeamOut::all(line.teams),
        }
    }

    fn cells(&self) -> [String; 23] {
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
            text(&self.invoice_tax),
            text(&self.invoice_total_with_tax),
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
