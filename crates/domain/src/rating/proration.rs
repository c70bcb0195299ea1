//! Part of a period: the base fee and all that is included are for the part, to the second.
//!
//! A plan that changes in the middle of a period closes the part before the change and begins another. Each part has the
//! share `seconds of the part / seconds of the whole period` of the terms:
//!
//! - base fee, minimum, commitment, cap and included credit, rounded once to the smallest coin, half away from zero;
//! - included units and the end of every step of a graduated price, those of meters too, rounded up to the next unit, in the
//!   partner's favour.
//!
//! Prices stay as they are: of a unit, of a package, percentages. Of a volume price and of the discount for a commitment a
//! step's end stays whole where what follows is better for the partner, so that nobody reaches the best step by an hour on
//! the plan; it is for the part where what follows is worse, so that nobody has the best step once for each part.
//!
//! So nobody gains included units by changing the plan back and forth: parts on the same terms have together at most one
//! unit for each part more than the whole period. Minimum, commitment and packages are counted for each part by itself, so
//! parts can cost more than the whole. The end of the whole period is local time, so a month with a clock
//! change is an hour longer or shorter, and the shares follow.
//!
//! $30.00 and 3,000 units for June, changed after ten of thirty days: $10.00 and 1,000 units, then $20.00 and 2,000.

use crate::{
    money::{Currency, Money, MoneyError},
    period::Period,
    plan::PlanTerms,
};
use rust_decimal::Decimal;

/// The terms of `part` of the period `whole`. A part that reaches beyond the whole counts as far as it lies inside.
pub fn for_part(terms: &PlanTerms, part: Period, whole: Period) -> Result<PlanTerms, MoneyError> {
    let inside = Period { start: part.start.max(whole.start), end: part.end.min(whole.end) };
    let mut prorated = terms.clone();
    if inside != whole {
        let share = Share { seconds: seconds(inside), of: seconds(whole).max(1) };
        prorated.base_fee_micros = share.of_money(terms.base_fee())?.micros;
        prorated.included_credit_micros = share.of_money(terms.included_credit())?.micros;
        prorated.minimum_micros = share.of_micros(terms.currency, terms.minimum_micros)?;
        prorated.price.cut(share, terms.currency)?;
        for meter in &mut prorated.meters {
            meter.price.cut(share, terms.currency)?;
        }
        if let Some(commitment) = &mut prorated.commitment {
            commitment.micros = share.of_micros(terms.currency, commitment.micros)?;
            let whole = commitment.discounts.clone();
            for (step, pair) in commitment.discounts.iter_mut().zip(whole.windows(2)) {
                if let (Some(end), true) = (&mut step.up_to_micros, pair[1].percent < pair[0].percent) {
                    *end = share.of_micros(terms.currency, *end)?;
                }
            }
        }
    }
    Ok(prorated)
}

/// How much of the period a part is.
#[derive(Clone, Copy)]
pub(super) struct Share {
    seconds: u64,
    of: u64,
}

impl Share {
    pub(super) fn of_money(self, whole: Money) -> Result<Money, MoneyError> {
        let part = whole.to_decimal().checked_mul(Decimal::from(self.seconds)).ok_or(MoneyError::TooLarge)?;
        Money::from_decimal_rounded(whole.currency, part / Decimal::from(self.of))
    }

    fn of_micros(self, currency: Currency, micros: i64) -> Result<i64, MoneyError> {
        Ok(self.of_money(Money::new(currency, micros))?.micros)
    }

    pub(super) fn of_units(self, whole: u64) -> u64 {
        let part = (u128::from(whole) * u128::from(self.seconds)).div_ceil(u128::from(self.of));
        u64::try_from(part).unwrap_or(whole)
    }
}

/// That part of what a period costs, rounded to the smallest coin.
///
/// # Errors
/// It is too large.
pub fn of_money(whole_cost: Money, part: Period, whole: Period) -> Result<Money, MoneyError> {
    Share { seconds: seconds(part), of: seconds(whole).max(1) }.of_money(whole_cost)
}

/// That part of a period's units, rounded up to the next.
pub fn units_up(units: u64, part: Period, whole: Period) -> u64 {
    Share { seconds: seconds(part), of: seconds(whole).max(1) }.of_units(units)
}

/// That part of a period's units, rounded down.
pub fn units_down(units: u64, part: Period, whole: Period) -> u64 {
    let part = u128::from(units) * u128::from(seconds(part)) / u128::from(seconds(whole).max(1));
    u64::try_from(part).unwrap_or(units)
}

