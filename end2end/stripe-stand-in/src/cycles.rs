//! What a provider has set up at Stripe by hand, made by a test over `/_control/subscriptions`: one price of a unit, billed at the ends of
//! periods that the test names. A draft has the customer's waiting items, and is final an hour later with what the meter had counted
//! until then. What comes after that is on no invoice. Subscriptions of the API are in `subscriptions`.

use crate::{account::Account, failure::Failure, invoices};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long a draft that advances by itself stays one, in seconds.
pub const DRAFT_SECONDS: i64 = 3_600;

/// What a customer is billed for, and when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    pub customer: String,
    /// Of the meter.
    pub event_name: String,
    /// Price of one unit, in the smallest coin.
    pub unit_amount: i64,
    pub currency: String,
    /// Where periods begin and end, in seconds since 1970, ascending.
    pub boundaries: Vec<i64>,
}

/// A period that is over, and its draft.
#[derive(Debug, Clone)]
pub struct Cycle {
    subscription: Subscription,
    start: i64,
    end: i64,
    invoice: Option<String>,
    is_final: bool,
}

pub fn create(account: &mut Account, subscription: Subscription) -> Result<Value, Failure> {
    crate::customers::retrieve(account, &subscription.customer)?;
    if !subscription.boundaries.is_sorted() || subscription.boundaries.len() < 2 {
        return Err(Failure::invalid("boundaries ascend, and there are at least two."));
    }
    for ends in subscription.boundaries.windows(2) {
        let cycle =
            Cycle { subscription: subscription.clone(), start: ends[0], end: ends[1], invoice: None, is_final: false };
        account.cycles.push(cycle);
    }
    Ok(json!({ "periods": subscription.boundaries.len() - 1 }))
}

/// Does what has fallen due: drafts at the ends of periods, and an hour later their lines.
pub fn advance(account: &mut Account) {
    let now = account.now();
    for index in 0..account.cycles.len() {
        let cycle = account.cycles[index].clone();
        if cycle.is_final || now < cycle.end {
            continue;
        }
        if cycle.invoice.is_none() {
            account.cycles[index].invoice = draft(account, &cycle).ok();
        }
        if now >= cycle.end + DRAFT_SECONDS {
            let Some(invoice) = account.cycles[index].invoice.clone() else { continue };
            add_metered(account, &cycle, &invoice);
            let _ = invoices::finalize(account, &invoice, &crate::params::Params::default());
            account.cycles[index].is_final = true;
        }
    }
}

fn draft(account: &mut Account, cycle: &Cycle) -> Result<String, Failure> {
    let Subscription { customer, currency, .. } = &cycle.subscription;
    let form = format!("customer={customer}&currency={currency}&pending_invoice_items_behavior=include");
    let made = invoices::create(account, &crate::params::Params::parse(&form)?)?;
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    if let Some(invoice) = account.invoices.get_mut(&id) {
        invoice["billing_reason"] = json!("subscription_cycle");
        invoice["created"] = json!(cycle.end);
        invoice["period_start"] = json!(cycle.start);
        invoice["period_end"] = json!(cycle.end);
    }
    Ok(id)
}

fn add_metered(account: &mut Account, cycle: &Cycle, invoice: &str) {
    let Subscription { customer, event_name, unit_amount, currency, .. } = &cycle.subscription;
    let units: i64 = account
        .meter_events
        .iter()
        .filter(|event| event.event_name == *event_name && event.customer == *customer)
        .filter(|event| (cycle.start..cycle.end).contains(&event.timestamp))
        .map(|event| event.value)
        .sum();
    let (id, amount) = (account.new_id("ii_1"), units * unit_amount);
    account.invoice_items.add(json!({
        "id": id, "object": "invoiceitem", "amount": amount, "currency": currency, "customer": customer, "date": cycle.end,
        "created": cycle.end, "description": format!("{units} × {event_name}"), "discountable": true, "discounts": [],
        "invoice": invoice, "livemode": false, "metadata": { "stand_in_units": units.to_string() }, "net_amount": amount,
        "parent": null, "period": { "start": cycle.start, "end": cycle.end },
        "pricing": { "type": "price_details", "unit_amount_decimal": unit_amount.to_string() }, "proration": false,
        "quantity": units, "tax_rates": [], "test_clock": null,
    }));
}
