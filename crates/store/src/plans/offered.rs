//! What somebody may choose: the newest terms of each plan that is for everybody, and of private ones that name the partner.

use super::named::may_choose;
use crate::{Store, StoreError, row::ReadRow as _};
use domain::{
    id::{PartnerId, PlanId, PlanVersionId},
    plan::{Approval, PlanTerms},
};
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, postgres::PgRow, types::Json};

/// A plan that a partner may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedPlan {
    pub id: PlanId,
    pub code: String,
    pub name: String,
    pub summary: String,
    pub approval: Approval,
    /// Whether others do not see it.
    pub private: bool,
    /// The version that a partner who chooses it now gets.
    pub version_id: PlanVersionId,
    pub version: i32,
    pub terms: PlanTerms,
}

impl Store {
    /// The plans that the partner may choose, or anybody where there is no partner, in the pricing page's order. Products that
    /// the partner may not know of are left out of their terms, and what is priced of them.
    pub async fn offered_plans(&self, partner: Option<PartnerId>) -> Result<Vec<OfferedPlan>, StoreError> {
        let rows = sqlx::query(concat!(
            "select distinct on (p.position, p.code) p.id, p.code, p.name, p.summary, p.approval, p.private,
                 v.id as version_id, v.version, v.terms
             from plans p join plan_versions v on v.plan_id = p.id
             where ",
            may_choose!(),
            " order by p.position, p.code, v.version desc",
        ))
        .bind(partner.map(|partner| partner.0))
        .fetch_all(self.pool())
        .await?;
        let known = self.visible_codes(partner).await?;
        let mut plans = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for plan in &mut plans {
            plan.terms.conceal(|product| known.iter().all(|code| code != product));
        }
        Ok(plans)
    }
}

fn read(row: &PgRow) -> Result<OfferedPlan, sqlx::Error> {
    let Json(terms) = row.try_get("terms")?;
    Ok(OfferedPlan {
        id: PlanId(row.try_get("id")?),
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        summary: row.try_get("summary")?,
        approval: row.parsed("approval")?,
        private: row.try_get("private")?,
        version_id: PlanVersionId(row.try_get("version_id")?),
        version: row.try_get("version")?,
        terms,
    })
}
