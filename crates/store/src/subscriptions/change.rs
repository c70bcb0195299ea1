//! Changing a partner's plan: the old subscription ends and the new one starts in one transaction, at one instant.

use super::{Chosen, requests};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    partners::{self, Partner},
    plans::terms,
    row::ReadRow as _,
};
use domain::{
    id::{PartnerId, PlanId, PlanVersionId, SubscriptionId},
    plan::Approval,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

impl Store {
    /// The partner's own choice of a plan that is offered to everybody, in its newest version. Where the plan takes
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
        let row = sqlx::query(
            "select p.approval, v.id from plans p join plan_versions v on v.plan_id = p.id
             where p.id = $1 and not p.private and p.archived_at is null order by v.version desc limit 1",
        )
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
        let held = partners::lock(&mut tx, partner).await?;
        sqlx::query("select from plan_versions where id = $1").bind(version.0).fetch_one(&mut *tx).await?;
        check_is_a_change(&mut tx, partner, version).await?;
        requests::withdraw(&mut tx, partner, now).await?;
        let id = start(&mut tx, &held, version, actor, now).await?;
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

async fn check_is_a_change(
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

/// Ends what is in force and starts the version, as a new subscription.
async fn start(
    tx: &mut PgConnection,
    partner: &Partner,
    version: PlanVersionId,
    actor: Actor,
    now: Timestamp,
) -> Result<SubscriptionId, StoreError> {
    terms::check_meters(tx, version).await?;
    let id = SubscriptionId(Uuid::now_v7());
    let before = end_active(tx, partner.id, now).await?;
    let (anchor, time_zone) = cycle(tx, partner, now).await?;
    sqlx::query(
        "insert into subscriptions (partner_id, id, plan_version_id, status, anchor, time_zone, requested_at, started_at)
         values ($1, $2, $3, 'active', $4, $5, $6, $6)",
    )
    .bind(partner.id.0)
    .bind(id.0)
    .bind(version.0)
    .bind(Ts(anchor))
    .bind(time_zone)
    .bind(Ts(now))
    .execute(&mut *tx)
    .await?;
    log(tx, partner.id, id, before, version, actor, now).await?;
    Ok(id)
}

/// Starts a subscription that was requested before.
pub(super) async fn start_requested(
    tx: &mut PgConnection,
    partner: &Partner,
    requested: SubscriptionId,
    version: PlanVersionId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    terms::check_meters(tx, version).await?;
    let before = end_active(tx, partner.id, now).await?;
    let (anchor, time_zone) = cycle(tx, partner, now).await?;
    sqlx::query(
        "update subscriptions set status = 'active', started_at = $3, anchor = $4, time_zone = $5
         where partner_id = $1 and id = $2",
    )
    .bind(partner.id.0)
    .bind(requested.0)
    .bind(Ts(now))
    .bind(Ts(anchor))
    .bind(time_zone)
    .execute(&mut *tx)
    .await?;
    log(tx, partner.id, requested, before, version, actor, now).await
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

/// Where periods begin: as with the partner's first subscription, so that a change of plan moves no period.
pub(super) async fn cycle(
    tx: &mut PgConnection,
    partner: &Partner,
    now: Timestamp,
) -> Result<(Timestamp, String), StoreError> {
    let first = sqlx::query(
        "select anchor, time_zone from subscriptions where partner_id = $1 and started_at is not null
         order by started_at, id limit 1",
    )
    .bind(partner.id.0)
    .fetch_optional(tx)
    .await?;
    match first {
        Some(row) => Ok((row.at("anchor")?, row.try_get("time_zone")?)),
        None => Ok((now, partner.time_zone.clone())),
    }
}

async fn log(
    tx: &mut PgConnection,
    partner: PartnerId,
    subscription: SubscriptionId,
    before: Option<PlanVersionId>,
    after: PlanVersionId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let subject = subscription.to_string();
    let entry = Entry::new(actor, partner, "subscription.start", &subject)
        .before(json!({"plan_version": before}))
        .after(json!({"plan_version": after}));
    audit::append(tx, entry, now).await
}
