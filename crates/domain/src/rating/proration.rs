//! Part of a period: the base fee is charged for the part, to the second; what is included is not cut.
//!
//! A plan that changes in the middle of a period closes the part before the change and begins another. The fee of each
//! part is `fee × seconds of the part / seconds of the whole period`, rounded once to the smallest coin, half away from
//! zero. Included units and included credit stay whole in each part: a change of plan never makes a unit dearer that the
//! partner had counted on. The end of the whole period is local time, so a month with a clock change is an hour longer or
//! shorter, and the fee follows.
//!
//! $30.00 for June, changed after ten of thirty days: $10.00 and $20.00.

use crate::{
    money::{Money, MoneyError},
    period::Period,
    plan::PlanTerms,
};
use rust_decimal::Decimal;

/// The terms with the base fee of `part` of the period `whole`. A part that reaches beyond the whole counts as far as it
/// lies inside.
pub fn for_part(terms: &PlanTerms, part: Period, whole: Period) -> Result<PlanTerms, MoneyError> {
    let inside = Period { start: part.start.max(whole.start), end: part.end.min(whole.end) };
    let mut prorated = terms.clone();
    if inside != whole {
        let (seconds, of) = (seconds(inside), seconds(whole).max(1));
        let fee = terms.base_fee().to_decimal().checked_mul(Decimal::from(seconds)).ok_or(MoneyError::TooLarge)?;
        prorated.base_fee_micros = Money::from_decimal_rounded(terms.currency, fee / Decimal::from(of))?.micros;
    }
    Ok(prorated)
}

fn seconds(period: Period) -> i64 {
    period.end.duration_since(period.start).as_secs().max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::Currency,
        period::{Cycle, Interval},
    };
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

    proptest! {
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
