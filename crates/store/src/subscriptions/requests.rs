//! Plans that wait for an operator's yes.

use super::{
    Subscription, begin, change,
    order::{self, Ordered, OrderedBy, PlanOrder, Wish},
    read, scheduled,
};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    partners::{self, Partner},
    plans::terms,
};
use domain::{
    id::{PartnerId, PlanVersionId, SubscriptionId},
    plan_change::{ChangeError, When},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// One line of the operators' queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    pub partner_name: String,
    pub requested: Subscription,
    /// The plan that it has now.
    pub current_plan: Option<String>,
}

impl Store {
    /// Every partner's request that waits, oldest first.
    pub async fn all_plan_requests(&self) -> Result<Vec<PlanRequest>, StoreError> {
        let rows = sqlx::query(
            "select s.*, p.id as plan_id, p.code as plan_code, p.name as plan_name, v.version, v.terms,
                 (select max(n.version) from plan_versions n where n.plan_id = p.id) as newest_version,
                 c.name as partner_name,
                 (select ap.name from subscriptions a join plan_versions av on av.id = a.plan_version_id
                     join plans ap on ap.id = av.plan_id
                     where a.partner_id = s.partner_id and a.status = 'active') as current_plan
             from subscriptions s join plan_versions v on v.id = s.plan_version_id join plans p on p.id = v.plan_id
             join partners c on c.id = s.partner_id
             where s.status = 'requested' order by s.requested_at, s.id",
        )
        .fetch_all(self.pool())
        .await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(PlanRequest {
                partner_name: row.try_get("partner_name")?,
                requested: read(row)?,
                current_plan: row.try_get("current_plan")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Says yes to a requested plan: it is in force from now on, or when the period ends, as it would be if the partner chose it now
    /// and nobody had to be asked. It takes the place of a change that waits.
    pub async fn approve_plan_request(
        &self,
        partner: PartnerId,
        requested: SubscriptionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Ordered, StoreError> {
        // As exact as the database keeps it.
        let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let version: Uuid = sqlx::query_scalar(
            "select plan_version_id from subscriptions where partner_id = $1 and id = $2 and status = 'requested'",
        )
        .bind(partner.0)
        .bind(requested.0)
        .fetch_one(&mut *tx)
        .await?;
        let version = PlanVersionId(version);
        change::check_is_a_change(&mut tx, partner, version).await?;
        terms::check_meters(&mut tx, version).await?;
        let ground = order::ground(&mut tx, partner, Wish::Version(version), OrderedBy::Operator).await?;
        let told = |error: ChangeError| StoreError::conflict("plan", format!("What it means cannot be said: {error}"));
        let preview = ground.preview(When::Usual, now).map_err(told)?;
        let cycle = preview.cycle.ok_or(StoreError::NotFound)?;
        let ordered = if preview.at_once {
            let start = change::Start {
                at: preview.effective_at,
                cycle: &cycle,
                counts_from: preview.counts_from,
                quota: preview.quota_first,
                kept_until: preview.kept_until,
                change: None,
            };
            change::start_requested(&mut tx, partner, requested, version, start, actor, now).await?;
            Ordered::Done(Some(requested))
        } else {
            scheduled::replace(&mut tx, partner, actor, now).await?;
            // The planned change is what is left of the request.
            sqlx::query("delete from subscriptions where partner_id = $1 and id = $2 and status = 'requested'")
                .bind(partner.0)
                .bind(requested.0)
                .execute(&mut *tx)
                .await?;
            audit::append(&mut tx, Entry::new(actor, partner, "subscription.approve", &requested.to_string()), now)
                .await?;
            let order = PlanOrder {
                by: OrderedBy::Partner,
                from: ground.current.map(|own| own.id),
                replaces: ground.scheduled.map(|change| change.id),
                to: Some(version),
                at_once: false,
                effective_at: preview.effective_at,
                cycle: Some(cycle),
                counts_from: preview.counts_from,
                quota: preview.quota_first,
                kept_until: preview.kept_until,
                mails: Vec::new(),
            };
            Ordered::Scheduled(scheduled::insert(&mut tx, partner, &order, actor, now).await?)
        };
        tx.commit().await?;
        Ok(ordered)
    }

    /// An operator says no; the plan in force stays.
    pub async fn decline_plan_request(
        &self,
        partner: PartnerId,
        requested: SubscriptionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.close_request(partner, requested, "subscription.decline", actor, now).await
    }

    /// The partner takes its own request back.
    pub async fn withdraw_plan_request(
        &self,
        partner: PartnerId,
        requested: SubscriptionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.close_request(partner, requested, "subscription.withdraw", actor, now).await
    }

    async fn close_request(
        &self,
        partner: PartnerId,
        requested: SubscriptionId,
        action: &'static str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let done = sqlx::query(
            "update subscriptions set status = 'declined', ended_at = $3
             where partner_id = $1 and id = $2 and status = 'requested'",
        )
        .bind(partner.0)
        .bind(requested.0)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        audit::append(&mut tx, Entry::new(actor, partner, action, &requested.to_string()), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Another choice takes the place of what waited.
pub(super) async fn withdraw(tx: &mut PgConnection, partner: PartnerId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "update subscriptions set status = 'declined', ended_at = $2 where partner_id = $1 and status = 'requested'",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut PgConnection,
    partner: &Partner,
    version: PlanVersionId,
    actor: Actor,
    now: Timestamp,
) -> Result<SubscriptionId, StoreError> {
    let id = SubscriptionId(Uuid::now_v7());
    // Where they begin is decided when it starts.
    let cycle = begin::of(tx, partner, version, now).await?.cycle;
    sqlx::query(
        "insert into subscriptions (partner_id, id, plan_version_id, status, anchor, time_zone, requested_at)
         values ($1, $2, $3, 'requested', $4, $5, $6)",
    )
    .bind(partner.id.0)
    .bind(id.0)
    .bind(version.0)
    .bind(Ts(cycle.anchor))
    .bind(&cycle.time_zone)
    .bind(Ts(now))
    .execute(&mut *tx)
    .await?;
    let subject = id.to_string();
    audit::append(tx, Entry::new(actor, partner.id, "subscription.request", &subject), now).await?;
    Ok(id)
}
