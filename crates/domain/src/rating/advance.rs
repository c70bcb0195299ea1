//! A base fee in advance: the fee alone, less its discounts, for a period or a part of it, and what of it is given back where the plan
//! ends within what is paid.
//!
//! $30.00 for June, paid on the 1st, and another plan from the 11th on: $10.00 of it were for the part that ran, $20.00 are given back.

use super::{PlanPeriod, Rated, price::Price, proration, rate};
use crate::{
    money::{Money, MoneyError},
    period::Period,
    plan::PlanTerms,
};
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

/// The fee's lines for `part` of that period of the plan, which is all of `whole`, and their sum.
pub fn fee(terms: &PlanTerms, period: PlanPeriod, part: Period, whole: Period) -> Result<Rated, MoneyError> {
    let mut only = terms.in_force(period);
    (only.price, only.commitment) = (Price::Free, None);
    only.meters.clear();
    (only.minimum_micros, only.included_credit_micros) = (0, 0);
    rate(&proration::for_part(&only, part, whole)?, &[])
}

/// What is given back of `paid`, which was for `part`, where the plan ran `ran` of it; before coupons, see [`less_coupons`]. Never below
/// zero.
pub fn unused(
    terms: &PlanTerms,
    period: PlanPeriod,
    paid: Money,
    (part, ran): (Period, Period),
    whole: Period,
) -> Result<Money, MoneyError> {
    let due = match fee(terms, period, part, whole)?.total == paid {
        true => fee(terms, period, ran, whole)?.total,
        // It was paid on a page, which was opened on a day with another offer.
        false => proration::of_money(paid, ran, part)?,
    };
    Ok(Money { micros: paid.micros.saturating_sub(due.micros).max(0), ..paid })
}

/// What a coupon that took `taken` off the fee has again for its period where `back` of the fee is given back before coupons: its part of
/// what is not paid out as it was never paid, rounded down. All coupons together took `coupons`.
///
/// # Errors
/// An amount is too large.
pub fn back_to_coupon(back: Money, fee: Money, coupons: Money, taken: Money) -> Result<Money, MoneyError> {
    let unpaid = back.micros.saturating_sub(less_coupons(back, fee, coupons)?.micros).max(0);
    if coupons.micros <= 0 {
        return Ok(Money::zero(fee.currency));
    }
    let coin = i128::from(fee.currency.micros_per_minor());
    let share = i128::from(unpaid).checked_mul(i128::from(taken.micros.max(0))).ok_or(MoneyError::TooLarge)?;
    let coins = share / (i128::from(coupons.micros) * coin);
    let micros = i64::try_from(coins * coin).map_err(|_| MoneyError::TooLarge)?;
    Ok(Money { micros: micros.min(taken.micros), ..fee })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn what_was_paid_by_the_offer_of_the_day_before_is_given_back_as_it_was_paid() {
        let terms = r#"{"currency":"USD","products":[],"base_fee_micros":99000000,"fee_due":"advance",
            "promotions":[{"name":"Launch","until":"2027-03-31","instead":{"base_fee_micros":49000000}}]}"#;
        let terms: PlanTerms = serde_json::from_str(terms).expect("terms");
        let at = |text: &str| text.parse().expect("a timestamp");
        let back = |day: &str, paid: i64| {
            let whole = Period { start: at("2027-04-01T00:00:00Z"), end: at("2027-05-01T00:00:00Z") };
            let ran = Period { end: at("2027-04-16T00:00:00Z"), ..whole };
            let period = PlanPeriod::first(day.parse().expect("a day"));
            unused(&terms, period, Money::new(Currency::Usd, paid * 1_000_000), (whole, ran), whole)
                .expect("fits")
                .to_string()
        };
        assert_eq!([back("2027-04-01", 99), back("2027-03-31", 49)], ["$49.50", "$24.50"]);
        assert_eq!(back("2027-04-01", 49), "$24.50", "paid as it was on 31 March");
        assert_eq!(back("2027-03-31", 99), "$49.50", "paid as it was before the offer");
    }

    #[test]
    fn what_is_neither_used_nor_paid_out_goes_back_to_the_coupons_in_whole_coins() {
        let usd = |cents: i64| Money::new(Currency::Usd, cents * 10_000);
        let again = |back, fee, coupons, taken| {
            back_to_coupon(usd(back), usd(fee), usd(coupons), usd(taken)).expect("fits").to_string()
        };
        // Of 30.00, a coupon took 20.00; 20 of 30 days are left: 6.67 are paid out, 13.33 go back.
        assert_eq!(again(2_000, 3_000, 2_000, 2_000), "$13.33");
        assert_eq!(again(2_000, 3_000, 3_000, 3_000), "$20.00", "nothing was paid");
        assert_eq!([again(2_000, 3_000, 2_000, 1_500), again(2_000, 3_000, 2_000, 500)], ["$9.99", "$3.33"]);
        assert_eq!([again(2_000, 3_000, 0, 0), again(0, 3_000, 2_000, 2_000)], ["$0.00", "$0.00"]);
    }
}
