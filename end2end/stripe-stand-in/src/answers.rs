//! How answers leave: whole, or broken off in the middle.

use crate::events;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::Value;

/// A whole answer.
pub fn respond(status: u16, body: &Value, replayed: bool) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert("stripe-version", http::HeaderValue::from_static(events::API_VERSION));
    headers.insert("request-id", http::HeaderValue::from_static("req_standin"));
    if replayed {
        headers.insert("idempotent-replayed", http::HeaderValue::from_static("true"));
    }
    response
}

/// Half of the answer, then the connection breaks.
pub fn break_off(status: u16, body: &Value) -> Response {
    let whole = body.to_string();
    let half = Bytes::from(whole.as_bytes()[..whole.len() / 2].to_vec());
    let mut response = Response::new(Body::new(Broken { half: Some(half) }));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_LENGTH, http::HeaderValue::from(whole.len()));
    response
}

struct Broken {
    half: Option<Bytes>,
}

impl axum::body::HttpBody for Broken {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(match self.half.take() {
            Some(half) => Ok(http_body::Frame::data(half)),
            None => Err(std::io::Error::other("broken off")),
        }))
    }
}
