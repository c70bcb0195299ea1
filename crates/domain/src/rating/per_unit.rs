//! Per unit: some are included, each further one costs the same.
//!
//! 50,000 included and 0.005 above, at 73,211 units: 23,211 × 0.005 = 116.055.

use crate::money::MoneyError;
use rust_decimal::Decimal;

/// The exact cost of `units`.
pub fn cost(units: u64, included: u64, unit_price: Decimal) -> Result<Decimal, MoneyError> {
    Decimal::from(units.saturating_sub(included)).checked_mul(unit_price).ok_or(MoneyError::TooLarge)
}
