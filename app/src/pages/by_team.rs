//! What of a bill is each team's: a table of teams and their lines, for invoices and for the bill so far.

use crate::components::*;
use domain::money::Money;
use leptos::prelude::*;
use std::collections::HashMap;
use store::{InvoiceLine, LineTeam};

/// With more parts than that, each team has one row of their sum; the file has all.
const MOST_ROWS: usize = 300;

/// A line that is taken apart by team.
pub struct TeamsOfLine {
    /// What it is for.
    pub description: String,
    /// Where the line is opened; `None` where it cannot be.
    pub at: Option<String>,
    pub teams: Vec<LineTeam>,
}

impl TeamsOfLine {
    /// Those of an invoice; `at` is what the address of its page begins with.
    pub fn of_invoice(lines: &[InvoiceLine], at: &str) -> Vec<Self> {
        let own = lines.iter().filter(|line| !line.teams.is_empty());
        let one = |line: &InvoiceLine| Self {
            description: line.description.clone(),
            at: Some(format!("{at}/lines/{}", line.position)),
            teams: line.teams.clone(),
        };
        own.map(one).collect()
    }
}

/// The teams in the order of their lines, each with what it has of them: its name, then line and part.
pub fn by_team(lines: &[TeamsOfLine]) -> Vec<(String, Vec<(&TeamsOfLine, &LineTeam)>)> {
    let mut teams: HashMap<_, Vec<(&TeamsOfLine, &LineTeam)>> = HashMap::new();
    for (line, part) in lines.iter().flat_map(|line| line.teams.iter().map(move |part| (line, part))) {
        teams.entry(part.team).or_default().push((line, part));
    }
    let mut teams: Vec<_> = teams.into_iter().collect();
    teams.sort_by_cached_key(|(team, parts)| {
        (team.is_none(), parts.first().map(|(_, part)| part.name.to_lowercase()), team.map(|id| id.0))
    });
    let name_of =
        |parts: &[(_, &LineTeam)]| parts.first().map_or_else(String::new, |(_, part)| part.label().to_owned());
    teams.into_iter().map(|(_, parts)| (name_of(&parts), parts)).collect()
}

/// The parts' sums: units, free units and amount.
pub fn sum<'a>(parts: impl Iterator<Item = &'a LineTeam>) -> Option<(i64, u64, Money)> {
    parts.fold(None, |sum: Option<(i64, u64, Money)>, part| match sum {
        None => Some((part.quantity, part.free, part.amount)),
        Some((quantity, free, amount)) => Some((
            quantity.saturating_add(part.quantity),
            free.saturating_add(part.free),
            Money { micros: amount.micros.saturating_add(part.amount.micros), ..amount },
        )),
    })
}

/// Nothing where no usage is a team's.
#[component]
pub fn ByTeam(
    lines: Vec<TeamsOfLine>,
    /// The same as a file.
    #[prop(optional, into)]
    file: Option<String>,
) -> impl IntoView {
    let (quantity, free, amount) = sum(lines.iter().flat_map(|line| &line.teams))?;
    let teams = by_team(&lines);
    let is_short = teams.iter().map(|(_, parts)| parts.len() + 1).sum::<usize>() <= MOST_ROWS;
    let left_out = if is_short { 0 } else { teams.len().saturating_sub(MOST_ROWS) };
    let rows = teams.into_iter().take(MOST_ROWS).flat_map(|(name, parts)| rows_of(&name, &parts, is_short));
    let rows: Vec<AnyView> = rows.collect();
    let shortened = (!is_short).then(|| {
        let others = if left_out > 0 { format!(", and {left_out} more teams have none") } else { String::new() };
        let file = if file.is_some() { " The file has all of them." } else { "" };
        format!("There are too many lines to show: each team has one row{others}.{file}")
    });
    let note = "Prices are those of all usage together: each team has its own units at the line's average price, to the last cent of the line.";
    let actions = move || file.clone().map(|href| view! { <a href=href download="">"Download by team"</a> });
    let view = view! {
        <Card title="By team" description=note actions=actions flush=true>
            <DataTable
                caption="Usage by team"
                caption_hidden=true
                columns=vec![
                    Column::text("Team"),
                    Column::text("For"),
                    Column::numeric("Units"),
                    Column::numeric("Of those free"),
                    Column::numeric("Amount"),
                ]
                stack=true
                foot=move || view! {
                    <tr>
                        <Cell label="Team" head=true>"All teams"</Cell>
                        <Cell>{None::<String>}</Cell>
                        <Cell label="Units" numeric=true><SignedFigure value=quantity/></Cell>
                        <Cell label="Of those free" numeric=true><Figure value=free/></Cell>
                        <Cell label="Amount" numeric=true><MoneyText amount=amount/></Cell>
                    </tr>
                }
            >
                {rows}
            </DataTable>
            {shortened.map(|text| view! { <p class="table-note">{text}</p> })}
        </Card>
    };
    Some(view)
}

/// Its lines where they are wanted, and above them their sum where there are several.
fn rows_of(name: &str, parts: &[(&TeamsOfLine, &LineTeam)], with_lines: bool) -> Vec<AnyView> {
    let all = sum(parts.iter().map(|(_, part)| *part)).filter(|_| !with_lines || parts.len() > 1);
    let all = all.map(|of| row(name, view! { <strong>"All lines"</strong> }.into_any(), of));
    let own = parts.iter().filter(|_| with_lines).map(|(line, part)| {
        let what = match &line.at {
            Some(at) => {
                let team = part.team.map_or_else(|| "none".to_owned(), |id| id.to_string());
                view! { <a href=format!("{at}?team={team}")>{line.description.clone()}</a> }.into_any()
            }
            None => line.description.clone().into_any(),
        };
        row(name, what, (part.quantity, part.free, part.amount))
    });
    all.into_iter().chain(own).collect()
}

fn row(name: &str, what: AnyView, (quantity, free, amount): (i64, u64, Money)) -> AnyView {
    let name = name.to_owned();
    view! {
        <tr>
            <Cell label="Team" head=true>{name}</Cell>
            <Cell label="For">{what}</Cell>
            <Cell label="Units" numeric=true><SignedFigure value=quantity/></Cell>
            <Cell label="Of those free" numeric=true><Figure value=free/></Cell>
            <Cell label="Amount" numeric=true><MoneyText amount=amount/></Cell>
        </tr>
    }
    .into_any()
}
