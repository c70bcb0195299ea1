//! The list of changes, which triggers write in the transaction that changes something (migration 0016).
//!
//! Every transaction that raises the version holds its row to the end, so versions are committed in their order, and whoever
//! sees a version sees everything that led to it.

use super::read::Which;
use crate::StoreError;
use domain::{
    directory::{Changes, Directory},
    id::{KeyId, PartnerId, ProductId},
};
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

/// Beyond so many changes it is quicker to read everything.
const MOST: usize = 5_000;

/// What has changed, each once.
#[derive(Debug, Default)]
pub(super) struct Changed {
    products: Vec<Uuid>,
    partners: Vec<Uuid>,
    plans: Vec<Uuid>,
    keys: Vec<Uuid>,
}

impl Changed {
    /// `None` where the list does not tell.
    pub(super) async fn list(
        tx: &mut Transaction<'static, Postgres>,
        since: i64,
        version: i64,
    ) -> Result<Option<Self>, StoreError> {
        let rows =
            sqlx::query("select version, kind, id from directory_changes where version > $1 order by version limit $2")
                .bind(since)
                .bind(i64::try_from(MOST + 1).unwrap_or(i64::MAX))
                .fetch_all(&mut **tx)
                .await?;
        if rows.len() > MOST {
            return Ok(None);
        }
        let (mut changed, mut apps, mut told) = (Self::default(), Vec::new(), since);
        for row in &rows {
            let (of, kind, id) = (row.try_get("version")?, row.try_get::<&str, _>("kind")?, row.try_get("id")?);
            // Each version says what it changed; one that is missing may have changed anything.
            if of > told + 1 {
                return Ok(None);
            }
            told = of;
            match kind {
                "product" => changed.products.push(id),
                "partner" => changed.partners.push(id),
                "plan" => changed.plans.push(id),
                "app" => apps.push(id),
                "key" => changed.keys.push(id),
                _ => return Ok(None),
            }
        }
        if told != version {
            return Ok(None);
        }
        if !apps.is_empty() {
            changed.keys.extend(keys_of(tx, &apps).await?);
        }
        if changed.keys.len() > MOST {
            return Ok(None);
        }
        for ids in [&mut changed.products, &mut changed.partners, &mut changed.plans, &mut changed.keys] {
            ids.sort_unstable();
            ids.dedup();
        }
        Ok(Some(changed))
    }

    pub(super) fn which(&self) -> Which<'_> {
        Which {
            products: Some(&self.products),
            partners: Some(&self.partners),
            keys: Some(&self.keys),
            plans: &self.plans,
        }
    }

    pub(super) fn into_changes(self, since: i64, found: Directory) -> Changes {
        Changes {
            since,
            products: self.products.into_iter().map(ProductId).collect(),
            partners: self.partners.into_iter().map(PartnerId).collect(),
            keys: self.keys.into_iter().map(KeyId).collect(),
            found,
        }
    }
}

async fn keys_of(tx: &mut Transaction<'static, Postgres>, apps: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let keys = sqlx::query_scalar(
        "select k.id from apps a join keys k on k.partner_id = a.partner_id and k.app_id = a.id where a.id = any($1)",
    );
    Ok(keys.bind(apps).fetch_all(&mut **tx).await?)
}
