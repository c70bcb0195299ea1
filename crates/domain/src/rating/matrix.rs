//! Matrix: units have a price by product and operation.
//!
//! `createPayment` 0.02, all else of `payments` 0.005, everything else 0.001: what fits best counts, an operation before its
//! product. Included units go to the first operations by name.

use super::{Used, usage::Placed};
use crate::{money::MoneyError, plan::Problem};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The price of one operation, or of a product's others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The product's code.
    pub product: String,
    /// The operation's code; without it the price is for all of the product's that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    pub unit_price: Decimal,
}

/// What a unit of that operation costs.
pub fn unit_price(product: &str, operation: &str, cells: &[Cell], otherwise: Decimal) -> Decimal {
    let of =
        |wanted: Option<&str>| cells.iter().find(|cell| cell.product == product && cell.operation.as_deref() == wanted);
    of(Some(operation)).or_else(|| of(None)).map_or(otherwise, |cell| cell.unit_price)
}

pub(super) fn place(
    lines: &[Used],
    included: u64,
    cells: &[Cell],
    otherwise: Decimal,
) -> Result<Vec<Placed>, MoneyError> {
    let mut left = included;
    let mut placed = Vec::with_capacity(lines.len());
    for line in lines {
        let free = left.min(line.units);
        left -= free;
        let price = unit_price(&line.product, &line.operation, cells, otherwise);
        let cost = Decimal::from(line.units - free).checked_mul(price).ok_or(MoneyError::TooLarge)?;
        placed.push(Placed { free: if price.is_zero() { line.units } else { free }, cost });
    }
    Ok(placed)
}

pub(super) fn problems(cells: &[Cell]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if cells.is_empty() {
        problems.push(Problem::new("price.cells", "Give at least one operation or product its price"));
    }
    for (index, cell) in cells.iter().enumerate() {
        let same = |other: &Cell| (&other.product, &other.operation) == (&cell.product, &cell.operation);
        if cells[..index].iter().any(same) {
            let what = cell.operation.as_deref().unwrap_or("everything else");
            let message = format!("{what} of {} is priced twice; keep one", cell.product);
            problems.push(Problem::new(format!("price.cells[{index}]"), message));
        }
    }
    problems
}
