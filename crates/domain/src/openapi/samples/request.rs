//! The request that a sample makes.

use super::super::display::{OperationDoc, ParameterDoc, Place};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call without its credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// With the query, percent-encoded.
    pub url: String,
    /// Names and values; credentials among them are left out of the sample.
    pub headers: Vec<(String, String)>,
    /// JSON, unless a `Content-Type` header says otherwise: then a text is sent as it is, and an object of a form encoded.
    pub body: Option<Value>,
}

/// The operation's request with its example values: path and required parameters filled in.
/// `gateway_url` has no slash at the end.
pub fn request_for(operation: &OperationDoc, gateway_url: &str) -> Request {
    let mut path = operation.path.clone();
    let mut query = Vec::new();
    let mut headers = Vec::new();
    let mut cookies = Vec::new();
    for parameter in operation.parameters.iter().filter(|parameter| parameter.required) {
        let value = plain(parameter);
        match parameter.place {
            Place::Path => path = path.replace(&format!("{{{}}}", parameter.name), &encoded(&value)),
            Place::Query => query.push(format!("{}={}", encoded(&parameter.name), encoded(&value))),
            Place::Header => headers.push((parameter.name.clone(), value)),
            Place::Cookie => cookies.push(format!("{}={}", parameter.name, encoded(&value))),
        }
    }
    if !cookies.is_empty() {
        headers.push(("Cookie".to_owned(), cookies.join("; ")));
    }
    if let Some(body) = &operation.request_body {
        headers.push(("Content-Type".to_owned(), body.content_type.clone()));
    }
    let question = if query.is_empty() { "" } else { "?" };
    Request {
        method: operation.method.clone(),
        url: format!("{gateway_url}{path}{question}{}", query.join("&")),
        headers,
        body: operation.request_body.as_ref().map(|body| body.example.clone()),
    }
}

fn plain(parameter: &ParameterDoc) -> String {
    let value = match &parameter.example {
        Value::Array(items) => items.first().cloned().unwrap_or_default(),
        other => other.clone(),
    };
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Percent-encoded for a path segment or a query value: all but RFC 3986's unreserved characters.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
