//! Which operations a document has, and by which code each is known.

use super::{grammar::METHODS, pointer::join};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;

/// The longest code.
const MAX_CODE: usize = 120;

/// One operation, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationSummary {
    /// Stable, unique and fit for a URL: the document's `operationId` where that is usable, else method and path.
    pub code: String,
    /// Upper case.
    pub method: String,
    /// The document's path template, as `/payments/{payment_id}`.
    pub path: String,
    /// One line; method and path where the document has none.
    pub summary: String,
    /// CommonMark, not yet made safe.
    pub description: String,
    pub tags: Vec<String>,
    pub deprecated: bool,
    /// JSON pointer of the operation in the document.
    pub pointer: String,
}

/// All operations in the document's order; codes do not depend on which other operations there are, as long as the
/// document names its operations.
pub fn list(root: &Value) -> Vec<OperationSummary> {
    let mut found = Vec::new();
    for (path, item) in root.get("paths").and_then(Value::as_object).into_iter().flatten() {
        if !path.starts_with('/') {
            continue;
        }
        let place = join("/paths", path);
        for (field, value) in item.as_object().into_iter().flatten() {
            if METHODS.contains(&field.as_str()) && value.is_object() {
                found.push((summary(value, &field.to_ascii_uppercase(), path, join(&place, field)), own_code(value)));
            } else if field == "additionalOperations" {
                let place = join(&place, field);
                for (method, value) in value.as_object().into_iter().flatten().filter(|(_, value)| value.is_object()) {
                    found.push((summary(value, method, path, join(&place, method)), own_code(value)));
                }
            }
        }
    }
    let mut taken: HashSet<String> = found.iter().filter_map(|(_, own)| own.clone()).collect();
    found
        .into_iter()
        .map(|(mut operation, own)| {
            operation.code = own.unwrap_or_else(|| {
                let slug = slug(&format!("{} {}", operation.method.to_ascii_lowercase(), operation.path));
                let code = if slug.is_empty() || taken.contains(&slug) {
                    marked(&slug, &format!("{} {}", operation.method, operation.path))
                } else {
                    slug
                };
                taken.insert(code.clone());
                code
            });
            operation
        })
        .collect()
}

fn summary(value: &Value, method: &str, path: &str, pointer: String) -> OperationSummary {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let tags = value.get("tags").and_then(Value::as_array);
    let summary = text("summary");
    OperationSummary {
        code: String::new(),
        method: method.to_owned(),
        path: path.to_owned(),
        summary: if summary.is_empty() { format!("{method} {path}") } else { summary },
        description: text("description"),
        tags: tags.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        deprecated: value.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
        pointer,
    }
}

/// The code that the operation's own `operationId` gives, or `None` where it has none.
pub fn own_code(operation: &Value) -> Option<String> {
    let id = operation.get("operationId")?.as_str()?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let usable = id.bytes().all(safe) && id.len() <= MAX_CODE && id.bytes().any(|byte| byte.is_ascii_alphanumeric());
    match id.trim() {
        "" => None,
        _ if usable => Some(id.to_owned()),
        _ => Some(marked(&slug(id), id)),
    }
}

/// A slug with a mark of the text that it came from, so that two texts with one slug stay apart.
fn marked(slug: &str, text: &str) -> String {
    let hash = crc32fast::hash(text.as_bytes());
    if slug.is_empty() { format!("op-{hash:08x}") } else { format!("{slug}-{hash:08x}") }
}

fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || "_.".contains(letter) {
            slug.push(letter);
        } else if !slug.ends_with('-') && !slug.is_empty() && !"{}".contains(letter) {
            slug.push('-');
        }
    }
    slug.truncate(MAX_CODE - 10);
    slug.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn codes_are_unique_stable_and_fit_for_a_url() {
        let root = json!({ "paths": {
            "/a": { "get": { "operationId": "orders.get" }, "post": { "operationId": "create order" } },
            "/a/{id}": { "get": {}, "put": { "operationId": ".." } },
            "/a/id": { "get": {} },
            "/b": { "post": { "operationId": "create/order" }, "get": { "operationId": "" } },
        }});
        let codes: Vec<String> = list(&root).into_iter().map(|operation| operation.code).collect();
        assert_eq!(codes[0], "orders.get");
        assert!(codes[1].starts_with("create-order-"), "{codes:?}");
        assert_eq!(codes[2], "get-a-id");
        assert_eq!(codes[6], "get-b");
        let unique: HashSet<&String> = codes.iter().collect();
        assert_eq!(unique.len(), codes.len(), "{codes:?}");
        let safe = |code: &String| code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        assert!(codes.iter().all(safe) && !codes.contains(&"..".to_owned()), "{codes:?}");
    }
}
