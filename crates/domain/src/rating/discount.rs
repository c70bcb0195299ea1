//! Discounts: so many percent off the base fee, usage or both, for good or for the first periods of a plan.
//!
//! They are taken one after the other, each off what the one before left, and each is rounded by itself. 20 % and then 10 % off
//! 100.00: 20.00 and 8.00.

use super::{Charge, LineKind, percentage};
use crate::{
    money::{Money, MoneyError},
    plan::Problem,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Discounts of one plan.
const MOST: usize = 10;
const LONGEST_NAME: usize = 100;

/// A promotion, which everybody has who is on the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// For the invoice, as `Launch offer`.
    pub name: String,
    /// Of a hundred.
    pub percent: Decimal,
    #[serde(default)]
    pub on: DiscountOn,
    /// For so many billing periods from the one on in which the partner first had the plan; without it for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub periods: Option<u32>,
}

/// What a discount is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum DiscountOn {
    #[default]
    Everything,
    BaseFee,
    /// Units, meters and what is missing to the minimum.
    Usage,
}

impl DiscountOn {
    pub const ALL: [Self; 3] = [Self::Everything, Self::BaseFee, Self::Usage];

    /// As the set-up file has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::BaseFee => "base_fee",
            Self::Usage => "usage",
        }
    }
}

impl std::str::FromStr for DiscountOn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|on| on.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: everything, base_fee or usage"))
    }
}

impl Discount {
    /// Whether it counts in the plan's period of that number; the first is 0.
    pub fn is_in_force(&self, period: u64) -> bool {
        self.periods.is_none_or(|periods| period < u64::from(periods))
    }

    fn takes_off(&self, what: DiscountOn) -> bool {
        self.on == DiscountOn::Everything || self.on == what
    }
}

/// The lines, of amounts below zero; `fee` and `usage` are what there is, and become what is left.
pub(super) fn charges(discounts: &[Discount], fee: &mut Money, usage: &mut Money) -> Result<Vec<Charge>, MoneyError> {
    let mut charges = Vec::new();
    for discount in discounts {
        for (what, left, of) in
            [(DiscountOn::BaseFee, &mut *fee, "the base fee"), (DiscountOn::Usage, &mut *usage, "usage")]
        {
            if !discount.takes_off(what) || left.micros <= 0 {
                continue;
            }
            let off =
                Money::from_decimal_rounded(left.currency, percentage::part(left.to_decimal(), discount.percent)?)?;
            if off.micros == 0 {
                continue;
            }
            let back = Money { micros: -off.micros, ..off };
            *left = left.checked_add(back)?;
            let label = format!("{}, {} % off {of}", discount.name.trim(), discount.percent.normalize());
            charges.push(Charge { label: Some(label), ..Charge::new(LineKind::Discount, back) });
        }
    }
    Ok(charges)
}

pub(crate) fn problems(discounts: &[Discount]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if discounts.len() > MOST {
        problems.push(Problem::new("discounts", "A plan has at most 10 discounts"));
    }
    for (index, discount) in discounts.iter().enumerate() {
        let mut add = |field: &str, message: &str| {
            problems.push(Problem::new(format!("discounts[{index}].{field}"), message));
        };
        if !(1..=LONGEST_NAME).contains(&discount.name.trim().chars().count()) {
            add("name", "Give it a name of 1 to 100 characters, as Launch offer");
        }
        if discounts[..index].iter().any(|earlier| earlier.name.trim() == discount.name.trim()) {
            add("name", "There are two discounts of this name; invoices could not tell them apart");
        }
        if let Some(message) = percentage::percent_problem(discount.percent) {
            add("percent", message);
        }
        if discount.periods == Some(0) {
            add("periods", "It counts for at least one billing period; leave it out for good");
        }
    }
    problems
}
