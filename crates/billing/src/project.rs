//! The projected bill: what the current period costs so far, and what it will cost at this pace, by the invoice's engine.

use crate::{
    BillingError,
    close::{
        Stretch, Usage, billed_before, less, metered, of_usage, open_coupons, overdraft_charges, rate,
        sum_billed_before,
    },
};
use domain::{
    credit::hour_of,
    id::{PartnerId, PlanVersionId},
    money::Money,
    period::Period,
    rating::{Charge, MeterUsed, Rated, Used},
};
use jiff::Timestamp;
use store::{
    NewInvoiceLine, Overdrawn, Store,
    usage::{MeteredUnits, TeamUsed, UsedUnits},
};

/// A partner's bill for the period that holds `now`.
#[derive(Debug, Clone)]
pub struct Projection {
    pub plan_version: PlanVersionId,
    /// What will be on one invoice: the whole period, or the part since the plan changed.
    pub period: Period,
    /// The billing period that it is in.
    pub whole: Period,
    pub used: Vec<UsedUnits>,
    /// Whose it is; empty where nothing is a team's.
    teams: Vec<TeamUsed>,
    /// What threshold invoices have billed of it: each is a line below zero of the bills below.
    pub billed_before: Money,
    /// If nothing more were used.
    pub so_far: Rated,
    /// If the rest of the period were used as the part before `now` was. An overdraft does not grow: a grant may come before.
    pub estimate: Rated,
    /// If the plan ended at `now`: fee and what is included for the time that it ran.
    pub ended_now: Rated,
    /// What meters measured.
    metered: Vec<MeteredUnits>,
}

impl Projection {
    /// The lines of the bill so far, each in the words of an invoice and with what teams have of it.
    pub fn lines(&self) -> Vec<(Charge, NewInvoiceLine)> {
        let stretch = Stretch { part: self.period, whole: self.whole };
        let usage = Usage { units: self.used.clone(), teams: self.teams.clone(), metered: self.metered.clone() };
        let charges = self.so_far.charges.iter().cloned();
        charges.map(|charge| (charge.clone(), usage.line(charge, stretch))).collect()
    }
}

/// The bill of the partner's active subscription; `None` where there is none.
pub async fn project(store: &Store, partner: PartnerId, now: Timestamp) -> Result<Option<Projection>, BillingError> {
    let Some(subscription) = store.open_subscription(partner).await? else { return Ok(None) };
    let whole = subscription.cycle.period_at(now)?;
    let part = Period { start: whole.start.max(subscription.billed_until), end: whole.end };
    let stretch = Stretch { part, whole };
    let until_now = Stretch { part: Period { start: part.start, end: now.clamp(part.start, part.end) }, whole };
    let (used, teams) = store.units_and_teams_between(partner, part).await?;
    let so_far: Vec<Used> = used.iter().map(|line| line.used.clone()).collect();
    let metered = metered(store, &subscription, part, now).await?;
    let meters: Vec<MeterUsed> = metered.iter().map(|line| line.used.clone()).collect();
    let estimate: Vec<Used> = so_far.iter().map(|line| pace_of_units(line, part, now)).collect();
    let pace = |line: &MeteredUnits| match line.grows() {
        true => MeterUsed {
            quantity: at_this_pace(line.used.quantity, part, now),
            calls: at_this_pace(line.used.calls, part, now),
            ..line.used.clone()
        },
        false => line.used.clone(),
    };
    let estimated_meters: Vec<MeterUsed> = metered.iter().map(pace).collect();
    let overdrawn = store.overdrawn_credit_so_far(partner, subscription.id, part.end, now).await?;
    // The hour that runs is on the next plan's invoice, where one begins in it.
    let whole_hours: Vec<_> = overdrawn.iter().filter(|one| one.hour < hour_of(now)).copied().collect();
    let coupons = open_coupons(store, &subscription, stretch).await?;
    let before = store.billed_before(partner, subscription.id, part.start).await?;
    let usage = Usage { units: used, teams, metered };
    let bill = async |part, used: &[Used], meters: &[MeterUsed], overdrawn: &[Overdrawn]| {
        let mut rated = less(rate(&subscription, part, used, meters)?, &coupons)?;
        let lines: Vec<_> = rated.charges.iter().map(|charge| usage.line(charge.clone(), stretch)).collect();
        let costs = match before.is_empty() {
            true => Money::zero(rated.total.currency),
            false => of_usage((&subscription, part), used, meters, &coupons)?.total,
        };
        let taken_off = billed_before(store, (&subscription, stretch), &before, (&lines, costs)).await?;
        for charge in taken_off.into_iter().chain(overdraft_charges(overdrawn, rated.total.currency)?) {
            rated.total = rated.total.checked_add(charge.amount)?;
            rated.charges.push(charge);
        }
        Ok::<_, BillingError>(rated)
    };
    Ok(Some(Projection {
        plan_version: subscription.plan_version,
        period: part,
        whole,
        billed_before: sum_billed_before(&before, subscription.terms.currency)?,
        so_far: bill(stretch, &so_far, &meters, &overdrawn).await?,
        estimate: bill(stretch, &estimate, &estimated_meters, &overdrawn).await?,
        ended_now: bill(until_now, &so_far, &meters, &whole_hours).await?,
        used: usage.units,
        teams: usage.teams,
        metered: usage.metered,
    }))
}

/// Credit is taken to last: it pays the same share.
fn pace_of_units(line: &Used, part: Period, now: Timestamp) -> Used {
    let units = at_this_pace(line.units, part, now);
    Used { units, prepaid: at_this_pace(line.prepaid, part, now).min(units), ..line.clone() }
}

/// `units × length of the period / time passed`, rounded down, and never less than what was used.
fn at_this_pace(units: u64, period: Period, now: Timestamp) -> u64 {
    let seconds = |from: Timestamp, to: Timestamp| u128::try_from(to.duration_since(from).as_secs()).unwrap_or(0);
    let passed = seconds(period.start, now.min(period.end)).max(1);
    let estimate = u128::from(units) * seconds(period.start, period.end) / passed;
    u64::try_from(estimate).unwrap_or(u64::MAX).max(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_kept_to_the_end_and_never_falls_below_what_was_used() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a timestamp");
        let period = Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
        assert_eq!(at_this_pace(100, period, at("2026-06-11T00:00:00Z")), 300);
        assert_eq!(at_this_pace(100, period, at("2026-07-05T00:00:00Z")), 100);
        assert_eq!(at_this_pace(u64::MAX, period, period.start), u64::MAX);
    }
}
