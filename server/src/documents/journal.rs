//! Entries of the revenue journal, one row each, the same in CSV and JSON Lines. They are read from the database while they are sent, so
//! that a range of any length takes little memory; where that fails, the file breaks off.

use super::{attachment, lines::amount};
use crate::api::{csv::Csv, rows::Lines};
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::money::Money;
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use store::{
    Store,
    journal::{JournalDays, JournalEntry},
};
use tokio::sync::mpsc;
use utoipa::ToSchema;

/// Transactions that are read at once.
const PAGE: u32 = 500;

/// The columns, in the order of [`EntryOut::cells`].
const COLUMNS: [&str; 19] = [
    "entry",
    "day",
    "transaction",
    "number",
    "kind",
    "description",
    "partner",
    "account",
    "currency",
    "debit",
    "credit",
    "amount",
    "occurred_at",
    "service_start",
    "service_end",
    "invoice",
    "invoice_number",
    "credit_note",
    "grant",
];

/// An entry. Nothing in it ever changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryOut {
    /// The entry's identifier.
    #[schema(example = "je_5d41402abc4b2a76b9719d911017c592_0")]
    entry: String,
    /// In UTC.
    #[schema(value_type = String, format = Date)]
    day: Date,
    /// The transaction's identifier; its entries sum to zero.
    transaction: String,
    /// Counts transactions up over all partners, without a hole.
    #[schema(example = "J-000042")]
    number: String,
    /// `invoice`, `usage`, `fee`, `credit`, `payment`, `credit_note`, `void` or `refund`.
    kind: &'static str,
    description: String,
    partner: String,
    /// `accounts_receivable`, `contract_asset`, `contract_liability`, `revenue`, `breakage_revenue`, `cash` or `refunds`.
    account: &'static str,
    /// ISO 4217.
    currency: &'static str,
    /// Decimal text in the currency's unit; empty where it is a credit.
    #[schema(example = "49.00")]
    debit: String,
    /// Empty where it is a debit.
    credit: String,
    /// The debit, or the credit below zero.
    amount: String,
    /// When it happened; empty where it sums up a day.
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Timestamp>,
    /// What the money is for, where it is for a period.
    #[schema(value_type = Option<String>, format = DateTime)]
    service_start: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    service_end: Option<Timestamp>,
    /// The invoice's identifier, where it is about one.
    invoice: String,
    /// As on paper.
    #[schema(example = "TP-000042")]
    invoice_number: String,
    credit_note: String,
    /// The grant of prepaid credit, where it is about one.
    grant: String,
}

impl From<JournalEntry> for EntryOut {
    fn from(entry: JournalEntry) -> Self {
        let id = entry.id();
        let side = |money: Money| if money.micros > 0 { amount(money) } else { String::new() };
        let turned = Money { micros: entry.amount.micros.saturating_neg(), ..entry.amount };
        Self {
            entry: id,
            day: entry.day,
            transaction: entry.transaction.simple().to_string(),
            number: format!("J-{:06}", entry.number),
            kind: entry.kind.code(),
            description: entry.description,
            partner: entry.partner.to_string(),
            account: entry.account.code(),
            currency: entry.amount.currency.code(),
            debit: side(entry.amount),
            credit: side(turned),
            amount: amount(entry.amount),
            occurred_at: entry.occurred_at,
            service_start: entry.service.map(|service| service.start),
            service_end: entry.service.map(|service| service.end),
            invoice: text(entry.invoice),
            invoice_number: entry.invoice_number.map(|number| format!("TP-{number:06}")).unwrap_or_default(),
            credit_note: text(entry.credit_note),
            grant: text(entry.grant),
        }
    }
}

impl EntryOut {
    fn cells(&self) -> [String; 19] {
        [
            self.entry.clone(),
            self.day.to_string(),
            self.transaction.clone(),
            self.number.clone(),
            self.kind.to_owned(),
            self.description.clone(),
            self.partner.clone(),
            self.account.to_owned(),
            self.currency.to_owned(),
            self.debit.clone(),
            self.credit.clone(),
            self.amount.clone(),
            text(self.occurred_at),
            text(self.service_start),
            text(self.service_end),
            self.invoice.clone(),
            self.invoice_number.clone(),
            self.credit_note.clone(),
            self.grant.clone(),
        ]
    }
}

/// Empty where there is none.
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The file.
pub fn send(store: Store, days: JournalDays, lines: Lines) -> Response {
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        if lines == Lines::Csv && sender.send(Ok(Bytes::from(Csv::new(&COLUMNS).into_text()))).await.is_err() {
            return;
        }
        let mut after = 0;
        loop {
            let page = store.all_partners_journal(days, after, PAGE).await;
            let last = page.iter().flatten().map(|entry| entry.number).max();
            let part = page.map(|page| Bytes::from(rows(page, lines)));
            let failed = part.is_err();
            let has_more = last.is_some();
            // A failure is told to whoever reads.
            if (has_more || failed) && sender.send(part).await.is_err() {
                return;
            }
            if failed || !has_more {
                return;
            }
            after = last.unwrap_or(after);
        }
    });
    let name = match lines {
        Lines::Csv => "revenue-journal.csv",
        Lines::Jsonl => "revenue-journal.jsonl",
    };
    let body = Body::new(crate::api::rows::Stream(receiver));
    (attachment(name), [(header::CONTENT_TYPE, lines.content_type())], body).into_response()
}

fn rows(entries: Vec<JournalEntry>, lines: Lines) -> String {
    let rows = entries.into_iter().map(EntryOut::from);
    match lines {
        Lines::Csv => {
            let mut csv = Csv::empty();
            rows.for_each(|row| csv.row(&row.cells()));
            csv.into_text()
        }
        Lines::Jsonl => rows.filter_map(|row| serde_json::to_string(&row).ok()).map(|row| row + "\n").collect(),
    }
}
