//! The response caches of products: letting kept answers go.

use super::{
    extract::{Body, Named},
    guard::ProviderCall,
    problem::Problem,
};
use axum::http::StatusCode;
use domain::id::PartnerId;
use serde::Deserialize;
use store::CachePurge;
use utoipa::ToSchema;

/// Which kept answers go; all of the product's where nothing narrows it down.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeIn {
    /// Only that partner's own. What a public product shares between partners is nobody's own.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^partner_[0-9a-f]{32}$")]
    partner: Option<PartnerId>,
    /// Only paths below the product's route that begin with this.
    #[serde(default)]
    #[schema(max_length = 2048, example = "/rates/")]
    path_prefix: Option<String>,
}

/// Lets kept answers of the product go, on all gateways within a second.
#[utoipa::path(post, path = "/api/products/{product}/purge-cache", operation_id = "purgeCache", tag = "Products",
    params(("product" = String, Path, description = "The product's code")), request_body = PurgeIn,
    responses((status = 204, description = "Asked for; gateways follow within a second"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn purge(
    call: ProviderCall,
    Named(code): Named<String>,
    Body(body): Body<PurgeIn>,
) -> Result<StatusCode, Problem> {
    let store = &call.state.store;
    let product = store.find_product_by_code(&code).await?.ok_or_else(Problem::not_found)?.line.id;
    let purge = CachePurge { product, partner: body.partner, path_prefix: body.path_prefix };
    store.purge_caches(&purge, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}
