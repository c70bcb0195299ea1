//! What is wrong with offers.

use super::{Instead, Phase, Promotion, is_of_same, long_day};
use crate::{
    money::Money,
    plan::{PlanTerms, Problem},
};

/// Offers of each kind.
const MOST: usize = 20;
/// Of all phases together.
const MOST_PERIODS: u32 = 1_200;
const LONGEST_NAME: usize = 100;

impl PlanTerms {
    /// Whether there are more of them, or more in one of them, than a plan may have.
    pub(crate) fn offers_size_problems(&self) -> Vec<Problem> {
        let too_many = |field: &str, count: usize| {
            (count > MOST).then(|| Problem::new(field, format!("A plan has at most {MOST} {field}")))
        };
        let counts = [("phases", self.phases.len()), ("promotions", self.promotions.len())];
        let mut problems: Vec<Problem> =
            counts.into_iter().filter_map(|(field, count)| too_many(field, count)).collect();
        if !problems.is_empty() {
            return problems;
        }
        for (field, instead) in self.offers() {
            if instead.meters.len() > self.meters.len() {
                let message = "It has prices for more meters than the plan has";
                problems.push(Problem::new(format!("{field}.meters"), message));
                continue;
            }
            let alone = PlanTerms { phases: Vec::new(), promotions: Vec::new(), ..self.with(instead) };
            problems.extend(alone.size_problems().into_iter().map(|problem| within(&field, problem)));
        }
        problems
    }

    pub(crate) fn offer_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let named = self.phases.iter().enumerate().map(|(index, phase)| (format!("phases[{index}]"), &phase.name));
        let also = self.promotions.iter().enumerate().map(|(index, one)| (format!("promotions[{index}]"), &one.name));
        for (field, name) in named.chain(also) {
            let name = name.trim();
            if !(1..=LONGEST_NAME).contains(&name.chars().count()) {
                let message = "Give it a name of 1 to 100 characters, as Launch offer";
                problems.push(Problem::new(format!("{field}.name"), message));
            } else if names.contains(&name) {
                let message = "There are two offers of this name; invoices could not tell them apart";
                problems.push(Problem::new(format!("{field}.name"), message));
            }
            names.push(name);
        }
        problems.extend(phase_problems(&self.phases));
        for (index, one) in self.promotions.iter().enumerate() {
            problems.extend(date_problems(index, one, &self.promotions[..index]));
        }
        for (field, instead) in self.offers() {
            problems.extend(self.instead_problems(instead).into_iter().map(|problem| within(&field, problem)));
        }
        problems
    }

    /// The terms with nothing but what the offer replaces by, where that has a place in them.
    fn with(&self, instead: &Instead) -> Self {
        let mut terms = instead.laid_over(self.clone());
        terms.meters.clone_from(&instead.meters);
        terms
    }

    fn instead_problems(&self, instead: &Instead) -> Vec<Problem> {
        if instead.is_nothing() {
            let message = "Say what it costs instead: base_fee, price, meters, minimum or included_credit";
            return vec![Problem::new("", message)];
        }
        let mut problems = Vec::new();
        for (field, micros) in [
            ("base_fee", instead.base_fee_micros),
            ("minimum", instead.minimum_micros),
            ("included_credit", instead.included_credit_micros),
        ] {
            problems.extend(micros.and_then(|micros| amount_problem(field, Money::new(self.currency, micros))));
        }
        let laid = self.with(instead);
        if instead.price.is_some() {
            problems.extend(laid.unit_price_problems());
        }
        for (index, own) in instead.meters.iter().enumerate() {
            if !self.meters.iter().any(|meter| is_of_same(meter, own)) {
                let message = format!(
                    "The plan has no price for {} of {}, so there is none to replace; give the plan one first",
                    own.meter, own.product
                );
                problems.push(Problem::new(format!("meters[{index}]"), message));
            }
        }
        problems.extend(laid.meter_price_problems());
        problems
    }
}

fn amount_problem(field: &str, amount: Money) -> Option<Problem> {
    let fits = (0..=crate::plan::LARGEST_AMOUNT_MICROS).contains(&amount.micros) && amount.minor_units().is_some();
    let message = "An amount is zero to 1,000,000,000, in whole coins of the currency";
    (!fits).then(|| Problem::new(field, message))
}

fn phase_problems(phases: &[Phase]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, phase) in phases.iter().enumerate().filter(|(_, phase)| phase.periods == 0) {
        let message = format!("{} holds for at least one billing period", phase.name.trim());
        problems.push(Problem::new(format!("phases[{index}].periods"), message));
    }
    let all = phases.iter().fold(0_u32, |sum, phase| sum.saturating_add(phase.periods));
    if all > MOST_PERIODS {
        problems.push(Problem::new("phases", "All phases together hold for at most 1,200 billing periods"));
    }
    problems
}

fn date_problems(index: usize, one: &Promotion, before: &[Promotion]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if one.from.is_some_and(|from| from > one.until) {
        let message = format!("It ends on {}, before it begins", long_day(one.until));
        problems.push(Problem::new(format!("promotions[{index}].until"), message));
        return problems;
    }
    for other in before {
        let first = one.from.max(other.from);
        let meets = first.is_none_or(|first| first <= one.until && first <= other.until);
        let Some(what) = shared(&one.instead, &other.instead).filter(|_| meets) else { continue };
        let day = first.unwrap_or_else(|| one.until.min(other.until));
        let message = format!(
            "{} and {} both replace {what} on {}; end one before the other begins",
            other.name.trim(),
            one.name.trim(),
            long_day(day)
        );
        problems.push(Problem::new(format!("promotions[{index}].from"), message));
    }
    problems
}

/// What both replace.
fn shared(one: &Instead, other: &Instead) -> Option<String> {
    let both = [
        ("the base fee", one.base_fee_micros.is_some() && other.base_fee_micros.is_some()),
        ("the price of units", one.price.is_some() && other.price.is_some()),
        ("the minimum", one.minimum_micros.is_some() && other.minimum_micros.is_some()),
        ("the included credit", one.included_credit_micros.is_some() && other.included_credit_micros.is_some()),
    ];
    let meter = || one.meters.iter().find(|own| other.meters.iter().any(|their| is_of_same(own, their)));
    let named = both.into_iter().find(|(_, is)| *is).map(|(what, _)| what.to_owned());
    named.or_else(|| meter().map(|own| format!("the price of {} of {}", own.meter, own.product)))
}

fn within(field: &str, problem: Problem) -> Problem {
    let field = if problem.field.is_empty() { field.to_owned() } else { format!("{field}.{}", problem.field) };
    Problem { field, ..problem }
}
