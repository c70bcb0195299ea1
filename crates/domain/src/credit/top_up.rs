//! Automatic top-up: a standing order that buys packages when the balance is low, up to so much money in a calendar month.

use crate::{
    money::Money,
    period::{Cycle, Period, PeriodError},
    plan::Problem,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Units below which a top-up can be asked for at the most.
pub const MOST_BELOW: u64 = 100_000_000_000;

/// What a partner wants to be bought by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    /// Units: it buys when fewer than that are left.
    pub below: u64,
    /// The package's code.
    pub package: String,
    /// How many of it at a time.
    pub quantity: u32,
    /// What top-ups of one calendar month, in the partner's time zone, cost together at the most.
    pub monthly_cap: Money,
}

impl TopUp {
    /// What is wrong with it where one purchase costs so much.
    pub fn problems(&self, cost: Money) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(1..=MOST_BELOW).contains(&self.below) {
            problems.push(Problem::new("below", "Buy below 1 to 100,000,000,000 units"));
        }
        if self.monthly_cap.currency != cost.currency {
            problems.push(Problem::new("monthly_cap", format!("The package is sold in {}", cost.currency)));
        } else if self.monthly_cap.micros < cost.micros {
            let message = format!("One purchase costs {cost}: with less than that in a month it would never buy");
            problems.push(Problem::new("monthly_cap", message));
        } else if self.monthly_cap.minor_units().is_none() {
            problems.push(Problem::new("monthly_cap", "Write an amount in whole coins of the currency"));
        }
        problems
    }
}

/// The calendar month of the time zone that the instant is in.
///
/// # Errors
/// The zone is not known, or the instant is at the end of time.
pub fn month_of(at: Timestamp, time_zone: &str) -> Result<Period, PeriodError> {
    Cycle::calendar_month(at, time_zone)?.period_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn usd(cents: i64) -> Money {
        Money::new(Currency::Usd, cents * 10_000)
    }

    #[test]
    fn months_are_the_partners() {
        let month = |at: &str, zone: &str| {
            let month = month_of(at.parse().expect("an instant"), zone).expect("a month");
            [month.start.to_string(), month.end.to_string()]
        };
        // Summer time begins in Auckland on 27 September.
        assert_eq!(month("2026-09-30T10:59:59Z", "Pacific/Auckland"), ["2026-08-31T12:00:00Z", "2026-09-30T11:00:00Z"]);
        assert_eq!(month("2026-09-30T11:00:00Z", "Pacific/Auckland"), ["2026-09-30T11:00:00Z", "2026-10-31T11:00:00Z"]);
        assert_eq!(month("2026-02-28T23:00:00Z", "UTC"), ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]);
    }

    #[test]
    fn a_cap_that_no_purchase_fits_in_is_refused() {
        let top_up = TopUp { below: 100, package: "million".to_owned(), quantity: 1, monthly_cap: usd(5_000) };
        assert_eq!(top_up.problems(usd(5_000)), []);
        let fields =
            |top_up: &TopUp, cost| top_up.problems(cost).into_iter().map(|problem| problem.field).collect::<Vec<_>>();
        assert_eq!(fields(&top_up, usd(5_001)), ["monthly_cap"]);
        assert_eq!(fields(&top_up, Money::new(Currency::Eur, 10_000)), ["monthly_cap"]);
        assert_eq!(fields(&TopUp { below: 0, ..top_up }, usd(1)), ["below"]);
    }
}
