//! What a partner may know of: the one place that decides it for the catalogue, the docs, search and download.

use super::{ProductLine, read_line, read_operation};
use crate::{Store, StoreError};
use domain::{
    id::{PartnerId, ProductId},
    plan::{Grant, PlanTerms},
    policy::{IdempotencyKey, Policy},
    product::{Operation, Visibility},
    usage::MeterKind,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A product that a partner may know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibleProduct {
    /// Its upstream address is left empty: that is the provider's own.
    pub line: ProductLine,
    /// What the partner's plan opens of it; `None` where it may be looked at and not be called.
    pub grant: Option<Grant>,
    /// The operations that the partner may know of: those that the grant opens, or all of a public product's where
    /// there is no grant.
    pub operations: Vec<Operation>,
    /// Those of them that take an Idempotency-Key, by code.
    pub keyed: BTreeMap<String, KeyedOperation>,
    /// Which calls cost units, in words.
    pub counting: String,
    /// What else is measured of the operations that the partner may know of.
    pub meters: Vec<VisibleMeter>,
}

/// A meter, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibleMeter {
    pub code: String,
    pub name: String,
    /// What one is called; may be empty.
    pub unit: String,
    /// What it measures.
    pub sentence: String,
    pub kind: MeterKind,
}

/// What an operation says of Idempotency-Keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedOperation {
    /// Whether it refuses calls without one.
    pub required: bool,
    /// Seconds that its answers are given again for.
    pub keep_seconds: u32,
}

impl VisibleProduct {
    /// Whether the partner may call at least part of it.
    pub fn is_open(&self) -> bool {
        self.grant.is_some()
    }

    fn may_know_of(&self, operation: &str) -> bool {
        self.grant.as_ref().is_none_or(|grant| grant.opens(operation))
    }
}

impl Store {
    /// The products that the partner may know of, by name: public ones, and those that its active plan opens and, for
    /// products by invitation, to which it was invited.
    pub async fn visible_products(&self, partner: PartnerId) -> Result<Vec<VisibleProduct>, StoreError> {
        self.visible(Some(partner), None).await
    }

    /// The products that everybody may know of, by name, with all of their operations, as somebody without a plan sees them.
    pub async fn public_products(&self) -> Result<Vec<VisibleProduct>, StoreError> {
        self.visible(None, None).await
    }

    /// One product that the partner may know of. `NotFound` where it may not, as where there is none.
    pub async fn visible_product(&self, partner: PartnerId, code: &str) -> Result<VisibleProduct, StoreError> {
        self.visible(Some(partner), Some(code)).await?.pop().ok_or(StoreError::NotFound)
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

    async fn visible(&self, partner: Option<PartnerId>, code: Option<&str>) -> Result<Vec<VisibleProduct>, StoreError> {
        let mut visible = self.without_operations(partner, code).await?;
        let ids: Vec<Uuid> = visible.iter().map(|product| product.line.id.0).collect();
        let operations = sqlx::query(
            "select * from operations where product_id = any($1) and removed_at is null order by product_id, position",
        )
        .bind(ids)
        .fetch_all(self.pool())
        .await?;
        for row in &operations {
            let (of, operation) = (ProductId(row.try_get("product_id")?), read_operation(row)?);
            let product = visible.iter_mut().find(|product| product.line.id == of);
            let Some(product) = product.filter(|product| product.may_know_of(&operation.code)) else { continue };
            product.operations.push(operation);
            product.line.operations += 1;
        }
        Ok(visible)
    }

    /// The codes of the products that the partner may know of; of everybody, where there is no partner.
    pub(crate) async fn visible_codes(&self, partner: Option<PartnerId>) -> Result<Vec<String>, StoreError> {
        let visible = self.without_operations(partner, None).await?;
        Ok(visible.into_iter().map(|product| product.line.code).collect())
    }

    async fn without_operations(
        &self,
        partner: Option<PartnerId>,
        code: Option<&str>,
    ) -> Result<Vec<VisibleProduct>, StoreError> {
        let terms: Option<Json<PlanTerms>> = sqlx::query_scalar(
            "select v.terms from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where s.partner_id = $1 and s.status = 'active'",
        )
        .bind(partner.map(|partner| partner.0))
        .fetch_optional(self.pool())
        .await?;
        let rows = sqlx::query(
            "select p.id, p.code, p.name, p.summary, p.route, '' as upstream_url, p.timeout_ms, p.visibility,
                 p.created_at, p.updated_at, p.archived_at, p.policy,
                 0::bigint as operations,
                 exists (select from product_invitations i where i.product_id = p.id and i.partner_id = $1) as invited
             from products p
             where p.archived_at is null and ($2::text is null or p.code = $2) order by lower(p.name), p.id",
        )
        .bind(partner.map(|partner| partner.0))
        .bind(code)
        .fetch_all(self.pool())
        .await?;
        let terms = terms.as_ref().map(|Json(terms)| terms);
        rows.iter().filter_map(|row| look(row, terms).transpose()).map(|product| Ok(product?)).collect()
    }
}

/// The product, without operations yet, where the partner may know of it.
fn look(row: &PgRow, terms: Option<&PlanTerms>) -> Result<Option<VisibleProduct>, sqlx::Error> {
    let line = ProductLine { operations: 0, ..read_line(row)? };
    let grant = terms.and_then(|terms| terms.grant(&line.code)).cloned();
    let visible = match line.visibility {
        Visibility::Public => true,
        Visibility::Plan => grant.is_some(),
        Visibility::Invitation => grant.is_some() && row.try_get("invited")?,
    };
    if !visible {
        return Ok(None);
    }
    let Json(policy): Json<Policy> = row.try_get("policy")?;
    let (operations, keyed, counting) = (Vec::new(), BTreeMap::new(), policy.counting_sentence());
    let mut product = VisibleProduct { line, grant, operations, keyed, counting, meters: Vec::new() };
    for (code, meter) in policy.meters {
        if meter.operations.is_empty() || meter.operations.iter().any(|operation| product.may_know_of(operation)) {
            let sentence = meter.sentence();
            product.meters.push(VisibleMeter { code, name: meter.name, unit: meter.unit, sentence, kind: meter.kind });
        }
    }
    for (code, operation) in policy.operations {
        if !product.may_know_of(&code) {
            continue;
        }
        let keep_seconds = policy.idempotency.keep_seconds;
        let keyed = match operation.idempotency_key {
            IdempotencyKey::Ignored => continue,
            IdempotencyKey::Optional => KeyedOperation { required: false, keep_seconds },
            IdempotencyKey::Required => KeyedOperation { required: true, keep_seconds },
        };
        product.keyed.insert(code, keyed);
    }
    Ok(Some(product))
}
