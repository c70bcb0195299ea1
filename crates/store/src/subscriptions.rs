//! Subscriptions: which plan version a partner is on, since when, and what it was on before.

mod begin;
mod change;
mod order;
mod requests;
mod scheduled;
mod trials;

pub(crate) use change::begin_paid;
pub use order::{ChangeGround, ChangeTarget, Ordered, OrderedBy, PlanOrder, Wish};
pub use requests::PlanRequest;
pub use scheduled::{PutInForce, ScheduledChange, ScheduledMove, ScheduledPlan};
pub use trials::EndingTrial;

use crate::{
    Store, StoreError,
    row::{ReadRow as _, unreadable},
};
use domain::{
    id::{PartnerId, PlanId, PlanVersionId, SubscriptionId},
    period::{Cycle, Period, PeriodError},
    plan::PlanTerms,
    quota::{PeriodQuota, Quota},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
use std::str::FromStr;

/// A partner's tie to a plan version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub partner: PartnerId,
    pub status: SubscriptionStatus,
    pub plan: PlanId,
    pub plan_code: String,
    pub plan_name: String,
    pub version_id: PlanVersionId,
    pub version: i32,
    /// The plan's newest version, which may be newer than this subscription's.
    pub newest_version: i32,
    pub terms: PlanTerms,
    /// Where its billing periods begin.
    pub anchor: Timestamp,
    /// IANA name: the partner's zone when those periods began.
    pub time_zone: String,
    /// Where a period has another quota than the plan, as its plan changed within it.
    pub period_quota: Option<PeriodQuota>,
    /// Since when units count in the period that holds this instant, where that is not its begin.
    pub counts_from: Option<Timestamp>,
    /// Until when limits and features are kept of the plan before.
    pub kept_until: Option<Timestamp>,
    /// Until when the plan is tried, or was.
    pub trial_until: Option<Timestamp>,
    pub requested_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// Where a subscription is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// It waits for an operator.
    Requested,
    Active,
    /// Another took its place.
    Ended,
    /// An operator said no, or it was taken back.
    Declined,
}

/// What became of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// It is in force.
    Active(SubscriptionId),
    /// An operator has to say yes first.
    Requested(SubscriptionId),
}

impl Subscription {
    /// Its billing periods.
    pub fn cycle(&self) -> Cycle {
        Cycle { anchor: self.anchor, interval: self.terms.interval, time_zone: self.time_zone.clone() }
    }

    /// What a quota counts together with `at`: the billing period, or of the first the part for which there is this plan.
    ///
    /// # Errors
    /// The period is beyond the calendar.
    pub fn counted_at(&self, at: Timestamp) -> Result<Period, PeriodError> {
        self.cycle().counted_at(at, self.counts_from)
    }

    /// The quota of the billing period that holds `at`.
    pub fn quota_at(&self, at: Timestamp) -> Option<Quota> {
        let end = self.cycle().period_at(at).ok().map(|period| period.end);
        end.map_or(self.terms.quota, |end| self.terms.quota_in(self.period_quota, self.trial_until, end))
    }
}

impl SubscriptionStatus {
    /// As the table has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Declined => "declined",
        }
    }
}

impl FromStr for SubscriptionStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Requested, Self::Active, Self::Ended, Self::Declined]
            .into_iter()
            .find(|status| status.code() == text)
            .ok_or_else(|| format!("{text:?} is not a status of a subscription"))
    }
}

impl Store {
    /// The subscription in force, if there is one.
    pub async fn subscription(&self, partner: PartnerId) -> Result<Option<Subscription>, StoreError> {
        Ok(self.subscriptions_where(partner, Some(SubscriptionStatus::Active)).await?.pop())
    }

    /// The subscription that waits for an operator, if there is one.
    pub async fn requested_subscription(&self, partner: PartnerId) -> Result<Option<Subscription>, StoreError> {
        Ok(self.subscriptions_where(partner, Some(SubscriptionStatus::Requested)).await?.pop())
    }

