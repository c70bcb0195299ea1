//! Plans: what tiers there are. A plan's terms are in versions that never change; editing adds one.

mod holders;
pub(crate) mod named;
mod offered;
mod own;
pub(crate) mod terms;

pub use holders::PlanHolder;
pub use named::NamedPlan;
pub use offered::OfferedPlan;
pub use own::PlanOrigin;

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    plan_moves,
    row::ReadRow as _,
};
use domain::{
    id::{PlanId, PlanVersionId},
    plan::{Approval, PlanTerms},
    product::is_code,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

/// What can be changed of a plan without a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMeta {
    pub name: String,
    pub summary: String,
    /// Order on the pricing page.
    pub position: i32,
    /// Assigned by an operator, or chosen by partners who are named for it; shown to nobody else.
    pub private: bool,
    pub approval: Approval,
}

#[derive(Debug, Clone)]
pub struct NewPlan {
    pub code: String,
    pub meta: PlanMeta,
    pub terms: PlanTerms,
}

/// A tier and its versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub id: PlanId,
    pub code: String,
    pub meta: PlanMeta,
    pub created_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    pub versions: Vec<PlanVersion>,
}

/// One immutable state of a tier, and how many are on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanVersion {
    pub id: PlanVersionId,
    pub version: i32,
    pub terms: PlanTerms,
    pub created_at: Timestamp,
    /// The operator's address, or what else made it.
    pub created_by: String,
    /// Partners whose active subscription is this version.
    pub partners: u64,
}

impl Plan {
    /// What a partner who chooses the plan gets.
    pub fn newest(&self) -> Option<&PlanVersion> {
        self.versions.first()
    }
}

/// What became of new terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddedVersion {
    Added(PlanVersionId),
    /// The newest version already says the same.
    Unchanged(PlanVersionId),
}

