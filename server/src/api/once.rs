//! Calls that move money are carried out once under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07, decision 12).
//!
//! The key is the token's, on one route. The same call again is answered as the first time; another call under it is refused, and so is
//! one while the first is carried out. What was refused has done nothing and frees its key.

use super::{MAX_BODY_BYTES, guard::Token, problem::Problem};
use app::state::AppState;
use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::{idempotency::Key, refusal::Code};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use std::{convert::Infallible, time::Duration};
use store::{ApiRequest, ApiSlot, StoreError};
use utoipa::openapi::{
    OpenApi, RefOr, Required,
    path::{ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// How often a call that takes long says that it is alive: well before it would be taken for dead.
const HELD_EVERY: Duration = Duration::from_secs(20);
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The POST routes that move money or decide that it moves. Reports of usage have identifiers of their own, and pages at Stripe a reference:
/// an answer kept for a week would name a page that is closed by then.
pub const ROUTES: &[&str] = &[
    "/api/corrections",
    "/api/corrections/{correction}/approve",
    "/api/corrections/{correction}/apply",
    "/api/corrections/{correction}/revert",
    "/api/corrections/{correction}/refuse",
    "/api/invoices/{invoice}/credit-notes",
    "/api/credit-notes/{credit_note}/issue",
    "/api/credit-notes/{credit_note}/discard",
    "/api/invoices/{invoice}/lines/{position}/disputes",
    "/api/disputes/{dispute}/withdraw",
    "/api/disputes/{dispute}/accept",
    "/api/disputes/{dispute}/refuse",
    "/api/invoices/{invoice}/paid",
    "/api/plan/change",
    "/api/partners/{partner}/plan",
    "/api/plan/coupons",
    "/api/plan-moves",
    "/api/plan-moves/{move}/cancel",
    "/api/partners/{partner}/credit",
    "/api/partners/{partner}/credit/grants/{grant}/void",
    "/api/credit/purchases",
    "/api/credit/allocations",
    "/api/credit/allocations/{allocation}/give-back",
];

/// What a handler has to know of the key, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Once {
    reference: Option<String>,
    /// The attempt, for what names itself in the key's row.
    pub attempt: Option<Uuid>,
    /// What an earlier attempt made that did not come to answer.
    pub made: Option<Uuid>,
}

impl Once {
    /// The caller's own number, or else one that stands for the key: who comes after a crash meets what was booked under it.
    pub fn reference(self, own: Option<String>) -> Option<String> {
        own.or(self.reference)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Carries a call with a key out once. Calls without one, and of other routes, pass.
pub async fn once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match slot(&request) {
        Ok(None) => next.run(request).await,
        // Whoever hangs up leaves no half of a call behind.
        Ok(Some(slot)) => match tokio::spawn(keyed(state, slot, request, next)).await {
            Ok(answer) => answer.unwrap_or_else(IntoResponse::into_response),
            Err(error) => {
                tracing::error!(%error, "a call with an Idempotency-Key ended without an answer");
                Problem::unavailable("The call ended without an answer. Try again with the same Idempotency-Key.")
                    .into_response()
            }
        },
        Err(problem) => problem.into_response(),
    }
}

/// Where the call's key counts, if it has one and the route takes it.
fn slot(request: &Request) -> Result<Option<ApiSlot>, Problem> {
    let extensions = request.extensions();
    let (Some(path), Some(token)) = (extensions.get::<MatchedPath>(), extensions.get::<Token>()) else {
        return Ok(None);
    };
    if request.method() != Method::POST || !ROUTES.contains(&path.as_str()) {
        return Ok(None);
    }
    Ok(key(request.headers())?.map(|key| ApiSlot { token: token.id, route: path.as_str().to_owned(), key }))
}

fn key(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let one = values.next().is_none().then(|| Key::parse(value.as_bytes()).ok()).flatten();
    one.map(Some).ok_or_else(|| {
        let detail = "The Idempotency-Key is one text of 1 to 255 visible ASCII characters, in quotes or without.";
        named(Code::IdempotencyKeyInvalid, detail)
    })
}

async fn keyed(state: AppState, slot: ApiSlot, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        let detail = format!("The body ended early, or is longer than {MAX_BODY_BYTES} bytes.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad-body", "The body cannot be read", detail)
    })?;
    let begun = state.store.begin_api_request(&slot, fingerprint(&parts, &body), state.clock.now()).await?;
    let (attempt, made) = match begun {
        ApiRequest::Fresh { attempt, made } => (attempt, made),
        ApiRequest::InFlight => return Ok(in_flight()),
        ApiRequest::Mismatch => return Err(mismatch()),
        ApiRequest::Answered { status, body } => return replay(status, body.into()),
    };
    parts.extensions.insert(Once { reference: Some(reference(&slot)), attempt: Some(attempt), made });
    let call = next.run(Request::from_parts(parts, Body::from(body)));
    let (parts, body) = held_meanwhile(&state, attempt, call).await.into_parts();
    let body = body.collect().await.map_err(|error| {
        tracing::error!(%error, "an answer of the API cannot be read");
        Problem::unavailable("The call ended without an answer. Try again with the same Idempotency-Key.")
    })?;
    let body = body.to_bytes();
    let kept = match parts.status.is_success() {
        true => {
            let answer = (parts.status.as_u16(), body.as_ref());
            state.store.answer_api_request(attempt, answer, state.clock.now()).await
        }
        false => state.store.release_api_request(attempt).await,
    };
    // What was done is done: the client has its answer, and a retry meets what was made when the attempt counts as lost.
    kept.unwrap_or_else(|error: StoreError| tracing::warn!(%error, "what an Idempotency-Key holds could not be kept"));
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Its end, while others are told that it is carried out, however long it takes.
async fn held_meanwhile(state: &AppState, attempt: Uuid, call: impl Future<Output = Response>) -> Response {
    let mut call = std::pin::pin!(call);
    loop {
        match tokio::time::timeout(HELD_EVERY, &mut call).await {
            Ok(answer) => return answer,
            Err(_) => {
                let held = state.store.hold_api_request(attempt, state.clock.now()).await;
                held.unwrap_or_else(|error| tracing::warn!(%error, "an Idempotency-Key could not be held longer"));
            }
        }
    }
}

/// Of all that makes a call another one: path, query and body.
fn fingerprint(parts: &Parts, body: &Bytes) -> [u8; 32] {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let mut hash = Sha256::new();
    hash.update(u64::try_from(target.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(target);
    hash.update(body);
    hash.finalize().into()
}

/// The same for the same key of the token on the route, and for no other.
fn reference(slot: &ApiSlot) -> String {
    let of = format!("{}\n{}\n{}", slot.token, slot.route, slot.key.as_str());
    let hash: String = Sha256::digest(of).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("key:{hash}")
}

/// As the table of refusals names it, in the words of this API.
fn named(code: Code, detail: &str) -> Problem {
    let row = code.describe();
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::BAD_REQUEST);
    Problem::new(status, row.code, row.title, detail)
}

fn in_flight() -> Response {
    let detail = "A call with this Idempotency-Key is being carried out. Ask again in a moment.";
    let problem = named(Code::IdempotencyInFlight, detail);
    ([(header::RETRY_AFTER, HeaderValue::from_static("1"))], problem).into_response()
}

fn mismatch() -> Problem {
    let detail = "This Idempotency-Key was sent with another call before. Use a new one for each call, and the same only for a retry.";
    named(Code::IdempotencyMismatch, detail)
}

/// The answer of the first time.
fn replay(status: u16, body: Bytes) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(status).map_err(|_| Problem::unavailable("The kept answer cannot be read."))?;
    let replayed = (REPLAYED, HeaderValue::from_static("true"));
    Ok(match body.is_empty() {
        true => (status, [replayed]).into_response(),
        false => {
            let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            (status, [replayed, json], body).into_response()
        }
    })
}

/// Says in the API's description which calls take a key.
pub fn describe(description: &mut OpenApi) {
    for (path, item) in &mut description.paths.paths {
        let Some(operation) = item.post.as_mut().filter(|_| ROUTES.contains(&path.as_str())) else { continue };
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Names this call: the same call under it again is answered as the first time and does nothing more, with the header \
                 Idempotent-Replayed. 422 with another path, query or body, and 409 while the first is carried out. Kept for 7 days; a call \
                 that is refused frees it.",
            ))
            .schema(Some(RefOr::T(
                ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(257)).into(),
            )))
            .build();
        operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
    }
}