    /// All of the partner's subscriptions, newest first.
    pub async fn subscription_history(&self, partner: PartnerId) -> Result<Vec<Subscription>, StoreError> {
        self.subscriptions_where(partner, None).await
    }

    /// Since when the partner has the plan of that version, in any version.
    pub async fn plan_since(&self, partner: PartnerId, version: PlanVersionId) -> Result<Timestamp, StoreError> {
        let row = sqlx::query("select plan_since($1, $2) as since")
            .bind(partner.0)
            .bind(version.0)
            .fetch_one(self.pool())
            .await?;
        Ok(row.at("since")?)
    }

    async fn subscriptions_where(
        &self,
        partner: PartnerId,
        status: Option<SubscriptionStatus>,
    ) -> Result<Vec<Subscription>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        select(&mut connection, partner, status).await
    }
}

pub(crate) async fn select(
    tx: &mut PgConnection,
    partner: PartnerId,
    status: Option<SubscriptionStatus>,
) -> Result<Vec<Subscription>, StoreError> {
    let rows = sqlx::query(
        "select s.*, p.id as plan_id, p.code as plan_code, p.name as plan_name, v.version, v.terms,
             (select max(n.version) from plan_versions n where n.plan_id = p.id) as newest_version
         from subscriptions s join plan_versions v on v.id = s.plan_version_id join plans p on p.id = v.plan_id
         where s.partner_id = $1 and ($2::text is null or s.status = $2)
         order by coalesce(s.started_at, s.requested_at) desc, s.id desc",
    )
    .bind(partner.0)
    .bind(status.map(SubscriptionStatus::code))
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Holds the subscription: two runs that bill it at once wait here for each other.
pub(crate) async fn hold(
    tx: &mut PgConnection,
    partner: PartnerId,
    subscription: SubscriptionId,
) -> Result<(), StoreError> {
    sqlx::query("select from subscriptions where partner_id = $1 and id = $2 for no key update")
        .bind(partner.0)
        .bind(subscription.0)
        .fetch_one(tx)
        .await?;
    Ok(())
}

/// The quota of one period, of a row with `period_quota_units` and `period_quota_until`.
pub(crate) fn read_period_quota(row: &PgRow) -> Result<Option<PeriodQuota>, sqlx::Error> {
    let units: Option<i64> = row.try_get("period_quota_units")?;
    let units = units.map(u64::try_from).transpose().map_err(|error| unreadable("period_quota_units", error))?;
    Ok(units.zip(row.at_if_any("period_quota_until")?).map(|(units, until)| PeriodQuota { units, until }))
}

fn read(row: &PgRow) -> Result<Subscription, sqlx::Error> {
    let Json(terms) = row.try_get("terms")?;
    Ok(Subscription {
        id: SubscriptionId(row.try_get("id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        status: row.parsed("status")?,
        plan: PlanId(row.try_get("plan_id")?),
        plan_code: row.try_get("plan_code")?,
        plan_name: row.try_get("plan_name")?,
        version_id: PlanVersionId(row.try_get("plan_version_id")?),
        version: row.try_get("version")?,
        newest_version: row
            .try_get::<Option<i32>, _>("newest_version")?
            .ok_or_else(|| unreadable("newest_version", "a plan without a version"))?,
        terms,
        anchor: row.at("anchor")?,
        time_zone: row.try_get("time_zone")?,
        period_quota: read_period_quota(row)?,
        counts_from: row.at_if_any("counts_from")?,
        kept_until: row.at_if_any("kept_until")?,
        trial_until: row.at_if_any("trial_until")?,
        requested_at: row.at("requested_at")?,
        started_at: row.at_if_any("started_at")?,
        ended_at: row.at_if_any("ended_at")?,
    })
}

#[cfg(test)]
mod tests;
