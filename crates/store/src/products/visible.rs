//! What a partner may know of: the one place that decides it for the catalogue, the docs, search and download.

use super::{ProductLine, read_line};
use crate::{Store, StoreError, row::unreadable};
use domain::{
    id::PartnerId,
    plan::{Grant, PlanTerms},
    product::{Operation, Visibility},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};

/// A product that a partner may know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibleProduct {
    /// Its upstream address is left empty: that is the provider's own.
    pub line: ProductLine,
    /// What the partner's plan opens of it; `None` where it may be looked at and not be called.
    pub grant: Option<Grant>,
    /// The operations that the partner may know of: those that the grant opens, or all of a public product's where there is no
    /// grant.
    pub operations: Vec<Operation>,
}

impl VisibleProduct {
    /// Whether the partner may call at least part of it.
    pub fn is_open(&self) -> bool {
        self.grant.is_some()
    }
}

impl Store {
    /// The products that the partner may know of, by name: public ones, and those that its active plan opens and, for
    /// products by invitation, to which it was invited.
    pub async fn visible_products(&self, partner: PartnerId) -> Result<Vec<VisibleProduct>, StoreError> {
        self.visible(partner, None).await
    }

    /// One product that the partner may know of. `NotFound` where it may not, as where there is none.
    pub async fn visible_product(&self, partner: PartnerId, code: &str) -> Result<VisibleProduct, StoreError> {
        self.visible(partner, Some(code)).await?.pop().ok_or(StoreError::NotFound)
    }

    /// The product and its whole document, which the caller filters to `operations` before anybody sees it.
    pub async fn visible_product_with_document(
        &self,
        partner: PartnerId,
        code: &str,
    ) -> Result<(VisibleProduct, Value), StoreError> {
        let product = self.visible_product(partner, code).await?;
        let document = self.product_document(product.line.id).await?;
        Ok((product, document))
    }

    async fn visible(&self, partner: PartnerId, code: Option<&str>) -> Result<Vec<VisibleProduct>, StoreError> {
        let terms: Option<Json<PlanTerms>> = sqlx::query_scalar(
            "select v.terms from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where s.partner_id = $1 and s.status = 'active'",
        )
        .bind(partner.0)
        .fetch_optional(self.pool())
        .await?;
        let rows = sqlx::query(
            "select p.id, p.code, p.name, p.summary, p.route, '' as upstream_url, p.timeout_ms, p.visibility,
                 p.created_at, p.updated_at, p.archived_at,
                 (select count(*) from operations o where o.product_id = p.id and o.removed_at is null) as operations,
                 exists (select from product_invitations i where i.product_id = p.id and i.partner_id = $1) as invited
             from products p
             where p.archived_at is null and ($2::text is null or p.code = $2) order by lower(p.name), p.id",
        )
        .bind(partner.0)
        .bind(code)
        .fetch_all(self.pool())
        .await?;
        let mut visible = Vec::new();
        for row in &rows {
            let Some((mut line, grant)) = look(row, terms.as_ref().map(|Json(terms)| terms))? else { continue };
            let mut operations = self.operations(line.id).await?;
            if let Some(grant) = &grant {
                operations.retain(|operation| grant.opens(&operation.code));
            }
            line.operations = u64::try_from(operations.len()).map_err(|error| unreadable("operations", error))?;
            visible.push(VisibleProduct { line, grant, operations });
        }
        Ok(visible)
    }
}

fn look(row: &PgRow, terms: Option<&PlanTerms>) -> Result<Option<(ProductLine, Option<Grant>)>, sqlx::Error> {
    let line = read_line(row)?;
    let grant = terms.and_then(|terms| terms.grant(&line.code)).cloned();
    let visible = match line.visibility {
        Visibility::Public => true,
        Visibility::Plan => grant.is_some(),
        Visibility::Invitation => grant.is_some() && row.try_get("invited")?,
    };
    Ok(visible.then_some((line, grant)))
}
