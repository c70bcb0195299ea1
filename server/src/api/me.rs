//! Who the token is.

use super::{guard::Token, problem::Problem};
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The token that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeOut {
    #[schema(example = "token_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    name: String,
    /// Whose it is; null for the provider's.
    partner: Option<String>,
    /// What it may do.
    #[schema(example = json!(["keys:read", "usage:read"]))]
    scopes: Vec<String>,
}

/// The token that was sent: whose it is and what it may do.
#[utoipa::path(get, path = "/api/me", operation_id = "getMe", tag = "Token",
    responses((status = 200, description = "The token", body = MeOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(token: Token) -> Json<MeOut> {
    Json(MeOut {
        id: token.id.to_string(),
        name: token.name,
        partner: token.partner.map(|partner| partner.to_string()),
        scopes: token.scopes.iter().map(ToString::to_string).collect(),
    })
}
