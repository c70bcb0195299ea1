//! The doors at which usage is seen: the portal's page and its file, the REST API, and the provider's export.

use super::{
    calendar::{self, HOUR, MINUTE, ZONE},
    html,
    installation::Installation,
    ledger::{Operation, Stretch},
    partner::Partner,
    rows,
    table::Table,
};
use crate::{Trouble, portal::encoded};
use serde_json::Value;
use std::collections::HashMap;

/// What the parts of the month are called, in the order of [`Partner::stretches`].
pub(super) const NAMES: [&str; 4] = ["before", "after", "month", "next"];

/// Looks at the partner's usage at all doors, and writes down what the ledger says of it.
pub(super) async fn look(own: &Installation, partner: &mut Partner, table: &mut Table) -> Result<(), Trouble> {
    for (name, stretch) in NAMES.into_iter().zip(partner.stretches(&own.calendar)) {
        let name = format!("{} {name}", partner.code);
        expect(partner, &name, stretch, table);
        page(partner, &name, &address(stretch), table).await?;
        file(partner, &name, stretch, table).await?;
        totals(own, partner, &name, stretch, table).await?;
    }
    let month = partner.stretches(&own.calendar)[2];
    let name = format!("{} month", partner.code);
    // The same by the period's name, as the page's own menu has it.
    page(partner, &name, &format!("period={}", calendar::text(month.from)), table).await?;
    days(own, partner, month, table).await?;
    hours(own, partner, table).await?;
    export(own, partner, month, table).await
}

fn expect(partner: &Partner, name: &str, stretch: Stretch, table: &mut Table) {
    let (whole, each) = partner.ledger.sums(stretch);
    table.expect(format!("{name}: units"), whole.units);
    table.expect(format!("{name}: calls"), whole.calls);
    table.expect_quietly(format!("{name}: refused"), whole.refused);
    for (operation, sums) in Operation::ALL.into_iter().zip(each) {
        table.expect(format!("{name}: units of {}", operation.code()), sums.units);
        table.expect_quietly(format!("{name}: calls of {}", operation.code()), sums.calls);
    }
}

fn address(stretch: Stretch) -> String {
    format!("from={}&to={}", calendar::text(stretch.from), calendar::text(stretch.to))
}

/// The portal's page: the figures at its top and the table of operations.
async fn page(partner: &mut Partner, name: &str, when: &str, table: &mut Table) -> Result<(), Trouble> {
    let page = partner.browser.page(&format!("/usage?{when}&by=operation&environment=live")).await?;
    let figures = html::figures(&page);
    for (label, what) in [("Units", "units"), ("Calls", "calls")] {
        let figure = figures.iter().find(|(own, _)| own == label).and_then(|(_, figure)| html::number(figure));
        table.saw("page", format!("{name}: {what}"), figure.ok_or_else(|| format!("the page shows no {label}"))?);
    }
    for row in html::table(&page, "Usage, most calls first").into_iter().skip(1) {
        let [of, calls, units, ..] = &row[..] else { return Err("a row that is too short".into()) };
        let of =
            of.rsplit(" · ").next().and_then(Operation::of_name).ok_or_else(|| format!("the page shows {of:?}"))?;
        table.saw("page", format!("{name}: calls of {}", of.code()), html::number(calls).ok_or("no number of calls")?);
        table.saw("page", format!("{name}: units of {}", of.code()), html::number(units).ok_or("no number of units")?);
    }
    Ok(())
}