fn seconds(period: Period) -> u64 {
    u64::try_from(period.end.duration_since(period.start).as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::{Cycle, Interval};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn terms(base_fee_micros: i64) -> PlanTerms {
        let text = format!(r#"{{"currency":"USD","products":[],"base_fee_micros":{base_fee_micros}}}"#);
        serde_json::from_str(&text).expect("terms")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn ten_of_thirty_days_cost_a_third() {
        let whole = Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
        let change = at("2026-06-11T00:00:00Z");
        let fee = |part| for_part(&terms(30_000_000), part, whole).expect("fits").base_fee();
        assert_eq!(fee(Period { end: change, ..whole }), Money::new(Currency::Usd, 10_000_000));
        assert_eq!(fee(Period { start: change, ..whole }), Money::new(Currency::Usd, 20_000_000));
        assert_eq!(fee(whole), Money::new(Currency::Usd, 30_000_000));
    }

    #[test]
    fn the_clock_change_makes_the_month_longer() {
        let anchor = at("2026-10-01T00:00:00+02:00");
        let cycle = Cycle { anchor, interval: Interval::Month, time_zone: "Europe/Zurich".to_owned() };
        let whole = cycle.period_at(anchor).expect("a period");
        // 745 hours; the first hour of them.
        let part = Period { start: whole.start, end: whole.start + jiff::SignedDuration::from_hours(1) };
        let fee = for_part(&terms(745_000_000), part, whole).expect("fits").base_fee();
        assert_eq!(fee, Money::new(Currency::Usd, 1_000_000));
    }

    #[test]
    fn all_that_is_included_is_for_the_part() {
        let text = r#"{"currency":"USD","products":[],"included_credit_micros":10000000,
            "price":{"model":"graduated","steps":[{"up_to":1000,"unit_price":"0"},{"up_to":2000,"unit_price":"0.01"},
            {"unit_price":"0.005"}]}}"#;
        let graduated: PlanTerms = serde_json::from_str(text).expect("terms");
        let whole = Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
        let third = Period { end: at("2026-06-11T00:00:00Z"), ..whole };
        let part = for_part(&graduated, third, whole).expect("fits");
        assert_eq!(part.included_credit_micros, 3_330_000);
        assert_eq!(part.price.free_units(), 334);
        // 334 free, to 667 at 0.01, the rest at 0.005: 3.33 + 1.665.
        assert_eq!(part.price.cost(1_000).expect("fits"), "4.995".parse().expect("a decimal"));
        assert_eq!(for_part(&graduated, whole, whole).expect("fits"), graduated);
        let nothing = Period { end: whole.start, ..whole };
        assert_eq!(for_part(&graduated, nothing, whole).expect("fits").price.free_units(), 0);
    }

    #[test]
    fn usage_without_a_price_stays_free() {
        let whole = Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
        let part = for_part(&terms(0), Period { end: at("2026-06-11T00:00:00Z"), ..whole }, whole).expect("fits");
        assert_eq!(part.price.free_units(), u64::MAX);
    }

    proptest! {
        #[test]
        fn parts_never_give_more_free_units_than_the_whole_and_one_each(
            included in 0..u64::MAX - 100,
            mut cuts in proptest::collection::vec(0_i64..2_592_000_000, 1..20),
            graduated: bool,
        ) {
            let whole = Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
            let price = if graduated {
                format!(r#"{{"model":"graduated","steps":[{{"up_to":{included},"unit_price":"0"}},{{"unit_price":"1"}}]}}"#)
            } else {
                format!(r#"{{"model":"per_unit","included":{included},"unit_price":"1"}}"#)
            };
            let plan = PlanTerms { price: serde_json::from_str(&price).expect("a price"), ..terms(0) };
            cuts.sort_unstable();
            let changes = cuts.iter().map(|cut| whole.start + jiff::SignedDuration::from_millis(*cut));
            let edges: Vec<_> = [whole.start].into_iter().chain(changes).chain([whole.end]).collect();
            let free = |pair: &[Timestamp]| {
                let part = for_part(&plan, Period { start: pair[0], end: pair[1] }, whole).expect("fits");
                u128::from(part.price.free_units())
            };
            let sum: u128 = edges.windows(2).map(free).sum();
            let parts = edges.windows(2).count() as u128;
            prop_assert!(sum <= u128::from(included) + parts, "{sum} of {included}");
        }

        #[test]
        fn two_parts_cost_the_whole_to_a_coin(fee in 0_i64..1_000_000, cut in 0_i64..2_592_000) {
            let start = at("2026-06-01T00:00:00Z");
            let whole = Period { start, end: at("2026-07-01T00:00:00Z") };
            let change = start + jiff::SignedDuration::from_secs(cut);
            let plan = terms(fee * 10_000);
            let part = |period| for_part(&plan, period, whole).expect("fits").base_fee_micros;
            let sum = part(Period { end: change, ..whole }) + part(Period { start: change, ..whole });
            prop_assert!((sum - plan.base_fee_micros).abs() <= 10_000, "{sum}");
        }
    }
}
