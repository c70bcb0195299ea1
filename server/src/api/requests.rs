//! The request log, newest first.

use super::{
    extract::Params,
    guard::PartnerCall,
    list::{List, Part},
    problem::Problem,
    usage::{before, range},
};
use axum::{extract::OriginalUri, response::Response};
use domain::{
    id::{AppId, KeyId, OperationId, ProductId, TeamId},
    key_text::Environment,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::usage::{LoggedRequest, Place, RequestFilter};
use utoipa::{IntoParams, ToSchema};

const USUAL_REACH: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RequestParams {
    /// From this instant on (RFC 3339). Seven days ago where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `live` or `test`; both where it is left out.
    #[param(value_type = Option<String>, pattern = "^(live|test)$")]
    environment: Option<Environment>,
    #[param(value_type = Option<String>, pattern = "^product_[0-9a-f]{32}$")]
    product: Option<ProductId>,
    #[param(value_type = Option<String>, pattern = "^op_[0-9a-f]{32}$")]
    operation: Option<OperationId>,
    #[param(value_type = Option<String>, pattern = "^app_[0-9a-f]{32}$")]
    app: Option<AppId>,
    #[param(value_type = Option<String>, pattern = "^key_[0-9a-f]{32}$")]
    key: Option<KeyId>,
    #[param(value_type = Option<String>, pattern = "^team_[0-9a-f]{32}$")]
    team: Option<TeamId>,
    /// 2, 3, 4 or 5.
    #[param(minimum = 2, maximum = 5)]
    status_class: Option<u8>,
    method: Option<String>,
    /// `served`, `refused`, `upstream_failed` or `client_gone`.
    outcome: Option<String>,
    /// The beginning of a request id.
    request_id: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// For the provider's tokens: whose requests.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// One call, as it ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestOut {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    request_id: String,
    environment: String,
    app: String,
    key: String,
    /// The product's code; empty where none matched.
    product: String,
    /// The operation's code; empty where none matched.
    operation: String,
    method: String,
    /// The path as the product's document has it, never as it was called.
    path: String,
    status: u16,
    outcome: String,
    /// The refusal's code, where we said no.
    refusal: Option<String>,
    units: u64,
    /// Of those, the units that were paid with credit.
    credits: u64,
    /// The allocation that paid for some of them, of an app or a team, or the units that only calls of its product spend.
    #[schema(pattern = "^allocation_[0-9a-f]{32}$")]
    allocation: Option<String>,
    /// Of the credits, those of the allocation.
    allocated: u64,
    bytes_in: u64,
    bytes_out: u64,
    duration_us: u64,
    upstream_us: u64,
}

/// Calls of a range of time.
#[utoipa::path(get, path = "/api/requests", operation_id = "listRequests", tag = "Usage", params(RequestParams),
    responses((status = 200, description = "Newest first", body = List<RequestOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: PartnerCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<RequestParams>,
) -> Result<Response, Problem> {
    let end = params.to.unwrap_or(call.now);
    let range = range(params.from.unwrap_or_else(|| before(end, USUAL_REACH)), end)?;
    let part = Part { cursor: params.cursor.clone(), limit: params.limit };
    let after: Option<Place> = part.cursor().map(str::parse).transpose()?;
    let size = u16::try_from(part.limit()).unwrap_or(u16::MAX);
    let page = call.state.store.request_log(call.partner, range, &params.filter(), after.as_ref(), size).await?;
    let items = page.requests.into_iter().map(RequestOut::from).collect();
    Ok(List { items, next: page.next.map(|place| place.to_string()) }.answer(&uri))
}

impl RequestParams {
    fn filter(&self) -> RequestFilter {
        RequestFilter {
            team: self.team,
            environment: self.environment,
            product: self.product,
            operation: self.operation,
            app: self.app,
            key: self.key,
            status_class: self.status_class,
            method: self.method.clone(),
            outcome: self.outcome.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

impl From<LoggedRequest> for RequestOut {
    fn from(request: LoggedRequest) -> Self {
        Self {
            at: request.at,
            request_id: request.request_id,
            environment: request.environment.to_string(),
            app: request.app.to_string(),
            key: request.key.to_string(),
            product: request.product_code,
            operation: request.operation_code,
            method: request.method,
            path: request.path,
            status: request.status,
            outcome: request.outcome,
            refusal: request.refusal,
            units: request.units,
            credits: request.credits,
            allocation: request.allocated.map(|(id, _)| id.to_string()),
            allocated: request.allocated.map_or(0, |(_, units)| units),
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            duration_us: request.duration_us,
            upstream_us: request.upstream_us,
        }
    }
}
