//! A change of plan: which way it goes, when it is in force, and all that follows from it before anybody uses anything.
//!
//! - **Upgrade** (or as much): in force at once. The part of the period that ran is settled by the old terms, the rest by the new
//!   ones, each prorated to the second.
//! - **Downgrade**, less to pay whatever is used (fee, minimum and commitment of a year) or, for as much, less of something: in force when the period ends, with the old limits and price
//!   until then, unless the plan that is left says "at once".
//! - **Cancel**: in force when the period ends.
//!
//! After a downgrade the old plan may leave its limits and features to the partner for some days: see [`Kept`].
//!
//! Where periods begin afterwards: as before, if both plans have periods of the same length; else a new cycle begins at the instant of
//! the change, in the partner's time zone of then. A yearly plan after a monthly one is a year from the change on, not from the first
//! month; and as the change of a cycle ends a period, nobody pays for two at once. A plan with calendar periods keeps none that lie otherwise:
//! there, too, a period ends at the change, and the rest of the calendar period is the first part of the new plan, with its part of fee and
//! quota. A plan with anchored periods goes on with the calendar's.
//!
//! A new cycle is a new quota, so it begins before a period ends only for a higher fee: else a partner could go to and fro between two
//! lengths for ever new quotas.
//!
//! A plan that the partner never had may begin with a trial: its periods begin where that ends, so what is planned for the end of the period
//! that runs in a trial is planned for the trial's end. See [`crate::rating::trial`].
//!
//! A [`Preview`] is a function of the two plans and an instant, so whoever commits to one can be held to it: see [`Preview::digest_of`].

mod kept;

pub use kept::{Kept, MOST_GRACE_DAYS};

use crate::{
    credit::fee_bonus,
    limit::Limit,
    money::{Money, MoneyError},
    period::{Cycle, Period, PeriodError},
    plan::{Grant, PlanTerms},
    quota::{PeriodQuota, Quota},
    rating::{FeeDue, PlanPeriod, advance, proration, trial},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub mod fees;

pub use fees::FeeFrom;

/// How changes of plan go, as the plan's terms have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct ChangeRules {
    /// When a partner who leaves this plan for a smaller one has that one.
    #[serde(default)]
    pub downgrade: Downgrade,
    /// What quota a partner who comes to this plan within a period has for the rest of it.
    #[serde(default)]
    pub quota: QuotaOnChange,
    /// How many days a partner who leaves this plan for a smaller one keeps its limits and features from the change on: 0 to 90.
    #[serde(default, skip_serializing_if = "is_none")]
    pub grace_days: u32,
}

/// What most plans have is not written down.
fn is_none(days: &u32) -> bool {
    *days == 0
}

impl ChangeRules {
    /// Whether it is what most plans have.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When a smaller plan is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Downgrade {
    #[default]
    PeriodEnd,
    AtOnce,
}

impl Downgrade {
    pub const fn code(self) -> &'static str {
        match self {
            Self::PeriodEnd => "period_end",
            Self::AtOnce => "at_once",
        }
    }
}

impl std::str::FromStr for Downgrade {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::PeriodEnd, Self::AtOnce].into_iter().find(|when| when.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: period_end or at_once"))
    }
}

/// The quota of the period in which a plan begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOnChange {
    /// All of the plan's quota; what was used before in the period counts.
    #[default]
    Whole,
    /// What the old plan's quota gives for the part that ran, and the new one's for the rest, to the second.
    Prorated,
}

impl QuotaOnChange {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Prorated => "prorated",
        }
    }
}

impl std::str::FromStr for QuotaOnChange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Whole, Self::Prorated].into_iter().find(|quota| quota.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: whole or prorated"))
    }
}

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// There was no plan.
    Start,
    /// As much, or more.
    Upgrade,
    Downgrade,
    /// No plan follows.
    Cancel,
}

/// When somebody wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// As the direction and the plan's rules have it.
    #[default]
    Usual,
    AtOnce,
    PeriodEnd,
}

