//! Identities of apps: who a token or a client certificate stands for. Only the provider registers them.

use super::{
    extract::{Body, Named, Params},
    guard::PartnerCall,
    keys::{KeyOut, Whose},
    problem::Problem,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    directory::KeyKind,
    id::{AppId, KeyId},
    key_bounds::KeyBounds,
    key_text::Environment,
};
use jiff::Timestamp;
use serde::Deserialize;
use store::{NewKey, NewSecret};
use utoipa::ToSchema;

/// Where, for what and until when a key works.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundsIn {
    /// Networks as 192.0.2.0/24 or 2001:db8::/32 from which it may be used; none is everywhere.
    #[serde(default)]
    #[schema(max_items = 64, example = json!(["192.0.2.0/24"]))]
    allowed_addresses: Vec<String>,
    /// What it may do; none is everything that the plan opens.
    #[serde(default)]
    #[schema(max_items = 32, example = json!(["orders:read"]))]
    scopes: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl From<BoundsIn> for KeyBounds {
    fn from(bounds: BoundsIn) -> Self {
        Self { allowed_addresses: bounds.allowed_addresses, scopes: bounds.scopes, expires_at: bounds.expires_at }
    }
}

/// A new identity.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityIn {
    /// The app that it belongs to.
    #[schema(value_type = String, pattern = "^app_[0-9a-f]{32}$")]
    app: AppId,
    #[schema(min_length = 1, max_length = 100, example = "Settlement service")]
    name: String,
    /// `live` or `test`.
    #[schema(value_type = String, pattern = "^(live|test)$")]
    environment: Environment,
    /// `token` or `certificate`.
    #[schema(value_type = String, pattern = "^(token|certificate)$")]
    kind: KeyKind,
    /// For a token: its `iss` claim, letter by letter.
    #[serde(default)]
    issuer: String,
    /// The text of the token's claim, or the certificate's name: an alternative name, or the common name where it has none.
    #[schema(min_length = 1, max_length = 512, example = "acme-service")]
    identity: String,
    /// Where, for what and until when it works; nothing is everywhere, everything and for good.
    #[serde(default)]
    bounds: BoundsIn,
}

/// Registers an identity; its tokens or certificate work within a second.
#[utoipa::path(post, path = "/api/identities", operation_id = "registerIdentity", tag = "Keys", params(Whose), request_body = IdentityIn,
    responses((status = 201, description = "The key that it is kept as", body = KeyOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn register(call: PartnerCall, _: Params<Whose>, Body(body): Body<IdentityIn>) -> Result<Response, Problem> {
    if body.kind == KeyKind::Key {
        return Err(Problem::invalid(
            "kind",
            "An identity is of the kind token or certificate; keys are made at /api/keys",
        ));
    }
    let identity = body.kind.identity(&body.issuer, &body.identity).map_err(store::StoreError::from)?;
    let hash = call.state.secrets.hash_key(&body.kind.hashed_text(&identity));
    let new = NewKey {
        app: body.app,
        code: None,
        name: body.name,
        environment: body.environment,
        kind: body.kind,
        identity,
        bounds: body.bounds.into(),
        secret: NewSecret { hash, last_four: String::new() },
    };
    let store = &call.state.store;
    let key = store.create_key(call.partner, &new, call.token.actor(), call.now).await?;
    let key = KeyOut::new(store.key(call.partner, key).await?, call.now);
    Ok((StatusCode::CREATED, Json(key)).into_response())
}

/// Changes where, for what and until when a key works; what is left out is without bounds.
#[utoipa::path(put, path = "/api/keys/{key}/bounds", operation_id = "boundKey", tag = "Keys",
    params(("key" = String, Path, description = "The key's identifier", pattern = "^key_[0-9a-f]{32}$"), Whose), request_body = BoundsIn,
    responses((status = 200, description = "The key", body = KeyOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn bound(
    call: PartnerCall,
    Named(key): Named<KeyId>,
    _: Params<Whose>,
    Body(body): Body<BoundsIn>,
) -> Result<Json<KeyOut>, Problem> {
    let store = &call.state.store;
    store.bound_key(call.partner, key, body.into(), call.token.actor(), call.now).await?;
    Ok(Json(KeyOut::new(store.key(call.partner, key).await?, call.now)))
}
