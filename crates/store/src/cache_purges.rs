//! Purges of the gateways' caches: one row for each, which every node carries out once.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
};
use domain::id::{PartnerId, ProductId};
use jiff::Timestamp;
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

/// Which of a product's kept answers go; all of them where nothing narrows it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePurge {
    pub product: ProductId,
    /// Only that partner's own.
    pub partner: Option<PartnerId>,
    /// Only paths below the product's route that begin with this.
    pub path_prefix: Option<String>,
}

impl Store {
    /// Lets kept answers go on all nodes, which follow within a second.
    pub async fn purge_caches(&self, purge: &CachePurge, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        if purge.path_prefix.as_ref().is_some_and(|prefix| !prefix.starts_with('/') || prefix.len() > 2048) {
            return Err(StoreError::invalid(
                "path_prefix",
                "A path starts with a slash and is at most 2048 bytes long",
            ));
        }
        let mut tx = self.begin().await?;
        // One at a time, so that no node sees a later row before an earlier one.
        sqlx::query("lock table cache_purges in share row exclusive mode").execute(&mut *tx).await?;
        let code: String = sqlx::query_scalar("select code from products where id = $1")
            .bind(purge.product.0)
            .fetch_one(&mut *tx)
            .await?;
        if let Some(partner) = purge.partner {
            sqlx::query("select id from partners where id = $1").bind(partner.0).fetch_one(&mut *tx).await?;
        }
        sqlx::query("insert into cache_purges (product_id, partner_id, path_prefix, at) values ($1, $2, $3, $4)")
            .bind(purge.product.0)
            .bind(purge.partner.map(|partner| partner.0))
            .bind(&purge.path_prefix)
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, purge.partner, "product.purge_cache", &code)
            .after(json!({"path_prefix": purge.path_prefix}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The number of the newest purge; zero where there was none.
    pub async fn newest_cache_purge(&self) -> Result<i64, StoreError> {
        let newest = "select coalesce(max(id), 0) from cache_purges";
        Ok(sqlx::query_scalar(newest).fetch_one(self.pool()).await?)
    }

    /// Purges with a number beyond that one, with their numbers, in order.
    pub async fn cache_purges_after(&self, number: i64) -> Result<Vec<(i64, CachePurge)>, StoreError> {
        let rows = sqlx::query(
            "select id, product_id, partner_id, path_prefix from cache_purges where id > $1 order by id limit 1000",
        )
        .bind(number)
        .fetch_all(self.pool())
        .await?;
        let purge = |row: sqlx::postgres::PgRow| {
            let purge = CachePurge {
                product: ProductId(row.try_get("product_id")?),
                partner: row.try_get::<Option<Uuid>, _>("partner_id")?.map(PartnerId),
                path_prefix: row.try_get("path_prefix")?,
            };
            Ok((row.try_get("id")?, purge))
        };
        rows.into_iter().map(purge).collect()
    }
}
