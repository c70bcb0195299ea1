//! Rating: usage becomes money, in exact decimals.
//!
//! Steps, in this order, one file each: [`offers`] of the period are laid over the terms, and what a [`trial`] makes free goes; then base fee ([`flat`]), free units and the price of the others ([`usage`], and [`meters`] for
//! what is measured besides), [`minimum`], [`discount`], [`commitment`], included [`credit`], and last a partner's own [`coupon`]s. Each line is rounded once, to the
//! smallest coin, half away from zero; the total is the sum of the rounded lines, so what the invoice shows always adds up. Where
//! Stripe rates the plan, lines of units are rounded so that they add up to Stripe's ([`by_stripe`]).
//! Usage charges are units, meters, and what the steps after them add and take off; a base fee is none of them, so neither
//! a minimum nor a commitment nor included credit looks at it.
//!
//! Units that prepaid credit paid are paid: the steps see the others only, so they use up no free units, reach no step, and count
//! toward no minimum or commitment.
//!
//! The invoice, the dashboard's projected bill and the calculator all call [`rate`]. Where a period is billed in several invoices
//! ([`threshold`]), each is the same rating less what the others have billed.

pub mod advance;
mod by_stripe;
pub mod commitment;
pub mod coupon;
mod credit;
pub mod discount;
pub mod flat;
pub mod graduated;
pub mod late;
pub mod matrix;
pub mod meters;
mod minimum;
pub mod offers;
pub mod package;
pub mod per_unit;
pub mod percentage;
pub mod plan_period;
pub mod price;
pub mod proration;
pub mod quote;
pub mod teams;
pub mod threshold;
pub mod trial;
mod usage;
pub mod volume;

pub use advance::FeeDue;
pub use plan_period::PlanPeriod;
pub use threshold::OwnThreshold;
pub use trial::Trial;

use crate::{
    money::{Money, MoneyError},
    plan::PlanTerms,
};
use serde::{Deserialize, Serialize};

/// Units used by one operation in the period. Order and repeats do not matter: equal operations are merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Product code.
    pub product: String,
    /// Operation code.
    pub operation: String,
    pub units: u64,
    /// Of those, how many prepaid credit paid: they are on the line and cost nothing.
    #[serde(default, skip_serializing_if = "is_none")]
    pub prepaid: u64,
}

/// What a period came to on one meter of a product besides units: see [`crate::plan::MeterPrice`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterUsed {
    /// Product code.
    pub product: String,
    /// Meter code.
    pub meter: String,
    pub quantity: u64,
    /// Calls that it measured: a percentage has a fixed part for each.
    #[serde(default)]
    pub calls: u64,
}

/// Why a line is on the invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    BaseFee,
    Usage,
    /// A meter besides units.
    Meter,
    /// What is missing to the plan's minimum.
    Minimum,
    /// Below zero.
    Discount,
    /// The discount for a commitment; below zero.
    CommittedUse,
    /// What is missing to the commitment.
    Commitment,
    IncludedCredit,
    /// What an earlier period costs more since late units of it came.
    Adjustment,
    /// Prepaid units, on an invoice of their own.
    CreditPackage,
    /// Units that were used beyond the prepaid ones.
    CreditOverdraft,
    /// What threshold invoices of the same period have billed, or what was credited on one that is void: below zero. Above zero what was credited
    /// on one, of what costs less by now.
    BilledBefore,
}

impl LineKind {
    pub const ALL: [Self; 12] = [
        Self::BaseFee,
        Self::Usage,
        Self::Meter,
        Self::Minimum,
        Self::Discount,
        Self::CommittedUse,
        Self::Commitment,
        Self::IncludedCredit,
        Self::Adjustment,
        Self::CreditPackage,
        Self::CreditOverdraft,
        Self::BilledBefore,
    ];

    pub const fn code(self) -> &'static str {
        match self {
            Self::BaseFee => "base_fee",
            Self::Usage => "usage",
            Self::Meter => "meter",
            Self::Minimum => "minimum",
            Self::Discount => "discount",
            Self::CommittedUse => "committed_use",
            Self::Commitment => "commitment",
            Self::IncludedCredit => "included_credit",
            Self::Adjustment => "adjustment",
            Self::CreditPackage => "credit_package",
            Self::CreditOverdraft => "credit_overdraft",
            Self::BilledBefore => "billed_before",
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
    /// What it is, for people, where no code and no kind says it all.
    pub label: Option<String>,
    /// Units, for usage and meters; 1 for a fee.
    pub quantity: u64,
    /// Of those, how many were free.
    pub free: u64,
    /// Of those, how many prepaid credit paid. None of them is free besides.
    #[serde(default, skip_serializing_if = "is_none")]
    pub prepaid: u64,
    pub amount: Money,
    /// The plan's offer that it is by, where it is not by the list price: `Launch offer until 31 March 2027`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
}

impl Charge {
    /// These words for it, with the offer that it is by.
    pub fn described(&self, words: String) -> String {
        match &self.offer {
            Some(offer) => format!("{words}, {offer}"),
            None => words,
        }
    }

    fn new(kind: LineKind, amount: Money) -> Self {
        Self {
            kind,
            product: None,
            operation: None,
            meter: None,
            label: None,
            quantity: 1,
            free: 0,
            prepaid: 0,
            amount,
            offer: None,
        }
    }
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
    let mut charges: Vec<Charge> = flat::base_fee(terms).into_iter().collect();
    let mut fee = sum(terms, &charges)?;
    let mut of_usage = usage::charges(terms, used)?;
    of_usage.extend(meters::charges(terms, metered)?);
    of_usage.extend(minimum::charge(terms, sum(terms, &of_usage)?));
    charges.extend(of_usage.iter().cloned());

    let mut usage = sum(terms, &of_usage)?;
    charges.extend(discount::charges(&terms.discounts, &mut fee, &mut usage)?);
    if let Some(commitment) = &terms.commitment {
        let promised = commitment.charges(usage)?;
        usage = usage.checked_add(sum(terms, &promised)?)?;
        charges.extend(promised);
    }
    charges.extend(credit::charge(terms, usage));
    for charge in &mut charges {
        charge.offer = terms.offered.of(charge).map(str::to_owned);
    }
    let total = sum(terms, &charges)?;
    Ok(Rated { charges, total })
}

/// What most usage has not is not written down.
fn is_none(units: &u64) -> bool {
    *units == 0
}

fn sum(terms: &PlanTerms, charges: &[Charge]) -> Result<Money, MoneyError> {
    charges.iter().try_fold(Money::zero(terms.currency), |sum, charge| sum.checked_add(charge.amount))
}

#[cfg(test)]
mod tests;
