//! Only what the visible operations refer to stays.

use crate::openapi::{
    grammar::{Kind, SECTIONS, Step, reference, walk, walk_mut},
    pointer::{component, join, last_token, lookup},
};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Rounds of moving: what was moved can itself refer into a hidden place.
const MAX_ROUNDS: usize = 16;

/// Moves what visible operations refer to inside hidden ones (`#/paths/…`) to the components, under a neutral name.
pub fn hoist(original: &Value, root: &mut Map<String, Value>) {
    let mut moved: HashMap<String, String> = HashMap::new();
    for _ in 0..MAX_ROUNDS {
        let whole = Value::Object(std::mem::take(root));
        let mut lost: Vec<(String, Kind)> = Vec::new();
        walk(&whole, Kind::Document, "", &mut |_, step| {
            let Step::Node(kind, node) = step else { return };
            let Some(target) = reference(kind, node) else { return };
            if component(target).is_none() && lookup(&whole, target).is_none() && !moved.contains_key(target) {
                lost.push((target.to_owned(), kind));
            }
        });
        if let Value::Object(fields) = whole {
            *root = fields;
        }
        if lost.is_empty() {
            break;
        }
        for (target, kind) in lost {
            let Some((section, _)) = SECTIONS.iter().find(|(_, of)| *of == kind) else { continue };
            let Some(content) = lookup(original, &target) else { continue };
            if moved.contains_key(&target) {
                continue;
            }
            let name = format!("moved-{}", moved.len() + 1);
            moved.insert(target, join(&format!("#/components/{section}"), &name));
            insert(root, section, name, content.clone());
        }
    }
    if !moved.is_empty() {
        walk_mut(root, Kind::Document, &mut |_, fields| {
            let target = fields.get("$ref").and_then(Value::as_str).and_then(|target| moved.get(target)).cloned();
            if let Some(target) = target {
                fields.insert("$ref".to_owned(), Value::String(target));
            }
        });
    }
}

fn insert(root: &mut Map<String, Value>, section: &str, name: String, content: Value) {
    let components = root.entry("components").or_insert_with(|| Value::Object(Map::new()));
    let Some(components) = components.as_object_mut() else { return };
    let section = components.entry(section).or_insert_with(|| Value::Object(Map::new()));
    if let Some(section) = section.as_object_mut() {
        section.insert(name, content);
    }
}

/// Drops components of every kind that nothing visible refers to, however indirectly.
pub fn components(root: &mut Map<String, Value>) {
    let reached = reached(root);
    let Some(components) = root.get_mut("components").and_then(Value::as_object_mut) else { return };
    components.retain(|section, entries| {
        let Some(entries) = entries.as_object_mut() else { return false };
        entries.retain(|name, _| reached.contains(&(section.clone(), name.clone())));
        !entries.is_empty()
    });
    walk_mut(root, Kind::Document, &mut |kind, fields| {
        if kind != Kind::Schema {
            return;
        }
        let Some(discriminator) = fields.get_mut("discriminator").and_then(Value::as_object_mut) else { return };
        if let Some(mapping) = discriminator.get_mut("mapping").and_then(Value::as_object_mut) {
            mapping.retain(|_, target| target.as_str().is_some_and(|target| reached.contains(&mapped(target))));
            if mapping.is_empty() {
                discriminator.remove("mapping");
            }
        }
    });
}

fn reached(root: &Map<String, Value>) -> HashSet<(String, String)> {
    let none = Value::Null;
    let mut reached = HashSet::new();
    let mut waiting: Vec<(String, String)> = Vec::new();
    let collect = |value: &Value, kind: Kind, waiting: &mut Vec<(String, String)>| {
        walk(value, kind, "", &mut |_, step| {
            if let Step::Node(kind, node) = step {
                waiting.extend(reference(kind, node).and_then(component));
            }
        });
    };
    collect(root.get("paths").unwrap_or(&none), Kind::Paths, &mut waiting);
    let components = root.get("components").unwrap_or(&none);
    while let Some((section, name)) = waiting.pop() {
        if !reached.insert((section.clone(), name.clone())) {
            continue;
        }
        let Some(value) = components.get(&section).and_then(|entries| entries.get(&name)) else { continue };
        let Some((_, kind)) = SECTIONS.iter().find(|(known, _)| *known == section) else { continue };
        collect(value, *kind, &mut waiting);
        if *kind == Kind::Schema {
            waiting.extend(extensions(components, &name, value));
        }
    }
    reached
}

/// Schemas that a discriminator leads to and that extend its holder: the holder stands for them, so they are part of
/// every operation that uses it. Others stay only where something refers to them.
fn extensions(components: &Value, holder: &str, schema: &Value) -> Vec<(String, String)> {
    let mapping = schema.pointer("/discriminator/mapping").and_then(Value::as_object);
    let extends = |target: &(String, String)| {
        let parts = components.get(&target.0).and_then(|entries| entries.get(&target.1)?.get("allOf")?.as_array());
        parts.into_iter().flatten().any(|part| {
            let base = part.get("$ref").and_then(Value::as_str).and_then(component);
            base.is_some_and(|(section, name)| section == "schemas" && name == holder)
        })
    };
    mapping.into_iter().flat_map(Map::values).filter_map(Value::as_str).map(mapped).filter(extends).collect()
}

/// A discriminator names a schema by reference or by its bare name.
pub fn mapped(target: &str) -> (String, String) {
    component(target).unwrap_or_else(|| ("schemas".to_owned(), last_token(target)))
}

/// Drops tags that no visible operation has; the parents (OpenAPI 3.2) of those that stay, stay.
pub fn tags(root: &mut Map<String, Value>) {
    let mut used: HashSet<String> = HashSet::new();
    walk_mut(root, Kind::Document, &mut |kind, fields| {
        if kind == Kind::Operation {
            let tags = fields.get("tags").and_then(Value::as_array);
            used.extend(tags.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        }
    });
    let Some(tags) = root.get_mut("tags").and_then(Value::as_array_mut) else { return };
    let text = |tag: &Value, field: &str| tag.get(field).and_then(Value::as_str).map(str::to_owned);
    let is_used = |tag: &Value, used: &HashSet<String>| text(tag, "name").is_some_and(|name| used.contains(&name));
    for _ in 0..tags.len() {
        let parents: Vec<String> =
            tags.iter().filter(|tag| is_used(tag, &used)).filter_map(|tag| text(tag, "parent")).collect();
        let before = used.len();
        used.extend(parents);
        if used.len() == before {
            break;
        }
    }
    tags.retain(|tag| is_used(tag, &used));
    if tags.is_empty() {
        root.remove("tags");
    }
}
