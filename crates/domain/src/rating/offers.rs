//! Offers: what a plan costs instead in some of its periods. They are laid over the terms before anything is rated, so all steps after
//! see the terms of one period and nothing else.
//!
//! - A phase holds for so many periods, one phase after the other, from the period on in which the partner first had the plan, or from the
//!   end of a trial on: three months at 49.00, then 99.00.
//! - A promotion holds from one day to another, both included, so that the list price comes back by itself.
//!
//! An offer names what it replaces and leaves all else alone. The phase comes first, then the promotions: where both name the same, the
//! promotion counts. Two promotions that name the same are never in force on one day.
//!
//! A period has an offer as a whole or not at all, by the day on which it begins in the partner's time zone, or by the day on which the
//! partner came to the plan where that is within it. So a promotion that begins or ends within a period changes nothing in it. A trial has
//! the offers of the first period after it. Like all terms, what an offer says is for a whole period, and cut for a part of one.

mod check;

use super::{Charge, LineKind, PlanPeriod, price::Price};
use crate::plan::{MeterPrice, PlanTerms};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What the plan costs in so many periods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// For the invoice, as `Ramp`.
    pub name: String,
    /// Billing periods, from the end of the phase before on.
    pub periods: u32,
    pub instead: Instead,
}

/// What the plan costs between two days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// For the invoice, as `Launch offer`.
    pub name: String,
    /// The first day; without it, it is in force already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The last day.
    pub until: Date,
    pub instead: Instead,
}

/// What an offer replaces: all that is there, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Instead {
    /// Micro-units of the currency, as all amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_fee_micros: Option<i64>,
    /// Of units, with what is included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Of meters that the plan has a price for; the others keep theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_micros: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_credit_micros: Option<i64>,
}

/// Which offers made terms what they are in a period, in the words of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offered {
    base_fee: Option<String>,
    price: Option<String>,
    /// By product and meter code.
    meters: Vec<(String, String, String)>,
    minimum: Option<String>,
    included_credit: Option<String>,
}

impl Promotion {
    /// Whether periods that begin on that day have it.
    pub fn is_on(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && day <= self.until
    }

    /// `Launch offer until 31 March 2027`.
    pub fn words(&self) -> String {
        format!("{} until {}", self.name.trim(), long_day(self.until))
    }
}

impl Instead {
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The terms with it.
    #[must_use]
    pub fn laid_over(&self, mut terms: PlanTerms) -> PlanTerms {
        let Self { base_fee_micros, price, meters, minimum_micros, included_credit_micros } = self;
        terms.base_fee_micros = base_fee_micros.unwrap_or(terms.base_fee_micros);
        terms.minimum_micros = minimum_micros.unwrap_or(terms.minimum_micros);
        terms.included_credit_micros = included_credit_micros.unwrap_or(terms.included_credit_micros);
        if let Some(price) = price {
            terms.price = price.clone();
        }
        for own in &mut terms.meters {
            if let Some(other) = meters.iter().find(|other| is_of_same(own, other)) {
                own.price = other.price.clone();
            }
        }
        terms
    }

    fn note(&self, words: &str, offered: &mut Offered) {
        let words = || Some(words.to_owned());
        if self.base_fee_micros.is_some() {
            offered.base_fee = words();
        }
        if self.price.is_some() {
            offered.price = words();
        }
        if self.minimum_micros.is_some() {
            offered.minimum = words();
        }
        if self.included_credit_micros.is_some() {
            offered.included_credit = words();
        }
        for MeterPrice { product, meter, .. } in &self.meters {
            offered.meters.retain(|(of, which, _)| (of, which) != (product, meter));
            offered.meters.push((product.clone(), meter.clone(), words().unwrap_or_default()));
        }
    }
}

impl Offered {
    /// The offer that the line is by.
    pub(super) fn of(&self, charge: &Charge) -> Option<&str> {
        let of_meter = || {
            let (product, meter) = (charge.product.as_ref()?, charge.meter.as_ref()?);
            self.meters.iter().find(|(of, which, _)| (of, which) == (product, meter)).map(|(_, _, words)| words)
        };
        let words = match charge.kind {
            LineKind::BaseFee => self.base_fee.as_ref(),
            LineKind::Usage => self.price.as_ref(),
            LineKind::Meter => of_meter(),
            LineKind::Minimum => self.minimum.as_ref(),
            LineKind::IncludedCredit => self.included_credit.as_ref(),
            _ => None,
        };
        words.map(String::as_str)
    }

    /// Leaves the base fee's alone, where usage costs nothing for another reason.
    pub(super) fn without_usage(self) -> Self {
        Self { base_fee: self.base_fee, ..Self::default() }
    }
}

impl PlanTerms {
    /// The terms of that period, with its offers and without any to come.
    pub(super) fn with_offers(mut self, period: PlanPeriod) -> Self {
        if self.phases.is_empty() && self.promotions.is_empty() {
            return self;
        }
        let (phases, promotions) = (std::mem::take(&mut self.phases), std::mem::take(&mut self.promotions));
        let mut offered = Offered::default();
        let number = if period.in_trial { 0 } else { period.number };
        if let Some((phase, nth)) = phase_of(&phases, number) {
            let words = match phase.periods {
                1 => phase.name.trim().to_owned(),
                periods => format!("{} (period {nth} of {periods})", phase.name.trim()),
            };
            phase.instead.note(&words, &mut offered);
            self = phase.instead.laid_over(self);
        }
        for promotion in promotions.iter().filter(|promotion| promotion.is_on(period.begins_on)) {
            promotion.instead.note(&promotion.words(), &mut offered);
            self = promotion.instead.laid_over(self);
        }
        Self { offered, ..self }
    }

    /// All that offers replace by, each with the name of the field that it is in.
    pub fn offers(&self) -> impl Iterator<Item = (String, &Instead)> {
        let phases = self.phases.iter().enumerate();
        let phases = phases.map(|(index, phase)| (format!("phases[{index}].instead"), &phase.instead));
        let promotions = self.promotions.iter().enumerate();
        let promotions = promotions.map(|(index, one)| (format!("promotions[{index}].instead"), &one.instead));
        phases.chain(promotions)
    }

    pub(crate) fn offers_mut(&mut self) -> impl Iterator<Item = &mut Instead> {
        let phases = self.phases.iter_mut().map(|phase| &mut phase.instead);
        phases.chain(self.promotions.iter_mut().map(|one| &mut one.instead))
    }
}

/// The phase of the period of that number, and which of the phase's periods that is, the first being 1.
fn phase_of(phases: &[Phase], number: u64) -> Option<(&Phase, u64)> {
    let mut before = 0_u64;
    for phase in phases {
        let end = before.saturating_add(phase.periods.into());
        if number < end {
            return Some((phase, number - before + 1));
        }
        before = end;
    }
    None
}

fn is_of_same(one: &MeterPrice, other: &MeterPrice) -> bool {
    (&one.product, &one.meter) == (&other.product, &other.meter)
}

/// `31 March 2027`.
pub fn long_day(day: Date) -> String {
    day.strftime("%-d %B %Y").to_string()
}

#[cfg(test)]
mod tests;
