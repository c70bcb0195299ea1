//! The doors at which bills are seen: invoices as JSON, CSV and JSON Lines, their pages, their lines opened, late usage, credit notes and
//! prepaid credit.

use super::{
    calendar::{self, DAY},
    html::{self, cents},
    installation::Installation,
    ledger::{Bill, Operation, Stretch},
    partner::{LARGE, Partner, SMALL},
    rows,
    table::Table,
    usage_doors::NAMES,
};
use crate::Trouble;
use serde_json::Value;

/// The invoices by the parts that they are for, oldest first.
const PARTS: [&str; 3] = [NAMES[0], NAMES[1], NAMES[3]];

/// A line, wherever it was read.
struct Line<'a> {
    kind: &'a str,
    operation: Option<Operation>,
    quantity: i64,
    prepaid: i64,
    /// In cents.
    amount: i64,
}

/// Looks at the partner's bills at all doors, and writes down what they have to be.
pub(super) async fn look(own: &Installation, partner: &mut Partner, table: &mut Table) -> Result<(), Trouble> {
    expect(own, partner, table);
    let invoices = own.invoices(partner).await?;
    if invoices.len() != PARTS.len() {
        return Err(format!("{} has {} invoices", partner.code, invoices.len()).into());
    }
    let mut of_month = 0;
    for (part, invoice) in PARTS.into_iter().zip(&invoices) {
        let name = format!("{} {part}", partner.code);
        let total = cents(text(&invoice["total"]["amount"])?).ok_or("a total that is none")?;
        table.saw("invoice", format!("{name}: total"), total);
        let id = text(&invoice["id"])?;
        let units = as_json(own, partner, &name, id, table).await?;
        of_month += if part == NAMES[3] { 0 } else { units };
        as_csv(partner, &name, id, table).await?;
        as_page(partner, &name, id, table).await?;
    }
    table.saw("invoice", format!("{} month: units", partner.code), of_month);
    lists(own, partner, &invoices, table).await?;
    late(own, partner, table).await?;
    credit(own, partner, table).await
}

fn expect(own: &Installation, partner: &Partner, table: &mut Table) {
    let [before, after, whole, next] = partner.stretches(&own.calendar);
    let ledger = &partner.ledger;
    let mut bills =
        [ledger.bill(before, whole, SMALL), ledger.bill(after, whole, LARGE), ledger.bill(next, next, LARGE)];
    for (number, (part, stretch)) in PARTS.into_iter().zip([before, after, next]).enumerate() {
        let name = format!("{} {part}", partner.code);
        let (sums, each) = ledger.sums(stretch);
        table.expect(format!("{name}: prepaid units"), sums.prepaid);
        for (operation, sums) in Operation::ALL.into_iter().zip(each) {
            // Each part by the price that it had.
            let late = [(before, SMALL.unit), (after, LARGE.unit)]
                .map(|(part, unit)| (ledger.adjusted(part, operation, number), unit));
            bills[number].late[operation as usize] = late.iter().map(|(units, unit)| units * unit).sum();
            table.expect_quietly(format!("{name}: prepaid units of {}", operation.code()), sums.prepaid);
            let units = late.iter().map(|(units, _)| units).sum();
            table.expect(format!("{name}: late units of {}", operation.code()), units);
        }
        expect_bill(&name, bills[number], table);
    }
    let credit = ledger.sums(Stretch { from: partner.start, to: next.to }).0.prepaid;
    table.expect(format!("{}: credit that was used", partner.code), credit);
    table.expect(format!("{}: cents of credit notes", partner.code), partner.credited);
    let owed: i64 = bills.iter().map(Bill::total).sum::<i64>() - partner.credited;
    table.expect(format!("{}: cents of all bills, less credit notes", partner.code), owed);
}

fn expect_bill(name: &str, bill: Bill, table: &mut Table) {
    table.expect(format!("{name}: cents of the fee"), bill.fee);
    for operation in Operation::ALL {
        table.expect(format!("{name}: cents of {}", operation.code()), bill.usage[operation as usize]);
        table.expect(format!("{name}: late cents of {}", operation.code()), bill.late[operation as usize]);
    }
    table.expect(format!("{name}: total"), bill.total());
}

