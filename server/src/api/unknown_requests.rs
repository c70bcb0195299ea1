//! Requests with an Idempotency-Key whose outcome nobody knows, for the provider's tokens: what they are, and what the API
//! behind the gateway said of them.

use super::{
    extract::{Body, Named, Params},
    guard::ProviderCall,
    list::{List, Part},
    problem::Problem,
};
use axum::{extract::OriginalUri, http::StatusCode, response::Response};
use domain::id::{AttemptId, PartnerId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::idempotency::{Resolution, UnknownFilter, UnknownRequest};
use utoipa::{IntoParams, ToSchema};

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UnknownRequestParams {
    /// Only that partner's.
    #[param(value_type = Option<String>, pattern = "^partner_[0-9a-f]{32}$")]
    partner: Option<PartnerId>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A request that was sent on, and nobody knows whether it was carried out.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnknownRequestOut {
    #[schema(example = "attempt_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    #[schema(example = "partner_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    partner: String,
    partner_name: String,
    /// `live` or `test`.
    environment: String,
    /// The product's code.
    product: String,
    /// The operation's code.
    operation: String,
    method: String,
    /// The path as the product's document has it, never as it was called.
    path: String,
    /// The Idempotency-Key that the partner sent; the API got it, too.
    idempotency_key: String,
    /// The `X-Request-Id` that the API got.
    request_id: String,
    /// The gateway that sent it on.
    node: String,
    /// `node_ended` (the gateway stopped meanwhile), `overdue` (the gateway was not heard of again) or `no_answer` (no whole
    /// answer came).
    reason: &'static str,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Until then the key is refused with 409; afterwards it is forgotten.
    #[schema(value_type = String, format = DateTime)]
    refused_until: Timestamp,
}

/// What the API said.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeIn {
    /// It carried the request out: the key goes on to be refused, and says why.
    CarriedOut,
    /// It did not, and will not: the key is forgotten, and the same request may be sent again.
    NotCarriedOut,
}

/// What is written down about it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveIn {
    outcome: OutcomeIn,
    /// For the audit log: who was asked, and what was found.
    #[serde(default)]
    #[schema(max_length = 500, example = "Not in the bank's list of payments")]
    note: String,
}

/// Requests with an Idempotency-Key of which nobody knows whether they were carried out, oldest first. Ask the API about each,
/// by its key or request id.
#[utoipa::path(get, path = "/api/unknown-requests", operation_id = "listUnknownRequests", tag = "Partners", params(UnknownRequestParams),
    responses((status = 200, description = "Oldest first", body = List<UnknownRequestOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: ProviderCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<UnknownRequestParams>,
) -> Result<Response, Problem> {
    let part = Part { cursor: params.cursor, limit: params.limit };
    let filter = UnknownFilter { partner: params.partner, ..UnknownFilter::default() };
    let page = call.state.store.all_unknown_requests(&filter, part.cursor(), part.limit()).await?;
    Ok(List { items: page.items.into_iter().map(UnknownRequestOut::from).collect(), next: page.next }.answer(&uri))
}

/// Writes down what became of one. Be sure of `not_carried_out`: it lets the partner's next try through, so its gateway must
/// have ended and the API must be done with it.
#[utoipa::path(post, path = "/api/unknown-requests/{attempt}/resolve", operation_id = "resolveUnknownRequest", tag = "Partners",
    params(("attempt" = String, Path, description = "The identifier of the list", pattern = "^attempt_[0-9a-f]{32}$")), request_body = ResolveIn,
    responses((status = 204, description = "Written down"), (status = "4XX", description = "Refused; 404 where its outcome is known", body = Problem, content_type = "application/problem+json")))]
pub async fn resolve(
    call: ProviderCall,
    Named(attempt): Named<AttemptId>,
    Body(body): Body<ResolveIn>,
) -> Result<StatusCode, Problem> {
    let resolution = match body.outcome {
        OutcomeIn::CarriedOut => Resolution::CarriedOut,
        OutcomeIn::NotCarriedOut => Resolution::NotCarriedOut,
    };
    let actor = call.token.actor();
    call.state.store.resolve_unknown_request(attempt, resolution, &body.note, actor, call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<UnknownRequest> for UnknownRequestOut {
    fn from(request: UnknownRequest) -> Self {
        Self {
            id: request.attempt.to_string(),
            partner: request.partner.to_string(),
            partner_name: request.partner_name,
            environment: request.environment.to_string(),
            product: request.product,
            operation: request.operation,
            method: request.method,
            path: request.path,
            idempotency_key: request.key,
            request_id: request.request_id,
            node: request.node,
            reason: request.reason.code(),
            at: request.began_at,
            refused_until: request.until,
        }
    }
}
