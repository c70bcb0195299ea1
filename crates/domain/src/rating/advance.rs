//! A base fee in advance: the fee alone, less its discounts, for a period or a part of it, and what of it is given back where the plan
//! ends within what is paid.
//!
//! $30.00 for June, paid on the 1st, and another plan from the 11th on: $10.00 of it were for the part that ran, $20.00 are given back.

use super::{Rated, price::Price, proration, rate};
use crate::{
    money::{Money, MoneyError},
    period::Period,
    plan::PlanTerms,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When a base fee is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum FeeDue {
    /// At the end of its period, with what was used.
    #[default]
    Arrears,
    /// When its period begins.
    Advance,
}

impl FeeDue {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Arrears => "arrears",
            Self::Advance => "advance",
        }
    }

    /// Whether it is what most plans have.
    pub fn is_arrears(&self) -> bool {
        *self == Self::Arrears
    }
}

impl std::str::FromStr for FeeDue {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Arrears, Self::Advance].into_iter().find(|due| due.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: arrears or advance"))
    }
}

/// The fee's lines for `part` of the plan's period of that number, and their sum; `trial_until` is when a trial of the plan ends.
pub fn fee(
    terms: &PlanTerms,
    number: u64,
    trial_until: Option<Timestamp>,
    part: Period,
    whole: Period,
) -> Result<Rated, MoneyError> {
    let mut only = terms.in_force(number, trial_until, whole);
    (only.price, only.commitment) = (Price::Free, None);
    only.meters.clear();
    (only.minimum_micros, only.included_credit_micros) = (0, 0);
    rate(&proration::for_part(&only, part, whole)?, &[])
}

/// What is given back of `paid`, which was for `part`, where the plan ran `ran` of it; before coupons, see [`less_coupons`]. Never below
/// zero.
pub fn unused(
    terms: &PlanTerms,
    number: u64,
    trial_until: Option<Timestamp>,
    paid: Money,
    ran: Period,
    whole: Period,
) -> Result<Money, MoneyError> {
    let due = fee(terms, number, trial_until, ran, whole)?.total;
    Ok(Money { micros: paid.micros.saturating_sub(due.micros).max(0), ..paid })
}

/// What is given back where coupons took that much off the fee: the same share of what was paid as of the fee, rounded once.
///
/// # Errors
/// An amount is too large.
pub fn less_coupons(back: Money, fee: Money, coupons: Money) -> Result<Money, MoneyError> {
    let paid = fee.micros.saturating_sub(coupons.micros).max(0);
    if fee.micros <= 0 || coupons.micros <= 0 {
        return Ok(back);
    }
    let coin = i128::from(fee.currency.micros_per_minor());
    let of = i128::from(fee.micros) * coin;
    let share = i128::from(back.micros.max(0)).checked_mul(i128::from(paid)).and_then(|share| share.checked_mul(2));
    let coins = share.and_then(|share| share.checked_add(of)).ok_or(MoneyError::TooLarge)? / (2 * of);
    let micros = i64::try_from(coins * coin).map_err(|_| MoneyError::TooLarge)?;
    Ok(Money { micros, ..fee })
}
