//! The page of what teams have of the lines, behind those.

use super::{FROM, NOTE, columns, signed};
use app::pages::by_team::{TeamsOfLine, by_team, sum};
use domain::money::{Money, group_thousands};
use paper::{Align, BODY_WIDTH, Block, Flow, POINT, Row, Table};
use store::{InvoiceLine, LineTeam};

/// A table for all teams, on a page of its own; nothing where no usage is a team's.
pub(super) fn page(flow: &mut Flow, lines: &[InvoiceLine]) {
    let lines = TeamsOfLine::of_invoice(lines, "");
    let Some(all) = sum(lines.iter().flat_map(|line| &line.teams)) else { return };
    let mut rows = Vec::new();
    for (name, parts) in by_team(&lines) {
        if let Some(own) = sum(parts.iter().map(|(_, part)| *part)) {
            rows.push(row(name, own, true));
        }
        rows.extend(parts.into_iter().map(|(line, part)| row(words(line, part), of(part), false)));
    }
    rows.push(row("All teams".to_owned(), all, true));
    flow.break_page();
    let title = vec![(FROM, "By team".to_owned())];
    flow.blocks(&[Block { x: 0, width: BODY_WIDTH, align: Align::Left, texts: title }]);
    flow.space(6 * POINT);
    flow.paragraph(
        NOTE,
        "Prices are those of all usage together: each team has its own units at the line's average price, to the last cent of the line.",
    );
    flow.space(12 * POINT);
    flow.table(&Table { columns: columns(), rows });
}

fn of(part: &LineTeam) -> (i64, u64, Money) {
    (part.quantity, part.free, part.amount)
}

fn words(line: &TeamsOfLine, part: &LineTeam) -> String {
    match part.prepaid {
        0 => line.description.clone(),
        prepaid => format!("{}, {} of them paid with prepaid credit", line.description, group_thousands(prepaid)),
    }
}

fn row(what: String, (quantity, free, amount): (i64, u64, Money), is_sum: bool) -> Row {
    Row { cells: vec![what, signed(quantity), group_thousands(free), amount.to_string()], is_sum }
}
