//! What comes late for a bill that is closed, or corrects it: the bill is rated once more with the units that moved, and what it costs more or
//! less is billed.
//!
//! Coupons lower it as they lowered the bill: by the same percentage, and by what the bill took of an amount and no more. Where nothing was
//! owed there was no bill to take any; then what counted for it does, and of an amount there is what the period's other bills leave.
//!
//! 20.00 off a June without a bill: 15.00 of late units cost nothing, and of 10.00 that come later still 5.00 are owed.

use super::{
    Used,
    coupon::{Billed, Coupon, Off, OffWhat, Redeemed},
};
use crate::{money::Money, period::PeriodError};
use std::collections::BTreeMap;

/// By how much the units of an operation change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    pub units: i64,
    /// Of those, what prepaid credit paid.
    pub prepaid: i64,
}

/// The units with more of some operations, or fewer; by the codes of product and operation. None falls below zero.
pub fn shifted(used: &[Used], by: impl Iterator<Item = ((String, String), Shift)>) -> Vec<Used> {
    let mut sums: BTreeMap<(String, String), (i128, i128)> = BTreeMap::new();
    let stored = used.iter().map(|used| {
        ((used.product.clone(), used.operation.clone()), (i128::from(used.units), i128::from(used.prepaid)))
    });
    let by = by.map(|(codes, Shift { units, prepaid })| (codes, (i128::from(units), i128::from(prepaid))));
    for (codes, (units, prepaid)) in stored.chain(by) {
        let sum = sums.entry(codes).or_default();
        *sum = (sum.0 + units, sum.1 + prepaid);
    }
    let count = |units: i128| u64::try_from(units.max(0)).unwrap_or(u64::MAX);
    let used = |((product, operation), (units, prepaid))| {
        let units = count(units);
        Used { product, operation, units, prepaid: count(prepaid).min(units) }
    };
    sums.into_iter().map(used).collect()
}

impl Coupon {
    /// What it took off a bill that is closed, for rating that again: its percentage, and of an amount the micro-units that it took.
    pub fn as_taken(&self, code: String, micros: i64) -> Option<Off> {
        let amount = self.amount().map(|whole| OffWhat::Amount { left: Money { micros, ..whole }, whole });
        let what = amount.or(self.percent.map(OffWhat::Percent))?;
        Some(Off { code, name: self.name.clone(), what })
    }
}

