//! Which object of the specification stands where. Walking by it tells a reference from an example that looks like one.

use super::pointer::join;
use serde_json::{Map, Value};

/// What an object of the document is, in the words of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Document,
    Components,
    Paths,
    PathItem,
    Operation,
    Parameter,
    RequestBody,
    MediaType,
    Encoding,
    Responses,
    Response,
    Header,
    Schema,
    Example,
    Link,
    Callback,
    SecurityScheme,
    Server,
    Tag,
}

/// How many of a kind a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Slot {
    One(Kind),
    List(Kind),
    Map(Kind),
}

/// Fields of a path item that are operations. `query` came with OpenAPI 3.2.
pub const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// Sections of the components, and what is in each.
pub const SECTIONS: [(&str, Kind); 11] = [
    ("schemas", Kind::Schema),
    ("responses", Kind::Response),
    ("parameters", Kind::Parameter),
    ("examples", Kind::Example),
    ("requestBodies", Kind::RequestBody),
    ("headers", Kind::Header),
    ("securitySchemes", Kind::SecurityScheme),
    ("links", Kind::Link),
    ("callbacks", Kind::Callback),
    ("pathItems", Kind::PathItem),
    ("mediaTypes", Kind::MediaType),
];

/// What stands in this field of an object of this kind; `None` for plain values and extensions.
pub fn slot(kind: Kind, field: &str) -> Option<Slot> {
    use Kind as K;
    use Slot::{List, Map, One};
    if field.starts_with("x-") && kind != K::Schema {
        return None;
    }
    let slot = match (kind, field) {
        (K::Document, "paths") => One(K::Paths),
        (K::Document, "webhooks") => Map(K::PathItem),
        (K::Document, "components") => One(K::Components),
        (K::Document, "tags") => List(K::Tag),
        (K::Document | K::PathItem | K::Operation, "servers") => List(K::Server),
        (K::Components, section) => Map(SECTIONS.iter().find(|(name, _)| *name == section)?.1),
        (K::Paths | K::Callback, "$ref") => return None,
        (K::Paths | K::Callback, _) => One(K::PathItem),
        (K::PathItem | K::Operation, "parameters") => List(K::Parameter),
        (K::PathItem, "additionalOperations") => Map(K::Operation),
        (K::PathItem, method) if METHODS.contains(&method) => One(K::Operation),
        (K::Operation, "requestBody") => One(K::RequestBody),
        (K::Operation, "responses") => One(K::Responses),
        (K::Operation, "callbacks") => Map(K::Callback),
        (K::Responses, _) => One(K::Response),
        (K::Parameter | K::Header | K::MediaType, "schema") | (K::MediaType, "itemSchema") => One(K::Schema),
        (K::Parameter | K::Header | K::MediaType, "examples") => Map(K::Example),
        (K::Parameter | K::Header | K::RequestBody | K::Response, "content") => Map(K::MediaType),
        (K::MediaType, "encoding") => Map(K::Encoding),
        (K::Encoding | K::Response, "headers") => Map(K::Header),
        (K::Response, "links") => Map(K::Link),
        (K::Link, "server") => One(K::Server),
        (K::Schema, "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas") => {
            Map(K::Schema)
        }
        (K::Schema, "allOf" | "anyOf" | "oneOf" | "prefixItems") => List(K::Schema),
        (
            K::Schema,
            "items"
            | "additionalItems"
            | "additionalProperties"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "contentSchema",
        ) => One(K::Schema),
        _ => return None,
    };
    Some(slot)
}

/// The reference that an object of this kind is, if it is one.
pub fn reference(kind: Kind, value: &Value) -> Option<&str> {
    let referable = !matches!(
        kind,
        Kind::Document
            | Kind::Components
            | Kind::Paths
            | Kind::Operation
            | Kind::Responses
            | Kind::Encoding
            | Kind::Server
            | Kind::Tag
    );
    if referable { value.get("$ref").and_then(Value::as_str) } else { None }
}

/// What a walk meets.
pub enum Step<'a> {
    Node(Kind, &'a Value),
    /// A list or a map was expected here; the text says which.
    WrongShape(&'static str),
}

/// Visits `value` and everything typed below it, parents first, with JSON pointers. References are not followed.
pub fn walk<'a>(value: &'a Value, kind: Kind, pointer: &str, visit: &mut dyn FnMut(&str, Step<'a>)) {
    visit(pointer, Step::Node(kind, value));
    let Value::Object(fields) = value else { return };
    if kind != Kind::Schema && reference(kind, value).is_some() && kind != Kind::PathItem {
        return;
    }
    for (field, inner) in fields {
        let Some(slot) = slot(kind, field) else { continue };
        let place = join(pointer, field);
        match (slot, inner) {
            (Slot::One(kind), inner) => walk(inner, kind, &place, visit),
            (Slot::List(kind), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, kind, &join(&place, &index.to_string()), visit);
                }
            }
            (Slot::Map(kind), Value::Object(entries)) => {
                for (name, entry) in entries {
                    walk(entry, kind, &join(&place, name), visit);
                }
            }
            (Slot::List(_), _) => visit(&place, Step::WrongShape("a list")),
            (Slot::Map(_), _) => visit(&place, Step::WrongShape("a mapping")),
        }
    }
}

/// Visits `fields` and every typed object below, parents first, to change them.
pub fn walk_mut(fields: &mut Map<String, Value>, kind: Kind, visit: &mut dyn FnMut(Kind, &mut Map<String, Value>)) {
    visit(kind, fields);
    for (field, inner) in fields.iter_mut() {
        let Some(slot) = slot(kind, field) else { continue };
        match (slot, inner) {
            (Slot::One(kind), Value::Object(inner)) => walk_mut(inner, kind, visit),
            (Slot::List(kind), Value::Array(items)) => {
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    walk_mut(item, kind, visit);
                }
            }
            (Slot::Map(kind), Value::Object(entries)) => {
                for entry in entries.values_mut().filter_map(Value::as_object_mut) {
                    walk_mut(entry, kind, visit);
                }
            }
            _ => {}
        }
    }
}
