//! Overdraft: how far below zero a plan lets the balance go, and what the units beyond it cost. They are billed in arrears, by whole hours:
//! units that no grant had in the hour of their calls are on the first invoice whose period ends when that hour is over, and no grant that
//! begins later pays them before. With that invoice they are paid for, and the balance is at zero again.

use crate::{
    money::{Currency, Money, MoneyError},
    plan::Problem,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

const MOST_UNITS: u64 = 100_000_000_000;
/// A larger one is a slip of the pen.
const LARGEST_UNIT_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
const MOST_DECIMALS: u32 = 12;

/// What a plan that has one says of a balance below zero. One that has none lets it go there by nobody's will, and what was used there
/// is owed to the next grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overdraft {
    /// Units below zero that calls may take. With none calls are refused at zero, and what takes the balance below it all the same is billed.
    pub units: u64,
    /// What each unit costs, in the plan's currency.
    pub unit_price: Decimal,
}

impl Overdraft {
    /// What so many units cost, rounded to the coin, half away from zero.
    ///
    /// # Errors
    /// More than an amount can hold.
    pub fn cost(unit_price: Decimal, units: u64, currency: Currency) -> Result<Money, MoneyError> {
        let cost = Decimal::from(units).checked_mul(unit_price).ok_or(MoneyError::TooLarge)?;
        Money::from_decimal_rounded(currency, cost)
    }

    pub(crate) fn problems(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: &str| {
            problems.push(Problem::new(format!("admission.credit.overdraft.{field}"), message));
        };
        if self.units > MOST_UNITS {
            add("units", "An overdraft is 0 to 100,000,000,000 units");
        }
        if self.unit_price.is_sign_negative() && !self.unit_price.is_zero() {
            add("unit_price", "A price is zero or more");
        } else if self.unit_price > LARGEST_UNIT_PRICE {
            add("unit_price", "A price is at most 1,000,000");
        } else if self.unit_price.scale() > MOST_DECIMALS {
            add("unit_price", "A price has at most twelve decimals");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_below_zero_cost_their_price_rounded_once() {
        let cost = |price: &str, units| {
            let price = price.parse().expect("a decimal");
            Overdraft::cost(price, units, Currency::Usd).map(|cost| cost.to_string())
        };
        assert_eq!(cost("0.005", 333), Ok("$1.67".to_owned()), "1.665");
        assert_eq!(cost("0", 333), Ok("$0.00".to_owned()));
        assert_eq!(cost("1000000", u64::MAX), Err(MoneyError::TooLarge));
    }

    #[test]
    fn figures_that_are_slips_of_the_pen_are_told() {
        let told = |units, price: &str| {
            let mut problems = Vec::new();
            Overdraft { units, unit_price: price.parse().expect("a decimal") }.problems(&mut problems);
            problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert_eq!(told(0, "0"), Vec::<String>::new());
        assert_eq!(
            told(100_000_000_001, "-0.01"),
            ["admission.credit.overdraft.units", "admission.credit.overdraft.unit_price"]
        );
        assert_eq!(told(1, "1000001"), ["admission.credit.overdraft.unit_price"]);
        assert_eq!(told(1, "0.0000000000001"), ["admission.credit.overdraft.unit_price"]);
    }
}
