//! An invoice on paper: who bills whom, for when, its lines and its total.

use app::{
    pages::{
        invoices::{instead_of_period, kind_of, threshold_note},
        time_text::{local_date, local_zone, period_text},
    },
    state::Settings,
};
use domain::{money::group_thousands, rating::LineKind};
use paper::{Align, BODY_WIDTH, Block, Column, Flow, Meta, POINT, PaperError, Row, Style, Table, Weight};
use store::{Invoice, InvoiceLine, InvoiceStatus};

const TITLE: Style = Style::new(20 * POINT, Weight::Bold, 0);
const FROM: Style = Style::new(12 * POINT, Weight::Bold, 0);
const TEXT: Style = Style::new(9 * POINT, Weight::Regular, 0);
const STRONG: Style = Style::new(9 * POINT, Weight::Bold, 0);
const LABEL: Style = Style::new(8 * POINT, Weight::Regular, 45);
pub const NOTE: Style = Style::new(8 * POINT, Weight::Regular, 35);
const HALF: i32 = BODY_WIDTH / 2;
const COLUMN_GAP: i32 = 16 * POINT;

/// The file's bytes: the same invoice gives the same.
///
/// # Errors
/// The built-in fonts are broken.
pub fn write(settings: &Settings, invoice: &Invoice, lines: &[InvoiceLine]) -> Result<Vec<u8>, PaperError> {
    let zone = local_zone(&invoice.time_zone);
    let code = invoice.code();
    let title = format!("{} {code}", kind_of(invoice));
    let mut flow = Flow::new(&format!("{title} of {} for {}", settings.provider_name, invoice.partner_name));
    let kind = kind_of(invoice);
    let void = if invoice.status == InvoiceStatus::Void { " (void)" } else { "" };
    head(&mut flow, settings, &format!("{kind}{void}"), &code);
    let period = match instead_of_period(invoice) {
        Some(words) => words.to_owned(),
        None => format!("{} ({})", period_text(invoice.period, &zone), invoice.time_zone),
    };
    facts(
        &mut flow,
        &[("Billed to", &invoice.partner_name), ("Period", &period)],
        &[
            ("Date", &local_date(invoice.created_at, &zone)),
            ("Plan", &invoice.plan_name),
            ("Currency", invoice.total.currency.code()),
        ],
    );
    let mut rows: Vec<Row> = lines.iter().map(row).collect();
    let total = ["Total".to_owned(), String::new(), String::new(), invoice.total.to_string()];
    rows.push(Row { cells: total.to_vec(), is_sum: true });
    if let (Some(tax), Some(whole)) = (invoice.tax, invoice.total_with_tax()) {
        for (label, amount) in [("Tax (by Stripe)", tax), ("Total with tax", whole)] {
            let cells = [label.to_owned(), String::new(), String::new(), amount.to_string()];
            rows.push(Row { cells: cells.to_vec(), is_sum: true });
        }
    }
    flow.space(18 * POINT);
    flow.table(&Table { columns: columns(), rows });
    flow.space(18 * POINT);
    if let Some(text) = threshold_note(invoice) {
        flow.paragraph(NOTE, text);
    }
    for note in &invoice.counting {
        flow.paragraph(NOTE, &format!("{}: {}", note.product, note.rule));
    }
    if invoice.counting.is_empty() {
        flow.paragraph(NOTE, "Test calls and errors of our own are never on an invoice.");
    }
    teams::page(&mut flow, lines);
    flow.finish(&Meta { title, author: settings.provider_name.clone() })
}

/// Who bills on the left, what it is on the right.
pub fn head(flow: &mut Flow, settings: &Settings, kind: &str, code: &str) {
    let mut from = vec![(FROM, settings.provider_name.clone())];
    from.extend(settings.address_lines().into_iter().map(|line| (TEXT, line)));
    let what = vec![(TITLE, kind.to_owned()), (STRONG, code.to_owned())];
    flow.blocks(&[
        Block { x: 0, width: HALF - COLUMN_GAP, align: Align::Left, texts: from },
        Block { x: HALF, width: HALF, align: Align::Right, texts: what },
    ]);
    flow.space(28 * POINT);
}

/// Names and values, in two columns.
pub fn facts(flow: &mut Flow, left: &[(&str, &String)], right: &[(&str, &str)]) {
    let pair = |(label, value): (&str, &str)| [(LABEL, label.to_owned()), (TEXT, value.to_owned())];
    let left = left.iter().flat_map(|(label, value)| pair((label, value))).collect();
    let right = right.iter().flat_map(|(label, value)| pair((label, value))).collect();
    flow.blocks(&[
        Block { x: 0, width: HALF - COLUMN_GAP, align: Align::Left, texts: left },
        Block { x: HALF, width: HALF, align: Align::Left, texts: right },
    ]);
}

fn columns() -> Vec<Column> {
    let (units, free, amount) = (84 * POINT, 76 * POINT, 96 * POINT);
    let column = |title: &str, width, align| Column { title: title.to_owned(), width, align };
    vec![
        column("For", BODY_WIDTH - units - free - amount, Align::Left),
        column("Units", units, Align::Right),
        column("Of those free", free, Align::Right),
        column("Amount", amount, Align::Right),
    ]
}

fn row(line: &InvoiceLine) -> Row {
    let is_counted =
        matches!(line.kind, LineKind::Usage | LineKind::Meter | LineKind::CreditPackage | LineKind::CreditOverdraft)
            || line.kind == LineKind::Adjustment && line.quantity != 1;
    let has_units = is_counted || line.product.is_some() || line.operation.is_some();
    let units = if has_units { signed(line.quantity) } else { String::new() };
    let free = if has_units { group_thousands(line.free) } else { String::new() };
    let description = match line.prepaid {
        0 => line.description.clone(),
        prepaid => format!("{}, {} of them paid with prepaid credit", line.description, group_thousands(prepaid)),
    };
    Row { cells: vec![description, units, free, line.amount.to_string()], is_sum: false }
}

/// `−1,234`
fn signed(number: i64) -> String {
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}", group_thousands(number.unsigned_abs()))
}

mod teams;
#[cfg(test)]
mod tests;
