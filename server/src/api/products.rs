//! Products: the catalogue, and setting one up from its OpenAPI document.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerOrProvider, ProviderCall},
    keys::Whose,
    list::List,
    problem::Problem,
};
use crate::product;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{openapi::Document, policy::Policy, product::Visibility};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use store::{NewProduct, ProductLine};
use utoipa::ToSchema;

/// A set of operations sold under one route.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductOut {
    #[schema(example = "product_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    #[schema(example = "payments")]
    code: String,
    name: String,
    summary: String,
    /// Where it is on the gateway.
    #[schema(example = "/payments")]
    route: String,
    /// `public`, `plan` or `invitation`.
    visibility: String,
    /// Operations that the partner may know of; for the provider all.
    operations: u64,
    /// Whether the partner's plan opens at least part of it; null for the provider.
    open: Option<bool>,
}

/// A product as it should be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductIn {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[serde(default)]
    summary: String,
    #[schema(example = "/payments")]
    route: String,
    #[schema(example = "https://api.internal:8443/v1")]
    upstream_url: String,
    /// Milliseconds to the upstream's first byte. 30000 where it is left out.
    #[serde(default = "usual_timeout")]
    #[schema(minimum = 1, maximum = 600000)]
    timeout_ms: u32,
    /// `public`, `plan` or `invitation`.
    #[schema(value_type = String)]
    #[serde(default)]
    visibility: Visibility,
    /// The OpenAPI document, as an object or as a text in JSON or YAML.
    #[schema(value_type = Object)]
    document: Value,
    /// Headers that the gateway adds: a value to set it, null to keep the one that is there. Others are removed.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    /// Units that one call uses, by operation code; 1 where it is not here.
    #[serde(default)]
    weights: BTreeMap<String, u32>,
    /// How calls are authenticated, cached, kept for retries, balanced and priced, as in a set-up file. Left out, the
    /// policy that is there stays.
    #[schema(value_type = Option<Object>)]
    policy: Option<Policy>,
    /// What the policy refers to by name: a value to set it, null to keep the one that is there. Others are removed; left
    /// out, all stay.
    secrets: Option<BTreeMap<String, Option<String>>>,
}

const fn usual_timeout() -> u32 {
    30_000
}

/// The products that a partner may know of; for the provider's tokens all that are not archived.
#[utoipa::path(get, path = "/api/products", operation_id = "listProducts", tag = "Products", params(Whose),
    responses((status = 200, description = "By name", body = List<ProductOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerOrProvider, _: Params<Whose>) -> Result<Json<List<ProductOut>>, Problem> {
    let store = &call.state.store;
    let products = match call.partner {
        Some(partner) => {
            let visible = store.visible_products(partner).await?;
            visible.into_iter().map(|one| ProductOut::new(Some(one.is_open()), one.line)).collect()
        }
        None => {
            let all = store.all_products().await?.into_iter().filter(|line| line.archived_at.is_none());
            all.map(|line| ProductOut::new(None, line)).collect()
        }
    };
    Ok(Json(List::whole(products)))
}

/// Makes the product of this code as described: creates it, or brings it up to date.
#[utoipa::path(put, path = "/api/products/{product}", operation_id = "putProduct", tag = "Products",
    params(("product" = String, Path, description = "The product's code")), request_body = ProductIn,
    responses((status = 201, description = "Created", body = ProductOut), (status = 200, description = "Brought up to date", body = ProductOut),
        (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    call: ProviderCall,
    Named(code): Named<String>,
    Body(body): Body<ProductIn>,
) -> Result<Response, Problem> {
    let store = &call.state.store;
    let new = body.described(&call, code).await?;
    let actor = call.token.actor();
    let (status, id) = match store.find_product_by_code(&new.code).await? {
        Some(there) => {
            store.update_product(there.line.id, &new, actor, call.now).await?;
            (StatusCode::OK, there.line.id)
        }
        None => (StatusCode::CREATED, store.create_product(&new, actor, call.now).await?),
    };
    Ok((status, Json(ProductOut::new(None, store.product(id).await?.line))).into_response())
}

impl ProductIn {
    async fn described(self, call: &ProviderCall, code: String) -> Result<NewProduct, Problem> {
        let document = match self.document {
            // A long text takes a while, and must not hold up what else this thread serves.
            Value::String(text) => {
                tokio::task::spawn_blocking(move || Document::read(&text)).await.map_err(|cause| {
                    tracing::error!(%cause, "a document could not be read");
                    let detail = "Something did not work on our side, and nothing was changed. Try again in a moment.";
                    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
                })?
            }
            value => Document::from_value(value),
        };
        let document = document.map_err(|problems| {
            let problems =
                problems.into_iter().map(|one| (format!("document{}", one.pointer.replace('/', ".")), one.to_string()));
            Problem::invalid_fields(problems.collect())
        })?;
        let secrets = &call.state.secrets;
        let seal = |(name, value): (String, Option<String>)| {
            let sealed = value.map(|value| secrets.seal_header(&code, &name, value.as_bytes()));
            (name, sealed)
        };
        let headers = self.headers.into_iter().map(seal).collect();
        let seal_secret = |(name, value): (String, Option<String>)| {
            let sealed = value.map(|value| secrets.seal_product_secret(&code, &name, value.as_bytes()));
            (name, sealed)
        };
        let sealed = self.secrets.map(|secrets| secrets.into_iter().map(seal_secret).collect());
        Ok(NewProduct {
            operations: product::operations(&document, &self.weights),
            document: document.into_value(),
            headers,
            policy: self.policy,
            secrets: sealed,
            code,
            name: self.name,
            summary: self.summary,
            route: self.route,
            upstream_url: self.upstream_url,
            timeout_ms: self.timeout_ms,
            visibility: self.visibility,
        })
    }
}

impl ProductOut {
    fn new(open: Option<bool>, line: ProductLine) -> Self {
        Self {
            id: line.id.to_string(),
            code: line.code,
            name: line.name,
            summary: line.summary,
            route: line.route,
            visibility: line.visibility.code().to_owned(),
            operations: line.operations,
            open,
        }
    }
}
