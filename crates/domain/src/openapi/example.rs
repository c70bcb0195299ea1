//! Example values that fit a schema, for where the document gives none.

use super::{describe::View, display::SchemaDoc};
use serde_json::{Map, Value, json};

/// Values in one generated example.
const MAX_VALUES: usize = 200;
/// Levels at which optional properties are still filled in.
const OPTIONAL_DEPTH: usize = 3;

/// Which way a value travels: read-only properties are not sent, write-only ones not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// The document's example, default or constant, or for a scalar type one that fits.
pub fn given_or_scalar(view: &View<'_>, types: &[String], enum_values: &[Value]) -> Option<Value> {
    let listed = || view.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
    if let Some(value) = view.get("example").or_else(listed).or_else(|| view.get("default")) {
        return Some(value.clone());
    }
    if let Some(value) = enum_values.iter().find(|value| !value.is_null()) {
        return Some(value.clone());
    }
    match types.first().map(String::as_str) {
        Some("string") => Some(Value::String(text(view))),
        Some("integer") => Some(integer(view)),
        Some("number") => Some(view.get("minimum").filter(|limit| limit.is_number()).cloned().unwrap_or(json!(1))),
        Some("boolean") => Some(Value::Bool(true)),
        _ => None,
    }
}

fn integer(view: &View<'_>) -> Value {
    let whole = |keyword: &str| view.get(keyword).and_then(Value::as_i64);
    let least = whole("minimum").or_else(|| whole("exclusiveMinimum").map(|limit| limit.saturating_add(1)));
    let most = whole("maximum").unwrap_or(i64::MAX);
    json!(least.unwrap_or(1).max(1).min(most).max(least.unwrap_or(i64::MIN)))
}

fn text(view: &View<'_>) -> String {
    let fitting = match view.text("format").unwrap_or_default() {
        "date-time" => "2026-01-15T09:30:00Z",
        "date" => "2026-01-15",
        "time" => "09:30:00Z",
        "duration" => "P1D",
        "uuid" => "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "email" | "idn-email" => "ada@example.com",
        "uri" | "url" | "iri" => "https://example.com/path",
        "uri-reference" => "/path",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "byte" => "dHVybnBpa2U=",
        _ => "",
    };
    if !fitting.is_empty() {
        return fitting.to_owned();
    }
    let count = |keyword: &str| view.get(keyword).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let least = count("minLength").unwrap_or(0).min(64);
    let most = count("maxLength").unwrap_or(usize::MAX);
    let mut text = "string".to_owned();
    while text.len() < least {
        text.push('x');
    }
    text.truncate(most);
    text
}

/// A whole example.
pub fn generate(schema: &SchemaDoc, direction: Direction) -> Value {
    let mut left = MAX_VALUES;
    value(schema, direction, 0, &mut left).unwrap_or(Value::Null)
}

fn value(schema: &SchemaDoc, direction: Direction, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    if let Some(example) = &schema.example {
        return Some(example.clone());
    }
    let first = schema.variants.first();
    if schema.types.iter().any(|name| name == "object") || !schema.properties.is_empty() {
        if schema.recursive {
            return Some(json!({}));
        }
        let mut fields = Map::new();
        if let Some(Value::Object(chosen)) = first.and_then(|first| value(first, direction, depth, left)) {
            fields.extend(chosen);
        }
        for property in &schema.properties {
            let unsent = match direction {
                Direction::Request => property.read_only,
                Direction::Response => property.write_only,
            };
            let wanted = property.required || (depth < OPTIONAL_DEPTH && !property.schema.recursive);
            if unsent || !wanted || (property.schema.deprecated && !property.required) {
                continue;
            }
            if let Some(inner) = value(&property.schema, direction, depth + 1, left) {
                fields.insert(property.name.clone(), inner);
            }
        }
        if let (true, Some(values)) = (schema.properties.is_empty(), &schema.items)
            && let Some(inner) = value(values, direction, depth + 1, left)
        {
            fields.insert("key".to_owned(), inner);
        }
        return Some(Value::Object(fields));
    }
    if schema.types.iter().any(|name| name == "array") {
        let items = schema.items.as_ref().filter(|items| !items.recursive);
        let inner = items.and_then(|items| value(items, direction, depth + 1, left));
        return Some(Value::Array(inner.into_iter().collect()));
    }
    match first {
        Some(first) => value(first, direction, depth, left),
        None if schema.nullable && !schema.recursive => Some(Value::Null),
        None => scalar(schema),
    }
}

/// For a schema whose content is not shown.
fn scalar(schema: &SchemaDoc) -> Option<Value> {
    match schema.types.first().map(String::as_str) {
        Some("string") => Some(json!("string")),
        Some("integer" | "number") => Some(json!(1)),
        Some("boolean") => Some(json!(true)),
        _ if schema.recursive => None,
        _ => Some(json!({})),
    }
}
