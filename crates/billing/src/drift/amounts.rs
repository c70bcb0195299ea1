//! Our price of a unit in the words of a price of Stripe's: amounts in the smallest coin, tiers, packages.
//!
//! 1,000 units free and 0.005 dollars for each further one are two tiers: `1000: 0; inf: 0.5`.

use domain::{money::Currency, rating::price::Price};
use rust_decimal::Decimal;

/// What a price says of money; a text is empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amount {
    pub billing_scheme: &'static str,
    pub unit_amount: String,
    pub tiers_mode: &'static str,
    pub tiers: Vec<Tier>,
    pub transform_quantity: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub up_to: Option<u64>,
    /// In the smallest coin.
    pub unit_amount: String,
    /// Besides, for the whole tier; empty where there is none.
    pub flat_amount: String,
}

/// Our price in Stripe's words. Prices that Stripe cannot rate are refused where a plan is made.
pub fn of(price: &Price, currency: Currency) -> Amount {
    let coins = |amount: Decimal| in_coins(amount, currency);
    let per_unit = |unit_amount: String| Amount { billing_scheme: "per_unit", unit_amount, ..Amount::default() };
    let tiered = |tiers_mode, tiers| Amount { billing_scheme: "tiered", tiers_mode, tiers, ..Amount::default() };
    let tier = |up_to, amount| Tier { up_to, unit_amount: coins(amount), flat_amount: String::new() };
    match price {
        Price::PerUnit { included: 0, unit_price } => per_unit(coins(*unit_price)),
        Price::PerUnit { included, unit_price } => {
            tiered("graduated", vec![tier(Some(*included), Decimal::ZERO), tier(None, *unit_price)])
        }
        Price::Graduated { steps } => {
            tiered("graduated", steps.iter().map(|step| tier(step.up_to, step.unit_price)).collect())
        }
        Price::Volume { steps } => {
            tiered("volume", steps.iter().map(|step| tier(step.up_to, step.unit_price)).collect())
        }
        Price::Package { size, package_price, .. } => {
            Amount { transform_quantity: packages(*size, "up"), ..per_unit(coins(*package_price)) }
        }
        Price::Free | Price::Percentage(_) | Price::Matrix { .. } => per_unit("0".to_owned()),
    }
}

/// The smallest coins of an amount, without zeros at the end.
fn in_coins(amount: Decimal, currency: Currency) -> String {
    let coins = amount.checked_mul(Decimal::from(10_u64.pow(currency.decimals())));
    coins.unwrap_or(Decimal::MAX).normalize().to_string()
}

/// Stripe's way of writing an amount, as ours: `0.50` is `0.5`.
pub fn same(amount: Option<&str>) -> String {
    let Some(text) = amount else { return String::new() };
    text.parse::<Decimal>().map_or_else(|_| text.to_owned(), |amount| amount.normalize().to_string())
}

/// `100 up`
pub fn packages(size: u64, round: &str) -> String {
    format!("{size} {round}")
}

/// What [`text`] has written: where each tier ends, and what a unit of it costs.
pub fn tiers_of(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("; ").filter_map(|tier| tier.split_once(": "))
}

/// `1000: 0; inf: 0.5`
pub fn text(tiers: &[Tier]) -> String {
    let texts = tiers.iter().map(|tier| {
        let up_to = tier.up_to.map_or_else(|| "inf".to_owned(), |up_to| up_to.to_string());
        let flat = if tier.flat_amount.is_empty() { String::new() } else { format!(" and {}", tier.flat_amount) };
        format!("{up_to}: {}{flat}", tier.unit_amount)
    });
    texts.collect::<Vec<_>>().join("; ")
}