/// The page as a file.
async fn file(partner: &mut Partner, name: &str, stretch: Stretch, table: &mut Table) -> Result<(), Trouble> {
    let file = partner.browser.page(&format!("/usage.csv?{}&environment=live", address(stretch))).await?;
    let mut sums = [0; 3];
    for row in rows::read(&file)? {
        let of = Operation::of_name(&row["operation"]).ok_or("a row of no operation")?;
        let (calls, units) = (number(&row, "calls")?, number(&row, "units")?);
        table.saw("usage.csv", format!("{name}: calls of {}", of.code()), calls);
        table.saw("usage.csv", format!("{name}: units of {}", of.code()), units);
        for (sum, more) in sums.iter_mut().zip([units, calls, number(&row, "refused")?]) {
            *sum += more;
        }
    }
    for (what, sum) in ["units", "calls", "refused"].into_iter().zip(sums) {
        table.saw("usage.csv", format!("{name}: {what}"), sum);
    }
    Ok(())
}

/// `GET /api/usage`, as JSON and as CSV.
async fn totals(
    own: &Installation,
    partner: &Partner,
    name: &str,
    stretch: Stretch,
    table: &mut Table,
) -> Result<(), Trouble> {
    let path = format!("/api/usage?partner={}&{}&environment=live&by=operation", partner.id, address(stretch));
    let usage = own.rest.json(&path).await?;
    if usage["complete"] != true {
        return Err(format!("usage is said to be incomplete: {}", usage["missing"]).into());
    }
    for what in ["units", "calls", "refused"] {
        table.saw("REST", format!("{name}: {what}"), count(&usage["total"][what])?);
    }
    for row in usage["by"].as_array().into_iter().flatten() {
        let of = row["name"].as_str().and_then(Operation::of_name).ok_or("a row of no operation")?;
        table.saw("REST", format!("{name}: units of {}", of.code()), count(&row["total"]["units"])?);
        table.saw("REST", format!("{name}: calls of {}", of.code()), count(&row["total"]["calls"])?);
    }
    for row in rows::read(&own.rest.text(&format!("{path}&format=csv")).await?)? {
        let of = Operation::of_name(&row["name"]).ok_or("a row of no operation")?;
        table.saw("REST CSV", format!("{name}: units of {}", of.code()), number(&row, "units")?);
        table.saw("REST CSV", format!("{name}: calls of {}", of.code()), number(&row, "calls")?);
    }
    Ok(())
}

/// Each local day of the month: the page's chart as a table, `GET /api/usage/series`, and `GET /api/usage/query` by day and operation in
/// both files.
async fn days(own: &Installation, partner: &mut Partner, month: Stretch, table: &mut Table) -> Result<(), Trouble> {
    let midnights = own.calendar.midnights(month.to);
    let mut bounds = midnights.clone();
    bounds[0] = month.from;
    bounds.push(month.to);
    let code = partner.code;
    let name = |begin: i64, what: &str| format!("{code} day {}: {what}", calendar::text(begin));
    let days = partner.ledger.between(&bounds);
    for (begin, sums) in bounds.iter().zip(&days) {
        table.expect_quietly(name(*begin, "units"), sums.units);
        table.expect_quietly(name(*begin, "calls"), sums.calls);
        table.expect_quietly(name(*begin, "served"), sums.calls - sums.refused);
    }
    // Days are named by their midnights, and the first begins later.
    let begin_of = |at: i64| if at == midnights[0] { month.from } else { at };

    let path = format!("partner={}&{}&environment=live", partner.id, address(month));
    let series = own.rest.json(&format!("/api/usage/series?{path}")).await?;
    for day in series["days"].as_array().into_iter().flatten() {
        let at = begin_of(day["day"].as_str().and_then(calendar::read).ok_or("a day without a date")?);
        table.saw("series", name(at, "units"), count(&day["total"]["units"])?);
        table.saw("series", name(at, "calls"), count(&day["total"]["calls"])?);
    }
    let path = format!("/api/usage/query?{path}&window=day&by=operation");
    let mut sums: HashMap<(&str, i64, &str), i64> = HashMap::new();
    for row in rows::read(&own.rest.text(&format!("{path}&format=csv")).await?)? {
        let at = calendar::read(&row["from"]).ok_or("a row without a begin")?;
        for what in ["units", "calls"] {
            *sums.entry(("query CSV", at, what)).or_default() += number(&row, what)?;
        }
    }
    for line in own.rest.text(&format!("{path}&format=jsonl")).await?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let at = row["from"].as_str().and_then(calendar::read).ok_or("a row without a begin")?;
        for what in ["units", "calls"] {
            *sums.entry(("query JSONL", at, what)).or_default() += count(&row["total"][what])?;
        }
    }
    for ((door, at, what), sum) in sums {
        table.saw(door, name(at, what), sum);
    }
    let period = calendar::text(month.from);
    let page = partner.browser.page(&format!("/usage?period={period}&environment=live")).await?;
    let chart = html::table(&page, "By day");
    if chart.len() != days.len() + 1 {
        return Err(format!("the page's chart has {} days", chart.len().saturating_sub(1)).into());
    }
    for (begin, row) in bounds.iter().zip(chart.iter().skip(1)) {
        let served = row.get(1).and_then(|cell| html::number(cell)).ok_or("a day without a number")?;
        table.saw("page", name(*begin, "served"), served);
    }
    Ok(())
}