impl When {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::AtOnce => "at_once",
            Self::PeriodEnd => "period_end",
        }
    }
}

impl std::str::FromStr for When {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Usual, Self::AtOnce, Self::PeriodEnd].into_iter().find(|when| when.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: usual, at_once or period_end"))
    }
}

/// A plan that somebody is on.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    pub terms: &'a PlanTerms,
    pub cycle: &'a Cycle,
    /// Since when this version is in force.
    pub started_at: Timestamp,
    /// Since when the partner has the plan, in any version.
    pub since: Timestamp,
    /// Where the running period has another quota than the plan.
    pub quota: Option<PeriodQuota>,
    /// Until when it is tried.
    pub trial_until: Option<Timestamp>,
    /// What was billed in advance for the period that runs, before coupons, and of that what coupons took off.
    pub billed: Option<(Money, Money)>,
    /// The units that the fee gave as a bonus when it was paid, and for what.
    pub bonus: Option<(u64, Period)>,
    /// Since when units count in the period that holds this instant, where that is not its begin.
    pub counts_from: Option<Timestamp>,
}

/// A plan that somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub terms: &'a PlanTerms,
    /// Since when the partner has had the plan before, in any version.
    pub since: Option<Timestamp>,
    /// Whether the partner may try it: it never had the plan, nor a trial.
    pub may_try: bool,
    /// Whether it is the plan that is held, in another version or on terms of the partner's own: a trial goes on.
    pub goes_on: bool,
}

/// All of a change that does not depend on usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    pub direction: Direction,
    /// Whether it is in force at the instant that was asked for, and not at the period's end.
    pub at_once: bool,
    pub effective_at: Timestamp,
    /// Where periods begin from then on; missing where no plan follows.
    pub cycle: Option<Cycle>,
    /// Until when the new plan is tried; missing where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_until: Option<Timestamp>,
    /// The first period of the new plan, of which it has the part from `effective_at` on.
    pub period: Option<Period>,
    /// The old plan's fee for what is not billed of it until then, less its discounts.
    pub old_fee: Option<Money>,
    /// What is given back of the old plan's fee, on the next invoice, where that was billed in advance and the period is cut off.
    pub given_back: Option<Money>,
    /// Of the bonus for that fee, the units for the rest of what was paid: those of them that are unused go back.
    #[serde(default, skip_serializing_if = "is_none_of_it")]
    pub bonus_back: u64,
    /// The new plan's fee for the rest of its first period, less discounts.
    pub first_fee: Option<Money>,
    /// The units of prepaid credit that this fee gives as a bonus once it is paid.
    #[serde(default, skip_serializing_if = "is_none_of_it")]
    pub bonus_first: u64,
    /// Its fee for a whole period, before discounts: for the first one, or for the next where the first is a part or tried.
    pub fee: Option<Money>,
    /// Its fee in later periods, where phases and promotions make it another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later_fees: Vec<FeeFrom>,
    /// Since when units count in the new plan's first period, where that is not its begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_from: Option<Timestamp>,
    /// Units: of the old plan in the period that runs, of the new one in the period in which it begins, and in those that follow.
    /// Missing where there is none.
    pub quota_before: Option<u64>,
    pub quota_first: Option<PeriodQuota>,
    pub quota_after: Option<u64>,
    pub limits_before: Vec<Limit>,
    pub limits_after: Vec<Limit>,
    /// Until when limits and features of the old plan are kept, and the limits of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits_kept: Vec<Limit>,
    /// Codes of products that it opens and closes.
    pub gained: Vec<String>,
    pub lost: Vec<String>,
}

/// Why a change cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// Neither a plan nor one to come.
    #[error("there is no plan to end")]
    Nothing,
}