impl Store {
    /// Adds a plan with its first version.
    pub async fn create_plan(&self, new: &NewPlan, actor: Actor, now: Timestamp) -> Result<PlanId, StoreError> {
        let mut tx = self.begin().await?;
        let id = insert(&mut tx, new, actor, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Changes what is not part of the terms; no version comes of it.
    pub async fn update_plan(
        &self,
        plan: PlanId,
        meta: &PlanMeta,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = lock(&mut tx, plan).await?;
        if !meta.private && row.try_get::<Option<Uuid>, _>("own_of")?.is_some() {
            return Err(StoreError::conflict("private", "The plan is one partner's own, so it stays private"));
        }
        sqlx::query(
            "update plans set name = $2, summary = $3, position = $4, private = $5, approval = $6 where id = $1",
        )
        .bind(plan.0)
        .bind(meta.name.trim())
        .bind(meta.summary.trim())
        .bind(meta.position)
        .bind(meta.private)
        .bind(meta.approval.code())
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(actor, None, "plan.update", row.try_get("code")?)
            .before(json!(read_meta(&row)?))
            .after(json!(meta));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Adds a version, unless the newest already says the same. Partners stay on the version they have.
    pub async fn add_plan_version(
        &self,
        plan: PlanId,
        terms: &PlanTerms,
        actor: Actor,
        now: Timestamp,
    ) -> Result<AddedVersion, StoreError> {
        let mut tx = self.begin().await?;
        let row = lock(&mut tx, plan).await?;
        let newest = sqlx::query(
            "select id, version, terms from plan_versions where plan_id = $1 order by version desc limit 1",
        )
        .bind(plan.0)
        .fetch_one(&mut *tx)
        .await?;
        let Json(old): Json<PlanTerms> = newest.try_get("terms")?;
        if old == *terms {
            return Ok(AddedVersion::Unchanged(PlanVersionId(newest.try_get("id")?)));
        }
        terms::check(&mut tx, terms).await?;
        let version = newest.try_get::<i32, _>("version")? + 1;
        let id = insert_version(&mut tx, plan, version, terms, actor, now).await?;
        let entry = Entry::new(actor, None, "plan.add_version", row.try_get("code")?);
        audit::append(&mut tx, entry.before(json!(old)).after(json!({"version": version, "terms": terms})), now)
            .await?;
        tx.commit().await?;
        Ok(AddedVersion::Added(id))
    }

    /// Takes a plan off the pricing page. Partners who are on it stay.
    ///
    /// # Errors
    /// A bulk move brings partners to it.
    pub async fn archive_plan(&self, plan: PlanId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        self.set_plan_archived(plan, Some(now), actor, now).await
    }

    /// Puts an archived plan back, if the meters that its newest version has a price for are still there.
    pub async fn restore_plan(&self, plan: PlanId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        self.set_plan_archived(plan, None, actor, now).await
    }

    async fn set_plan_archived(
        &self,
        plan: PlanId,
        at: Option<Timestamp>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let code: String = sqlx::query_scalar("update plans set archived_at = $2 where id = $1 returning code")
            .bind(plan.0)
            .bind(at.map(Ts))
            .fetch_one(&mut *tx)
            .await?;
        if at.is_some() {
            plan_moves::check_nobody_comes(&mut tx, plan).await?;
        }
        if at.is_none() {
            let newest: Uuid =
                sqlx::query_scalar("select id from plan_versions where plan_id = $1 order by version desc limit 1")
                    .bind(plan.0)
                    .fetch_one(&mut *tx)
                    .await?;
            terms::check_meters(&mut tx, PlanVersionId(newest)).await?;
        }
        let action = if at.is_some() { "plan.archive" } else { "plan.restore" };
        audit::append(&mut tx, Entry::new(actor, None, action, &code), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Every plan with every version, in the pricing page's order; archived ones last.
    pub async fn all_plans(&self) -> Result<Vec<Plan>, StoreError> {
        self.plans_where(None, None).await
    }

    /// One plan with its versions, archived or not.
    pub async fn plan(&self, plan: PlanId) -> Result<Plan, StoreError> {
        self.plans_where(Some(plan), None).await?.pop().ok_or(StoreError::NotFound)
    }

    /// The plan of that code, archived or not.
    pub async fn find_plan_by_code(&self, code: &str) -> Result<Option<Plan>, StoreError> {
        Ok(self.plans_where(None, Some(code)).await?.pop())
    }

    async fn plans_where(&self, plan: Option<PlanId>, code: Option<&str>) -> Result<Vec<Plan>, StoreError> {
        let rows = sqlx::query(
            "select p.*, v.id as version_id, v.version, v.terms, v.created_at as version_created_at, v.created_by,
                 (select count(*) from subscriptions s where s.plan_version_id = v.id and s.status = 'active') as partners
             from plans p join plan_versions v on v.plan_id = p.id
             where ($1::uuid is null or p.id = $1) and ($2::text is null or p.code = $2)
             order by p.archived_at is not null, p.position, p.code, v.version desc",
        )
        .bind(plan.map(|plan| plan.0))
        .bind(code)
        .fetch_all(self.pool())
        .await?;
        let mut plans: Vec<Plan> = Vec::new();
        for row in &rows {
            let id = PlanId(row.try_get("id")?);
            let version = read_version(row)?;
            match plans.last_mut().filter(|plan| plan.id == id) {
                Some(plan) => plan.versions.push(version),
                None => plans.push(Plan {
                    id,
                    code: row.try_get("code")?,
                    meta: read_meta(row)?,
                    created_at: row.at("created_at")?,
                    archived_at: row.at_if_any("archived_at")?,
                    versions: vec![version],
                }),
            }
        }
        Ok(plans)
    }
}

/// A plan with its first version.
async fn insert(tx: &mut PgConnection, new: &NewPlan, actor: Actor, now: Timestamp) -> Result<PlanId, StoreError> {
    if !is_code(&new.code) {
        return Err(StoreError::invalid("code", "A code is 1 to 64 lower-case letters, digits and inner hyphens"));
    }
    terms::check(tx, &new.terms).await?;
    let id = PlanId(Uuid::now_v7());
    sqlx::query(
        "insert into plans (id, code, name, summary, position, private, approval, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id.0)
    .bind(&new.code)
    .bind(new.meta.name.trim())
    .bind(new.meta.summary.trim())
    .bind(new.meta.position)
    .bind(new.meta.private)
    .bind(new.meta.approval.code())
    .bind(Ts(now))
    .execute(&mut *tx)
    .await?;
    insert_version(tx, id, 1, &new.terms, actor, now).await?;
    let entry = Entry::new(actor, None, "plan.create", &new.code).after(json!({"meta": new.meta, "terms": new.terms}));
    audit::append(tx, entry, now).await?;
    Ok(id)
}

async fn lock(tx: &mut PgConnection, plan: PlanId) -> Result<PgRow, StoreError> {
    Ok(sqlx::query("select * from plans where id = $1 for update").bind(plan.0).fetch_one(tx).await?)
}

async fn insert_version(
    tx: &mut PgConnection,
    plan: PlanId,
    version: i32,
    terms: &PlanTerms,
    actor: Actor,
    now: Timestamp,
) -> Result<PlanVersionId, StoreError> {
    let id = PlanVersionId(Uuid::now_v7());
    sqlx::query(
        "insert into plan_versions (plan_id, id, version, terms, created_at, created_by)
         values ($1, $2, $3, $4, $5, coalesce(
             (select email from operators where id = $6), (select name from api_tokens where id = $6), $7))",
    )
    .bind(plan.0)
    .bind(id.0)
    .bind(version)
    .bind(Json(terms))
    .bind(Ts(now))
    .bind(actor.id())
    .bind(actor.kind())
    .execute(tx)
    .await?;
    Ok(id)
}

fn read_meta(row: &PgRow) -> Result<PlanMeta, sqlx::Error> {
    Ok(PlanMeta {
        name: row.try_get("name")?,
        summary: row.try_get("summary")?,
        position: row.try_get("position")?,
        private: row.try_get("private")?,
        approval: row.parsed("approval")?,
    })
}

fn read_version(row: &PgRow) -> Result<PlanVersion, sqlx::Error> {
    let Json(terms) = row.try_get("terms")?;
    Ok(PlanVersion {
        id: PlanVersionId(row.try_get("version_id")?),
        version: row.try_get("version")?,
        terms,
        created_at: row.at("version_created_at")?,
        created_by: row.try_get("created_by")?,
        partners: row.count("partners")?,
    })
}

#[cfg(test)]
mod named_tests;
#[cfg(test)]
pub(crate) mod tests;
