//! The price of a unit: which model, with which figures.

use super::{
    graduated,
    matrix::{self, Cell},
    package, per_unit,
    percentage::Percentage,
    proration::Share,
    volume,
};
use crate::{
    money::{Currency, Money, MoneyError},
    plan::Problem,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A larger one is a slip of the pen, and with real usage a sum that no invoice can hold.
const LARGEST_UNIT_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

const MOST_STEPS: usize = 100;
const MOST_CELLS: usize = 1_000;

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
    /// All units cost what the step costs that the last of them falls into.
    Volume { steps: Vec<Step> },
    /// `included` units are free, further ones cost `package_price` for each `size` of them that is begun.
    Package {
        #[serde(default)]
        included: u64,
        size: u64,
        package_price: Decimal,
    },
    /// A share of what a meter adds up to; units have no such price.
    Percentage(Percentage),
    /// Each operation has its own price; meters have no such price.
    Matrix {
        #[serde(default)]
        included: u64,
        cells: Vec<Cell>,
        /// What all other units cost.
        otherwise: Decimal,
    },
}

/// One step of a graduated price or of a volume price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The last unit of the step; the last step has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<u64>,
    pub unit_price: Decimal,
}

impl Price {
    /// The exact cost of a whole period's `units`. Where operations differ in price it is that of an operation without one of its own.
    pub fn cost(&self, units: u64) -> Result<Decimal, MoneyError> {
        match self {
            Self::Free => Ok(Decimal::ZERO),
            Self::PerUnit { included, unit_price } => per_unit::cost(units, *included, *unit_price),
            Self::Graduated { steps } => graduated::cost(units, steps),
            Self::Volume { steps } => volume::cost(units, steps),
            Self::Package { included, size, package_price } => package::cost(units, *included, *size, *package_price),
            Self::Percentage(percentage) => percentage.cost(units, 0),
            Self::Matrix { included, otherwise, .. } => per_unit::cost(units, *included, *otherwise),
        }
    }

    /// Units at the start of a period that cost nothing, however many follow.
    pub fn free_units(&self) -> u64 {
        match self {
            Self::Free => u64::MAX,
            Self::PerUnit { included, .. } | Self::Package { included, .. } | Self::Matrix { included, .. } => {
                *included
            }
            Self::Percentage(percentage) => percentage.included,
            Self::Graduated { steps } => {
                let free = steps.iter().take_while(|step| step.unit_price.is_zero());
                free.last().map_or(0, |step| step.up_to.unwrap_or(u64::MAX))
            }
            Self::Volume { steps } if steps.iter().all(|step| step.unit_price.is_zero()) => u64::MAX,
            Self::Volume { .. } => 0,
        }
    }

    /// How many of a whole period's units cost nothing.
    pub fn free_of(&self, units: u64) -> u64 {
        match self {
            Self::Volume { steps } if volume::unit_price(units, steps).is_zero() => units,
            _ => self.free_units().min(units),
        }
    }

    /// Cuts all that belongs to a whole period to a part of it: included units, ends of steps, a cap. See [`super::proration`].
    pub(super) fn cut(&mut self, share: Share, currency: Currency) -> Result<(), MoneyError> {
        match self {
            Self::Free => {}
            Self::PerUnit { included, .. } | Self::Package { included, .. } | Self::Matrix { included, .. } => {
                *included = share.of_units(*included);
            }
            Self::Graduated { steps } => {
                steps.iter_mut().filter_map(|step| step.up_to.as_mut()).for_each(|end| *end = share.of_units(*end));
            }
            Self::Volume { steps } => {
                let whole = steps.clone();
                for (step, pair) in steps.iter_mut().zip(whole.windows(2)) {
                    if let (Some(end), true) = (&mut step.up_to, pair[1].unit_price > pair[0].unit_price) {
                        *end = share.of_units(*end);
                    }
                }
            }
            Self::Percentage(percentage) => {
                percentage.included = share.of_units(percentage.included);
                if let Some(cap) = &mut percentage.cap {
                    *cap = share.of_money(Money::from_decimal_exact(currency, *cap)?)?.to_decimal();
                }
            }
        }
        Ok(())
    }

    /// Whether there are more steps or cells than anybody reads; nothing else is looked at then.
    pub fn size_problem(&self) -> Option<Problem> {
        match self {
            Self::Graduated { steps } | Self::Volume { steps } if steps.len() > MOST_STEPS => {
                Some(Problem::new("price.steps", "A price has at most 100 steps"))
            }
            Self::Matrix { cells, .. } if cells.len() > MOST_CELLS => {
                Some(Problem::new("price.cells", "A price has at most 1,000 operations and products"))
            }
            _ => None,
        }
    }

    /// All that is wrong with the figures.
    pub fn problems(&self, currency: Currency) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |field: String, price: &Decimal| {
            if price.is_sign_negative() && !price.is_zero() {
                problems.push(Problem::new(field, "A price is zero or more"));
            } else if *price > LARGEST_UNIT_PRICE {
                problems.push(Problem::new(field, "A price is at most 1,000,000"));
            } else if price.scale() > 12 {
                problems.push(Problem::new(field, "A price has at most twelve decimals"));
            }
        };
        match self {
            Self::Free => {}
            Self::PerUnit { unit_price, .. } => check("price.unit_price".to_owned(), unit_price),
            Self::Graduated { steps } | Self::Volume { steps } => {
                for (index, step) in steps.iter().enumerate() {
                    check(format!("price.steps[{index}].unit_price"), &step.unit_price);
                }
                problems.extend(step_order_problems(steps));
            }
            Self::Package { size, package_price, .. } => {
                check("price.package_price".to_owned(), package_price);
                if *size == 0 {
                    problems.push(Problem::new("price.size", "A package holds at least one unit"));
                }
            }
            Self::Percentage(percentage) => problems.extend(percentage.problems(currency.decimals())),
            Self::Matrix { cells, otherwise, .. } => {
                check("price.otherwise".to_owned(), otherwise);
                for (index, cell) in cells.iter().enumerate() {
                    check(format!("price.cells[{index}].unit_price"), &cell.unit_price);
                }
                problems.extend(matrix::problems(cells));
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
    if steps.first().is_some_and(|first| first.up_to == Some(0)) {
        problems.push(Problem::new("price.steps[0].up_to", "A step holds at least one unit"));
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
