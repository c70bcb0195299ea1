//! Percentage: a share of what a meter adds up to, and a fixed part for each call that it measured, up to a cap.
//!
//! 2.9 % of the cents that were paid and 0.30 a payment, at 40 payments of together 123,456 cents: 1,234.56 × 0.029 = 35.80224
//! and 12.00, together 47.80 after rounding. The cap is the whole line's, for the period; a single call's is the meter's `at_most`.

use crate::{money::MoneyError, plan::Problem};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One hundredth.
const PERCENT: Decimal = Decimal::from_parts(1, 0, 0, false, 2);
const HUNDRED: Decimal = Decimal::ONE_HUNDRED;
/// With more, a share of a fine value would not be exact.
const MOST_DECIMALS: u32 = 6;
/// What a meter's one is worth at most.
const LARGEST_VALUE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// The figures of such a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentage {
    /// Of the meter, free in each period.
    #[serde(default)]
    pub included: u64,
    /// What one of the meter is worth in the plan's currency: `"0.01"` where the API says cents.
    pub unit_value: Decimal,
    /// Of a hundred, as `"2.9"`.
    pub percent: Decimal,
    /// For each call that the meter measured, free ones too.
    #[serde(default)]
    pub fixed: Decimal,
    /// A period costs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Decimal>,
}

impl Percentage {
    /// The exact cost of a period that came to `quantity` in so many calls.
    pub fn cost(&self, quantity: u64, calls: u64) -> Result<Decimal, MoneyError> {
        let value = Decimal::from(quantity.saturating_sub(self.included)).checked_mul(self.unit_value);
        let share = part(value.ok_or(MoneyError::TooLarge)?, self.percent)?;
        let fixed = Decimal::from(calls).checked_mul(self.fixed).ok_or(MoneyError::TooLarge)?;
        let cost = share.checked_add(fixed).ok_or(MoneyError::TooLarge)?;
        Ok(self.cap.map_or(cost, |cap| cost.min(cap)))
    }

    pub(super) fn problems(&self, decimals: u32) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| problems.push(Problem::new(format!("price.{field}"), message));
        if let Some(message) = percent_problem(self.percent) {
            add("percent", message);
        }
        if !(Decimal::ZERO..=LARGEST_VALUE).contains(&self.unit_value) || self.unit_value.scale() > MOST_DECIMALS {
            add("unit_value", "One of the meter is worth 0 to 1,000,000, with at most six decimals, as 0.01 for cents");
        }
        if !(Decimal::ZERO..=LARGEST_VALUE).contains(&self.fixed) || self.fixed.scale() > MOST_DECIMALS {
            add("fixed", "The fixed part is 0 to 1,000,000, with at most six decimals");
        }
        if self.cap.is_some_and(|cap| cap.is_sign_negative() || cap > HUNDRED * LARGEST_VALUE || cap.scale() > decimals)
        {
            add("cap", "The cap is 0 to 100,000,000, in whole coins of the currency");
        }
        problems
    }
}

/// So many percent of an amount, exactly.
pub fn part(amount: Decimal, percent: Decimal) -> Result<Decimal, MoneyError> {
    let hundredfold = amount.checked_mul(percent).ok_or(MoneyError::TooLarge)?;
    hundredfold.checked_mul(PERCENT).ok_or(MoneyError::TooLarge)
}

/// What is wrong with a share that is written as percent.
pub fn percent_problem(percent: Decimal) -> Option<&'static str> {
    let fits = (Decimal::ZERO..=HUNDRED).contains(&percent) && percent.scale() <= MOST_DECIMALS;
    (!fits).then_some("Percent are 0 to 100, with at most six decimals, as 2.9")
}