/// Writes down what the lines of an invoice say; the units of the part itself.
fn see(door: &'static str, name: &str, lines: &[Line<'_>], table: &mut Table) -> Result<i64, Trouble> {
    let (mut units, mut prepaid, mut fee, mut total) = (0, 0, 0, 0);
    let (mut late_units, mut late_cents) = ([0; 2], [0; 2]);
    for line in lines {
        total += line.amount;
        match (line.kind, line.operation) {
            ("base_fee", _) => fee += line.amount,
            ("usage", Some(of)) => {
                units += line.quantity;
                prepaid += line.prepaid;
                table.saw(door, format!("{name}: units of {}", of.code()), line.quantity);
                table.saw(door, format!("{name}: prepaid units of {}", of.code()), line.prepaid);
                table.saw(door, format!("{name}: cents of {}", of.code()), line.amount);
            }
            ("adjustment", Some(of)) => {
                late_units[of as usize] += line.quantity;
                late_cents[of as usize] += line.amount;
            }
            (kind, _) => return Err(format!("{name}: {door} has a line of {kind}").into()),
        }
    }
    table.saw(door, format!("{name}: units"), units);
    table.saw(door, format!("{name}: prepaid units"), prepaid);
    table.saw(door, format!("{name}: cents of the fee"), fee);
    table.saw(door, format!("{name}: total"), total);
    for of in Operation::ALL {
        table.saw(door, format!("{name}: late units of {}", of.code()), late_units[of as usize]);
        table.saw(door, format!("{name}: late cents of {}", of.code()), late_cents[of as usize]);
    }
    Ok(units)
}

/// `GET /api/invoices/{invoice}`, and each of its lines opened.
async fn as_json(
    own: &Installation,
    partner: &Partner,
    name: &str,
    id: &str,
    table: &mut Table,
) -> Result<i64, Trouble> {
    let path = format!("/api/invoices/{id}");
    let invoice = own.rest.json(&format!("{path}?partner={}", partner.id)).await?;
    let mut lines = Vec::new();
    let mut opened = [false; 2];
    for line in invoice["lines"].as_array().into_iter().flatten() {
        let operation = line["operation"].as_str().and_then(Operation::of_code);
        let (kind, quantity) = (text(&line["kind"])?, whole(&line["quantity"])?);
        lines.push(Line { kind, operation, quantity, prepaid: whole(&line["prepaid"])?, amount: amount(line)? });
        let Some(of) = operation else { continue };
        let late = kind == "adjustment";
        // All late lines of an operation open to the same.
        if late && std::mem::replace(&mut opened[of as usize], true) {
            continue;
        }
        let line = format!("{path}/lines/{}?partner={}&by=day", line["position"], partner.id);
        let sum = whole(&own.rest.json(&line).await?["sum"])?;
        let what = if late { "late units of" } else { "units of" };
        table.saw("line opened", format!("{name}: {what} {}", of.code()), sum);
    }
    see("invoice", name, &lines, table)
}

/// The file that the invoice's page leads to.
async fn as_csv(partner: &mut Partner, name: &str, id: &str, table: &mut Table) -> Result<(), Trouble> {
    let file = partner.browser.page(&format!("/invoices/{id}/lines.csv")).await?;
    let read = rows::read(&file)?;
    let mut lines = Vec::new();
    for row in &read {
        lines.push(Line {
            kind: &row["kind"],
            operation: Operation::of_code(&row["operation"]),
            quantity: row["quantity"].parse()?,
            prepaid: row["prepaid"].parse()?,
            amount: cents(&row["amount"]).ok_or("an amount that is none")?,
        });
    }
    see("lines.csv", name, &lines, table)?;
    Ok(())
}

/// The invoice's page, of which the amounts and units of usage are looked at.
async fn as_page(partner: &mut Partner, name: &str, id: &str, table: &mut Table) -> Result<(), Trouble> {
    let page = partner.browser.page(&format!("/invoices/{id}")).await?;
    for row in html::table(&page, "Lines of the invoice").into_iter().skip(1) {
        let [of, units, _, amount] = &row[..] else { return Err("a row that is too short".into()) };
        let amount = cents(amount).ok_or("an amount that is none")?;
        let named = Operation::ALL.into_iter().find(|one| of.contains(one.name()) && !of.contains(" usage of "));
        match (of.as_str(), named) {
            ("Total", _) => table.saw("invoice page", format!("{name}: total"), amount),
            (text, None) if text.starts_with("Base fee") => {
                table.saw("invoice page", format!("{name}: cents of the fee"), amount)
            }
            (_, Some(of)) => {
                let units = html::number(units).ok_or("a line without units")?;
                table.saw("invoice page", format!("{name}: units of {}", of.code()), units);
                table.saw("invoice page", format!("{name}: cents of {}", of.code()), amount);
            }
            _ => {}
        }
    }
    Ok(())
}

