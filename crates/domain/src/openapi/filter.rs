//! The part of a document that a partner may use, as a valid document that names nothing else.
//!
//! In this order: hidden operations go, our servers and security come, links to hidden operations go, what visible
//! operations refer to inside hidden ones is moved to the components, unused components and tags go, and last, words
//! that name a hidden operation are replaced.

mod conceal;
mod names;
mod prune;

use super::{
    Document,
    grammar::{Kind, METHODS, walk_mut},
    operations::{OperationSummary, own_code},
    pointer::{join, last_token},
};
use names::Names;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Top-level fields that a filtered document keeps; extensions and webhooks go.
const KEPT: [&str; 8] =
    ["openapi", "info", "jsonSchemaDialect", "externalDocs", "servers", "tags", "paths", "components"];

/// The document with only the operations whose codes `opens` answers yes to. `gateway_url` is the product's place on the
/// gateway without a slash at the end, as `https://api.example.com/payments`; it becomes the only server, and the only
/// security schemes are the gateway's own: a bearer token or the `X-API-Key` header.
pub fn filter(document: &Document, opens: impl Fn(&str) -> bool, gateway_url: &str) -> Value {
    let original = document.value();
    let (visible, hidden): (Vec<&OperationSummary>, Vec<&OperationSummary>) =
        document.operations().iter().partition(|operation| opens(&operation.code));
    let names = Names::new(original, &visible, &hidden);
    let Value::Object(mut root) = original.clone() else { return json!({}) };
    root.retain(|field, _| KEPT.contains(&field.as_str()));
    keep_operations(&mut root, &visible);
    replace_access(&mut root, gateway_url);
    drop_links(&mut root, &visible);
    prune::hoist(original, &mut root);
    prune::components(&mut root);
    prune::tags(&mut root);
    conceal::conceal(&mut root, &names);
    add_security_schemes(&mut root);
    Value::Object(root)
}

/// Removes hidden operations and the paths that are left without any. Operations get their code as `operationId` where
/// they had none, so that a code means the same in the filtered document.
fn keep_operations(root: &mut Map<String, Value>, visible: &[&OperationSummary]) {
    let places: HashSet<(&str, &str)> =
        visible.iter().map(|operation| (operation.path.as_str(), operation.method.as_str())).collect();
    let Some(paths) = root.get_mut("paths").and_then(Value::as_object_mut) else { return };
    paths.retain(|path, item| {
        let Some(item) = item.as_object_mut() else { return false };
        if !path.starts_with('/') {
            return false;
        }
        let open = |method: &str| places.contains(&(path.as_str(), method));
        item.retain(|field, _| !METHODS.contains(&field.as_str()) || open(&field.to_ascii_uppercase()));
        if let Some(more) = item.get_mut("additionalOperations").and_then(Value::as_object_mut) {
            more.retain(|method, _| open(method));
            if more.is_empty() {
                item.remove("additionalOperations");
            }
        }
        item.contains_key("additionalOperations") || item.keys().any(|field| METHODS.contains(&field.as_str()))
    });
    let mut whole = Value::Object(std::mem::take(root));
    for operation in visible {
        let Some(fields) = whole.pointer_mut(&operation.pointer).and_then(Value::as_object_mut) else { continue };
        if own_code(&Value::Object(fields.clone())).is_none() {
            fields.insert("operationId".to_owned(), Value::String(operation.code.clone()));
        }
    }
    if let Value::Object(fields) = whole {
        *root = fields;
    }
}

/// The gateway is the only server and the key the only credential.
fn replace_access(root: &mut Map<String, Value>, gateway_url: &str) {
    walk_mut(root, Kind::Document, &mut |kind, fields| match kind {
        Kind::PathItem | Kind::Operation => {
            fields.remove("servers");
            fields.remove("security");
        }
        Kind::Link => {
            fields.remove("server");
        }
        Kind::Components => {
            fields.remove("securitySchemes");
        }
        _ => {}
    });
    root.insert("servers".to_owned(), json!([{ "url": gateway_url }]));
    root.insert("security".to_owned(), json!([{ "bearerKey": [] }, { "headerKey": [] }]));
}

fn add_security_schemes(root: &mut Map<String, Value>) {
    let components = root.entry("components").or_insert_with(|| json!({}));
    if let Some(components) = components.as_object_mut() {
        let schemes = json!({
            "bearerKey": { "type": "http", "scheme": "bearer", "description": "Your API key as a bearer token." },
            "headerKey": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Your API key." },
        });
        components.insert("securitySchemes".to_owned(), schemes);
    }
}

/// Removes links that do not lead to a visible operation, and references to link components that are such.
fn drop_links(root: &mut Map<String, Value>, visible: &[&OperationSummary]) {
    let mut ids: HashSet<String> = HashSet::new();
    for operation in visible {
        let path = root.get("paths").and_then(|paths| paths.get(&operation.path));
        let fields = path.and_then(|item| item.get(operation.method.to_ascii_lowercase()));
        ids.extend(fields.and_then(|fields| fields.get("operationId")).and_then(Value::as_str).map(str::to_owned));
    }
    let places: HashSet<String> = visible.iter().map(|operation| format!("#{}", operation.pointer)).collect();
    let leads_on = |link: &Value| {
        let text = |field: &str| link.get(field).and_then(Value::as_str);
        match (text("operationId"), text("operationRef")) {
            (Some(id), _) => ids.contains(id),
            (None, Some(reference)) => {
                super::pointer::percent_decoded(reference).is_some_and(|place| places.contains(&place))
            }
            (None, None) => false,
        }
    };
    let mut kept: HashSet<String> = HashSet::new();
    if let Some(links) = root.get_mut("components").and_then(|all| all.get_mut("links")).and_then(Value::as_object_mut)
    {
        links.retain(|_, link| leads_on(link));
        kept.extend(links.keys().map(|name| join("#/components/links", name)));
    }
    walk_mut(root, Kind::Document, &mut |kind, fields| {
        if kind != Kind::Response {
            return;
        }
        let Some(links) = fields.get_mut("links").and_then(Value::as_object_mut) else { return };
        links.retain(|_, link| match link.get("$ref").and_then(Value::as_str) {
            Some(reference) => kept.contains(&join("#/components/links", &last_token(reference))),
            None => leads_on(link),
        });
        if links.is_empty() {
            fields.remove("links");
        }
    });
}
