//! A bonus for a fee in advance: units that a plan gives once the fee of a period is paid, and not before.
//!
//! A fee for a part of a period gives its share of them, by the second, rounded up. Where the plan ends before what was paid for is over, what
//! is unused of the share for the rest goes back, as that part of the fee does.

use super::allotment::earned;
use crate::{period::Period, plan::Problem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const MOST_UNITS: u64 = 100_000_000_000;
/// A hundred years.
const MOST_DAYS: u32 = 36_500;

/// Units for a fee that is paid in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeBonus {
    /// For the fee of a whole period.
    pub units: u64,
    /// For how many days from the payment on they can be used; without it until the end of the period that was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_days: Option<u32>,
}

impl FeeBonus {
    pub(crate) fn problems(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: &str| {
            problems.push(Problem::new(format!("admission.credit.fee_bonus.{field}"), message));
        };
        if !(1..=MOST_UNITS).contains(&self.units) {
            add("units", "A bonus is 1 to 100,000,000,000 units");
        }
        if self.valid_days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
            add("valid_days", "This is 1 to 36,500 days");
        }
    }

    /// What the fee for a part of that period gives.
    pub fn of_part(&self, part: Period, whole: Period) -> u64 {
        earned(&[(self.units, part)], whole)
    }
}

/// Of units for the fee of `paid`, those for what comes after `end`.
pub fn after(units: u64, paid: Period, end: Timestamp) -> u64 {
    let end = end.clamp(paid.start, paid.end);
    units.saturating_sub(earned(&[(units, Period { end, ..paid })], paid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanTerms;
    use jiff::SignedDuration;
    use serde_json::json;

    fn day(day: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day)
    }

    #[test]
    fn a_part_of_a_period_gives_its_share_and_what_does_not_run_goes_back() {
        let year = Period { start: day(0), end: day(365) };
        let bonus = FeeBonus { units: 1_000, valid_days: None };
        assert_eq!(bonus.of_part(year, year), 1_000);
        // 65 of 365 days: 178.08…, rounded up.
        let rest = Period { start: day(300), ..year };
        assert_eq!(bonus.of_part(rest, year), 179);
        // 100 of 365 days ran: 273.97…, rounded up.
        assert_eq!(after(1_000, year, day(100)), 726);
        assert_eq!([day(0), day(-5)].map(|end| after(1_000, year, end)), [1_000, 1_000]);
        assert_eq!([day(365), day(400)].map(|end| after(1_000, year, end)), [0, 0]);
        assert_eq!(after(179, rest, day(300)), 179);
    }

    #[test]
    fn only_a_plan_with_a_fee_in_advance_whose_calls_spend_credit_gives_one() {
        let wrong = |terms: serde_json::Value| {
            let terms: PlanTerms = serde_json::from_value(terms).expect("terms");
            terms.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        let of = |fee: i64, due: &str, required: bool, bonus: serde_json::Value| {
            json!({
                "currency": "USD", "products": [], "interval": "year", "base_fee_micros": fee, "fee_due": due,
                "admission": { "credit": { "required": required, "fee_bonus": bonus } },
            })
        };
        let (fee, some) = (1_000_000_000, json!({ "units": 1_000 }));
        let (units, days) = ("admission.credit.fee_bonus.units", "admission.credit.fee_bonus.valid_days");
        assert_eq!(wrong(of(fee, "advance", true, some.clone())), [""; 0]);
        assert_eq!(wrong(of(fee, "advance", true, json!({ "units": 1, "valid_days": 36_500 }))), [""; 0]);
        assert_eq!(wrong(of(fee, "arrears", true, some.clone())), [units]);
        assert_eq!(wrong(of(0, "advance", true, some.clone())), [units]);
        assert_eq!(wrong(of(fee, "advance", false, some)), [units]);
        assert_eq!(wrong(of(fee, "advance", true, json!({ "units": 0 }))), [units]);
        assert_eq!(wrong(of(fee, "advance", true, json!({ "units": 100_000_000_001_u64 }))), [units]);
        for valid_days in [0, 36_501] {
            assert_eq!(wrong(of(fee, "advance", true, json!({ "units": 1, "valid_days": valid_days }))), [days]);
        }
    }
}
