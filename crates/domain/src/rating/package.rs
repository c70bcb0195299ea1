//! Package: some units are included, further ones are sold in packages, and a package that is begun is paid whole.
//!
//! 1,000 included, then 20.00 for each 10,000, at 21,001 units: 20,001 of them begin three packages, 60.00.

use crate::money::MoneyError;
use rust_decimal::Decimal;

/// The exact cost of `units`. A package of no units is none, and costs nothing.
pub fn cost(units: u64, included: u64, size: u64, package_price: Decimal) -> Result<Decimal, MoneyError> {
    let packages = match size {
        0 => 0,
        size => units.saturating_sub(included).div_ceil(size),
    };
    Decimal::from(packages).checked_mul(package_price).ok_or(MoneyError::TooLarge)
}
