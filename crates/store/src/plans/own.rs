//! Plans that are one partner's own: the terms of a version of another plan, with other prices or limits.

use super::{NewPlan, insert, named};
use crate::{
    Store, StoreError,
    audit::{self, Actor, Entry},
};
use domain::{
    id::{PartnerId, PlanId, PlanVersionId},
    plan::PlanTerms,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _, types::Json};

/// Where a partner's own plan comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOrigin {
    pub partner: PartnerId,
    pub partner_name: String,
    /// The plan that it was derived from, and in which version.
    pub plan: PlanId,
    pub plan_code: String,
    pub plan_name: String,
    pub version_id: PlanVersionId,
    pub version: i32,
    /// The newest version of that plan by now.
    pub newest_version: i32,
    /// Of the version that it was derived from.
    pub terms: PlanTerms,
}

impl Store {
    /// Adds a private plan that is this partner's own, and that the partner may choose.
    pub async fn derive_plan(
        &self,
        partner: PartnerId,
        from: PlanVersionId,
        new: &NewPlan,
        actor: Actor,
        now: Timestamp,
    ) -> Result<PlanId, StoreError> {
        let mut tx = self.begin().await?;
        let mut new = new.clone();
        new.meta.private = true;
        let id = insert(&mut tx, &new, actor, now).await?;
        derive(&mut tx, partner, (id, &new.code), from, actor, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Makes a private plan that is there one partner's own. It stays so: a second time with the same partner changes nothing.
    pub async fn make_plan_own(
        &self,
        partner: PartnerId,
        plan: PlanId,
        from: PlanVersionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = super::lock(&mut tx, plan).await?;
        let code: String = row.try_get("code")?;
        match row.try_get::<Option<uuid::Uuid>, _>("own_of")? {
            Some(own) if own == partner.0 => return Ok(()),
            Some(_) => return Err(StoreError::conflict("partner", "The plan is another partner's own")),
            None => {}
        }
        if !row.try_get::<bool, _>("private")? {
            return Err(StoreError::conflict("private", "A plan of one partner's own is private"));
        }
        let others: bool = sqlx::query_scalar(
            "select exists (select from plan_partners where plan_id = $1 and partner_id <> $2)
                 or exists (select from subscriptions s join plan_versions v on v.id = s.plan_version_id
                     where v.plan_id = $1 and s.partner_id <> $2 and s.status in ('active', 'requested'))",
        )
        .bind(plan.0)
        .bind(partner.0)
        .fetch_one(&mut *tx)
        .await?;
        if others {
            return Err(StoreError::conflict(
                "partner",
                "Others have the plan or may choose it; it cannot be one's own",
            ));
        }
        derive(&mut tx, partner, (plan, &code), from, actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The terms of one version of any plan.
    pub async fn plan_version_terms(&self, version: PlanVersionId) -> Result<PlanTerms, StoreError> {
        let Json(terms) = sqlx::query_scalar("select terms from plan_versions where id = $1")
            .bind(version.0)
            .fetch_one(self.pool())
            .await?;
        Ok(terms)
    }

    /// Where the plan comes from; `None` where it is nobody's own.
    pub async fn plan_origin(&self, plan: PlanId) -> Result<Option<PlanOrigin>, StoreError> {
        let row = sqlx::query(
            "select own.own_of, partner.name as partner_name, p.id as plan_id, p.code, p.name, v.id, v.version, v.terms,
                 (select max(version) from plan_versions newest where newest.plan_id = p.id) as newest_version
             from plans own join partners partner on partner.id = own.own_of
             join plan_versions v on v.id = own.derived_from join plans p on p.id = v.plan_id
             where own.id = $1",
        )
        .bind(plan.0)
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let Json(terms) = row.try_get("terms")?;
        Ok(Some(PlanOrigin {
            partner: PartnerId(row.try_get("own_of")?),
            partner_name: row.try_get("partner_name")?,
            plan: PlanId(row.try_get("plan_id")?),
            plan_code: row.try_get("code")?,
            plan_name: row.try_get("name")?,
            version_id: PlanVersionId(row.try_get("id")?),
            version: row.try_get("version")?,
            newest_version: row.try_get("newest_version")?,
            terms,
        }))
    }
}

async fn derive(
    tx: &mut PgConnection,
    partner: PartnerId,
    (plan, code): (PlanId, &str),
    from: PlanVersionId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let base = sqlx::query("select plan_id, version from plan_versions where id = $1")
        .bind(from.0)
        .fetch_one(&mut *tx)
        .await?;
    if base.try_get::<uuid::Uuid, _>("plan_id")? == plan.0 {
        return Err(StoreError::conflict("from", "A plan cannot be derived from itself"));
    }
    named::name(tx, partner, plan, code, actor, now).await?;
    sqlx::query(
        "update plans p set own_of = $2, derived_from = $3,
             asks_for_payment_method = p.asks_for_payment_method or b.asks_for_payment_method
         from plan_versions v join plans b on b.id = v.plan_id where p.id = $1 and v.id = $3",
    )
    .bind(plan.0)
    .bind(partner.0)
    .bind(from.0)
    .execute(&mut *tx)
    .await?;
    let entry = Entry::new(actor, partner, "plan.make_own", code);
    audit::append(tx, entry.after(json!({"from": from.to_string()})), now).await?;
    Ok(())
}
