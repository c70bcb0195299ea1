//! Refusals in the words of gRPC: an answer with status 200, no body, and `grpc-status` among its headers ("Trailers-Only").
//!
//! Clients of gRPC make a status of their own out of an HTTP status that they meet, and know neither 402 nor 429. What the
//! upstream answers is passed on as it is. In the usage log and the metrics a refusal keeps its HTTP status.

use crate::meter::Reply;
use bytes::Bytes;
use domain::refusal::Code;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use std::fmt::Write;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The refusal's code, where programs can read it.
const X_ERROR_CODE: HeaderName = HeaderName::from_static("x-turnpike-error");

/// Marks an answer of ours that says no.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused(pub Code);

/// Whether the request is a call of gRPC.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return false };
    let after = kind.as_bytes().strip_prefix(b"application/grpc");
    after.is_some_and(|after| matches!(after.first(), None | Some(b'+' | b';' | b' ')))
}

/// The answer as a caller of gRPC understands it, if it is a refusal of ours.
pub(crate) fn translate(mut response: Response<Reply>) -> Response<Reply> {
    let Some(Refused(code)) = response.extensions_mut().remove::<Refused>() else { return response };
    let detail = match response.body() {
        Reply::Whole(problem) => detail(problem),
        Reply::Ready(..) | Reply::Streaming(_) | Reply::Frames(_) => None,
    };
    let description = code.describe();
    let message = format!("{} ({})", detail.as_deref().unwrap_or(description.title), description.code);
    *response.status_mut() = StatusCode::OK;
    *response.body_mut() = Reply::Whole(Bytes::new());
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(status(description.status)));
    headers.insert(X_ERROR_CODE, HeaderValue::from_static(description.code));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(&message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

fn detail(problem: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(problem).ok()?;
    Some(problem.get("detail")?.as_str()?.to_owned())
}

/// The code of gRPC that says most nearly what the HTTP status says.
const fn status(http: u16) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const DEADLINE_EXCEEDED: u16 = 4;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const ABORTED: u16 = 10;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match http {
        401 => UNAUTHENTICATED,
        402 | 413 | 429 => RESOURCE_EXHAUSTED,
        403 => PERMISSION_DENIED,
        404 | 405 => UNIMPLEMENTED,
        408 | 504 => DEADLINE_EXCEEDED,
        409 => ABORTED,
        400..=499 => INVALID_ARGUMENT,
        502 | 503 => UNAVAILABLE,
        _ => INTERNAL,
    }
}

/// As gRPC over HTTP/2 writes messages: bytes outside of printable ASCII, and the percent sign, as `%` and two digits.
fn percent_encoded(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_content_types_of_grpc_are_calls_of_it() {
        let is = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            is_call(&headers)
        };
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc; charset=x"));
        assert!(!is("application/grpc-web") && !is("application/json") && !is_call(&HeaderMap::new()));
    }

    #[test]
    fn messages_are_encoded_as_grpc_wants_them() {
        assert_eq!(percent_encoded("100 % of ünits\n"), "100 %25 of %C3%BCnits%0A");
    }
}
