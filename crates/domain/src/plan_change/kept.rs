//! What a partner keeps for some days of a plan that it left for a smaller one: its limits and its features.
//!
//! Until the grace ends no limit is lower than under the old plan and none is new, and what the old plan's features opened stays open. Fee,
//! prices, quota, credit, products and operations are the new plan's from the change on. Each gateway ends it by its own clock.

use super::{ChangeRules, Direction};
use crate::{
    limit::Limit,
    period::{PeriodError, zone},
    plan::{PlanTerms, Problem},
    policy::{Admission, Concurrency},
};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest grace, in days.
pub const MOST_GRACE_DAYS: u32 = 90;

/// Limits and features in place of the plan's, until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub until: Timestamp,
    pub limits: Vec<Limit>,
    pub admission: Admission,
    pub opens_features: Vec<String>,
}

impl Kept {
    /// Of the old terms what goes beyond the new ones.
    pub fn new(old: &PlanTerms, new: &PlanTerms, until: Timestamp) -> Self {
        let concurrency = old.admission.concurrency.zip(new.admission.concurrency);
        let admission = Admission {
            app_limits: higher(&old.admission.app_limits, &new.admission.app_limits),
            key_limits: higher(&old.admission.key_limits, &new.admission.key_limits),
            concurrency: concurrency.map(|(old, new)| Concurrency { calls: old.calls.max(new.calls) }),
            limits: old.admission.limits,
            credit: new.admission.credit,
        };
        let mut opens_features = new.opens_features.clone();
        opens_features.extend(old.opens_features.iter().filter(|name| !new.opens_features.contains(name)).cloned());
        Self { until, limits: higher(&old.limits, &new.limits), admission, opens_features }
    }

    /// The terms with what is kept.
    #[must_use]
    pub fn over(&self, terms: &PlanTerms) -> PlanTerms {
        PlanTerms {
            limits: self.limits.clone(),
            admission: self.admission.clone(),
            opens_features: self.opens_features.clone(),
            ..terms.clone()
        }
    }
}

/// Of each window that both limit the higher limit; what one of them leaves open is open.
fn higher(old: &[Limit], new: &[Limit]) -> Vec<Limit> {
    let both = |new: &Limit| {
        let old = old.iter().find(|old| old.window == new.window)?;
        Some(Limit { calls: old.calls.max(new.calls), ..*new })
    };
    new.iter().filter_map(both).collect()
}

impl ChangeRules {
    /// Until when limits and features are kept of the plan with these rules that is left so, and was in force `since`; the zone is an IANA
    /// name. No longer than it was in force: nobody buys a minute of a larger plan for days of its limits. `None` without a grace, and where no
    /// smaller plan follows.
    ///
    /// # Errors
    /// The zone is not known, or a date leaves the calendar.
    pub fn kept_until(
        &self,
        direction: Direction,
        (since, at): (Timestamp, Timestamp),
        time_zone: &str,
    ) -> Result<Option<Timestamp>, PeriodError> {
        if self.grace_days == 0 || direction != Direction::Downgrade || at <= since {
            return Ok(None);
        }
        let days = Span::new().try_days(i64::from(self.grace_days)).map_err(|_| PeriodError::OutOfRange)?;
        let until = at.to_zoned(zone(time_zone)?).checked_add(days).map_err(|_| PeriodError::OutOfRange)?;
        let as_long = at.checked_add(at.duration_since(since)).map_err(|_| PeriodError::OutOfRange)?;
        Ok(Some(until.timestamp().min(as_long)))
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        match self.grace_days {
            0..=MOST_GRACE_DAYS => Vec::new(),
            _ => vec![Problem::new("changes.grace_days", "Limits are kept for 0 to 90 days")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(rest: &str) -> PlanTerms {
        serde_json::from_str(&format!(r#"{{"currency":"NZD","products":[]{rest}}}"#)).expect("terms")
    }

    #[test]
    fn no_limit_is_lower_and_none_is_new() {
        let old = terms(
            r#","limits":[{"calls":100,"window":"second"},{"calls":9,"window":"day"}],"opens_features":["bulk"],
                "admission":{"concurrency":{"calls":20},"key_limits":[{"calls":50,"window":"minute"}]}"#,
        );
        let new = terms(
            r#","limits":[{"calls":10,"window":"second"},{"calls":5,"window":"minute"},{"calls":90,"window":"day"}],
                "opens_features":["export"],"quota":{"units":5,"beyond":"block"},
                "admission":{"concurrency":{"calls":2},"app_limits":[{"calls":1,"window":"minute"}],
                    "key_limits":[{"calls":5,"window":"minute"}]}"#,
        );
        let kept = Kept::new(&old, &new, Timestamp::UNIX_EPOCH).over(&new);
        let limits: Vec<String> = kept.limits.iter().map(ToString::to_string).collect();
        assert_eq!(limits, ["100 calls a second", "90 calls a day"], "the minute was never limited");
        assert_eq!(kept.admission.concurrency.map(|own| own.calls), Some(20));
        assert!(kept.admission.app_limits.is_empty());
        assert_eq!(kept.admission.key_limits, old.admission.key_limits);
        assert_eq!(kept.opens_features, ["export", "bulk"]);
        assert_eq!((kept.quota, kept.base_fee_micros), (new.quota, new.base_fee_micros));
    }

    #[test]
    fn the_grace_is_in_days_of_the_partner() {
        let at: Timestamp = "2026-04-01T00:00:00+13:00".parse().expect("a timestamp");
        let rules = ChangeRules { grace_days: 10, ..ChangeRules::default() };
        let long_ago = at.checked_sub(jiff::SignedDuration::from_hours(24 * 60)).expect("in the calendar");
        let an_hour_ago = at.checked_sub(jiff::SignedDuration::from_hours(1)).expect("in the calendar");
        let short = rules.kept_until(Direction::Downgrade, (an_hour_ago, at), "UTC").expect("in the calendar");
        assert_eq!(short, at.checked_add(jiff::SignedDuration::from_hours(1)).ok(), "no longer than it was in force");
        assert_eq!(rules.kept_until(Direction::Downgrade, (at, at), "UTC"), Ok(None));
        let until =
            |direction| rules.kept_until(direction, (long_ago, at), "Pacific/Auckland").expect("in the calendar");
        // Clocks go back on 5 April.
        assert_eq!(until(Direction::Downgrade), "2026-04-11T00:00:00+12:00".parse().ok());
        assert_eq!((until(Direction::Upgrade), until(Direction::Cancel), until(Direction::Start)), (None, None, None));
        let none = ChangeRules::default();
        assert_eq!(none.kept_until(Direction::Downgrade, (long_ago, at), "UTC"), Ok(None));
        assert_eq!(terms(r#","changes":{"grace_days":91}"#).problems()[0].field, "changes.grace_days");
    }
}
