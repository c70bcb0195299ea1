//! Products: what is sold. Operations keep their ids by code, since events and invoices point at them.

mod check;
mod invitations;
mod policy;
mod priced;
mod secrets;
mod visible;
mod write;

pub use secrets::SealedSecret;
pub use visible::{KeyedOperation, VisibleMeter, VisibleProduct};

use crate::{
    Store, StoreError,
    row::{ReadRow as _, unreadable},
};
use domain::{
    id::{OperationId, PartnerId, ProductId},
    policy::Policy,
    product::{Operation, Visibility},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};

/// A product as the operator's form or `apply` describes it.
#[derive(Clone)]
pub struct NewProduct {
    /// Given once; plans name the product by it.
    pub code: String,
    pub name: String,
    pub summary: String,
    pub route: String,
    pub upstream_url: String,
    pub timeout_ms: u32,
    pub visibility: Visibility,
    /// The OpenAPI document, in the order in which it was written.
    pub document: Value,
    /// The document's operations, in its order.
    pub operations: Vec<NewOperation>,
    /// Headers that the gateway adds, with the sealed value; `None` keeps the value that is there.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// `None` keeps the policy that is there; a new product then has the default.
    pub policy: Option<Policy>,
    /// What the policy refers to by name; `None` keeps all that is there.
    pub secrets: Option<Vec<SealedSecret>>,
}

/// One operation of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOperation {
    pub code: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    /// Units that one call uses.
    pub weight: u32,
    pub deprecated: bool,
}

/// A product as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductLine {
    pub id: ProductId,
    pub code: String,
    pub name: String,
    pub summary: String,
    pub route: String,
    pub upstream_url: String,
    /// Milliseconds.
    pub timeout_ms: u32,
    pub visibility: Visibility,
    /// How many operations it has now.
    pub operations: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

/// A product with what belongs to it, for operators; the document is read separately, as it is large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub line: ProductLine,
    pub operations: Vec<Operation>,
    /// Names of the headers that the gateway adds; their values are never shown again.
    pub headers: Vec<String>,
    pub policy: Policy,
    /// Names of the policy's secrets; their values are never shown again.
    pub secrets: Vec<String>,
    /// Partners who were invited, by name.
    pub invited: Vec<(PartnerId, String)>,
}

impl Store {
    /// Every product by name; archived ones last.
    pub async fn all_products(&self) -> Result<Vec<ProductLine>, StoreError> {
        let rows = sqlx::query(
            "select p.id, p.code, p.name, p.summary, p.route, p.upstream_url, p.timeout_ms, p.visibility,
                 p.created_at, p.updated_at, p.archived_at,
                 (select count(*) from operations o where o.product_id = p.id and o.removed_at is null) as operations
             from products p order by p.archived_at is not null, lower(p.name), p.id",
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_line).collect::<Result<_, _>>()?)
    }

    /// One product with what belongs to it, archived or not.
    pub async fn product(&self, product: ProductId) -> Result<Product, StoreError> {
        let row = sqlx::query(
            "select p.id, p.code, p.name, p.summary, p.route, p.upstream_url, p.timeout_ms, p.visibility,
                 p.created_at, p.updated_at, p.archived_at, p.policy,
                 (select count(*) from operations o where o.product_id = p.id and o.removed_at is null) as operations
             from products p where p.id = $1",
        )
        .bind(product.0)
        .fetch_one(self.pool())
        .await?;
        let line = read_line(&row)?;
        Ok(Product {
            operations: self.operations(product).await?,
            headers: self.header_names(product).await?,
            policy: row.try_get::<Json<Policy>, _>("policy")?.0,
            secrets: self.secret_names(product).await?,
            invited: self.invited(product).await?,
            line,
        })
    }

    /// The product of that code, archived or not.
    pub async fn find_product_by_code(&self, code: &str) -> Result<Option<Product>, StoreError> {
        let id = sqlx::query_scalar("select id from products where code = $1")
            .bind(code)
            .fetch_optional(self.pool())
            .await?;
        match id {
            Some(id) => self.product(ProductId(id)).await.map(Some),
            None => Ok(None),
        }
    }

    /// The OpenAPI document as it was given, for operators; a partner's is filtered first.
    pub async fn product_document(&self, product: ProductId) -> Result<Value, StoreError> {
        Ok(sqlx::query_scalar("select document from products where id = $1")
            .bind(product.0)
            .fetch_one(self.pool())
            .await?)
    }

    /// Names and sealed values of the headers that the gateway adds, for `apply`, which compares them opened.
    pub async fn sealed_product_headers(&self, product: ProductId) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(sqlx::query_as("select name, sealed_value from product_headers where product_id = $1 order by name")
            .bind(product.0)
            .fetch_all(self.pool())
            .await?)
    }

    async fn header_names(&self, product: ProductId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("select name from product_headers where product_id = $1 order by name")
            .bind(product.0)
            .fetch_all(self.pool())
            .await?)
    }

    /// The operations that the product has now, in the document's order.
    async fn operations(&self, product: ProductId) -> Result<Vec<Operation>, StoreError> {
        let rows =
            sqlx::query("select * from operations where product_id = $1 and removed_at is null order by position")
                .bind(product.0)
                .fetch_all(self.pool())
                .await?;
        Ok(rows.iter().map(read_operation).collect::<Result<_, _>>()?)
    }
}

fn unsigned(row: &PgRow, column: &str) -> Result<u32, sqlx::Error> {
    row.try_get::<i32, _>(column)?.try_into().map_err(|error| unreadable(column, error))
}

fn read_line(row: &PgRow) -> Result<ProductLine, sqlx::Error> {
    Ok(ProductLine {
        id: ProductId(row.try_get("id")?),
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        summary: row.try_get("summary")?,
        route: row.try_get("route")?,
        upstream_url: row.try_get("upstream_url")?,
        timeout_ms: unsigned(row, "timeout_ms")?,
        visibility: row.parsed("visibility")?,
        operations: row.count("operations")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
        archived_at: row.at_if_any("archived_at")?,
    })
}

fn read_operation(row: &PgRow) -> Result<Operation, sqlx::Error> {
    Ok(Operation {
        id: OperationId(row.try_get("id")?),
        code: row.try_get("code")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        summary: row.try_get("summary")?,
        weight: unsigned(row, "weight")?,
        deprecated: row.try_get("deprecated")?,
        removed: false,
    })
}

#[cfg(test)]
pub(crate) mod tests;
