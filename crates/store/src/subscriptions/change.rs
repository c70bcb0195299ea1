//! Changing a partner's plan: the old subscription ends and the new one starts in one transaction, at one instant.

use super::{
    Chosen,
    begin::{self, Begin},
    requests, scheduled, trials,
};
use crate::{
    Store, StoreError, Ts, api_requests,
    audit::{self, Actor, Entry},
    partners::{self, Partner},
    plans::{named::may_choose, terms},
    row::ReadRow as _,
};
use domain::{
    id::{PartnerId, PlanChangeId, PlanId, PlanVersionId, SubscriptionId},
    period::{Cycle, Interval},
    plan::Approval,
    quota::PeriodQuota,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Postgres, Row as _, Transaction};
use uuid::Uuid;

impl Store {
    /// The partner's own choice of a plan that it is offered, in its newest version. Where the plan takes
    /// approval it waits for an operator, and takes the place of a request that waited before.
    pub async fn choose_plan(
        &self,
        partner: PartnerId,
        plan: PlanId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Chosen, StoreError> {
        let mut tx = self.begin().await?;
        let held = partners::lock(&mut tx, partner).await?;
        if held.suspended_at.is_some() {
            return Err(StoreError::conflict("plan", "The account is suspended; the plan cannot be changed"));
        }
        let row = sqlx::query(concat!(
            "select p.approval, v.id from plans p join plan_versions v on v.plan_id = p.id
             where p.id = $2 and ",
            may_choose!(),
            " order by v.version desc limit 1",
        ))
        .bind(partner.0)
        .bind(plan.0)
        .fetch_one(&mut *tx)
        .await?;
        let version = PlanVersionId(row.try_get("id")?);
        check_is_a_change(&mut tx, partner, version).await?;
        requests::withdraw(&mut tx, partner, now).await?;
        let chosen = match row.parsed::<Approval>("approval")? {
            Approval::Automatic => Chosen::Active(start(&mut tx, &held, version, actor, now).await?),
            Approval::Queue => Chosen::Requested(requests::insert(&mut tx, &held, version, actor, now).await?),
        };
        tx.commit().await?;
        Ok(chosen)
    }

    /// An operator's choice for the partner: any version of any plan, private ones too. It replaces a request.
    pub async fn assign_plan_version(
        &self,
        partner: PartnerId,
        version: PlanVersionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<SubscriptionId, StoreError> {
        let mut tx = self.begin().await?;
        let id = assign(&mut tx, partner, version, actor, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// As [`Store::assign_plan_version`], at most once for this attempt of an API call ([`crate::ApiRequest::Fresh`]).
    ///
    /// # Errors
    /// As there; or another attempt has taken the call over.
    pub async fn assign_plan_version_once(
        &self,
        partner: PartnerId,
        (version, attempt): (PlanVersionId, Uuid),
        actor: Actor,
        now: Timestamp,
    ) -> Result<SubscriptionId, StoreError> {
        let mut tx = self.begin().await?;
        let id = assign(&mut tx, partner, version, actor, now).await?;
        api_requests::made(&mut tx, attempt, id.0).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Moves the partner to the newest version of the plan that it is on.
    pub async fn move_to_newest_version(
        &self,
        partner: PartnerId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<SubscriptionId, StoreError> {
        let mut tx = self.begin().await?;
        let held = partners::lock(&mut tx, partner).await?;
        let newest: Uuid = sqlx::query_scalar(
            "select n.id from subscriptions s join plan_versions v on v.id = s.plan_version_id
             join plan_versions n on n.plan_id = v.plan_id
             where s.partner_id = $1 and s.status = 'active' order by n.version desc limit 1",
        )
        .bind(partner.0)
        .fetch_one(&mut *tx)
        .await?;
        let version = PlanVersionId(newest);
        check_is_a_change(&mut tx, partner, version).await?;
        let id = start(&mut tx, &held, version, actor, now).await?;
        tx.commit().await?;
        Ok(id)
    }
}

async fn assign(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    version: PlanVersionId,
    actor: Actor,
    now: Timestamp,
) -> Result<SubscriptionId, StoreError> {
    let held = partners::lock(tx, partner).await?;
    sqlx::query("select from plan_versions where id = $1").bind(version.0).fetch_one(&mut **tx).await?;
    check_is_a_change(tx, partner, version).await?;
    requests::withdraw(tx, partner, now).await?;
    start(tx, &held, version, actor, now).await
}

/// Where and when a plan begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start<'a> {
    pub at: Timestamp,
    pub cycle: &'a Cycle,
    /// Since when units count in its first period, where that is not the period's begin.
    pub counts_from: Option<Timestamp>,
    pub quota: Option<PeriodQuota>,
    /// Until when limits and features are kept of what is in force.
    pub kept_until: Option<Timestamp>,
    /// The planned change that it is.
    pub change: Option<PlanChangeId>,
}

pub(super) async fn check_is_a_change(
    tx: &mut PgConnection,
    partner: PartnerId,
    version: PlanVersionId,
) -> Result<(), StoreError> {
    let same: bool = sqlx::query_scalar(
        "select exists (select from subscriptions where partner_id = $1 and status = 'active' and plan_version_id = $2)",
    )
    .bind(partner.0)
    .bind(version.0)
    .fetch_one(tx)
    .await?;
    if same { Err(StoreError::conflict("plan", "This is already the plan")) } else { Ok(()) }
}

/// Ends what is in force and starts the version, as a new subscription. Another version of the same plan that keeps the periods leaves what
/// was planned for their end, and the quota of the one that runs.
async fn start(
    tx: &mut PgConnection,
    partner: &Partner,
    version: PlanVersionId,
    actor: Actor,
    now: Timestamp,
) -> Result<SubscriptionId, StoreError> {
    terms::check_meters(tx, version).await?;
    let Begin { cycle, counts_from, quota, quota_of_version } = begin::of(tx, partner, version, now).await?;
    let start = Start { at: now, cycle: &cycle, counts_from, quota, kept_until: None, change: None };
    let is_version: bool = sqlx::query_scalar(
        "select exists (
             select from subscriptions s
             join plan_versions v on v.id = s.plan_version_id join plan_versions n on n.plan_id = v.plan_id
             where s.partner_id = $1 and s.status = 'active' and n.id = $2
                 and coalesce(v.terms ->> 'interval', $3) = coalesce(n.terms ->> 'interval', $3) and s.anchor = $4)",
    )
    .bind(partner.id.0)
    .bind(version.0)
    .bind(Interval::default().code())
    .bind(Ts(cycle.anchor))
    .fetch_one(&mut *tx)
    .await?;
    if !is_version {
        return start_at(tx, partner.id, version, start, actor, now).await;
    }
    let start = Start { quota: quota_of_version, ..start };
    match scheduled::find(tx, partner.id).await? {
        Some(waits)
            if waits.to.as_ref().is_none_or(|to| to.version_id != version)
                && !scheduled::is_for_others(tx, partner.id, version).await? =>
        {
            let id = begin(tx, partner.id, version, start, actor, now).await?;
            scheduled::carry_over(tx, partner.id, id).await?;
            Ok(id)
        }
        _ => start_at(tx, partner.id, version, start, actor, now).await,
    }
}

/// Ends what is in force and what waits, and starts the version there and then. The version can be sold.
pub(super) async fn start_at(
    tx: &mut PgConnection,
    partner: PartnerId,
    version: PlanVersionId,
    start: Start<'_>,
    actor: Actor,
    now: Timestamp,
) -> Result<SubscriptionId, StoreError> {
    scheduled::replace(tx, partner, actor, now).await?;
    begin(tx, partner, version, start, actor, now).await
}

async fn begin(
    tx: &mut PgConnection,
    partner: PartnerId,
    version: PlanVersionId,
    Start { at, cycle, counts_from, quota, kept_until, change }: Start<'_>,
    actor: Actor,
    now: Timestamp,
) -> Result<SubscriptionId, StoreError> {
    let id = SubscriptionId(Uuid::now_v7());
    let trial_until = trials::granted(tx, partner, version, at, cycle).await?;
    let before = end_active(tx, partner, at).await?;
    sqlx::query(
        "insert into subscriptions (partner_id, id, plan_version_id, status, anchor, time_zone, requested_at, started_at,
             period_quota_units, period_quota_until, trial_until, counts_from, kept_version_id, kept_until)
         values ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(version.0)
    .bind(Ts(cycle.anchor))
    .bind(&cycle.time_zone)
    .bind(Ts(now))
    .bind(Ts(at))
    .bind(quota.map(|quota| i64::try_from(quota.units).unwrap_or(i64::MAX)))
    .bind(quota.map(|quota| Ts(quota.until)))
    .bind(trial_until.map(Ts))
    .bind(counts_from.map(Ts))
    .bind(before.filter(|_| kept_until.is_some()).map(|version| version.0))
    .bind(kept_until.filter(|_| before.is_some()).map(Ts))
    .execute(&mut *tx)
    .await?;
    let started = Started { subscription: id, before, after: version, change };
    log(tx, partner, started, actor, now).await?;
    Ok(id)
}

/// Begins a plan that is paid for, for a partner that has none; with the cycle of its periods.
pub(crate) async fn begin_paid(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    version: PlanVersionId,
    at: Timestamp,
    now: Timestamp,
) -> Result<(SubscriptionId, Cycle), StoreError> {
    let held = partners::lock(tx, partner).await?;
    requests::withdraw(tx, partner, now).await?;
    let Begin { cycle, counts_from, quota, .. } = begin::of(tx, &held, version, at).await?;
    let start = Start { at, cycle: &cycle, counts_from, quota, kept_until: None, change: None };
    let id = start_at(tx, partner, version, start, Actor::System, now).await?;
    Ok((id, cycle))
}

/// Ends what is in force, and no plan follows.
pub(super) async fn end(
    tx: &mut PgConnection,
    partner: PartnerId,
    at: Timestamp,
    change: Option<PlanChangeId>,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    scheduled::replace(tx, partner, actor, now).await?;
    let before = end_active(tx, partner, at).await?;
    let subject = partner.to_string();
    let entry = Entry::new(actor, partner, "subscription.end", &subject).before(json!({"plan_version": before}));
    let entry = match change {
        Some(change) => entry.after(json!({"change": change})),
        None => entry,
    };
    audit::append(tx, entry, now).await
}

/// Starts a subscription that was requested before.
pub(super) async fn start_requested(
    tx: &mut PgConnection,
    partner: PartnerId,
    requested: SubscriptionId,
    version: PlanVersionId,
    Start { at, cycle, counts_from, quota, kept_until, change }: Start<'_>,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    scheduled::replace(tx, partner, actor, now).await?;
    let trial_until = trials::granted(tx, partner, version, at, cycle).await?;
    let before = end_active(tx, partner, at).await?;
    sqlx::query(
        "update subscriptions set status = 'active', started_at = $3, anchor = $4, time_zone = $5,
             period_quota_units = $6, period_quota_until = $7, trial_until = $8, counts_from = $9,
             kept_version_id = $10, kept_until = $11
         where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(requested.0)
    .bind(Ts(at))
    .bind(Ts(cycle.anchor))
    .bind(&cycle.time_zone)
    .bind(quota.map(|quota| i64::try_from(quota.units).unwrap_or(i64::MAX)))
    .bind(quota.map(|quota| Ts(quota.until)))
    .bind(trial_until.map(Ts))
    .bind(counts_from.map(Ts))
    .bind(before.filter(|_| kept_until.is_some()).map(|version| version.0))
    .bind(kept_until.filter(|_| before.is_some()).map(Ts))
    .execute(&mut *tx)
    .await?;
    let started = Started { subscription: requested, before, after: version, change };
    log(tx, partner, started, actor, now).await
}

async fn end_active(
    tx: &mut PgConnection,
    partner: PartnerId,
    now: Timestamp,
) -> Result<Option<PlanVersionId>, StoreError> {
    let ended = sqlx::query_scalar(
        "update subscriptions set status = 'ended', ended_at = $2
         where partner_id = $1 and status = 'active' returning plan_version_id",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .fetch_optional(tx)
    .await?;
    Ok(ended.map(PlanVersionId))
}

struct Started {
    subscription: SubscriptionId,
    before: Option<PlanVersionId>,
    after: PlanVersionId,
    change: Option<PlanChangeId>,
}

async fn log(
    tx: &mut PgConnection,
    partner: PartnerId,
    Started { subscription, before, after, change }: Started,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let subject = subscription.to_string();
    let after = match change {
        Some(change) => json!({"plan_version": after, "change": change}),
        None => json!({"plan_version": after}),
    };
    let entry =
        Entry::new(actor, partner, "subscription.start", &subject).before(json!({"plan_version": before})).after(after);
    audit::append(tx, entry, now).await
}
