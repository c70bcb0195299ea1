//! Paths: well-formed templates, every parameter declared, and no two that a router cannot tell apart.

use super::Found;
use crate::openapi::{
    grammar::METHODS,
    pointer::{join, lookup},
};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Checks all of them.
pub fn check(root: &Value, found: &mut Found) {
    let paths = match root.get("paths") {
        Some(Value::Object(paths)) => paths,
        Some(_) => return, // Told by its shape.
        None => return found.error("", "The field `paths` is missing: it holds the operations"),
    };
    let mut shapes: HashMap<String, &str> = HashMap::new();
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let pointer = join("/paths", path);
        let names = match parameter_names(path) {
            Ok(names) => names,
            Err(message) => {
                found.error(pointer, message);
                continue;
            }
        };
        if let Some(first) = shapes.get(&shape(path)) {
            let message = format!("{path} and {first} are the same to a router; use one name for the parameter");
            found.error(pointer.clone(), message);
        } else {
            shapes.insert(shape(path), path);
        }
        let shared = declared(root, item);
        for (method, operation) in item.as_object().into_iter().flatten() {
            if !METHODS.contains(&method.as_str()) || !operation.is_object() {
                continue;
            }
            let own = declared(root, operation);
            for name in names.iter().filter(|name| !own.contains(*name) && !shared.contains(*name)) {
                let message = format!("The path has {{{name}}}, but no parameter with this name and `in: path`");
                found.error(join(&pointer, method), message);
            }
            for name in own.iter().filter(|name| !names.contains(*name)) {
                found.warn(join(&pointer, method), format!("The path parameter {name:?} is not in the path"));
            }
        }
    }
}

/// Names of the path parameters that an operation or a path declares.
fn declared<'a>(root: &'a Value, holder: &'a Value) -> HashSet<&'a str> {
    let parameters = holder.get("parameters").and_then(Value::as_array);
    parameters
        .into_iter()
        .flatten()
        .filter_map(|parameter| match parameter.get("$ref").and_then(Value::as_str) {
            Some(reference) => lookup(root, reference),
            None => Some(parameter),
        })
        .filter(|parameter| parameter.get("in").and_then(Value::as_str) == Some("path"))
        .filter_map(|parameter| parameter.get("name").and_then(Value::as_str))
        .collect()
}

/// Names in a template, in order, or what is wrong with it.
fn parameter_names(path: &str) -> Result<Vec<&str>, String> {
    let Some(inside) = path.strip_prefix('/') else { return Err("A path begins with a slash".to_owned()) };
    if path.contains(['?', '#']) {
        return Err("A path has no query and no fragment; query parameters are declared under `parameters`".to_owned());
    }
    let mut names = Vec::new();
    for segment in inside.split('/') {
        let mut rest = segment;
        let mut in_segment = 0;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, left)) = after.split_once('}') else {
                return Err("A parameter opens with { and is not closed".to_owned());
            };
            if before.contains('}') || name.contains('{') || name.is_empty() {
                return Err("Parameters are written {name}, one inside no other".to_owned());
            }
            if names.contains(&name) {
                return Err(format!("The parameter {name:?} is in the path twice"));
            }
            names.push(name);
            in_segment += 1;
            rest = left;
        }
        if rest.contains('}') {
            return Err("A parameter is closed with } and was not opened".to_owned());
        }
        if in_segment > 1 {
            return Err(format!("{segment:?} has two parameters between two slashes; the gateway matches one"));
        }
    }
    Ok(names)
}

/// The path with all parameter names taken out.
fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '{' => inside = true,
            '}' => {
                inside = false;
                shape.push_str("{}");
            }
            other if !inside => shape.push(other),
            _ => {}
        }
    }
    shape
}