/// What a change at `at` means; `billed_until` is until when the old plan is billed, `time_zone` the partner's now.
pub fn preview(
    held: Option<Held<'_>>,
    wanted: Option<Wanted<'_>>,
    when: When,
    billed_until: Timestamp,
    at: Timestamp,
    time_zone: &str,
) -> Result<Preview, ChangeError> {
    let direction = match (held, wanted) {
        (None, None) => return Err(ChangeError::Nothing),
        (None, Some(_)) => Direction::Start,
        (Some(_), None) => Direction::Cancel,
        (Some(held), Some(wanted)) => direction(held.terms, wanted.terms),
    };
    let at_once = match (when, direction, held) {
        (_, Direction::Start, _) | (When::AtOnce, ..) => true,
        (When::PeriodEnd, ..) | (_, Direction::Cancel, _) => false,
        (When::Usual, Direction::Upgrade, _) => true,
        (When::Usual, Direction::Downgrade, held) => held.zip(wanted).is_some_and(|(held, wanted)| {
            held.terms.changes.downgrade == Downgrade::AtOnce && keeps_periods(held, wanted.terms)
        }),
    };
    let running = held.map(|held| held.cycle.period_at(at)).transpose()?;
    // A trial may be longer than a period.
    let end_of = |running: Period| match held.and_then(|held| held.trial_until) {
        Some(until) if trial::is_in(Some(until), running) => until,
        _ => running.end,
    };
    let effective_at = running.filter(|_| !at_once).map_or(at, end_of);
    let begins = match wanted.filter(|wanted| wanted.may_try).and_then(|wanted| wanted.terms.trial) {
        Some(trial) => Some(trial.end(effective_at, time_zone)?),
        None => None,
    };
    let trial_until = begins.or_else(|| trial_that_goes_on(held, wanted, effective_at));
    let cycle = match (wanted, begins) {
        // The first period that is paid is a whole one.
        (Some(wanted), Some(anchor)) => {
            Some(Cycle { anchor, interval: wanted.terms.interval, time_zone: time_zone.to_owned() })
        }
        (Some(wanted), None) => Some(cycle_after(held, wanted.terms, effective_at, time_zone)?),
        (None, _) => None,
    };
    let period = cycle.as_ref().map(|cycle| cycle.period_at(effective_at)).transpose()?;
    let old_fee = match (held, running) {
        (Some(held), Some(running)) => {
            let start = running.start.max(billed_until).max(held.started_at).min(effective_at);
            let period = PlanPeriod::of(held.cycle, held.since, held.trial_until, running)?;
            Some(fee(held.terms, period, Period { start, end: effective_at }, running)?)
        }
        _ => None,
    };
    let given_back = match (held, running, old_fee) {
        (Some(held), Some(running), Some(due)) if at_once && held.terms.fee_due == FeeDue::Advance => {
            let start = running.start.max(held.started_at).min(effective_at);
            let period = PlanPeriod::of(held.cycle, held.since, held.trial_until, running)?;
            let paid = fee(held.terms, period, Period { start, end: running.end }, running)?;
            let back = Money { micros: paid.micros.saturating_sub(due.micros).max(0), ..paid };
            Some(match held.billed {
                Some((fee, coupons)) => advance::less_coupons(back, fee, coupons)?,
                None => back,
            })
        }
        _ => None,
    };
    let (first_fee, mut whole_fees) = match (wanted, &cycle, period) {
        (Some(wanted), Some(cycle), Some(whole)) => {
            let since = wanted.since.unwrap_or(effective_at);
            let since = trial_until.map_or(since, |until| until.max(since));
            let part = Period { start: effective_at, end: whole.end };
            let first = PlanPeriod::of(cycle, since, trial_until, whole)?;
            let from = match trial_until.filter(|_| first.in_trial) {
                Some(until) => until,
                None if part == whole => whole.start,
                None => whole.end,
            };
            let fees = fees::fees(wanted.terms, cycle, since, from)?;
            (Some(fee(wanted.terms, first, part, whole)?), fees)
        }
        _ => (None, Vec::new()),
    };
    let bonus_first = match (wanted, first_fee, period) {
        (Some(Wanted { terms, .. }), Some(fee), Some(whole)) if terms.fee_due == FeeDue::Advance && fee.micros > 0 => {
            let bonus = terms.admission.credit.fee_bonus;
            bonus.map_or(0, |bonus| bonus.of_part(Period { start: effective_at, ..whole }, whole))
        }
        _ => 0,
    };
    let whole_fee = (!whole_fees.is_empty()).then(|| whole_fees.remove(0).fee);
    // The period goes on, with what was used of it.
    let goes_on = held.filter(|_| at_once && running == period);
    let (counts_from, quota_first) = match (wanted, &cycle, period) {
        (Some(wanted), Some(cycle), Some(period)) => match goes_on {
            Some(held) => {
                let whole = wanted.terms.quota_of_part(cycle, held.counts_from, effective_at)?;
                (held.counts_from, quota_for_the_rest(held, wanted.terms, period, effective_at).or(whole))
            }
            None => {
                let from = wanted.terms.counts_from(cycle, effective_at)?;
                (from, wanted.terms.quota_of_part(cycle, from, effective_at)?)
            }
        },
        _ => (None, None),
    };
    let leaves = held.zip(wanted);
    let kept_until = match leaves {
        Some((held, _)) => held.terms.changes.kept_until(direction, (held.started_at, effective_at), time_zone)?,
        None => None,
    };
    let kept = leaves.zip(kept_until).map(|((held, wanted), until)| Kept::new(held.terms, wanted.terms, until));
    let opened = |terms: Option<&PlanTerms>| -> Vec<String> {
        terms.map_or(Vec::new(), |terms| terms.products.iter().map(|grant| grant.product.clone()).collect())
    };
    let (before, after) = (opened(held.map(|held| held.terms)), opened(wanted.map(|wanted| wanted.terms)));
    let units = |quota: Option<Quota>| quota.map(|quota| quota.units);
    Ok(Preview {
        direction,
        at_once,
        effective_at,
        cycle,
        trial_until,
        period,
        old_fee,
        given_back,
        bonus_back: held
            .and_then(|held| held.bonus)
            .map_or(0, |(units, paid)| fee_bonus::after(units, paid, effective_at)),
        first_fee,
        bonus_first,
        fee: whole_fee,
        later_fees: whole_fees,
        counts_from,
        quota_before: held
            .zip(running)
            .and_then(|(held, running)| units(held.terms.quota_in(held.quota, held.trial_until, running.end))),
        quota_first,
        quota_after: wanted.and_then(|wanted| units(wanted.terms.quota)),
        limits_before: held.map_or(Vec::new(), |held| held.terms.limits.clone()),
        limits_after: wanted.map_or(Vec::new(), |wanted| wanted.terms.limits.clone()),
        kept_until,
        limits_kept: kept.map_or(Vec::new(), |kept| kept.limits),
        gained: after.iter().filter(|code| !before.contains(code)).cloned().collect(),
        lost: before.iter().filter(|code| !after.contains(code)).cloned().collect(),
    })
}

