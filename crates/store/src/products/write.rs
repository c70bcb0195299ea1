//! Creating, changing and archiving products.

use super::{NewOperation, NewProduct, check::check, priced, secrets};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
};
use domain::{
    id::{OperationId, ProductId},
    policy::Policy,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row as _, types::Json};
use uuid::Uuid;

impl Store {
    /// Adds a product; it is on the gateway within a second.
    pub async fn create_product(
        &self,
        new: &NewProduct,
        actor: Actor,
        now: Timestamp,
    ) -> Result<ProductId, StoreError> {
        check(new)?;
        let mut tx = self.begin().await?;
        let id = ProductId(Uuid::now_v7());
        sqlx::query(
            "insert into products (id, code, name, summary, route, upstream_url, timeout_ms, visibility, document,
                 policy, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json, $10, $11, $11)",
        )
        .bind(id.0)
        .bind(&new.code)
        .bind(new.name.trim())
        .bind(new.summary.trim())
        .bind(&new.route)
        .bind(&new.upstream_url)
        .bind(i32::try_from(new.timeout_ms).unwrap_or(i32::MAX))
        .bind(new.visibility.code())
        .bind(new.document.to_string())
        .bind(Json(new.policy.clone().unwrap_or_default()))
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        write_operations(&mut tx, id, &new.operations, now).await?;
        write_headers(&mut tx, id, &new.headers).await?;
        secrets::write(&mut tx, id, new.secrets.as_deref().unwrap_or_default()).await?;
        audit::append(&mut tx, Entry::new(actor, None, "product.create", &new.code).after(summary(new)), now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Makes the product as described. Operations that the document no longer has are closed, not forgotten, and open
    /// again under their old id when it has them again.
    pub async fn update_product(
        &self,
        product: ProductId,
        new: &NewProduct,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        check(new)?;
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "select code, name, route, upstream_url, timeout_ms, visibility, policy from products where id = $1 for update",
        )
        .bind(product.0)
        .fetch_one(&mut *tx)
        .await?;
        if row.try_get::<&str, _>("code")? != new.code {
            return Err(StoreError::invalid("code", "A product keeps its code, since plans name it by that"));
        }
        if let Some(policy) = &new.policy {
            let held: Json<Policy> = row.try_get("policy")?;
            priced::check(&mut tx, &new.code, &held.0, policy, "policy.").await?;
        }
        let operations: Vec<String> = new.operations.iter().map(|operation| operation.code.clone()).collect();
        priced::check_operations(&mut tx, (product.0, &new.code), &operations).await?;
        let before = json!({
            "name": row.try_get::<&str, _>("name")?,
            "route": row.try_get::<&str, _>("route")?,
            "upstream_url": row.try_get::<&str, _>("upstream_url")?,
            "timeout_ms": row.try_get::<i32, _>("timeout_ms")?,
            "visibility": row.try_get::<&str, _>("visibility")?,
            "policy": row.try_get::<Value, _>("policy")?,
        });
        sqlx::query(
            "update products set name = $2, summary = $3, route = $4, upstream_url = $5, timeout_ms = $6, visibility = $7,
             document = $8::text::json, policy = coalesce($9, policy), updated_at = $10 where id = $1",
        )
        .bind(product.0)
        .bind(new.name.trim())
        .bind(new.summary.trim())
        .bind(&new.route)
        .bind(&new.upstream_url)
        .bind(i32::try_from(new.timeout_ms).unwrap_or(i32::MAX))
        .bind(new.visibility.code())
        .bind(new.document.to_string())
        .bind(new.policy.as_ref().map(Json))
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        write_operations(&mut tx, product, &new.operations, now).await?;
        write_headers(&mut tx, product, &new.headers).await?;
        if let Some(secrets) = &new.secrets {
            secrets::write(&mut tx, product, secrets).await?;
        }
        let entry = Entry::new(actor, None, "product.update", &new.code).before(before).after(summary(new));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes a product off the gateway and out of the catalogue.
    pub async fn archive_product(&self, product: ProductId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        self.set_archived(product, Some(now), actor, now).await
    }

    /// Puts an archived product back.
    pub async fn restore_product(&self, product: ProductId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        self.set_archived(product, None, actor, now).await
    }

    async fn set_archived(
        &self,
        product: ProductId,
        at: Option<Timestamp>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let code: String =
            sqlx::query_scalar("update products set archived_at = $2, updated_at = $3 where id = $1 returning code")
                .bind(product.0)
                .bind(at.map(Ts))
                .bind(Ts(now))
                .fetch_one(&mut *tx)
                .await?;
        let action = if at.is_some() { "product.archive" } else { "product.restore" };
        audit::append(&mut tx, Entry::new(actor, None, action, &code), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn write_operations(
    tx: &mut PgConnection,
    product: ProductId,
    operations: &[NewOperation],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = operations.iter().map(|_| OperationId(Uuid::now_v7()).0).collect();
    let texts = |of: fn(&NewOperation) -> &str| operations.iter().map(of).map(str::to_owned).collect::<Vec<_>>();
    let weights: Vec<i32> =
        operations.iter().map(|operation| i32::try_from(operation.weight).unwrap_or(i32::MAX)).collect();
    let deprecated: Vec<bool> = operations.iter().map(|operation| operation.deprecated).collect();
    // One statement for all, since a document may have a thousand operations.
    sqlx::query(
        "insert into operations (product_id, id, code, method, path, summary, weight, deprecated, position)
         select $1, n.id, n.code, n.method, n.path, n.summary, n.weight, n.deprecated, n.position
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::bool[])
             with ordinality as n (id, code, method, path, summary, weight, deprecated, position)
         on conflict (product_id, code) do update set method = excluded.method, path = excluded.path,
             summary = excluded.summary, weight = excluded.weight, deprecated = excluded.deprecated,
             position = excluded.position, removed_at = null",
    )
    .bind(product.0)
    .bind(&ids)
    .bind(texts(|operation| &operation.code))
    .bind(texts(|operation| &operation.method))
    .bind(texts(|operation| &operation.path))
    .bind(texts(|operation| &operation.summary))
    .bind(&weights)
    .bind(&deprecated)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "update operations set removed_at = $3 where product_id = $1 and removed_at is null and code <> all($2)",
    )
    .bind(product.0)
    .bind(texts(|operation| &operation.code))
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_headers(
    tx: &mut PgConnection,
    product: ProductId,
    headers: &[(String, Option<Vec<u8>>)],
) -> Result<(), StoreError> {
    let names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    sqlx::query("delete from product_headers where product_id = $1 and name <> all($2)")
        .bind(product.0)
        .bind(&names)
        .execute(&mut *tx)
        .await?;
    for (name, (given, sealed)) in names.iter().zip(headers) {
        let done = match sealed {
            Some(sealed) => sqlx::query(
                "insert into product_headers (product_id, name, sealed_value) values ($1, $2, $3)
                 on conflict (product_id, name) do update set sealed_value = excluded.sealed_value",
            )
            .bind(product.0)
            .bind(name)
            .bind(sealed)
            .execute(&mut *tx)
            .await?
            .rows_affected(),
            None => {
                let there = "select count(*) from product_headers where product_id = $1 and name = $2";
                let count: i64 = sqlx::query_scalar(there).bind(product.0).bind(name).fetch_one(&mut *tx).await?;
                count.unsigned_abs()
            }
        };
        if done == 0 {
            return Err(StoreError::invalid("headers", format!("Enter a value for the header {given}")));
        }
    }
    Ok(())
}

fn summary(new: &NewProduct) -> Value {
    json!({
        "name": new.name,
        "route": new.route,
        "upstream_url": new.upstream_url,
        "timeout_ms": new.timeout_ms,
        "visibility": new.visibility,
        "policy": new.policy,
        "operations": new.operations.len(),
        "headers": new.headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "secrets": new.secrets.iter().flatten().map(|(name, _)| name).collect::<Vec<_>>(),
    })
}
