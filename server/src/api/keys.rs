//! Apps and their keys. A key's text is answered once, when it is made.

use super::{
    extract::{Body, Named, Params},
    guard::PartnerCall,
    identities::BoundsIn,
    list::List,
    problem::Problem,
};
use crate::new_key::{NewKeyText, new_key_text};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    directory,
    id::{AppId, KeyId},
    key_text::{Environment, KeyKind},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::{App, Key, KeyState, NewApp, NewKey};
use utoipa::{IntoParams, ToSchema};

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// For the provider's tokens: the partner's identifier.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

/// What a key belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppOut {
    #[schema(example = "app_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// Set by `turnpike apply`.
    code: Option<String>,
    name: String,
    /// The team that its calls count for.
    team: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A new app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppIn {
    #[schema(min_length = 1, max_length = 100, example = "Shop")]
    name: String,
}

/// A key, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyOut {
    #[schema(example = "key_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    app: String,
    /// Set by `turnpike apply`.
    code: Option<String>,
    name: String,
    /// `live` or `test`.
    environment: String,
    /// `key`, `token` or `certificate`: what a caller shows to be taken for it.
    kind: String,
    /// A token's `iss` claim.
    issuer: Option<String>,
    /// The token's claim or the certificate's name.
    identity: Option<String>,
    /// Networks from which it may be used; none is everywhere.
    allowed_addresses: Vec<String>,
    /// What it may do; none is everything that the plan opens.
    scopes: Vec<String>,
    /// Empty where there is no text.
    last_four: String,
    /// `active`, `expiring`, `expired` or `revoked`.
    state: KeyStateOut,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// As it was made, or the end of the overlap once it was rotated.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// The key that took its place.
    replaced_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

/// Whether a key works.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyStateOut {
    Active,
    Expiring,
    Expired,
    Revoked,
}

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyIn {
    /// The app that it belongs to.
    #[schema(value_type = String, pattern = "^app_[0-9a-f]{32}$")]
    app: AppId,
    #[schema(min_length = 1, max_length = 100, example = "Production")]
    name: String,
    /// `live` or `test`.
    #[schema(value_type = String, pattern = "^(live|test)$")]
    environment: Environment,
    /// Where, for what and until when it works; nothing is everywhere, everything and for good.
    #[serde(default)]
    bounds: BoundsIn,
}

/// How to rotate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateIn {
    /// How long the old key goes on working, in seconds: up to 30 days.
    #[schema(minimum = 0, maximum = 2592000)]
    #[serde(default = "one_day")]
    overlap_seconds: u32,
}