impl Redeemed {
    /// What it takes off a stretch that had no bill, as that was and with what comes late now; `None` where it does not count for it. Of its
    /// amount earlier late usage of the stretch took `own`, which is among what was taken in the period, and other bills that are made now
    /// take `now`, which is not; both in micro-units.
    ///
    /// # Errors
    /// The period is beyond the calendar.
    pub fn off_late(&self, bill: Billed<'_>, own: i64, now: i64) -> Result<Option<(Off, Off)>, PeriodError> {
        let taken_micros = self.taken_micros.saturating_sub(own).saturating_add(now).max(0);
        let Some(off) = (Self { taken_micros, ..self.clone() }).off(bill)? else { return Ok(None) };
        let (was, is) = match off.what {
            OffWhat::Amount { left, whole } => {
                let was = Money { micros: own.max(0), ..whole };
                // What was taken too often once is not taken back from whoever has more late usage.
                let is = Money { micros: left.micros.max(was.micros), ..whole };
                (OffWhat::Amount { left: was, whole }, OffWhat::Amount { left: is, whole })
            }
            share @ OffWhat::Percent(_) => (share, share),
        };
        Ok(Some((Off { what: was, ..off.clone() }, Off { what: is, ..off })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        period::{Cycle, Interval, Period},
        plan::PlanTerms,
        rating::{coupon::take_off, rate},
    };
    use jiff::Timestamp;

    fn used(units: u64) -> Vec<Used> {
        vec![Used { product: "p".to_owned(), operation: "o".to_owned(), units, prepaid: 0 }]
    }

    fn by(units: i64, prepaid: i64) -> impl Iterator<Item = ((String, String), Shift)> {
        std::iter::once((("p".to_owned(), "o".to_owned()), Shift { units, prepaid }))
    }

    #[test]
    fn units_come_and_go_and_none_falls_below_zero() {
        assert_eq!(shifted(&used(10), by(5, 0)), used(15));
        assert_eq!(shifted(&used(10), by(-25, 0)), used(0));
        assert_eq!(shifted(&used(10), by(0, 12))[0].prepaid, 10);
        assert_eq!(shifted(&[], by(3, 0)), used(3));
    }

    /// The example above, and that what other bills take meanwhile is not there.
    #[test]
    fn late_usage_of_a_period_without_a_bill_has_an_amount_once() {
        let plan: PlanTerms = serde_json::from_str(
            r#"{"currency":"USD","products":[],"price":{"model":"per_unit","included":0,"unit_price":"1"}}"#,
        )
        .expect("terms");
        let start: Timestamp = "2026-06-01T00:00:00Z".parse().expect("a timestamp");
        let cycle = Cycle { anchor: start, interval: Interval::Month, time_zone: "UTC".to_owned() };
        let whole = cycle.period_at(start).expect("a period");
        let bill = Billed { terms: &plan, cycle: &cycle, trial_until: None, part: whole, whole };
        let coupon = serde_json::from_str(r#"{"name":"Sorry","amount":"20","currency":"USD"}"#).expect("a coupon");
        let mut redeemed = Redeemed {
            code: "sorry".to_owned(),
            coupon,
            stretches: vec![Period { start, end: Timestamp::MAX }],
            taken_micros: 0,
            other_periods: 0,
        };
        let (mut so_far, mut own, mut owed) = (Vec::new(), 0, Vec::new());
        for (units, now) in [(15, 0), (10, 0), (-10, 0), (10, 3_000_000)] {
            let (was, is) = redeemed.off_late(bill, own, now).expect("in the calendar").expect("it counts");
            let after = shifted(&so_far, by(units, 0));
            let (mut before, mut more) = (rate(&plan, &so_far).expect("rated"), rate(&plan, &after).expect("rated"));
            let taken = take_off(&mut more, &[is]).expect("fits")[0].micros
                - take_off(&mut before, &[was]).expect("fits")[0].micros;
            redeemed.taken_micros += taken + now;
            own += taken;
            owed.push((more.total.micros - before.total.micros) / 1_000_000);
            so_far = after;
        }
        assert_eq!(owed, [0, 5, -5, 8]);
    }

    /// 20 off were taken as 15 and 20 once, before that was noted.
    #[test]
    fn an_amount_that_was_taken_too_often_is_not_paid_back_by_more_late_usage() {
        let start: Timestamp = "2026-06-01T00:00:00Z".parse().expect("a timestamp");
        let cycle = Cycle { anchor: start, interval: Interval::Month, time_zone: "UTC".to_owned() };
        let whole = cycle.period_at(start).expect("a period");
        let plan: PlanTerms = serde_json::from_str(r#"{"currency":"USD","products":[]}"#).expect("terms");
        let bill = Billed { terms: &plan, cycle: &cycle, trial_until: None, part: whole, whole };
        let redeemed = Redeemed {
            code: "sorry".to_owned(),
            coupon: serde_json::from_str(r#"{"name":"Sorry","amount":"20","currency":"USD"}"#).expect("a coupon"),
            stretches: vec![Period { start, end: Timestamp::MAX }],
            taken_micros: 35_000_000,
            other_periods: 0,
        };
        let (was, is) = redeemed.off_late(bill, 35_000_000, 0).expect("in the calendar").expect("it counts");
        for off in [was, is] {
            assert!(matches!(off.what, OffWhat::Amount { left, .. } if left.micros == 35_000_000), "{off:?}");
        }
    }

    #[test]
    fn of_a_bill_that_there_was_it_is_what_that_took() {
        let coupon = |text: &str| serde_json::from_str::<Coupon>(text).expect("a coupon");
        let amount = coupon(r#"{"name":"Sorry","amount":"20","currency":"USD"}"#);
        let taken = amount.as_taken("sorry".to_owned(), 7_000_000).expect("a coupon").what;
        assert!(matches!(taken, OffWhat::Amount { left, .. } if left.micros == 7_000_000), "{taken:?}");
        let share = coupon(r#"{"name":"Half","percent":"50"}"#).as_taken("half".to_owned(), 7_000_000);
        assert!(matches!(share.expect("a coupon").what, OffWhat::Percent(_)));
    }
}
