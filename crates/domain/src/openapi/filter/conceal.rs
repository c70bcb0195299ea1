//! The last step: words and names that give a hidden operation away.

use super::{names::Names, prune::mapped};
use crate::openapi::{
    grammar::{Kind, walk_mut},
    pointer::{component, join},
};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Fields that hold words for people, in objects of every kind.
const PROSE: [&str; 4] = ["description", "summary", "title", "$comment"];
/// Fields that hold examples, which may be changed without changing what the API is.
const EXAMPLES: [&str; 6] = ["example", "examples", "value", "dataValue", "externalValue", "externalDocs"];

/// Replaces words, drops extensions and renames components.
pub fn conceal(root: &mut Map<String, Value>, names: &Names) {
    if names.is_empty() {
        return;
    }
    rename_components(root, names);
    if let Some(Value::Object(info)) = root.get_mut("info") {
        words(info, names);
    }
    walk_mut(root, Kind::Document, &mut |kind, fields| {
        if matches!(kind, Kind::Paths | Kind::Responses | Kind::Components | Kind::Callback) {
            fields.retain(|field, value| !(field.starts_with("x-") && names.mentioned_in(value)));
            return;
        }
        words(fields, names);
        let named: &[&str] = match kind {
            Kind::MediaType | Kind::Parameter | Kind::Header => &["examples"],
            Kind::Response => &["links"],
            Kind::Operation => &["callbacks"],
            _ => &[],
        };
        for field in named {
            if let Some(Value::Object(entries)) = fields.get_mut(*field) {
                rename_keys(entries, names);
            }
        }
    });
}

fn words(fields: &mut Map<String, Value>, names: &Names) {
    fields.retain(|field, value| {
        !(field.starts_with("x-") && (names.mentioned_in(value) || names.mentioned_in(&Value::String(field.clone()))))
    });
    for (field, value) in fields.iter_mut() {
        // A map of examples holds objects of its own, which the walk comes to.
        let typed = field == "examples" && value.is_object();
        if PROSE.contains(&field.as_str()) || (EXAMPLES.contains(&field.as_str()) && !typed) {
            redact(value, names);
        }
    }
}

fn redact(value: &mut Value, names: &Names) {
    match value {
        Value::String(text) => {
            if let Some(clean) = names.redacted(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, names)),
        Value::Object(fields) => fields.values_mut().for_each(|value| redact(value, names)),
        _ => {}
    }
}

fn rename_keys(entries: &mut Map<String, Value>, names: &Names) {
    if !entries.keys().any(|name| names.leak_in(name)) {
        return;
    }
    let taken = std::mem::take(entries);
    for (place, (name, value)) in taken.into_iter().enumerate() {
        let name = if names.leak_in(&name) { format!("entry-{}", place + 1) } else { name };
        entries.insert(name, value);
    }
}

/// A component named after a hidden operation, as `orders.capture-400`, gets a neutral name wherever it is referred to.
fn rename_components(root: &mut Map<String, Value>, names: &Names) {
    let mut renamed: HashMap<(String, String), String> = HashMap::new();
    let components = root.get_mut("components").and_then(Value::as_object_mut);
    for (section, entries) in components.into_iter().flatten() {
        let Some(entries) = entries.as_object_mut() else { continue };
        if !entries.keys().any(|name| names.leak_in(name)) {
            continue;
        }
        let taken = std::mem::take(entries);
        let existing: Vec<String> = taken.keys().cloned().collect();
        for (name, value) in taken {
            if !names.leak_in(&name) {
                entries.insert(name, value);
                continue;
            }
            let mut number = renamed.len() + 1;
            while existing.contains(&format!("shared-{number}")) {
                number += 1;
            }
            let neutral = format!("shared-{number}");
            renamed.insert((section.clone(), name), neutral.clone());
            entries.insert(neutral, value);
        }
    }
    if renamed.is_empty() {
        return;
    }
    walk_mut(root, Kind::Document, &mut |kind, fields| {
        if let Some(target) = fields.get("$ref").and_then(Value::as_str).and_then(|target| elsewhere(target, &renamed))
        {
            fields.insert("$ref".to_owned(), Value::String(target));
        }
        if kind == Kind::Schema {
            let discriminator = fields.get_mut("discriminator");
            let mapping = discriminator.and_then(|it| it.get_mut("mapping")).and_then(Value::as_object_mut);
            for target in mapping.into_iter().flat_map(|mapping| mapping.values_mut()) {
                let new = target.as_str().and_then(|text| renamed.get(&mapped(text)));
                if let Some(new) = new {
                    *target = Value::String(format!("#/components/schemas/{new}"));
                }
            }
        }
    });
}

/// The reference with the component's new name; what follows the name stays.
fn elsewhere(target: &str, renamed: &HashMap<(String, String), String>) -> Option<String> {
    let (section, name) = component(target)?;
    let new = renamed.get(&(section.clone(), name))?;
    let inside: Vec<&str> = target.splitn(5, '/').skip(4).collect();
    let place = join(&format!("#/components/{section}"), new);
    Some(if inside.is_empty() { place } else { format!("{place}/{}", inside.join("/")) })
}
