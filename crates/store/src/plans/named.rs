//! Which partners may choose a private plan, by name.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
};
use domain::id::{PartnerId, PlanId};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow};

/// The plans that partner `$1`, which may be null, can choose; `p` is the plan.
macro_rules! may_choose {
    () => {
        "(p.archived_at is null and (not p.private or exists (
             select from plan_partners named where named.partner_id = $1 and named.plan_id = p.id)))"
    };
}
pub(crate) use may_choose;

/// A private plan that names a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPlan {
    pub id: PlanId,
    pub code: String,
    pub name: String,
    /// Whether it is this partner's own.
    pub own: bool,
}

impl Store {
    /// Lets a partner see and choose a private plan. Doing so twice changes nothing.
    pub async fn name_partner_for_plan(
        &self,
        partner: PartnerId,
        plan: PlanId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = super::lock(&mut tx, plan).await?;
        let code: String = row.try_get("code")?;
        if !row.try_get::<bool, _>("private")? {
            return Err(StoreError::conflict("partner", "The plan is for everybody; make it private to name partners"));
        }
        if row.try_get::<Option<uuid::Uuid>, _>("own_of")?.is_some_and(|own| own != partner.0) {
            return Err(StoreError::conflict(
                "partner",
                "The plan is one partner's own; nobody else can be named for it",
            ));
        }
        name(&mut tx, partner, plan, &code, actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes the name back: the partner no longer sees the plan, and stays on it where it is.
    pub async fn unname_partner_for_plan(
        &self,
        partner: PartnerId,
        plan: PlanId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = super::lock(&mut tx, plan).await?;
        let gone = sqlx::query("delete from plan_partners where partner_id = $1 and plan_id = $2")
            .bind(partner.0)
            .bind(plan.0)
            .execute(&mut *tx)
            .await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        audit::append(&mut tx, Entry::new(actor, partner, "plan.unname_partner", row.try_get("code")?), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The private plans that name the partner and are not archived, by name.
    pub async fn plans_naming(&self, partner: PartnerId) -> Result<Vec<NamedPlan>, StoreError> {
        let rows = sqlx::query(
            "select p.id, p.code, p.name, p.own_of is not null as own
             from plan_partners named join plans p on p.id = named.plan_id
             where named.partner_id = $1 and p.private and p.archived_at is null order by lower(p.name), p.code",
        )
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| {
            Ok(NamedPlan {
                id: PlanId(row.try_get("id")?),
                code: row.try_get("code")?,
                name: row.try_get("name")?,
                own: row.try_get("own")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The partners who may choose a private plan, by name.
    pub async fn partners_named_for_plan(&self, plan: PlanId) -> Result<Vec<(PartnerId, String)>, StoreError> {
        let rows = sqlx::query(
            "select p.id, p.name from plan_partners named join partners p on p.id = named.partner_id
             where named.plan_id = $1 order by lower(p.name), p.id",
        )
        .bind(plan.0)
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| Ok((PartnerId(row.try_get("id")?), row.try_get("name")?));
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// Names a partner that exists; once is enough.
pub(super) async fn name(
    tx: &mut PgConnection,
    partner: PartnerId,
    plan: PlanId,
    code: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("select from partners where id = $1").bind(partner.0).fetch_one(&mut *tx).await?;
    let done = sqlx::query(
        "insert into plan_partners (partner_id, plan_id, created_at) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(partner.0)
    .bind(plan.0)
    .bind(Ts(now))
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() > 0 {
        audit::append(tx, Entry::new(actor, partner, "plan.name_partner", code), now).await?;
    }
    Ok(())
}
