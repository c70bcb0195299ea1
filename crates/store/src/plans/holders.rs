//! Who is on a plan, and in which version.

use super::PlanVersion;
use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::{
    id::{PartnerId, PlanId, PlanVersionId},
    period::{Cycle, Period},
};
use jiff::Timestamp;
use sqlx::Row as _;

/// A partner whose active subscription is some version of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHolder {
    pub partner: PartnerId,
    pub name: String,
    pub version: PlanVersion,
    /// Its billing periods.
    pub cycle: Cycle,
    /// Until when it is tried, or was.
    pub trial_until: Option<Timestamp>,
    /// Since when the partner has the plan, in any version.
    pub since: Timestamp,
}

impl Store {
    /// The partners on a plan, by name: so many of them, and how many there are in all.
    pub async fn all_partners_on_plan(&self, plan: PlanId, at_most: u32) -> Result<(Vec<PlanHolder>, u64), StoreError> {
        self.holders(plan, None, at_most).await
    }

    /// The partner, if it is on the plan.
    pub async fn plan_holder(&self, partner: PartnerId, plan: PlanId) -> Result<Option<PlanHolder>, StoreError> {
        Ok(self.holders(plan, Some(partner), 1).await?.0.pop())
    }

    async fn holders(
        &self,
        plan: PlanId,
        only: Option<PartnerId>,
        at_most: u32,
    ) -> Result<(Vec<PlanHolder>, u64), StoreError> {
        let versions = self.plan(plan).await?.versions;
        let rows = sqlx::query(
            "select s.partner_id, p.name, s.plan_version_id, s.anchor, s.time_zone, s.trial_until, count(*) over () as holders,
                 plan_since(s.partner_id, s.plan_version_id) as since
             from subscriptions s
             join plan_versions v on v.id = s.plan_version_id
             join partners p on p.id = s.partner_id
             where v.plan_id = $1 and s.status = 'active' and ($3::uuid is null or s.partner_id = $3)
             order by lower(p.name), p.id limit $2",
        )
        .bind(plan.0)
        .bind(i64::from(at_most))
        .bind(only.map(|partner| partner.0))
        .fetch_all(self.pool())
        .await?;
        let all = rows.first().map(|row| row.count("holders")).transpose()?.unwrap_or_default();
        let mut holders = Vec::with_capacity(rows.len());
        for row in &rows {
            let version = PlanVersionId(row.try_get("plan_version_id")?);
            // A version that was added since the versions were read: the next look has it.
            let Some(version) = versions.iter().find(|known| known.id == version).cloned() else { continue };
            holders.push(PlanHolder {
                partner: PartnerId(row.try_get("partner_id")?),
                name: row.try_get("name")?,
                cycle: Cycle {
                    anchor: row.at("anchor")?,
                    interval: version.terms.interval,
                    time_zone: row.try_get("time_zone")?,
                },
                trial_until: row.at_if_any("trial_until")?,
                since: row.at("since")?,
                version,
            });
        }
        Ok((holders, all))
    }

    /// Whether the partner had some plan at every moment of the period.
    pub async fn had_a_plan_throughout(&self, partner: PartnerId, period: Period) -> Result<bool, StoreError> {
        // A partner has one plan at a time, so the stretches do not overlap.
        let all = sqlx::query_scalar(
            "select coalesce(sum(least(coalesce(ended_at, $3), $3) - greatest(started_at, $2)), interval '0') >= $3 - $2
             from subscriptions
             where partner_id = $1 and started_at < $3 and (ended_at is null or ended_at > $2)",
        )
        .bind(partner.0)
        .bind(Ts(period.start))
        .bind(Ts(period.end))
        .fetch_one(self.pool())
        .await?;
        Ok(all)
    }
}
