//! Meters besides units: each that the plan has a price for, by a price of its own.

use super::{Charge, LineKind, MeterUsed, price::Price};
use crate::{
    money::{Money, MoneyError},
    plan::PlanTerms,
};

/// A line for each priced meter that was used, in the order of the terms.
///
/// 1,500 tokens of which 1,000 are included, at $0.002: $1.00.
pub fn charges(terms: &PlanTerms, metered: &[MeterUsed]) -> Result<Vec<Charge>, MoneyError> {
    let mut charges = Vec::new();
    for priced in &terms.meters {
        let of = || metered.iter().filter(|used| (&used.product, &used.meter) == (&priced.product, &priced.meter));
        let quantity = of().fold(0_u64, |sum, used| sum.saturating_add(used.quantity));
        let calls = of().fold(0_u64, |sum, used| sum.saturating_add(used.calls));
        let cost = match &priced.price {
            Price::Percentage(percentage) if quantity > 0 || calls > 0 => percentage.cost(quantity, calls)?,
            _ if quantity == 0 => continue,
            price => price.cost(quantity)?,
        };
        charges.push(Charge {
            product: Some(priced.product.clone()),
            meter: Some(priced.meter.clone()),
            quantity,
            free: priced.price.free_of(quantity),
            ..Charge::new(LineKind::Meter, Money::from_decimal_rounded(terms.currency, cost)?)
        });
    }
    Ok(charges)
}
