//! Volume: every unit costs what the step costs that the last of them falls into.
//!
//! 0.01 to 100,000, 0.008 to 500,000, 0.005 above, at 650,000 units: 650,000 × 0.005 = 3,250. Which step it is, the period's
//! total decides; so each operation pays that price for its own units, and no share of a curve.

use super::{Used, price::Step, usage::Placed};
use crate::money::MoneyError;
use rust_decimal::Decimal;

/// What a unit costs where there are so many; the steps are in rising order and the last has no end.
pub fn unit_price(units: u64, steps: &[Step]) -> Decimal {
    let reached = steps.iter().find(|step| step.up_to.is_none_or(|end| units <= end));
    reached.or(steps.last()).map_or(Decimal::ZERO, |step| step.unit_price)
}

/// The exact cost of `units`, where there are no others.
pub fn cost(units: u64, steps: &[Step]) -> Result<Decimal, MoneyError> {
    Decimal::from(units).checked_mul(unit_price(units, steps)).ok_or(MoneyError::TooLarge)
}

pub(super) fn place(lines: &[Used], steps: &[Step]) -> Result<Vec<Placed>, MoneyError> {
    let total = lines.iter().try_fold(0_u64, |sum, line| sum.checked_add(line.units)).ok_or(MoneyError::TooLarge)?;
    let price = unit_price(total, steps);
    let placed = |line: &Used| {
        let cost = Decimal::from(line.units).checked_mul(price).ok_or(MoneyError::TooLarge)?;
        Ok(Placed { free: if price.is_zero() { line.units } else { 0 }, cost })
    };
    lines.iter().map(placed).collect()
}
