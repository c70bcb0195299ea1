//! Changing a product's policy and its secrets by themselves.

use super::{
    priced,
    secrets::{self, SealedSecret},
};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
};
use domain::{id::ProductId, policy::Policy};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Row as _, types::Json};

impl Store {
    /// Sets how the gateway treats the product's calls; gateways follow within a second.
    ///
    /// # Errors
    /// It cannot work, or a meter that a plan prices would be gone or count otherwise.
    pub async fn set_product_policy(
        &self,
        product: ProductId,
        policy: &Policy,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(problem) = policy.problems().into_iter().next() {
            return Err(StoreError::invalid(problem.field, problem.message));
        }
        let mut tx = self.begin().await?;
        let row = sqlx::query("select code, policy from products where id = $1 for update")
            .bind(product.0)
            .fetch_one(&mut *tx)
            .await?;
        let code: String = row.try_get("code")?;
        let before: Json<Policy> = row.try_get("policy")?;
        priced::check(&mut tx, &code, &before.0, policy, "").await?;
        sqlx::query("update products set policy = $2, updated_at = $3 where id = $1")
            .bind(product.0)
            .bind(Json(policy))
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        let entry = Entry::new(actor, None, "product.policy", &code)
            .before(json!({"policy": row.try_get::<Value, _>("policy")?}))
            .after(json!({"policy": policy}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Makes the policy's secrets these and no others; a secret without a value keeps the one that is there.
    pub async fn set_product_secrets(
        &self,
        product: ProductId,
        sealed: &[SealedSecret],
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        secrets::check(sealed)?;
        let mut tx = self.begin().await?;
        let code: String = sqlx::query_scalar("update products set updated_at = $2 where id = $1 returning code")
            .bind(product.0)
            .bind(Ts(now))
            .fetch_one(&mut *tx)
            .await?;
        secrets::write(&mut tx, product, sealed).await?;
        let names: Vec<&String> = sealed.iter().map(|(name, _)| name).collect();
        let entry = Entry::new(actor, None, "product.secrets", &code).after(json!({"secrets": names}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
