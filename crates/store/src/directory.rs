//! The directory: who may call what, read as one picture, and told apart by its version.

use crate::{
    Store, StoreError,
    row::{ReadRow as _, unreadable},
};
use domain::{
    directory::{Directory, Key, Partner, PlanVersion, ProductSecret, Subscription, UpstreamHeader},
    id::{AppId, KeyId, OperationId, PartnerId, PlanVersionId, ProductId, SubscriptionId, TeamId},
    period::Cycle,
    plan::PlanTerms,
    policy::Policy,
    product::{Operation, Product},
};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgListener, types::Json};
use std::collections::HashMap;
use uuid::Uuid;

/// Tells when the directory changed. It holds a connection of its own and comes back by itself when that breaks.
pub struct DirectoryListener {
    listener: PgListener,
}

impl Store {
    /// The whole directory at one instant.
    ///
    /// Archived products are left out, removed operations are marked; a key of an archived app counts as revoked when the app was archived.
    pub async fn load_directory(&self) -> Result<Directory, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let version = sqlx::query_scalar("select version from directory_version").fetch_one(&mut *tx).await?;
        let plans = plans(&mut tx).await?;
        let directory = Directory {
            version,
            products: products(&mut tx).await?,
            headers: headers(&mut tx).await?,
            secrets: secrets(&mut tx).await?,
            partners: partners(&mut tx, &plans).await?,
            plans,
            keys: keys(&mut tx).await?,
        };
        tx.commit().await?;
        Ok(directory)
    }

    /// The version alone, to see whether [`Self::load_directory`] would bring anything new.
    pub async fn directory_version(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("select version from directory_version").fetch_one(self.pool()).await?)
    }

    /// Listens for changes. A notice can be lost while the connection is down, so poll the version as well.
    pub async fn listen_directory(&self) -> Result<DirectoryListener, StoreError> {
        let mut listener = PgListener::connect_with(self.pool()).await?;
        listener.listen("directory").await?;
        Ok(DirectoryListener { listener })
    }
}

impl DirectoryListener {
    /// Returns when the directory has changed, or when the connection was lost and a change may have been missed.
    pub async fn changed(&mut self) -> Result<(), StoreError> {
        self.listener.try_recv().await?;
        Ok(())
    }
}

