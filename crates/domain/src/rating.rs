//! Rating: usage becomes money, in exact decimals.
//!
//! Steps, in this order: base fee, free units, price of the remaining units, included credit (never below zero). Each
//! line is rounded once, to the smallest coin, half away from zero; the total is the sum of the rounded lines, so what
//! the invoice shows always adds up. One usage line per operation: units are put on the price curve in the order of
//! (product, operation), and each operation pays what the curve rises by while its units are placed.
//!
//! A meter besides units that has a price of its own is a line by itself, on its own curve; included credit pays for it as for
//! units.
//!
//! The invoice, the dashboard's projected bill and the calculator all call [`rate`].

pub mod flat;
pub mod graduated;
pub mod meters;
pub mod per_unit;
pub mod price;
pub mod proration;

use crate::{
    money::{Money, MoneyError},
    plan::PlanTerms,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Units used by one operation in the period. Order and repeats do not matter: equal operations are merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Product code.
    pub product: String,
    /// Operation code.
    pub operation: String,
    pub units: u64,
}

/// What a period came to on one meter of a product besides units: see [`crate::plan::MeterPrice`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterUsed {
    /// Product code.
    pub product: String,
    /// Meter code.
    pub meter: String,
    pub quantity: u64,
}

/// Why a line is on the invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    BaseFee,
    Usage,
    /// A meter besides units.
    Meter,
    IncludedCredit,
    /// What an earlier period costs more since late units of it came.
    Adjustment,
}

impl LineKind {
    pub const fn code(self) -> &'static str {
        match self {
            Self::BaseFee => "base_fee",
            Self::Usage => "usage",
            Self::Meter => "meter",
            Self::IncludedCredit => "included_credit",
            Self::Adjustment => "adjustment",
        }
    }
}

/// A line of an invoice, rounded to the smallest coin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub kind: LineKind,
    /// Product code, for usage and meters.
    pub product: Option<String>,
    /// Operation code, for usage.
    pub operation: Option<String>,
    /// Meter code, for meters.
    pub meter: Option<String>,
    /// Units, for usage and meters; 1 for a fee.
    pub quantity: u64,
    /// Of those, how many were free.
    pub free: u64,
    pub amount: Money,
}

/// All lines of a period and their sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rated {
    pub charges: Vec<Charge>,
    pub total: Money,
}

/// What a period of usage costs under these terms, without meters besides units.
pub fn rate(terms: &PlanTerms, used: &[Used]) -> Result<Rated, MoneyError> {
    rate_all(terms, used, &[])
}

/// What a period costs under these terms. A meter without a price costs nothing and has no line.
pub fn rate_all(terms: &PlanTerms, used: &[Used], metered: &[MeterUsed]) -> Result<Rated, MoneyError> {
    let mut charges = Vec::new();
    charges.extend(flat::base_fee(terms));
    let mut usage_total = Money::zero(terms.currency);
    let mut placed = 0_u64;
    for Used { product, operation, units } in merged(used) {
        let before = terms.price.cost(placed)?;
        let after_units = placed.checked_add(units).ok_or(MoneyError::TooLarge)?;
        let rise: Decimal = terms.price.cost(after_units)?.checked_sub(before).ok_or(MoneyError::TooLarge)?;
        let free = terms.price.free_units().saturating_sub(placed).min(units);
        let amount = Money::from_decimal_rounded(terms.currency, rise)?;
        placed = after_units;
        usage_total = usage_total.checked_add(amount)?;
        charges.push(Charge {
            kind: LineKind::Usage,
            product: Some(product),
            operation: Some(operation),
            meter: None,
            quantity: units,
            free,
            amount,
        });
    }
    for charge in meters::charges(terms, metered)? {
        usage_total = usage_total.checked_add(charge.amount)?;
        charges.push(charge);
    }
    let credit = terms.included_credit_micros.min(usage_total.micros);
    if credit > 0 {
        charges.push(Charge {
            kind: LineKind::IncludedCredit,
            product: None,
            operation: None,
            meter: None,
            quantity: 1,
            free: 0,
            amount: Money::new(terms.currency, -credit),
        });
    }
    let total = charges.iter().try_fold(Money::zero(terms.currency), |sum, charge| sum.checked_add(charge.amount))?;
    Ok(Rated { charges, total })
}

fn merged(used: &[Used]) -> Vec<Used> {
    let mut sorted: Vec<Used> = used.iter().filter(|line| line.units > 0).cloned().collect();
    sorted.sort_by(|a, b| (&a.product, &a.operation).cmp(&(&b.product, &b.operation)));
    sorted.dedup_by(|next, kept| {
        let same = next.product == kept.product && next.operation == kept.operation;
        if same {
            kept.units = kept.units.saturating_add(next.units);
        }
        same
    });
    sorted
}

#[cfg(test)]
mod tests;