impl Preview {
    /// What a commit is held to, as bytes: the plans by their versions, and all of the preview.
    pub fn digest_of(&self, from: &str, to: &str) -> Vec<u8> {
        serde_json::to_vec(&(from, to, self)).unwrap_or_default()
    }
}

/// What most changes do not have is not written down.
fn is_none_of_it(units: &u64) -> bool {
    *units == 0
}

/// Until when the trial is that runs, where the change leaves it.
fn trial_that_goes_on(held: Option<Held<'_>>, wanted: Option<Wanted<'_>>, at: Timestamp) -> Option<Timestamp> {
    let (held, wanted) = held.zip(wanted)?;
    let stays = wanted.goes_on && wanted.terms.trial.is_some() && wanted.terms.interval == held.cycle.interval;
    held.trial_until.filter(|until| stays && *until > at && *until == held.cycle.anchor)
}

fn keeps_periods(held: Held<'_>, wanted: &PlanTerms) -> bool {
    held.cycle.interval == wanted.interval && wanted.keeps_periods_of(held.terms)
}

/// Where periods begin after a change.
fn cycle_after(
    held: Option<Held<'_>>,
    wanted: &PlanTerms,
    at: Timestamp,
    time_zone: &str,
) -> Result<Cycle, PeriodError> {
    match held.filter(|held| keeps_periods(*held, wanted)) {
        Some(held) => Ok(held.cycle.clone()),
        None => wanted.cycle_from(at, time_zone),
    }
}

