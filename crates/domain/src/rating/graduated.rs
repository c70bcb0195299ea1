//! Graduated: each step has its own price for the units that fall into it.
//!
//! 0.01 to 100,000, 0.008 for the next 400,000, 0.005 above, at 650,000 units: 1,000 + 3,200 + 750 = 4,950.

use super::price::Step;
use crate::money::MoneyError;
use rust_decimal::Decimal;

/// The exact cost of `units`; the steps are in rising order and the last has no end.
pub fn cost(units: u64, steps: &[Step]) -> Result<Decimal, MoneyError> {
    let mut total = Decimal::ZERO;
    let mut from = 0_u64;
    for step in steps {
        let to = step.up_to.unwrap_or(u64::MAX).min(units);
        let inside = Decimal::from(to.saturating_sub(from));
        let cost = inside.checked_mul(step.unit_price).ok_or(MoneyError::TooLarge)?;
        total = total.checked_add(cost).ok_or(MoneyError::TooLarge)?;
        from = from.max(to);
    }
    Ok(total)
}
