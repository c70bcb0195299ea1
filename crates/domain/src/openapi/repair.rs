//! Small omissions that the intent of is plain are filled in, with a warning, so that what we hand on is valid.

use super::{
    Problem,
    grammar::{Kind, slot, walk_mut},
    pointer::{join, lookup},
};
use serde_json::{Map, Value};

/// References from one path item to the next that are followed.
const MAX_HOPS: usize = 8;

/// Fills in what is missing; returns what was done.
pub fn repair(root: &mut Value) -> Vec<Problem> {
    let mut warnings = Vec::new();
    texts_of_info(root, &mut warnings);
    inline_path_items(root);
    if let Some(document) = root.as_object_mut() {
        let (mut required, mut described) = (0_usize, 0_usize);
        walk_mut(document, Kind::Document, &mut |kind, fields| {
            // An empty field of YAML is null; it means that there is nothing.
            fields.retain(|field, value| !(value.is_null() && slot(kind, field).is_some()));
            match kind {
                Kind::Parameter if is_path_parameter(fields) && fields.get("required") != Some(&Value::Bool(true)) => {
                    fields.insert("required".to_owned(), Value::Bool(true));
                    required += 1;
                }
                Kind::Response if !fields.contains_key("$ref") && !fields.contains_key("description") => {
                    fields.insert("description".to_owned(), Value::String(String::new()));
                    described += 1;
                }
                _ => {}
            }
        });
        if required > 0 {
            let message = format!("{required} path parameters do not say `required: true`; it was filled in");
            warnings.push(Problem::at("", message));
        }
        if described > 0 {
            let message =
                format!("{described} responses have no description, which OpenAPI asks for; it was left empty");
            warnings.push(Problem::at("", message));
        }
    }
    warnings
}

fn is_path_parameter(fields: &Map<String, Value>) -> bool {
    fields.get("in").and_then(Value::as_str) == Some("path")
}

/// `version: 4` in YAML is a number; the specification wants a text.
fn texts_of_info(root: &mut Value, warnings: &mut Vec<Problem>) {
    for field in ["title", "version"] {
        let Some(value) = root.pointer_mut(&join("/info", field)) else { continue };
        if value.is_number() {
            *value = Value::String(value.to_string());
            warnings.push(Problem::at(join("/info", field), "This is a number; it was read as text. Put it in quotes"));
        }
    }
}

/// A path that is a reference gets what it refers to, so that each operation stands at its path. What is written beside
/// the reference wins.
fn inline_path_items(root: &mut Value) {
    let paths = root.get("paths").and_then(Value::as_object);
    let referring = |item: &Value| item.get("$ref").is_some_and(Value::is_string);
    let names: Vec<String> =
        paths.into_iter().flatten().filter(|(_, item)| referring(item)).map(|(path, _)| path.clone()).collect();
    for path in names {
        let Some(whole) = root.get("paths").and_then(|paths| paths.get(&path)).and_then(|item| inlined(root, item))
        else {
            continue; // The check reports the reference.
        };
        if let Some(item) = root.get_mut("paths").and_then(|paths| paths.get_mut(&path)) {
            *item = Value::Object(whole);
        }
    }
}

fn inlined(root: &Value, item: &Value) -> Option<Map<String, Value>> {
    let mut whole = Map::new();
    let mut current = item.as_object()?;
    for _ in 0..MAX_HOPS {
        for (field, value) in current.iter().filter(|(field, _)| *field != "$ref") {
            whole.entry(field.clone()).or_insert_with(|| value.clone());
        }
        match current.get("$ref").and_then(Value::as_str) {
            Some(reference) => current = lookup(root, reference)?.as_object()?,
            None => return Some(whole),
        }
    }
    None
}
