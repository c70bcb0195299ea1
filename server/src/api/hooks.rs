//! Hooks, for the provider's tokens: where usage events are sent to as they are taken in.

use super::{
    extract::{Body, Named, Params},
    guard::ProviderCall,
    list::List,
    problem::Problem,
};
use app::hooks as secrets;
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::id::{HookId, PartnerId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::hooks::{Hook, NewHook};
use utoipa::{IntoParams, ToSchema};

/// Whose hooks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HookParams {
    /// Only those for that partner's events.
    #[param(value_type = Option<String>, pattern = "^partner_[0-9a-f]{32}$")]
    partner: Option<PartnerId>,
}

/// A hook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHookIn {
    /// `https://`; `http://` only where receivers may be in private networks.
    #[schema(example = "https://receiver.example/turnpike", max_length = 2000)]
    url: String,
    /// Whose events. Those of all partners where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^partner_[0-9a-f]{32}$")]
    partner: Option<PartnerId>,
}

/// A hook.
#[derive(Debug, Serialize, ToSchema)]
pub struct HookOut {
    #[schema(example = "hook_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// With `?…` instead of a query, which may hold what lets one in.
    #[schema(example = "https://receiver.example/turnpike?…")]
    url: String,
    /// Null for the events of all partners.
    partner: Option<String>,
    /// `active`, `paused` or `disabled`: nothing could be delivered for five days, or the receiver answered 410.
    state: &'static str,
    /// What went wrong last; empty where nothing did.
    message: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// Events that were delivered.
    delivered: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    tested_at: Option<Timestamp>,
    /// What became of the last test; empty where there was none.
    test_result: String,
}

/// A secret, which is told this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct HookSecretOut {
    #[schema(example = "hook_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// As Standard Webhooks has it: `whsec_` and the key in base64.
    secret: String,
}

/// All hooks.
#[utoipa::path(get, path = "/api/hooks", operation_id = "listHooks", tag = "Usage", params(HookParams),
    responses((status = 200, description = "Oldest first", body = List<HookOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: ProviderCall, Params(params): Params<HookParams>) -> Result<Json<List<HookOut>>, Problem> {
    let hooks = call.state.store.all_hooks(params.partner, call.now).await?;
    Ok(Json(List::whole(hooks.into_iter().map(HookOut::from).collect())))
}

/// Makes a hook, which gets the usage events that are taken in from now on: at least once each, those of a gateway's lane in their
/// order, as messages of Standard Webhooks with a batch of CloudEvents. What corrections change of them comes as
/// `io.turnpike.usage.correction.v1`, and what is told when its period is closed as `io.turnpike.usage.late.v1`.
#[utoipa::path(post, path = "/api/hooks", operation_id = "createHook", tag = "Usage", request_body = NewHookIn,
    responses((status = 201, description = "Made, with its secret", body = HookSecretOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn create(call: ProviderCall, Body(body): Body<NewHookIn>) -> Result<Response, Problem> {
    let may_be_private = call.state.settings.hooks_may_be_private;
    secrets::enter_url(&body.url, may_be_private).map_err(|wrong| Problem::invalid("url", wrong))?;
    let id = secrets::new_id();
    let (secret, sealed_secret) = secrets::new_secret(&call.state.secrets, id);
    let new = NewHook { id, partner: body.partner, url: body.url.trim().to_owned(), sealed_secret };
    call.state.store.create_hook(&new, call.token.actor(), call.now).await?;
    Ok(told(StatusCode::CREATED, id, secret))
}

/// Gives it another secret. Both sign for a day, so that the receiver can be changed meanwhile.
#[utoipa::path(post, path = "/api/hooks/{hook}/rotate", operation_id = "rotateHookSecret", tag = "Usage",
    params(("hook" = String, Path, description = "The hook's identifier", pattern = "^hook_[0-9a-f]{32}$")),
    responses((status = 200, description = "The new secret", body = HookSecretOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn rotate(call: ProviderCall, Named(hook): Named<HookId>) -> Result<Response, Problem> {
    let (secret, sealed) = secrets::new_secret(&call.state.secrets, hook);
    call.state.store.rotate_hook_secret(hook, &sealed, call.token.actor(), call.now).await?;
    Ok(told(StatusCode::OK, hook, secret))
}

/// Stops it. It goes on where it was when it is resumed.
#[utoipa::path(post, path = "/api/hooks/{hook}/pause", operation_id = "pauseHook", tag = "Usage",
    params(("hook" = String, Path, description = "The hook's identifier", pattern = "^hook_[0-9a-f]{32}$")),
    responses((status = 204, description = "Paused"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn pause(call: ProviderCall, Named(hook): Named<HookId>) -> Result<StatusCode, Problem> {
    call.state.store.set_hook_state(hook, false, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets it go on, whether it was paused or switched off.
#[utoipa::path(post, path = "/api/hooks/{hook}/resume", operation_id = "resumeHook", tag = "Usage",
    params(("hook" = String, Path, description = "The hook's identifier", pattern = "^hook_[0-9a-f]{32}$")),
    responses((status = 204, description = "It goes on"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn resume(call: ProviderCall, Named(hook): Named<HookId>) -> Result<StatusCode, Problem> {
    call.state.store.set_hook_state(hook, true, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends one event without usage, of the type `io.turnpike.test.v1`, within seconds. `test_result` says what became of it.
#[utoipa::path(post, path = "/api/hooks/{hook}/test", operation_id = "testHook", tag = "Usage",
    params(("hook" = String, Path, description = "The hook's identifier", pattern = "^hook_[0-9a-f]{32}$")),
    responses((status = 202, description = "On its way"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn test(call: ProviderCall, Named(hook): Named<HookId>) -> Result<StatusCode, Problem> {
    call.state.store.ask_hook_test(hook, call.now).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Deletes it for good.
#[utoipa::path(delete, path = "/api/hooks/{hook}", operation_id = "deleteHook", tag = "Usage",
    params(("hook" = String, Path, description = "The hook's identifier", pattern = "^hook_[0-9a-f]{32}$")),
    responses((status = 204, description = "Deleted"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn delete(call: ProviderCall, Named(hook): Named<HookId>) -> Result<StatusCode, Problem> {
    call.state.store.delete_hook(hook, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn told(status: StatusCode, id: HookId, secret: String) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(HookSecretOut { id: id.to_string(), secret })).into_response()
}

impl From<Hook> for HookOut {
    fn from(hook: Hook) -> Self {
        Self {
            id: hook.id.to_string(),
            url: hook.shown_url(),
            partner: hook.partner.map(|partner| partner.to_string()),
            state: hook.state.code(),
            message: hook.message,
            created_at: hook.created_at,
            failing_since: hook.failing_since,
            delivered: hook.delivered,
            delivered_at: hook.delivered_at,
            tested_at: hook.tested_at,
            test_result: hook.test_result,
        }
    }
}
