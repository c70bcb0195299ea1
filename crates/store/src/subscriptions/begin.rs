//! Where the periods lie of a plan that begins, since when units count in the first, and its quota.

use super::{Subscription, SubscriptionStatus, trials};
use crate::{StoreError, partners::Partner};
use domain::{
    id::PlanVersionId,
    period::{Cycle, PeriodError},
    plan::PlanTerms,
    quota::PeriodQuota,
};
use jiff::Timestamp;
use sqlx::{PgConnection, types::Json};

/// The first period of a plan.
#[derive(Debug, Clone)]
pub(super) struct Begin {
    pub cycle: Cycle,
    pub counts_from: Option<Timestamp>,
    /// Where it is not the plan's.
    pub quota: Option<PeriodQuota>,
    /// The same for another version of the plan that is in force: what a change within the period left of its quota stays.
    pub quota_of_version: Option<PeriodQuota>,
}

/// If the version starts now: where a trial ends that is open to the partner; or as they do, so that a change of plan moves no period; or as
/// the plan has it, in the partner's time zone, where they are of another length, lie otherwise or there is no plan.
pub(super) async fn of(
    tx: &mut PgConnection,
    partner: &Partner,
    version: PlanVersionId,
    now: Timestamp,
) -> Result<Begin, StoreError> {
    let Json(terms): Json<PlanTerms> =
        sqlx::query_scalar("select terms from plan_versions where id = $1").bind(version.0).fetch_one(&mut *tx).await?;
    // The first period that is paid is a whole one.
    if let Some(anchor) = trials::open_to(tx, partner.id, version, now, &partner.time_zone).await? {
        let cycle = Cycle { anchor, interval: terms.interval, time_zone: partner.time_zone.clone() };
        return Ok(Begin { cycle, counts_from: None, quota: None, quota_of_version: None });
    }
    let current = super::select(tx, partner.id, Some(SubscriptionStatus::Active)).await?.pop();
    after(current.as_ref(), &terms, &partner.time_zone, now)
        .map_err(|error| StoreError::invalid("time_zone", error.to_string()))
}

fn after(
    current: Option<&Subscription>,
    terms: &PlanTerms,
    time_zone: &str,
    now: Timestamp,
) -> Result<Begin, PeriodError> {
    let cycle = match current.filter(|own| terms.keeps_periods_of(&own.terms)) {
        Some(own) => own.cycle(),
        None => terms.cycle_from(now, time_zone)?,
    };
    let period = cycle.period_at(now)?;
    let goes_on = current.filter(|own| own.cycle().period_at(now).is_ok_and(|running| running == period));
    let counts_from = match goes_on {
        Some(own) => own.counts_from,
        None => terms.counts_from(&cycle, now)?,
    };
    let quota = terms.quota_of_part(&cycle, counts_from, now)?;
    let quota_of_version = match goes_on {
        Some(own) if own.period_quota != own.terms.quota_of_part(&cycle, counts_from, now)? => own.period_quota,
        _ => quota,
    };
    Ok(Begin { cycle, counts_from, quota, quota_of_version })
}