/// Each hour of the local day on which one comes twice.
async fn hours(own: &Installation, partner: &Partner, table: &mut Table) -> Result<(), Trouble> {
    let from = own.calendar.set_back - 3 * HOUR;
    let bounds: Vec<i64> = (0..=25).map(|hour| from + hour * HOUR).collect();
    let name = |begin: i64| format!("{} hour {}: units", partner.code, calendar::text(begin));
    for (begin, sums) in bounds.iter().zip(partner.ledger.between(&bounds)).filter(|(_, sums)| sums.calls > 0) {
        table.expect_quietly(name(*begin), sums.units);
    }
    let stretch = Stretch { from, to: from + 25 * HOUR };
    let path = format!("/api/usage/query?partner={}&{}&environment=live&window=hour", partner.id, address(stretch));
    let answer = own.rest.json(&path).await?;
    for row in answer["rows"].as_array().into_iter().flatten() {
        let at = row["from"].as_str().and_then(calendar::read).ok_or("a row without a begin")?;
        table.saw("query JSON", name(at), count(&row["total"]["units"])?);
    }
    Ok(())
}

/// The provider's export, of which only this partner's rows are looked at: by local day, as CSV and as JSON Lines.
async fn export(own: &Installation, partner: &Partner, month: Stretch, table: &mut Table) -> Result<(), Trouble> {
    // It is of whole minutes here; what lies before is nobody's, and what is after is the ledger's too.
    let range = Stretch { from: month.from - month.from.rem_euclid(MINUTE), to: month.to };
    let path = format!("/api/export/usage?{}&window=day&time_zone={}&environment=live", address(range), encoded(ZONE));
    let mut sums = [("export CSV", 0, 0), ("export JSONL", 0, 0)];
    for row in rows::read(&own.rest.text(&format!("{path}&format=csv")).await?)? {
        if row["partner_id"] == partner.id {
            sums[0].1 += number(&row, "units")?;
            sums[0].2 += number(&row, "calls")?;
        }
    }
    for line in own.rest.text(&format!("{path}&format=jsonl")).await?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let mut groups = row["groups"].as_array().into_iter().flatten();
        if groups.any(|group| group["by"] == "partner" && group["id"] == partner.id.as_str()) {
            sums[1].1 += count(&row["total"]["units"])?;
            sums[1].2 += count(&row["total"]["calls"])?;
        }
    }
    for (door, units, calls) in sums {
        table.saw(door, format!("{} month: units", partner.code), units);
        table.saw(door, format!("{} month: calls", partner.code), calls);
    }
    Ok(())
}

fn number(row: &HashMap<String, String>, name: &str) -> Result<i64, Trouble> {
    Ok(row.get(name).ok_or_else(|| format!("a file without a column {name}"))?.parse()?)
}

fn count(value: &Value) -> Result<i64, Trouble> {
    value.as_i64().ok_or_else(|| format!("{value} is no number").into())
}