const fn one_day() -> u32 {
    86_400
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedKeyOut {
    id: String,
    /// The key itself. It is shown here and never again.
    text: String,
}

/// The apps that are not archived.
#[utoipa::path(get, path = "/api/apps", operation_id = "listApps", tag = "Keys", params(Whose),
    responses((status = 200, description = "All of them", body = List<AppOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn apps(call: PartnerCall, _: Params<Whose>) -> Result<Json<List<AppOut>>, Problem> {
    let apps = call.state.store.apps(call.partner).await?;
    Ok(Json(List::whole(apps.into_iter().map(|one| one.app.into()).collect())))
}

/// Makes an app.
#[utoipa::path(post, path = "/api/apps", operation_id = "createApp", tag = "Keys", params(Whose), request_body = AppIn,
    responses((status = 201, description = "The app", body = AppOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn create_app(call: PartnerCall, _: Params<Whose>, Body(body): Body<AppIn>) -> Result<Response, Problem> {
    let store = &call.state.store;
    let app = store.create_app(call.partner, &NewApp::named(body.name), call.token.actor(), call.now).await?;
    let app = AppOut::from(store.app(call.partner, app).await?);
    Ok((StatusCode::CREATED, Json(app)).into_response())
}

/// All keys, newest first, revoked ones included.
#[utoipa::path(get, path = "/api/keys", operation_id = "listKeys", tag = "Keys", params(Whose),
    responses((status = 200, description = "All of them", body = List<KeyOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerCall, _: Params<Whose>) -> Result<Json<List<KeyOut>>, Problem> {
    let keys = call.state.store.keys(call.partner).await?;
    Ok(Json(List::whole(keys.into_iter().map(|key| KeyOut::new(key, call.now)).collect())))
}

/// Makes a key; it works within a second.
#[utoipa::path(post, path = "/api/keys", operation_id = "createKey", tag = "Keys", params(Whose), request_body = KeyIn,
    responses((status = 201, description = "The key's text, once", body = CreatedKeyOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn create(call: PartnerCall, _: Params<Whose>, Body(body): Body<KeyIn>) -> Result<Response, Problem> {
    let NewKeyText { text, secret } = new_key_text(&call.state.secrets, KeyKind::Gateway(body.environment));
    let new = NewKey {
        app: body.app,
        code: None,
        name: body.name,
        environment: body.environment,
        kind: directory::KeyKind::Key,
        identity: String::new(),
        bounds: body.bounds.into(),
        secret,
    };
    let key = call.state.store.create_key(call.partner, &new, call.token.actor(), call.now).await?;
    Ok(CreatedKeyOut { id: key.to_string(), text: text.expose().to_owned() }.answer())
}

/// Makes a key that takes another's place; the old one goes on working for a while.
#[utoipa::path(post, path = "/api/keys/{key}/rotate", operation_id = "rotateKey", tag = "Keys",
    params(("key" = String, Path, description = "The key's identifier", pattern = "^key_[0-9a-f]{32}$"), Whose), request_body = RotateIn,
    responses((status = 201, description = "The new key's text, once", body = CreatedKeyOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn rotate(
    call: PartnerCall,
    Named(key): Named<KeyId>,
    _: Params<Whose>,
    Body(body): Body<RotateIn>,
) -> Result<Response, Problem> {
    let store = &call.state.store;
    let old = store.key(call.partner, key).await?;
    let NewKeyText { text, secret } = new_key_text(&call.state.secrets, KeyKind::Gateway(old.environment));
    let overlap = SignedDuration::from_secs(i64::from(body.overlap_seconds));
    let new = store.rotate_key(call.partner, key, secret, overlap, call.token.actor(), call.now).await?;
    Ok(CreatedKeyOut { id: new.to_string(), text: text.expose().to_owned() }.answer())
}

/// Ends a key for good, within a second.
#[utoipa::path(post, path = "/api/keys/{key}/revoke", operation_id = "revokeKey", tag = "Keys",
    params(("key" = String, Path, description = "The key's identifier", pattern = "^key_[0-9a-f]{32}$"), Whose),
    responses((status = 204, description = "Revoked"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn revoke(call: PartnerCall, Named(key): Named<KeyId>, _: Params<Whose>) -> Result<StatusCode, Problem> {
    call.state.store.revoke_key(call.partner, key, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<App> for AppOut {
    fn from(app: App) -> Self {
        Self {
            id: app.id.to_string(),
            code: app.code,
            name: app.name,
            team: app.team.map(|id| id.to_string()),
            created_at: app.created_at,
        }
    }
}

impl KeyOut {
    pub(super) fn new(key: Key, now: Timestamp) -> Self {
        let (issuer, name) = directory::KeyKind::parts(&key.identity);
        let identity = (!name.is_empty()).then(|| name.to_owned());
        let issuer = issuer.map(str::to_owned);
        let state = match key.state(now) {
            KeyState::Active => KeyStateOut::Active,
            KeyState::Expiring => KeyStateOut::Expiring,
            KeyState::Expired => KeyStateOut::Expired,
            KeyState::Revoked => KeyStateOut::Revoked,
        };
        Self {
            id: key.id.to_string(),
            app: key.app.to_string(),
            code: key.code,
            name: key.name,
            environment: key.environment.to_string(),
            kind: key.kind.code().to_owned(),
            issuer,
            identity,
            allowed_addresses: key.bounds.allowed_addresses,
            scopes: key.bounds.scopes,
            last_four: key.last_four,
            state,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            replaced_by: key.replaced_by.map(|key| key.to_string()),
            last_used_at: key.last_used_at,
        }
    }
}

impl CreatedKeyOut {
    /// Not to be kept by any cache on the way.
    fn answer(self) -> Response {
        (StatusCode::CREATED, [("cache-control", "no-store")], Json(self)).into_response()
    }
}
