//! A trial: the first days on a plan, in which fee, usage or both cost nothing. It comes before all other steps: what it makes free is
//! gone before anything is rated.
//!
//! The plan's periods begin where the trial ends, so the first whole period is the first that is paid, and no period is in a trial in
//! part. Days of the trial lie in the period before that, or in several where the trial is longer. The discounts of the first periods
//! and the phases count theirs from the end of the trial on.

use super::{PlanPeriod, discount::DiscountOn, price::Price};
use crate::{
    period::{Period, PeriodError, zone},
    plan::{PlanTerms, Problem},
    quota::{PeriodQuota, Quota},
};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

const LONGEST_DAYS: u32 = 366;

/// What a partner has who comes to the plan for the first time, and had no trial before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Calendar days, to the hour at which it began, in the partner's time zone.
    pub days: u32,
    /// What costs nothing.
    #[serde(default)]
    pub free: DiscountOn,
    /// In place of the plan's, in each billing period that the trial touches; without it the plan's quota holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

impl Trial {
    /// When a trial ends that begins then; the zone is an IANA name.
    ///
    /// # Errors
    /// The zone is not known, or the end is beyond the calendar.
    pub fn end(&self, start: Timestamp, time_zone: &str) -> Result<Timestamp, PeriodError> {
        let local = start.to_zoned(zone(time_zone)?);
        let days = Span::new().try_days(i64::from(self.days)).map_err(|_| PeriodError::OutOfRange)?;
        local.checked_add(days).map(|end| end.timestamp()).map_err(|_| PeriodError::OutOfRange)
    }

    /// Whether usage costs nothing in it, so that no prepaid credit is spent on it either.
    pub fn frees_usage(&self) -> bool {
        self.free != DiscountOn::BaseFee
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(1..=LONGEST_DAYS).contains(&self.days) {
            problems.push(Problem::new("trial.days", "A trial is 1 to 366 days long"));
        }
        problems
    }
}

/// Whether the period is one of the trial that ends then.
pub fn is_in(trial_until: Option<Timestamp>, whole: Period) -> bool {
    trial_until.is_some_and(|until| whole.end <= until)
}

impl PlanTerms {
    /// The terms in that period of the plan, and nothing of others: with its offers, without what a trial makes free, and without the
    /// discounts that are over.
    pub fn in_force(&self, period: PlanPeriod) -> Self {
        let mut terms = self.clone().with_offers(period);
        terms.discounts.retain(|discount| discount.is_in_force(period.number));
        if period.in_trial { terms.in_trial() } else { terms }
    }

    /// The terms of a period of the trial. The discounts of the first periods are not among them: theirs begin after it.
    #[must_use]
    pub fn in_trial(mut self) -> Self {
        let Some(trial) = self.trial else { return self };
        self.discounts.retain(|discount| discount.periods.is_none());
        if trial.free != DiscountOn::Usage {
            self.base_fee_micros = 0;
        }
        if trial.frees_usage() {
            self.price = Price::Free;
            for meter in &mut self.meters {
                meter.price = Price::Free;
            }
            (self.minimum_micros, self.included_credit_micros, self.commitment) = (0, 0, None);
            self.offered = self.offered.without_usage();
        }
        self
    }

