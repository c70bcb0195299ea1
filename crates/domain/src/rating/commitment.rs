//! Commitment: usage that a partner promised to buy in each period, and the discount for the promise.
//!
//! First the committed-use discount: each part of the usage charges has the percentage of its step. Then, where less is left
//! than was promised, a line makes up the difference. It is a promise, so other discounts, which come before, do not lower it.
//!
//! 10,000 promised, 5 % off to 10,000 and 15 % off above, with 30,000 of usage: 500 and 3,000 off, 26,500 are left.
//! With 8,000 of usage: 400 off, and 2,400 to the 10,000.

use super::{Charge, LineKind, percentage};
use crate::{
    money::{Currency, Money, MoneyError},
    plan::Problem,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Steps of one commitment's discount.
const MOST_STEPS: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// Usage of each period, in micro-units of the currency.
    pub micros: i64,
    /// Off the usage charges, in rising order; empty where the promise has no discount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<CommitmentStep>,
}

/// What a part of the usage charges has off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitmentStep {
    /// Where the part ends, in micro-units of the currency; the last has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_micros: Option<i64>,
    /// Of a hundred.
    pub percent: Decimal,
}

impl Commitment {
    /// The lines for these usage charges.
    pub(super) fn charges(&self, usage: Money) -> Result<Vec<Charge>, MoneyError> {
        let mut charges = Vec::new();
        let off = Money::from_decimal_rounded(usage.currency, self.discount(usage)?)?;
        let back = Money { micros: -off.micros, ..off };
        if off.micros != 0 {
            let label = Some("Committed-use discount".to_owned());
            charges.push(Charge { label, ..Charge::new(LineKind::CommittedUse, back) });
        }
        let missing = self.micros.saturating_sub(usage.checked_add(back)?.micros);
        if missing > 0 {
            let label = format!("To the commitment of {} for usage", Money { micros: self.micros, ..usage });
            let missing = Money { micros: missing, ..usage };
            charges.push(Charge { label: Some(label), ..Charge::new(LineKind::Commitment, missing) });
        }
        Ok(charges)
    }

    fn discount(&self, usage: Money) -> Result<Decimal, MoneyError> {
        let mut total = Decimal::ZERO;
        let mut from = 0_i64;
        for step in &self.discounts {
            let to = step.up_to_micros.unwrap_or(i64::MAX).min(usage.micros);
            let inside = Money { micros: to.saturating_sub(from).max(0), ..usage };
            let off = percentage::part(inside.to_decimal(), step.percent)?;
            total = total.checked_add(off).ok_or(MoneyError::TooLarge)?;
            from = from.max(to);
        }
        Ok(total)
    }

    /// Whether there are more steps than anybody reads.
    pub(crate) fn size_problem(&self) -> Option<Problem> {
        let message = "A commitment's discount has at most 100 steps";
        (self.discounts.len() > MOST_STEPS).then(|| Problem::new("commitment.discounts", message))
    }

    pub(crate) fn problems(&self, currency: Currency, largest: i64) -> Vec<Problem> {
        let mut problems = Vec::new();
        let fits = |micros: i64| (1..=largest).contains(&micros) && micros % currency.micros_per_minor() == 0;
        if !fits(self.micros) {
            let message = "A commitment is more than zero and at most 1,000,000,000, in whole coins of the currency";
            problems.push(Problem::new("commitment.amount", message));
        }
        let mut from = 0;
        for (index, step) in self.discounts.iter().enumerate() {
            let mut add = |field: &str, message: &str| {
                problems.push(Problem::new(format!("commitment.discounts[{index}].{field}"), message));
            };
            let is_last = index + 1 == self.discounts.len();
            match step.up_to_micros {
                None if !is_last => add("up_to", "Only the last step has no end"),
                Some(_) if is_last => add("up_to", "The last step has no end: leave its \"up to\" empty"),
                Some(end) if !fits(end) || end <= from => {
                    add("up_to", "Each step ends later than the one before it, in whole coins of the currency");
                }
                _ => {}
            }
            from = step.up_to_micros.unwrap_or(from);
            if let Some(message) = percentage::percent_problem(step.percent) {
                add("percent", message);
            }
        }
        problems
    }
}
