//! Units: which of them are free, and what the others cost, a line for each operation.
//!
//! Units are put on the price curve in the order of (product, operation), and each operation pays what the curve rises by while
//! its units are placed. A volume price and a matrix know no such curve. Units that prepaid credit paid are not placed.

use super::{Charge, LineKind, Used, by_stripe, matrix, price::Price, volume};
use crate::{
    money::{Money, MoneyError},
    plan::{Collect, PlanTerms},
};
use rust_decimal::Decimal;

/// What the units of one operation came to.
pub(super) struct Placed {
    pub free: u64,
    /// Exact.
    pub cost: Decimal,
}

pub(super) fn charges(terms: &PlanTerms, used: &[Used]) -> Result<Vec<Charge>, MoneyError> {
    let lines = merged(used);
    let prepaid: Vec<u64> = lines.iter().map(|line| line.prepaid.min(line.units)).collect();
    let priced = |(line, prepaid): (Used, &u64)| Used { units: line.units - prepaid, ..line };
    let lines: Vec<Used> = lines.into_iter().zip(&prepaid).map(priced).collect();
    let placed = match &terms.price {
        price if terms.collect == Collect::MeterEvents => by_stripe::place(price, terms.currency, &lines)?,
        Price::Volume { steps } => volume::place(&lines, steps)?,
        Price::Matrix { included, cells, otherwise } => matrix::place(&lines, *included, cells, *otherwise)?,
        curve => along(curve, &lines)?,
    };
    let charge = |((line, placed), prepaid): ((Used, Placed), u64)| {
        Ok(Charge {
            product: Some(line.product),
            operation: Some(line.operation),
            quantity: line.units + prepaid,
            free: placed.free,
            prepaid,
            ..Charge::new(LineKind::Usage, Money::from_decimal_rounded(terms.currency, placed.cost)?)
        })
    };
    lines.into_iter().zip(placed).zip(prepaid).map(charge).collect()
}

fn along(curve: &Price, lines: &[Used]) -> Result<Vec<Placed>, MoneyError> {
    let mut before = 0_u64;
    let mut placed = Vec::with_capacity(lines.len());
    for line in lines {
        let after = before.checked_add(line.units).ok_or(MoneyError::TooLarge)?;
        let cost = curve.cost(after)?.checked_sub(curve.cost(before)?).ok_or(MoneyError::TooLarge)?;
        placed.push(Placed { free: curve.free_units().saturating_sub(before).min(line.units), cost });
        before = after;
    }
    Ok(placed)
}

fn merged(used: &[Used]) -> Vec<Used> {
    let mut sorted: Vec<Used> = used.iter().filter(|line| line.units > 0).cloned().collect();
    sorted.sort_by(|a, b| (&a.product, &a.operation).cmp(&(&b.product, &b.operation)));
    sorted.dedup_by(|next, kept| {
        let same = next.product == kept.product && next.operation == kept.operation;
        if same {
            kept.units = kept.units.saturating_add(next.units);
            kept.prepaid = kept.prepaid.saturating_add(next.prepaid);
        }
        same
    });
    sorted
}
