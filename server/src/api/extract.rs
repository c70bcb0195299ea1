//! What a request holds, read so that whatever is wrong is answered as a problem.

use super::{MAX_BODY_BYTES, problem::Problem};
use axum::{
    Json,
    body::HttpBody,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The JSON body.
pub struct Body<T>(pub T);

/// The query's parameters.
pub struct Params<T>(pub T);

/// The one identifier or code in the path.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // What is announced as too long is not read first.
        if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
            let detail = format!("A body is at most {MAX_BODY_BYTES} bytes long.");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad-body", "The body cannot be read", detail));
        }
        Json::from_request(request, state).await.map(|Json(body)| Self(body)).map_err(|rejection| match rejection {
            JsonRejection::JsonDataError(error) => Problem::invalid("", error.body_text()),
            other => Problem::new(other.status(), "bad-body", "The body cannot be read", other.body_text()),
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|rejection| Problem::bad_request(rejection.body_text()))
    }
}

/// What is not even of the right form exists as little as what is not there.
impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, _> = Path::from_request_parts(parts, state).await;
        path.ok().and_then(|Path(text)| text.parse().ok()).map(Self).ok_or_else(Problem::not_found)
    }
}

/// A method that a path does not have.
pub async fn no_method() -> Problem {
    let detail = "The path exists, but not with this method; the Allow header lists those that work.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
}
