//! What a product's policy refers to by name: sealed values that are written and never shown again.

use crate::{Store, StoreError};
use domain::{id::ProductId, product::is_code};
use sqlx::PgConnection;

/// A secret's name and its sealed value; `None` keeps the value that is there.
pub type SealedSecret = (String, Option<Vec<u8>>);

impl Store {
    /// Names and sealed values, for `apply`, which compares them opened.
    pub async fn sealed_product_secrets(&self, product: ProductId) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(sqlx::query_as("select name, sealed_value from product_secrets where product_id = $1 order by name")
            .bind(product.0)
            .fetch_all(self.pool())
            .await?)
    }

    pub(super) async fn secret_names(&self, product: ProductId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("select name from product_secrets where product_id = $1 order by name")
            .bind(product.0)
            .fetch_all(self.pool())
            .await?)
    }
}

/// Names that may be written.
pub(super) fn check(secrets: &[SealedSecret]) -> Result<(), StoreError> {
    match secrets.iter().find(|(name, _)| !is_code(name)) {
        Some((name, _)) => {
            let message = format!("{name:?} is not a name: 1 to 64 lower-case letters, digits and inner hyphens");
            Err(StoreError::invalid("secrets", message))
        }
        None => Ok(()),
    }
}

/// Makes the product's secrets these and no others.
pub(super) async fn write(
    tx: &mut PgConnection,
    product: ProductId,
    secrets: &[SealedSecret],
) -> Result<(), StoreError> {
    let names: Vec<&str> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    sqlx::query("delete from product_secrets where product_id = $1 and name <> all($2)")
        .bind(product.0)
        .bind(&names)
        .execute(&mut *tx)
        .await?;
    for (name, sealed) in secrets {
        let Some(sealed) = sealed else {
            let there: bool =
                sqlx::query_scalar("select exists (select from product_secrets where product_id = $1 and name = $2)")
                    .bind(product.0)
                    .bind(name)
                    .fetch_one(&mut *tx)
                    .await?;
            if there {
                continue;
            }
            return Err(StoreError::invalid("secrets", format!("Enter a value for the secret {name}")));
        };
        sqlx::query(
            "insert into product_secrets (product_id, name, sealed_value) values ($1, $2, $3)
             on conflict (product_id, name) do update set sealed_value = excluded.sealed_value",
        )
        .bind(product.0)
        .bind(name)
        .bind(sealed)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