async fn products(tx: &mut Transaction<'static, Postgres>) -> Result<Vec<Product>, StoreError> {
    let invitations = sqlx::query("select product_id, partner_id from product_invitations order by partner_id")
        .fetch_all(&mut **tx)
        .await?;
    let mut invited: HashMap<Uuid, Vec<PartnerId>> = HashMap::new();
    for row in invitations {
        invited.entry(row.try_get("product_id")?).or_default().push(PartnerId(row.try_get("partner_id")?));
    }
    let rows = sqlx::query(
        "select product_id, id, code, method, path, summary, weight, deprecated, removed_at is not null as removed
         from operations order by product_id, removed, position",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut operations: HashMap<Uuid, Vec<Operation>> = HashMap::new();
    for row in rows {
        let weight: i32 = row.try_get("weight")?;
        operations.entry(row.try_get("product_id")?).or_default().push(Operation {
            id: OperationId(row.try_get("id")?),
            code: row.try_get("code")?,
            method: row.try_get("method")?,
            path: row.try_get("path")?,
            summary: row.try_get("summary")?,
            weight: u32::try_from(weight).map_err(|error| unreadable("weight", error))?,
            deprecated: row.try_get("deprecated")?,
            removed: row.try_get("removed")?,
        });
    }
    let rows = sqlx::query(
        "select id, code, name, route, upstream_url, timeout_ms, visibility, policy
         from products where archived_at is null order by code",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut products = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        let timeout_ms: i32 = row.try_get("timeout_ms")?;
        products.push(Product {
            id: ProductId(id),
            code: row.try_get("code")?,
            name: row.try_get("name")?,
            route: row.try_get("route")?,
            upstream_url: row.try_get("upstream_url")?,
            timeout_ms: u32::try_from(timeout_ms).map_err(|error| unreadable("timeout_ms", error))?,
            visibility: row.parsed("visibility")?,
            policy: row.try_get::<Json<Policy>, _>("policy")?.0,
            invited: invited.remove(&id).unwrap_or_default(),
            operations: operations.remove(&id).unwrap_or_default(),
        });
    }
    Ok(products)
}

async fn headers(tx: &mut Transaction<'static, Postgres>) -> Result<Vec<UpstreamHeader>, StoreError> {
    let rows = sqlx::query("select product_id, name, sealed_value from product_headers order by product_id, name")
        .fetch_all(&mut **tx)
        .await?;
    let header = |row: sqlx::postgres::PgRow| {
        Ok(UpstreamHeader {
            product: ProductId(row.try_get("product_id")?),
            name: row.try_get("name")?,
            sealed_value: row.try_get("sealed_value")?,
        })
    };
    rows.into_iter().map(header).collect()
}

async fn secrets(tx: &mut Transaction<'static, Postgres>) -> Result<Vec<ProductSecret>, StoreError> {
    let rows = sqlx::query("select product_id, name, sealed_value from product_secrets order by product_id, name")
        .fetch_all(&mut **tx)
        .await?;
    let secret = |row: sqlx::postgres::PgRow| {
        Ok(ProductSecret {
            product: ProductId(row.try_get("product_id")?),
            name: row.try_get("name")?,
            sealed_value: row.try_get("sealed_value")?,
        })
    };
    rows.into_iter().map(secret).collect()
}

async fn plans(tx: &mut Transaction<'static, Postgres>) -> Result<Vec<PlanVersion>, StoreError> {
    let rows = sqlx::query(
        "select v.id, p.code, p.name, v.version, v.terms
         from plan_versions v join plans p on p.id = v.plan_id
         where v.id in (select plan_version_id from subscriptions where status = 'active')
         order by p.code, v.version",
    )
    .fetch_all(&mut **tx)
    .await?;
    let plan = |row: sqlx::postgres::PgRow| {
        Ok(PlanVersion {
            id: PlanVersionId(row.try_get("id")?),
            plan_code: row.try_get("code")?,
            plan_name: row.try_get("name")?,
            version: row.try_get("version")?,
            terms: row.try_get::<Json<PlanTerms>, _>("terms")?.0,
        })
    };
    rows.into_iter().map(plan).collect()
}

async fn partners(tx: &mut Transaction<'static, Postgres>, plans: &[PlanVersion]) -> Result<Vec<Partner>, StoreError> {
    let intervals: HashMap<Uuid, _> = plans.iter().map(|plan| (plan.id.0, plan.terms.interval)).collect();
    let rows = sqlx::query(
        "select p.id, p.suspended_at is not null as suspended, s.id as subscription_id, s.plan_version_id, s.anchor, s.time_zone
         from partners p left join subscriptions s on s.partner_id = p.id and s.status = 'active'
         order by p.id",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut partners = Vec::with_capacity(rows.len());
    for row in rows {
        let subscription = match row.try_get::<Option<Uuid>, _>("subscription_id")? {
            None => None,
            Some(id) => {
                let plan_version: Uuid = row.try_get("plan_version_id")?;
                Some(Subscription {
                    id: SubscriptionId(id),
                    plan_version: PlanVersionId(plan_version),
                    cycle: Cycle {
                        anchor: row.at("anchor")?,
                        interval: intervals.get(&plan_version).copied().unwrap_or_default(),
                        time_zone: row.try_get("time_zone")?,
                    },
                })
            }
        };
        partners.push(Partner {
            id: PartnerId(row.try_get("id")?),
            suspended: row.try_get("suspended")?,
            subscription,
        });
    }
    Ok(partners)
}

async fn keys(tx: &mut Transaction<'static, Postgres>) -> Result<Vec<Key>, StoreError> {
    let rows = sqlx::query(
        "select k.id, k.hash, k.partner_id, k.app_id, a.team_id, k.environment, k.expires_at, k.kind, k.allowed_addresses, k.scopes,
                least(k.revoked_at, a.archived_at) as revoked_at
         from keys k join apps a on a.partner_id = k.partner_id and a.id = k.app_id
         order by k.id",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        keys.push(Key {
            id: KeyId(row.try_get("id")?),
            hash: row.hash("hash")?,
            partner: PartnerId(row.try_get("partner_id")?),
            app: AppId(row.try_get("app_id")?),
            team: row.try_get::<Option<Uuid>, _>("team_id")?.map(TeamId),
            environment: row.parsed("environment")?,
            kind: row.parsed("kind")?,
            allowed_addresses: row.try_get("allowed_addresses")?,
            scopes: row.try_get("scopes")?,
            expires_at: row.at_if_any("expires_at")?,
            revoked_at: row.at_if_any("revoked_at")?,
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
