//! Stripe Tax: one rate for every address, on top of the price, of invoices and pages that ask for it. An account that has not set it up
//! refuses them; without an address of the customer, or while it fails, a draft cannot become final.

use crate::{account::Account, failure::Failure, params::Params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the account has set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// Of ten thousand: 1500 is 15 %.
    pub basis_points: i64,
    /// Whether it computes nothing for now.
    #[serde(default)]
    pub fails: bool,
}

pub const STATUS_COMPLETE: &str = "complete";

/// As an object has it that asks for no tax.
pub fn off() -> Value {
    json!({ "enabled": false, "liability": null, "status": null, "disabled_reason": null, "provider": null })
}

/// Whether it is asked for.
pub fn wanted(account: &Account, params: &Params) -> Result<bool, Failure> {
    let wanted = params.boolean("automatic_tax[enabled]")?.unwrap_or(false);
    if wanted && account.tax.is_none() {
        let message = "You must have a valid head office address to enable automatic tax calculation.";
        return Err(Failure::invalid(message).param("automatic_tax[enabled]"));
    }
    Ok(wanted)
}

/// How a computation for the customer ends.
pub fn status(account: &Account, customer: &Value) -> &'static str {
    let address = customer.as_str().and_then(|id| account.customers.get(id)).map(|held| &held["address"]["country"]);
    match account.tax {
        None | Some(Tax { fails: true, .. }) => "failed",
        Some(_) if address.is_some_and(Value::is_string) => STATUS_COMPLETE,
        Some(_) => "requires_location_inputs",
    }
}

/// Computes a draft's tax anew, where it asks for that.
pub fn compute(account: &mut Account, invoice: &str) {
    let Some(held) = account.invoices.get(invoice) else { return };
    if held["automatic_tax"]["enabled"] != true || held["status"] != "draft" {
        return;
    }
    let status = status(account, &held["customer"].clone());
    let rate = account.tax.filter(|_| status == STATUS_COMPLETE).map_or(0, |tax| tax.basis_points);
    account.tax_rates.insert(invoice.to_owned(), rate);
    if let Some(held) = account.invoices.get_mut(invoice) {
        held["automatic_tax"]["status"] = json!(status);
    }
}

/// The tax on so much, half away from zero.
pub fn on(amount: i64, basis_points: i64) -> i64 {
    (amount * basis_points * 2 + 10_000 * amount.signum()) / 20_000
}

/// That of an invoice.
pub fn rate(account: &Account, invoice: &str) -> i64 {
    account.tax_rates.get(invoice).copied().unwrap_or(0)
}

/// `total_taxes` and `taxes`.
pub fn shown(amount: i64, taxable: i64) -> Value {
    json!([{ "amount": amount, "tax_behavior": "exclusive", "tax_rate_details": { "tax_rate": "txr_1standin" },
        "taxability_reason": "standard_rated", "taxable_amount": taxable, "type": "tax_rate_details" }])
}
