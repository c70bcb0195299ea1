//! A credit note as a file: on paper, and its lines as CSV.

use super::{
    invoice_pdf::{NOTE, facts, head},
    lines::{amount, local},
};
use crate::api::csv::Csv;
use app::{
    pages::time_text::{local_date, local_zone},
    state::Settings,
};
use jiff::tz::TimeZone;
use paper::{Align, BODY_WIDTH, Column, Flow, Meta, POINT, PaperError, Row, Table};
use store::credit_notes::{CreditLine, CreditNote};

/// The paper. What is no document yet has none.
///
/// # Errors
/// The built-in fonts are broken.
pub fn paper(settings: &Settings, note: &CreditNote, lines: &[CreditLine]) -> Result<Option<Vec<u8>>, PaperError> {
    let (Some(code), Some(issued)) = (note.code(), note.ended_at) else { return Ok(None) };
    let zone = local_zone(&note.time_zone);
    let title = format!("Credit note {code}");
    let mut flow = Flow::new(&format!("{title} of {} for {}", settings.provider_name, note.partner_name));
    head(&mut flow, settings, "Credit note", &code);
    let currency = note.total.currency.code();
    facts(
        &mut flow,
        &[("Credited to", &note.partner_name), ("Why", &note.reason)],
        &[("Date", &local_date(issued, &zone)), ("Of invoice", &note.invoice_code()), ("Currency", currency)],
    );
    let width = 120 * POINT;
    let columns = vec![
        Column { title: "For".to_owned(), width: BODY_WIDTH - width, align: Align::Left },
        Column { title: "Credited".to_owned(), width, align: Align::Right },
    ];
    let row = |line: &CreditLine| Row { cells: vec![line.description.clone(), line.amount.to_string()], is_sum: false };
    let mut rows: Vec<Row> = lines.iter().map(row).collect();
    rows.push(Row { cells: vec!["Total".to_owned(), note.total.to_string()], is_sum: true });
    flow.space(18 * POINT);
    flow.table(&Table { columns, rows });
    flow.space(18 * POINT);
    flow.paragraph(
        NOTE,
        match note.was_paid {
            Some(true) => "The invoice was paid: the amount is paid back.",
            _ => "The invoice was not paid: so much less of it is owed.",
        },
    );
    flow.finish(&Meta { title, author: settings.provider_name.clone() }).map(Some)
}

/// A row for each line.
pub fn csv(note: &CreditNote, lines: &[CreditLine]) -> Csv {
    let zone = domain::period::zone(&note.time_zone).unwrap_or(TimeZone::UTC);
    let mut csv = Csv::new(&[
        "partner",
        "partner_name",
        "credit_note",
        "number",
        "invoice",
        "invoice_number",
        "issued_at",
        "reason",
        "position",
        "invoice_position",
        "description",
        "currency",
        "amount",
    ]);
    for line in lines {
        csv.row(&[
            note.partner.to_string(),
            note.partner_name.clone(),
            note.id.to_string(),
            note.code().unwrap_or_default(),
            note.invoice.to_string(),
            note.invoice_code(),
            note.ended_at.map(|at| local(at, &zone)).unwrap_or_default(),
            note.reason.clone(),
            line.position.to_string(),
            line.invoice_position.map(|position| position.to_string()).unwrap_or_default(),
            line.description.clone(),
            line.amount.currency.to_string(),
            amount(line.amount),
        ]);
    }
    csv
}
