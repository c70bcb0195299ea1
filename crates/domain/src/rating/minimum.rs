//! Minimum: what a period's usage costs at the least. Where it costs less, a line makes up the difference.
//!
//! A 5,000 minimum with 1,234.56 of usage: 3,765.44 more. It is a list price, so discounts lower it; included credit pays for it.

use super::{Charge, LineKind};
use crate::{money::Money, plan::PlanTerms};

pub(super) fn charge(terms: &PlanTerms, usage: Money) -> Option<Charge> {
    let missing = terms.minimum_micros.saturating_sub(usage.micros);
    (missing > 0).then(|| Charge {
        label: Some(format!("To the minimum of {} for usage", Money { micros: terms.minimum_micros, ..usage })),
        ..Charge::new(LineKind::Minimum, Money { micros: missing, ..usage })
    })
}