/// Less to pay in a year, whatever is used, is a downgrade, and more is none; for as much it is one if there is less of something: quota or
/// included credit in a year, calls in a limit's window, a product, an operation or a feature; or if periods are of another length or lie otherwise.
/// What is compared is the list price: a phase or a promotion makes no smaller plan.
/// A change of currency ends with the period, too: two currencies cannot be compared, and each period stays in one.
fn direction(old: &PlanTerms, new: &PlanTerms) -> Direction {
    let yearly = |terms: &PlanTerms, each: i128| each.saturating_mul(i128::from(terms.interval.in_a_year()));
    let promised = |terms: &PlanTerms| {
        let committed = terms.commitment.as_ref().map_or(0, |commitment| commitment.micros);
        let each = i128::from(terms.base_fee_micros) + i128::from(terms.minimum_micros) + i128::from(committed);
        yearly(terms, each)
    };
    let less_quota = match (old.quota, new.quota) {
        (Some(held), Some(wanted)) => yearly(new, wanted.units.into()) < yearly(old, held.units.into()),
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let tighter = new.limits.iter().any(|limit| {
        let same = old.limits.iter().find(|other| other.window == limit.window);
        same.is_none_or(|same| limit.calls < same.calls)
    });
    let less_credit = yearly(new, new.included_credit_micros.into()) < yearly(old, old.included_credit_micros.into());
    let closes = old.products.iter().any(|held| match (new.grant(&held.product), &held.operations) {
        (None, _) => true,
        (Some(Grant { operations: None, .. }), _) => false,
        (Some(Grant { operations: Some(_), .. }), None) => true,
        (Some(wanted), Some(codes)) => codes.iter().any(|code| !wanted.opens(code)),
    });
    let shuts = old.opens_features.iter().any(|feature| !new.opens_features.contains(feature));
    let is_less = less_quota || less_credit || tighter || closes || shuts;
    match promised(new).cmp(&promised(old)) {
        _ if old.currency != new.currency => Direction::Downgrade,
        std::cmp::Ordering::Less => Direction::Downgrade,
        std::cmp::Ordering::Equal if is_less || !new.keeps_periods_of(old) => Direction::Downgrade,
        _ => Direction::Upgrade,
    }
}

/// The base fee of a part of that period, less the discounts on it.
fn fee(terms: &PlanTerms, period: PlanPeriod, part: Period, whole: Period) -> Result<Money, ChangeError> {
    Ok(advance::fee(terms, period, part, whole)?.total)
}

/// `None` where the rest of the period has the quota of a period that goes on.
fn quota_for_the_rest(held: Held<'_>, new: &PlanTerms, period: Period, at: Timestamp) -> Option<PeriodQuota> {
    let tried = held.terms.trial.and_then(|trial| trial.quota).filter(|_| trial::is_in(held.trial_until, period));
    let (old, new_quota) = (tried.or(held.terms.quota)?, new.quota?);
    if new.changes.quota == QuotaOnChange::Whole {
        return None;
    }
    let rest = Period { start: at, end: period.end };
    // What is left of what the period already has, so that several changes in a period add up.
    let had =
        held.quota.filter(|quota| tried.is_none() && quota.until == period.end).map_or(old.units, |quota| quota.units);
    let kept = had.saturating_sub(proration::units_down(old.units, rest, period));
    let units = kept.saturating_add(proration::units_up(new_quota.units, rest, period));
    Some(PeriodQuota { units, until: period.end })
}

#[cfg(test)]
mod calendar_tests;
#[cfg(test)]
mod tests;
