//! Included credit: taken off a period's usage charges, never below zero and never off the base fee.

use super::{Charge, LineKind};
use crate::{money::Money, plan::PlanTerms};

pub(super) fn charge(terms: &PlanTerms, usage: Money) -> Option<Charge> {
    let credit = terms.included_credit_micros.min(usage.micros);
    (credit > 0).then(|| Charge::new(LineKind::IncludedCredit, Money { micros: -credit, ..usage }))
}
