//! Where a plan's periods lie for a partner, and what of its quota counts in the first of them.

use super::{PlanTerms, Problem};
use crate::{
    period::{Alignment, Cycle, PeriodError},
    quota::PeriodQuota,
    rating::proration,
};
use jiff::Timestamp;

impl PlanTerms {
    /// The periods of whoever begins the plan `at`, where they do not go on as before; the zone is an IANA name.
    ///
    /// # Errors
    /// The zone is not known, or a date leaves the calendar.
    pub fn cycle_from(&self, at: Timestamp, time_zone: &str) -> Result<Cycle, PeriodError> {
        Cycle::begin(at, self.interval, self.periods, time_zone)
    }

    /// Whether periods go on as they are for whoever comes from a plan with those terms. Anchored ones follow whatever was before, calendar
    /// ones only the calendar.
    pub fn keeps_periods_of(&self, before: &Self) -> bool {
        let lie_well = self.periods == Alignment::Anchored || before.periods == Alignment::Calendar;
        self.interval == before.interval && lie_well
    }

    /// Since when units count in the first period of these, where they are the plan's own: from the begin of the plan on, if that lies within
    /// a calendar period.
    ///
    /// # Errors
    /// As [`Cycle::period_at`].
    pub fn counts_from(&self, cycle: &Cycle, begins: Timestamp) -> Result<Option<Timestamp>, PeriodError> {
        let is_within = self.periods == Alignment::Calendar && cycle.period_at(begins)?.start < begins;
        Ok(is_within.then_some(begins))
    }

    /// The quota of the period that holds `at`, where units of it count only from that instant on: the part of the plan's by the second, rounded
    /// up. `None` where the plan's own holds.
    ///
    /// # Errors
    /// As [`Cycle::period_at`].
    pub fn quota_of_part(
        &self,
        cycle: &Cycle,
        counts_from: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Option<PeriodQuota>, PeriodError> {
        let (whole, part) = (cycle.period_at(at)?, cycle.counted_at(at, counts_from)?);
        let quota = self.quota.filter(|_| part != whole);
        Ok(quota.map(|quota| PeriodQuota { units: proration::units_up(quota.units, part, whole), until: whole.end }))
    }

    /// What cannot be sold with calendar periods.
    pub(super) fn calendar_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.periods == Alignment::Anchored {
            return problems;
        }
        if self.trial.is_some() {
            let message =
                "Periods of a plan with a trial begin where that ends: take out the trial, or choose anchored periods";
            problems.push(Problem::new("periods", message));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(rest: &str) -> PlanTerms {
        let text = format!(r#"{{"currency":"EUR","products":[{{"product":"payments"}}]{rest}}}"#);
        serde_json::from_str(&text).expect("terms")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn calendar_periods_follow_no_others() {
        let (anchored, calendar) = (terms(""), terms(r#","periods":"calendar""#));
        let weekly = terms(r#","periods":"calendar","interval":"week""#);
        assert!(anchored.keeps_periods_of(&calendar) && calendar.keeps_periods_of(&calendar));
        assert!(!calendar.keeps_periods_of(&anchored) && !calendar.keeps_periods_of(&weekly));
    }

    #[test]
    fn the_first_part_has_its_part_of_the_quota() {
        let plan = terms(r#","periods":"calendar","quota":{"units":3000,"beyond":"block"}"#);
        let begins = at("2026-06-11T00:00:00Z");
        let cycle = plan.cycle_from(begins, "UTC").expect("a cycle");
        let from = plan.counts_from(&cycle, begins).expect("in the calendar");
        assert_eq!(from, Some(begins));
        let of = |instant| plan.quota_of_part(&cycle, from, at(instant)).expect("in the calendar");
        // 20 of 30 days.
        let until = at("2026-07-01T00:00:00Z");
        assert_eq!(of("2026-06-30T00:00:00Z"), Some(PeriodQuota { units: 2_000, until }));
        assert_eq!(of("2026-07-01T00:00:00Z"), None);
        assert_eq!(plan.counts_from(&cycle, until), Ok(None), "a whole period");
        let usual = terms(r#","quota":{"units":3000,"beyond":"block"}"#);
        assert_eq!(usual.counts_from(&cycle, begins), Ok(None), "it goes on with the period as it was");
    }

    #[test]
    fn a_trial_does_not_go_with_the_calendar() {
        let fields = |rest: &str| {
            let problems = terms(&format!(r#","periods":"calendar"{rest}"#)).problems();
            problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(""), [""; 0]);
        assert_eq!(fields(r#","trial":{"days":14}"#), ["periods"]);
        assert_eq!(fields(r#","collect":"meter_events""#), [""; 0]);
    }
}
