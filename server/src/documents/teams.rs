//! What teams have of invoices' lines: a row for each team and line, and the same beside each line in JSON.

use super::lines::{BilledLine, amount};
use crate::api::csv::Csv;
use serde::Serialize;
use store::LineTeam;
use utoipa::ToSchema;

/// The columns, in the order of [`append`]'s cells.
const COLUMNS: [&str; 18] = [
    "partner",
    "partner_name",
    "invoice",
    "number",
    "period_start",
    "period_end",
    "time_zone",
    "status",
    "position",
    "kind",
    "description",
    "team",
    "team_name",
    "quantity",
    "free",
    "prepaid",
    "currency",
    "amount",
];

/// One team's part of a line. The parts of a line add up to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TeamOut {
    /// Null for usage of no team.
    #[schema(pattern = "^team_[0-9a-f]{32}$")]
    team: Option<String>,
    /// As it was called when the invoice was made; `No team` for usage of none.
    name: String,
    /// Units; below zero where an adjustment takes some back.
    quantity: i64,
    /// Units among them that cost nothing.
    free: u64,
    /// Units among them that prepaid credit paid.
    prepaid: u64,
    /// Decimal text in the currency of the line.
    #[schema(example = "12.50")]
    amount: String,
}

impl TeamOut {
    /// Those of a line.
    pub fn all(teams: Vec<LineTeam>) -> Vec<Self> {
        teams.into_iter().map(Self::from).collect()
    }
}

impl From<LineTeam> for TeamOut {
    fn from(part: LineTeam) -> Self {
        Self {
            team: part.team.map(|id| id.to_string()),
            name: part.label().to_owned(),
            quantity: part.quantity,
            free: part.free,
            prepaid: part.prepaid,
            amount: amount(part.amount),
        }
    }
}

/// An empty file with its heading.
pub fn heading() -> Csv {
    Csv::new(&COLUMNS)
}

/// A row for each team of each line.
pub fn append(csv: &mut Csv, lines: &[BilledLine]) {
    for line in lines {
        for part in &line.teams {
            let text = String::clone;
            csv.row(&[
                text(&line.partner),
                text(&line.partner_name),
                text(&line.invoice),
                text(&line.number),
                text(&line.period_start),
                text(&line.period_end),
                text(&line.time_zone),
                text(&line.status),
                line.position.to_string(),
                text(&line.kind),
                text(&line.description),
                part.team.clone().unwrap_or_default(),
                text(&part.name),
                part.quantity.to_string(),
                part.free.to_string(),
                part.prepaid.to_string(),
                text(&line.currency),
                text(&part.amount),
            ]);
        }
    }
}