    /// The quota of the period that ends then: the trial's, or one of its own, or the plan's.
    pub fn quota_in(&self, own: Option<PeriodQuota>, trial_until: Option<Timestamp>, end: Timestamp) -> Option<Quota> {
        let of_trial =
            self.trial.and_then(|trial| trial.quota).filter(|_| trial_until.is_some_and(|until| end <= until));
        of_trial.or_else(|| self.quota.map(|quota| quota.in_period(own, end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        period::{Cycle, Interval},
        quota::Beyond,
        rating::{MeterUsed, Used, rate_all},
    };

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn terms(free: &str) -> PlanTerms {
        let text = format!(
            r#"{{"currency":"USD","products":[{{"product":"payments"}}],"base_fee_micros":49000000,"minimum_micros":5000000,
                "included_credit_micros":1000000,"commitment":{{"micros":9000000,"discounts":[]}},
                "price":{{"model":"per_unit","unit_price":"0.01"}},"quota":{{"units":100000,"beyond":"bill"}},
                "meters":[{{"product":"payments","meter":"tokens","price":{{"model":"per_unit","unit_price":"0.5"}}}}],
                "discounts":[{{"name":"Launch","percent":"50","periods":1}},{{"name":"Friends","percent":"10"}}],
                "trial":{{"days":14,"free":"{free}","quota":{{"units":1000,"beyond":"block"}}}}}}"#
        );
        serde_json::from_str(&text).expect("terms")
    }

    fn total(terms: &PlanTerms) -> String {
        let used = [Used { product: "payments".to_owned(), operation: "pay".to_owned(), units: 2_000, prepaid: 0 }];
        let metered = [MeterUsed { product: "payments".to_owned(), meter: "tokens".to_owned(), quantity: 4, calls: 0 }];
        rate_all(terms, &used, &metered).expect("a bill").total.to_string()
    }

    #[test]
    fn what_is_free_is_gone_before_all_other_steps() {
        assert_eq!(total(&terms("everything").in_trial()), "$0.00");
        // 49.00 less a tenth; half off is for the first period after the trial.
        assert_eq!(total(&terms("usage").in_trial()), "$44.10");
        // 22.00 less a tenth; 9.00 are not short of the commitment; 1.00 is included.
        assert_eq!(total(&terms("base_fee").in_trial()), "$18.80");
        let lines = rate_all(&terms("everything").in_trial(), &[], &[]).expect("a bill");
        assert!(lines.charges.is_empty(), "{lines:?}");
    }

    #[test]
    fn the_normal_terms_follow_where_the_trial_ends_with_no_gap() {
        let plan = terms("everything");
        let start = at("2026-11-21T10:30:00Z");
        let until = plan.trial.expect("a trial").end(start, "Europe/Berlin").expect("an end");
        assert_eq!(until, at("2026-12-05T10:30:00Z"));
        let cycle = Cycle { anchor: until, interval: Interval::Month, time_zone: "Europe/Berlin".to_owned() };
        let (of_trial, first) = (cycle.period_at(start).expect("one"), cycle.period_at(until).expect("one"));
        assert_eq!((of_trial.end, first.start), (until, until), "nothing lies between");
        let of =
            |whole: Period| plan.in_force(PlanPeriod::of(&cycle, until, Some(until), whole).expect("one of the plan"));
        assert_eq!(total(&of(of_trial)), "$0.00");
        assert!(
            of(first).base_fee_micros > 0 && of(first).discounts.len() == 2,
            "the promotion begins after the trial"
        );
        let second = cycle.period_at(first.end).expect("one");
        assert_eq!(of(second).discounts.iter().map(|own| own.name.as_str()).collect::<Vec<_>>(), ["Friends"]);
        let quota = |period: Period| plan.quota_in(None, Some(until), period.end).expect("a quota").units;
        assert_eq!((quota(of_trial), quota(first)), (1_000, 100_000));
        assert_eq!(plan.quota_in(None, None, of_trial.end).expect("a quota").units, 100_000, "without a trial");
    }

    #[test]
    fn days_are_calendar_days_where_a_clock_changes() {
        let trial = Trial { days: 1, free: DiscountOn::Everything, quota: None };
        let end = trial.end(at("2026-03-28T12:00:00Z"), "Europe/Berlin").expect("an end");
        assert_eq!(end, at("2026-03-29T11:00:00Z"), "that day has 23 hours");
    }

    #[test]
    fn a_trial_longer_than_a_period_is_free_in_each_that_it_touches() {
        let until = at("2027-01-20T00:00:00Z");
        let cycle = Cycle { anchor: until, interval: Interval::Month, time_zone: "UTC".to_owned() };
        for day in ["2026-11-21T00:00:00Z", "2026-12-20T00:00:00Z", "2027-01-19T23:59:59Z"] {
            assert!(is_in(Some(until), cycle.period_at(at(day)).expect("one")), "{day}");
        }
        assert!(!is_in(Some(until), cycle.period_at(until).expect("one")));
    }

    #[test]
    fn a_quota_of_the_trial_needs_none_of_the_plan() {
        let plan = PlanTerms { quota: None, ..terms("everything") };
        let until = at("2026-12-05T00:00:00Z");
        let quota = plan.quota_in(None, Some(until), until).expect("a quota");
        assert_eq!((quota.units, quota.beyond), (1_000, Beyond::Block));
        assert_eq!(plan.quota_in(None, Some(until), at("2027-01-05T00:00:00Z")), None);
    }
}
