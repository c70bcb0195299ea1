//! The base fee: one amount for each period, whatever was used.

use super::{Charge, LineKind};
use crate::plan::PlanTerms;

/// The fee's line; none where the plan has no fee.
pub fn base_fee(terms: &PlanTerms) -> Option<Charge> {
    (terms.base_fee_micros != 0).then(|| Charge::new(LineKind::BaseFee, terms.base_fee()))
}
