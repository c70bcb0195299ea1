//! What a product must be before it is written.

use super::NewProduct;
use crate::StoreError;
use domain::product::{is_code, route_problem};
use std::collections::HashSet;

/// Headers that the gateway sets or strips itself; adding one would break the connection or forge trust.
const OURS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

pub(super) fn check(new: &NewProduct) -> Result<(), StoreError> {
    if !is_code(&new.code) {
        return Err(StoreError::invalid("code", "A code is 1 to 64 lower-case letters, digits and inner hyphens"));
    }
    if let Some(problem) = route_problem(&new.route) {
        return Err(StoreError::invalid("route", problem));
    }
    if !is_upstream(&new.upstream_url) {
        let message =
            "Enter an address as https://api.example.com/v1, without a slash, a query or a password at the end";
        return Err(StoreError::invalid("upstream_url", message));
    }
    if !(1..=600_000).contains(&new.timeout_ms) {
        return Err(StoreError::invalid("timeout_ms", "A timeout is 1 to 600000 milliseconds"));
    }
    if let Some(problem) = new.policy.as_ref().and_then(|policy| policy.problems().into_iter().next()) {
        return Err(StoreError::invalid(format!("policy.{}", problem.field), problem.message));
    }
    super::secrets::check(new.secrets.as_deref().unwrap_or_default())?;
    operations(new)?;
    headers(new)
}

fn is_upstream(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty()
            && !host.contains('@')
            && !rest.ends_with('/')
            && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte))
    })
}

fn operations(new: &NewProduct) -> Result<(), StoreError> {
    if new.operations.is_empty() {
        return Err(StoreError::invalid("document", "The document describes no operation"));
    }
    let mut codes = HashSet::new();
    for operation in &new.operations {
        if operation.weight > 1_000_000 {
            let message = format!("{}: a weight is 0 to 1000000 units", operation.code);
            return Err(StoreError::invalid("weight", message));
        }
        if !codes.insert(&operation.code) {
            let message =
                format!("The document has two operations named {}; give each its own operationId", operation.code);
            return Err(StoreError::invalid("document", message));
        }
    }
    Ok(())
}

fn headers(new: &NewProduct) -> Result<(), StoreError> {
    let mut names = HashSet::new();
    for (name, _) in &new.headers {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > 100 || !name.bytes().all(token) {
            return Err(StoreError::invalid("headers", format!("{name:?} is not a header name")));
        }
        let lower = name.to_ascii_lowercase();
        if OURS.contains(&lower.as_str()) {
            return Err(StoreError::invalid("headers", format!("The gateway sets {name} itself; leave it out")));
        }
        if !names.insert(lower) {
            return Err(StoreError::invalid("headers", format!("{name} is listed twice; list it once")));
        }
    }
    Ok(())
}
