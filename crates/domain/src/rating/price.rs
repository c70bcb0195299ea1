//! The price of a unit: which model, with which figures.

use super::{graduated, per_unit};
use crate::{money::MoneyError, plan::Problem};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A larger one is a slip of the pen, and with real usage a sum that no invoice can hold.
const LARGEST_UNIT_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// What units cost, in the plan's currency. Prices are decimal texts in YAML and JSON, as `"0.005"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(tag = "model", rename_all = "snake_case", deny_unknown_fields)]
pub enum Price {
    /// Usage costs nothing.
    #[default]
    Free,
    /// `included` units are free, each further one costs `unit_price`.
    PerUnit {
        #[serde(default)]
        included: u64,
        unit_price: Decimal,
    },
    /// Each step has its own price.
    Graduated { steps: Vec<Step> },
}

/// One step of a graduated price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The last unit of the step; the last step has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<u64>,
    pub unit_price: Decimal,
}

impl Price {
    /// The exact cost of a whole period's `units`.
    pub fn cost(&self, units: u64) -> Result<Decimal, MoneyError> {
        match self {
            Self::Free => Ok(Decimal::ZERO),
            Self::PerUnit { included, unit_price } => per_unit::cost(units, *included, *unit_price),
            Self::Graduated { steps } => graduated::cost(units, steps),
        }
    }

    /// Units at the start of a period that cost nothing.
    pub fn free_units(&self) -> u64 {
        match self {
            Self::Free => u64::MAX,
            Self::PerUnit { included, .. } => *included,
            Self::Graduated { steps } => match steps.first() {
                Some(first) if first.unit_price.is_zero() => first.up_to.unwrap_or(u64::MAX),
                _ => 0,
            },
        }
    }

    /// Replaces every count of units that belongs to a whole period, as included units and the ends of steps.
    pub(super) fn cut_units(&mut self, cut: impl Fn(u64) -> u64) {
        match self {
            Self::Free => {}
            Self::PerUnit { included, .. } => *included = cut(*included),
            Self::Graduated { steps } => {
                steps.iter_mut().filter_map(|step| step.up_to.as_mut()).for_each(|end| *end = cut(*end))
            }
        }
    }

    /// All that is wrong with the figures.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |field: String, price: &Decimal| {
            if price.is_sign_negative() && !price.is_zero() {
                problems.push(Problem::new(field, "A price is zero or more"));
            } else if *price > LARGEST_UNIT_PRICE {
                problems.push(Problem::new(field, "A unit costs at most 1,000,000"));
            } else if price.scale() > 12 {
                problems.push(Problem::new(field, "A price has at most twelve decimals"));
            }
        };
        match self {
            Self::Free => {}
            Self::PerUnit { unit_price, .. } => check("price.unit_price".to_owned(), unit_price),
            Self::Graduated { steps } => {
                for (index, step) in steps.iter().enumerate() {
                    check(format!("price.steps[{index}].unit_price"), &step.unit_price);
                }
                problems.extend(step_order_problems(steps));
            }
        }
        problems
    }
}

fn step_order_problems(steps: &[Step]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if steps.last().is_none_or(|last| last.up_to.is_some()) {
        problems.push(Problem::new("price.steps", "The last step has no end: leave its \"up to\" empty"));
    }
    for (index, pair) in steps.windows(2).enumerate() {
        let rising = matches!((pair[0].up_to, pair[1].up_to), (Some(a), Some(b)) if a < b)
            || (pair[0].up_to.is_some() && pair[1].up_to.is_none());
        if !rising {
            let field = format!("price.steps[{}].up_to", index + 1);
            problems.push(Problem::new(field, "Each step ends later than the one before it"));
        }
    }
    problems
}
