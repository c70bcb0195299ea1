//! Units of a plan whose invoices Stripe rates: rounded where Stripe rounds, so that both come to the same coin.
//!
//! Stripe knows no operations. It rates the units of each product, has a line for each step that they reach, and rounds that line. So each
//! operation pays what the sum of those rounded lines rises by while its units are placed, and the operations of a product add up to
//! exactly what Stripe bills for it. 3 operations of 5 units at 0.001 are 0.015: Stripe bills 0.02, and so do we, on lines of 0.01, 0.00 and
//! 0.01, where lines that are rounded by themselves would come to 0.03.

use super::{Used, price::Price, usage::Placed, volume};
use crate::money::{Currency, MoneyError};
use rust_decimal::{Decimal, RoundingStrategy};

/// The lines are in the order of (product, operation).
pub(super) fn place(price: &Price, currency: Currency, lines: &[Used]) -> Result<Vec<Placed>, MoneyError> {
    let mut placed = Vec::with_capacity(lines.len());
    for of_product in lines.chunk_by(|one, next| one.product == next.product) {
        let sum = |sum: u64, line: &Used| sum.checked_add(line.units).ok_or(MoneyError::TooLarge);
        let total = of_product.iter().try_fold(0, sum)?;
        let free = price.free_of(total);
        let (mut before, mut paid) = (0_u64, Decimal::ZERO);
        for line in of_product {
            let after = before.checked_add(line.units).ok_or(MoneyError::TooLarge)?;
            let cost = rounded(price, currency, after, total)?;
            let rise = cost.checked_sub(paid).ok_or(MoneyError::TooLarge)?;
            placed.push(Placed { free: free.saturating_sub(before).min(line.units), cost: rise });
            (before, paid) = (after, cost);
        }
    }
    Ok(placed)
}

/// What so many of a product's `total` units come to on lines of Stripe's.
fn rounded(price: &Price, currency: Currency, units: u64, total: u64) -> Result<Decimal, MoneyError> {
    let line = |units: u64, unit_price: Decimal| {
        let exact = Decimal::from(units).checked_mul(unit_price).ok_or(MoneyError::TooLarge)?;
        Ok(in_coins(exact, currency))
    };
    match price {
        Price::Volume { steps } => line(units, volume::unit_price(total, steps)),
        Price::Graduated { steps } => {
            let (mut sum, mut from) = (Decimal::ZERO, 0_u64);
            for step in steps {
                let to = step.up_to.unwrap_or(u64::MAX).min(units).max(from);
                sum = sum.checked_add(line(to - from, step.unit_price)?).ok_or(MoneyError::TooLarge)?;
                from = to;
            }
            Ok(sum)
        }
        other => Ok(in_coins(other.cost(units)?, currency)),
    }
}

fn in_coins(exact: Decimal, currency: Currency) -> Decimal {
    exact.round_dp_with_strategy(currency.decimals(), RoundingStrategy::MidpointAwayFromZero)
}

#[cfg(test)]
mod tests {
    use super::super::{Used, rate};
    use crate::plan::PlanTerms;
    use serde_json::{Value, json};

    fn cents(collect: &str, price: &Value, used: &[(&str, u64)]) -> (Vec<i64>, i64) {
        let terms: PlanTerms = serde_json::from_value(json!({
            "currency": "USD", "products": [{ "product": "a" }], "price": price, "collect": collect,
        }))
        .expect("terms");
        let used: Vec<Used> = used
            .iter()
            .map(|(operation, units)| Used {
                product: "a".to_owned(),
                operation: (*operation).to_owned(),
                units: *units,
                prepaid: 0,
            })
            .collect();
        let rated = rate(&terms, &used).expect("rated");
        let coins = |amount: crate::money::Money| amount.minor_units().expect("whole coins");
        (rated.charges.iter().map(|charge| coins(charge.amount)).collect(), coins(rated.total))
    }

    #[test]
    fn a_product_is_rounded_once_where_stripe_rates_it() {
        let price = json!({ "model": "per_unit", "unit_price": "0.001" });
        let used = [("one", 5), ("three", 5), ("two", 5)];
        assert_eq!(cents("meter_events", &price, &used), (vec![1, 0, 1], 2));
        assert_eq!(cents("invoice_items", &price, &used), (vec![1, 1, 1], 3));
    }

    #[test]
    fn a_step_is_rounded_once_where_stripe_rates_it() {
        let price = json!({ "model": "graduated", "steps": [
            { "up_to": 5, "unit_price": "0.001" }, { "up_to": 10, "unit_price": "0.003" }, { "unit_price": "0.005" }] });
        // 0.5, 1.5 and 0.5 cents are 1, 2 and 1.
        assert_eq!(cents("meter_events", &price, &[("one", 7), ("two", 4)]), (vec![2, 2], 4));
        let volume =
            json!({ "model": "volume", "steps": [{ "up_to": 5, "unit_price": "0.01" }, { "unit_price": "0.001" }] });
        assert_eq!(cents("meter_events", &volume, &[("one", 5), ("two", 10)]), (vec![1, 1], 2));
        let package = json!({ "model": "package", "size": 10, "package_price": "0.015" });
        assert_eq!(cents("meter_events", &package, &[("one", 5), ("two", 6)]), (vec![2, 1], 3));
    }
}
