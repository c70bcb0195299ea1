//! What the names in an event stand for.

use crate::StoreError;
use domain::id::{AppId, OperationId, PartnerId, ProductId, TeamId};
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::HashMap;
use uuid::Uuid;

/// All products, and the partner's apps.
pub(crate) struct Catalogue {
    products: HashMap<String, ProductId>,
    operations: HashMap<(ProductId, String), Operation>,
    /// Each with the team that it is in now.
    apps: HashMap<AppId, Option<TeamId>>,
}

/// What an operation's events say of it.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// The field that names something unknown, and what to do.
type Unknown = (&'static str, String);

impl Catalogue {
    pub(crate) async fn read(tx: &mut Transaction<'_, Postgres>, partner: PartnerId) -> Result<Self, StoreError> {
        let mut products = HashMap::new();
        for row in sqlx::query("select id, code from products").fetch_all(&mut **tx).await? {
            let id = ProductId(row.try_get("id")?);
            products.extend([(row.try_get("code")?, id), (id.to_string(), id)]);
        }
        let mut operations = HashMap::new();
        for row in sqlx::query("select product_id, id, code, method, path from operations").fetch_all(&mut **tx).await?
        {
            let product = ProductId(row.try_get("product_id")?);
            let operation = Operation {
                id: OperationId(row.try_get("id")?),
                method: row.try_get("method")?,
                path: row.try_get("path")?,
            };
            operations.insert((product, operation.id.to_string()), operation.clone());
            operations.insert((product, row.try_get("code")?), operation);
        }
        let mut apps = HashMap::new();
        let rows = sqlx::query("select id, team_id from apps where partner_id = $1").bind(partner.0);
        for row in rows.fetch_all(&mut **tx).await? {
            apps.insert(AppId(row.try_get("id")?), row.try_get::<Option<Uuid>, _>("team_id")?.map(TeamId));
        }
        Ok(Self { products, operations, apps })
    }

    pub(crate) fn product(&self, text: &str) -> Result<ProductId, Unknown> {
        let unknown = || ("/data/product", format!("There is no product {text:?}; use its code, or leave it out"));
        self.products.get(text).copied().ok_or_else(unknown)
    }

    pub(crate) fn operation(&self, product: ProductId, text: &str) -> Result<&Operation, Unknown> {
        let unknown =
            || ("/data/operation", format!("The product has no operation {text:?}; use its code, or leave it out"));
        self.operations.get(&(product, text.to_owned())).ok_or_else(unknown)
    }

    pub(crate) fn app(&self, app: AppId) -> Result<AppId, Unknown> {
        let unknown = || ("/data/app", "The partner has no such app; use one of its ids, or leave it out".to_owned());
        self.apps.contains_key(&app).then_some(app).ok_or_else(unknown)
    }

    /// The team of the app, which its usage counts for.
    pub(crate) fn team(&self, app: Option<AppId>) -> Option<TeamId> {
        app.and_then(|app| self.apps.get(&app).copied().flatten())
    }
}