/// All invoices at once: the list as CSV, the portal's list, and the export of lines.
async fn lists(
    own: &Installation,
    partner: &mut Partner,
    invoices: &[Value],
    table: &mut Table,
) -> Result<(), Trouble> {
    let list = rows::read(&own.rest.text(&format!("/api/invoices?partner={}&format=csv", partner.id)).await?)?;
    let page = partner.browser.page("/invoices").await?;
    let page = html::table(&page, "Your invoices, newest first");
    let from = calendar::text(partner.start - DAY);
    let export =
        own.rest.text(&format!("/api/invoices/export?partner={}&from={from}&format=jsonl", partner.id)).await?;
    let export: Vec<Value> = export.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    for (part, invoice) in PARTS.into_iter().zip(invoices) {
        let name = format!("{} {part}", partner.code);
        let (id, code) = (text(&invoice["id"])?, text(&invoice["code"])?);
        let total = list.iter().find(|row| row["id"] == id).and_then(|row| cents(&row["total"]));
        table.saw("list", format!("{name}: total"), total.ok_or("an invoice that the list does not have")?);
        let total =
            page.iter().find(|row| row.first().is_some_and(|own| own == code)).and_then(|row| cents(row.last()?));
        table.saw("invoice page", format!("{name}: total"), total.ok_or("an invoice that the page does not have")?);
        let mut lines = Vec::new();
        for line in export.iter().filter(|line| line["invoice"] == id) {
            lines.push(Line {
                kind: text(&line["kind"])?,
                operation: line["operation"].as_str().and_then(Operation::of_code),
                quantity: whole(&line["quantity"])?,
                prepaid: whole(&line["prepaid"])?,
                amount: cents(text(&line["amount"])?).ok_or("an amount that is none")?,
            });
        }
        see("lines JSONL", &name, &lines, table)?;
    }
    Ok(())
}

/// `GET /api/events/late`: all late and corrected units of the partner.
async fn late(own: &Installation, partner: &Partner, table: &mut Table) -> Result<(), Trouble> {
    let name = format!("{}: late and corrected units", partner.code);
    table.expect(&*name, partner.ledger.adjusted.iter().map(|one| one.units).sum());
    let (mut sum, mut cursor) = (0, String::new());
    loop {
        let path = format!("/api/events/late?partner={}&limit=200&cursor={cursor}", partner.id);
        let list = own.rest.json(&path).await?;
        for late in list["items"].as_array().into_iter().flatten() {
            if late["billed"] != true {
                return Err(format!("late units that no invoice has: {late}").into());
            }
            sum += whole(&late["units"])?;
        }
        match list["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    table.saw("REST", name, sum);
    Ok(())
}

/// Credit notes, and prepaid credit.
async fn credit(own: &Installation, partner: &Partner, table: &mut Table) -> Result<(), Trouble> {
    let notes = own.rest.json(&format!("/api/credit-notes?partner={}", partner.id)).await?;
    let mut credited = 0;
    for note in notes["items"].as_array().into_iter().flatten() {
        credited += cents(text(&note["total"]["amount"])?).ok_or("an amount that is none")?;
    }
    table.saw("invoice", format!("{}: cents of credit notes", partner.code), credited);
    let credit = own.rest.json(&format!("/api/partners/{}/credit", partner.id)).await?;
    table.saw("REST", format!("{}: credit that was used", partner.code), whole(&credit["used"])?);
    Ok(())
}

fn amount(line: &Value) -> Result<i64, Trouble> {
    Ok(cents(text(&line["amount"]["amount"])?).ok_or("an amount that is none")?)
}

fn text(value: &Value) -> Result<&str, Trouble> {
    value.as_str().ok_or_else(|| format!("{value} is no text").into())
}

fn whole(value: &Value) -> Result<i64, Trouble> {
    value.as_i64().ok_or_else(|| format!("{value} is no number").into())
}
