//! What the stand-in for Stripe holds of a partner. Where we rate, each of our invoices is one there; where Stripe rates, it has the units
//! of each part by the meter, and all else as items. Of a partner whom the server has subscribed there, Stripe rates the month without a
//! change of plan, on the invoice that has our items, too.

use super::{calendar::SECOND, html, installation::Installation, partner::Partner, table::Table, usage_doors::NAMES};
use crate::Trouble;
use serde_json::Value;

const DOOR: &str = "Stripe";

/// Looks at all that is there, and counts it part by part.
pub(super) async fn look(own: &Installation, partner: &Partner, table: &mut Table) -> Result<(), Trouble> {
    let (state, customer) = (own.state().await?, own.customer(partner).await?.ok_or("no customer at Stripe")?);
    let of = |kind: &str| -> Vec<&Value> {
        let all = state[kind].as_array().into_iter().flatten();
        all.filter(|one| one["customer"] == customer.as_str()).collect()
    };
    let (invoices, items, events) = (of("invoices"), of("invoice_items"), of("meter_events"));
    let credited: i64 = of("credit_notes").into_iter().map(cents).sum();
    table.saw(DOOR, format!("{}: cents of credit notes", partner.code), credited);

    let ours = own.invoices(partner).await?;
    let [before, after, _, next] = partner.stretches(&own.calendar);
    let parts = [NAMES[0], NAMES[1], NAMES[3]].into_iter().zip([before, after, next]);
    for ((part, stretch), invoice) in parts.zip(&ours) {
        let name = format!("{} {part}", partner.code);
        let own_items: Vec<&&Value> =
            items.iter().filter(|item| item["metadata"]["turnpike_invoice"] == invoice["id"]).collect();
        let begins = stretch.from.div_euclid(SECOND);
        let rated = items
            .iter()
            .find(|item| item["metadata"]["stand_in_units"].is_string() && item["period"]["start"] == begins);
        let mut total: i64 = own_items.iter().map(|item| cents(item)).sum();
        if partner.is_set_up_by_hand || partner.is_metered && part == NAMES[3] {
            let rated = match partner.is_set_up_by_hand {
                true => rated.map(|rated| cents(rated)),
                false => on_invoice_of(&own_items, &state),
            };
            total += rated.ok_or_else(|| format!("{name}: Stripe has not rated it"))?;
            let (from, to) = (begins, stretch.to.div_euclid(SECOND));
            let within = |event: &&&Value| event["timestamp"].as_i64().is_some_and(|at| from <= at && at < to);
            let units = events.iter().filter(within).filter_map(|event| event["value"].as_i64()).sum();
            let (sums, _) = partner.ledger.sums(stretch);
            table.expect(format!("{name}: units that are not prepaid"), sums.units - sums.prepaid);
            table.saw(DOOR, format!("{name}: units that are not prepaid"), units);
        } else {
            let held = invoices.iter().find(|held| held["metadata"]["turnpike_invoice"] == invoice["id"]);
            let held = held.ok_or_else(|| format!("{name}: Stripe has no invoice"))?;
            table.saw(DOOR, format!("{name}: total"), held["total"].as_i64().ok_or("no total")?);
            // The items name the units.
            let named = own_items.iter().filter_map(|item| item["description"].as_str());
            let of_usage = named.filter(|text| !text.contains(" usage of "));
            table.saw(DOOR, format!("{name}: units"), of_usage.filter_map(units_in).sum());
        }
        table.saw(DOOR, format!("{name}: total"), total);
    }
    // What waits for Stripe's next invoice is owed, too.
    let final_ones = invoices.iter().filter(|invoice| !matches!(invoice["status"].as_str(), Some("draft" | "void")));
    let on_invoices: i64 = final_ones.filter_map(|invoice| invoice["total"].as_i64()).sum();
    let waiting: i64 = items.iter().filter(|item| item["invoice"].is_null()).map(|item| cents(item)).sum();
    let owed = on_invoices + waiting - credited;
    table.saw(DOOR, format!("{}: cents of all bills, less credit notes", partner.code), owed);
    Ok(())
}

/// The cents that Stripe has rated on the one invoice there that our items are on.
fn on_invoice_of(own_items: &[&&Value], state: &Value) -> Option<i64> {
    let invoice = own_items.first()?["invoice"].as_str()?;
    if own_items.iter().any(|item| item["invoice"] != invoice) {
        return None;
    }
    let lines = state["rated_lines"].as_array()?.iter().filter(|line| line["invoice"] == invoice);
    lines.map(cents).reduce(|sum, one| sum + one)
}

fn cents(one: &Value) -> i64 {
    one["amount"].as_i64().unwrap_or_default()
}

/// `Payments, POST /payments: 1,204 units, 30 of them paid by credit`
fn units_in(description: &str) -> Option<i64> {
    html::number(description.split_once(" units")?.0.rsplit(' ').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_from_what_an_item_says() {
        let text = "Payments, POST /payments: 1,204 units, 30 of them paid by credit";
        assert_eq!((units_in(text), units_in("Base fee")), (Some(1_204), None));
    }
}
