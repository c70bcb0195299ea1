//! Changes between anchored and calendar periods.

use super::*;
use crate::{money::Currency, period::Interval};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn terms(rest: &str) -> PlanTerms {
    serde_json::from_str(&format!(r#"{{"currency":"NZD","products":[{{"product":"payments"}}]{rest}}}"#))
        .expect("terms")
}

fn anchored() -> PlanTerms {
    terms(r#","base_fee_micros":49000000,"quota":{"units":10000,"beyond":"block"}"#)
}

/// Dearer than [`anchored`].
fn calendar() -> PlanTerms {
    terms(r#","periods":"calendar","base_fee_micros":299000000,"quota":{"units":100000,"beyond":"block"}"#)
}

fn held<'a>(terms: &'a PlanTerms, cycle: &'a Cycle, since: Timestamp) -> Held<'a> {
    let (quota, trial_until, billed, counts_from) = (None, None, None, None);
    Held { terms, cycle, started_at: since, since, quota, trial_until, billed, bonus: None, counts_from }
}

fn change(old: Option<Held<'_>>, new: &PlanTerms, when: When, now: &str) -> Preview {
    let wanted = Wanted { terms: new, since: None, may_try: false, goes_on: false };
    let billed_until = old.map_or(at(now), |old| old.started_at);
    preview(old, Some(wanted), when, billed_until, at(now), "Pacific/Auckland").expect("a preview")
}

fn april() -> Period {
    Period { start: at("2026-04-01T00:00:00+13:00"), end: at("2026-05-01T00:00:00+12:00") }
}

/// The worked example of the upgrade, as a first plan: clocks go back on the 5th, so 1,158,900 of 2,595,600 s are left.
#[test]
fn who_begins_on_the_17th_at_five_past_two_in_auckland_has_the_rest_of_april() {
    let now = "2026-04-17T14:05:00+12:00";
    let told = change(None, &calendar(), When::Usual, now);
    assert_eq!((told.direction, told.period, told.counts_from), (Direction::Start, Some(april()), Some(at(now))));
    let money = |micros| Some(Money::new(Currency::Nzd, micros));
    assert_eq!((told.first_fee, told.fee), (money(133_500_000), money(299_000_000)));
    assert_eq!(told.quota_first, Some(PeriodQuota { units: 44_649, until: april().end }));
    assert_eq!(told.quota_after, Some(100_000));
    let whole = change(None, &calendar(), When::Usual, "2026-05-01T00:00:00+12:00");
    assert_eq!((whole.first_fee, whole.quota_first, whole.counts_from), (money(299_000_000), None, None));
}

#[test]
fn an_upgrade_to_the_calendar_cuts_the_old_period_off_and_begins_the_rest_of_the_month() {
    let old = anchored();
    let since = at("2026-04-10T14:05:00+12:00");
    let cycle = Cycle::begin(since, Interval::Month, Default::default(), "Pacific/Auckland").expect("a cycle");
    let now = "2026-04-17T14:05:00+12:00";
    let told = change(Some(held(&old, &cycle, since)), &calendar(), When::Usual, now);
    assert_eq!((told.at_once, told.effective_at, told.period), (true, at(now), Some(april())));
    // 7 of 30 days of 49.00.
    assert_eq!(told.old_fee, Some(Money::new(Currency::Nzd, 11_430_000)));
    assert_eq!(told.first_fee, Some(Money::new(Currency::Nzd, 133_500_000)));
    assert_eq!(told.counts_from, Some(at(now)), "what was used before counts under the old plan");
    assert_eq!(told.quota_first.map(|quota| quota.units), Some(44_649));
}

#[test]
fn as_much_by_the_calendar_begins_when_the_old_period_ends() {
    let old = PlanTerms { periods: Default::default(), ..calendar() };
    let since = at("2026-04-10T00:00:00+12:00");
    let cycle = Cycle::begin(since, Interval::Month, Default::default(), "Pacific/Auckland").expect("a cycle");
    let told = change(Some(held(&old, &cycle, since)), &calendar(), When::Usual, "2026-04-17T14:05:00+12:00");
    let begins = at("2026-05-10T00:00:00+12:00");
    assert_eq!((told.direction, told.effective_at), (Direction::Downgrade, begins));
    assert_eq!(told.period.map(|period| period.start), Some(april().end));
    // 22 of 31 days.
    assert_eq!(told.first_fee, Some(Money::new(Currency::Nzd, 212_190_000)));
    let until = at("2026-06-01T00:00:00+12:00");
    assert_eq!(told.quota_first, Some(PeriodQuota { units: 70_968, until }));
    assert_eq!(told.counts_from, Some(begins));
    // Nor does the old plan's rule begin a new quota early.
    let hasty = PlanTerms { changes: ChangeRules { downgrade: Downgrade::AtOnce, ..Default::default() }, ..old };
    let cheap = PlanTerms { base_fee_micros: 1_000_000, ..calendar() };
    let told = change(Some(held(&hasty, &cycle, since)), &cheap, When::Usual, "2026-04-17T14:05:00+12:00");
    assert!(!told.at_once);
}

#[test]
fn anchored_periods_go_on_with_the_calendar_s() {
    let old = calendar();
    let cycle = Cycle::begin(april().start, Interval::Month, old.periods, "Pacific/Auckland").expect("a cycle");
    let new = PlanTerms { base_fee_micros: 399_000_000, periods: Default::default(), ..calendar() };
    let told = change(Some(held(&old, &cycle, april().start)), &new, When::Usual, "2026-04-17T14:05:00+12:00");
    assert_eq!((told.at_once, told.cycle, told.period), (true, Some(cycle), Some(april())));
    assert_eq!((told.quota_first, told.counts_from), (None, None), "all of the quota, and what was used counts");
}

/// Neither a second change within the first part, nor one to a plan with another rule, gives more than the part.
#[test]
fn a_change_within_the_first_part_stays_with_that_part() {
    let old = calendar();
    let began = at("2026-06-11T00:00:00+12:00");
    let cycle = Cycle::begin(began, Interval::Month, old.periods, "Pacific/Auckland").expect("a cycle");
    let until = at("2026-07-01T00:00:00+12:00");
    let quota = old.quota_of_part(&cycle, Some(began), began).expect("in the calendar");
    assert_eq!(quota, Some(PeriodQuota { units: 66_667, until }));
    let own = Held { quota, counts_from: Some(began), ..held(&old, &cycle, began) };
    let look = |rule| {
        let new = PlanTerms {
            base_fee_micros: 599_000_000,
            quota: Some(Quota { units: 300_000, beyond: crate::quota::Beyond::Block }),
            changes: ChangeRules { quota: rule, ..Default::default() },
            ..calendar()
        };
        change(Some(own), &new, When::Usual, "2026-06-21T00:00:00+12:00")
    };
    let whole = look(QuotaOnChange::Whole);
    assert_eq!((whole.counts_from, whole.quota_first), (Some(began), Some(PeriodQuota { units: 200_000, until })));
    // 66,667 less 33,333 of the old for ten of thirty days, and 100,000 of the new.
    let parts = look(QuotaOnChange::Prorated);
    assert_eq!((parts.counts_from, parts.quota_first), (Some(began), Some(PeriodQuota { units: 133_334, until })));
}
