//! Every no of the REST API, as RFC 9457 problem details, with a pointer to each field that is wrong.

use crate::logs;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

/// What went wrong with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// Stable name of the problem.
    #[schema(example = "not-found")]
    code: &'static str,
    title: &'static str,
    /// What happened and what to do.
    detail: String,
    /// The fields that are wrong, where it is about fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// One field that is wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request body.
    #[schema(example = "/name")]
    pointer: String,
    detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind: "about:blank", status: status.as_u16(), code, title, detail: detail.into(), errors: Vec::new() }
    }

    pub fn unauthorized() -> Self {
        let detail = "Send an API token of this installation as: Authorization: Bearer tp_api_…";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "No valid API token", detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    pub fn not_found() -> Self {
        let detail = "There is nothing at this address that this token may see.";
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", detail)
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Bad request", detail)
    }

    /// A value that cannot be taken; an empty field means the whole body.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid value", message.clone());
        problem.errors = vec![FieldError { pointer: pointer(field), detail: message }];
        problem
    }

    /// Several values that cannot be taken.
    pub fn invalid_fields(fields: Vec<(String, String)>) -> Self {
        let detail = "Some values cannot be taken; errors tells which and why.";
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid value", detail);
        let error = |(field, detail): (String, String)| FieldError { pointer: pointer(&field), detail };
        problem.errors = fields.into_iter().map(error).collect();
        problem
    }
}

/// `limits[1].calls` as `/limits/1/calls`.
fn pointer(field: &str) -> String {
    let mut pointer = String::new();
    for part in field.split(['.', '[']).map(|part| part.trim_end_matches(']')).filter(|part| !part.is_empty()) {
        pointer.push('/');
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found(),
            // The store's word for a cursor.
            StoreError::Invalid { field, .. } if field == "after" => {
                Self::bad_request("cursor is not of this list; leave it out to begin at the first page")
            }
            StoreError::Invalid { field, message } => Self::invalid(&field, message),
            StoreError::Conflict { field, message } => {
                let mut problem = Self::new(StatusCode::CONFLICT, "conflict", "Conflict", message.clone());
                problem.errors = vec![FieldError { pointer: pointer(&field), detail: message }];
                problem
            }
            StoreError::Unavailable(_) => {
                tracing::warn!(error = logs::chain(&error), "the database did not answer");
                let detail = "The database does not answer at the moment. Try again in a few seconds.";
                Self::unavailable(detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        match status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::pointer;

    #[test]
    fn fields_become_json_pointers() {
        assert_eq!(pointer("limits[1].calls"), "/limits/1/calls");
        assert_eq!(pointer("name"), "/name");
        assert_eq!(pointer(""), "");
    }
}
