//! What is wrong with a document's structure: errors that keep it from being sold, warnings that do not.

mod paths;

use super::{
    Problem,
    grammar::{Kind, SECTIONS, Step, reference, walk},
    pointer::{join, lookup},
    read::MAX_DEPTH,
};
use serde_json::Value;
use std::collections::HashMap;

/// More problems than this help nobody.
const MAX_PROBLEMS: usize = 50;
const SCHEMA_TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];
const PLACES: [&str; 5] = ["path", "query", "header", "cookie", "querystring"];

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Found {
    fn error(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.errors.len() < MAX_PROBLEMS {
            self.errors.push(Problem::at(pointer, message));
        }
    }

    fn warn(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.warnings.len() < MAX_PROBLEMS {
            self.warnings.push(Problem::at(pointer, message));
        }
    }
}

/// Refuses values that are nested so deep that walking them is not safe.
pub fn depth(root: &Value) -> Result<(), Vec<Problem>> {
    let mut level: Vec<&Value> = vec![root];
    for _ in 0..=MAX_DEPTH {
        level = level
            .into_iter()
            .flat_map(|value| -> Box<dyn Iterator<Item = &Value>> {
                match value {
                    Value::Array(items) => Box::new(items.iter()),
                    Value::Object(fields) => Box::new(fields.values()),
                    _ => Box::new(std::iter::empty()),
                }
            })
            .collect();
        if level.is_empty() {
            return Ok(());
        }
    }
    Err(vec![Problem::at("", format!("The document is nested more than {MAX_DEPTH} levels deep"))])
}

/// Refuses what is no OpenAPI 3 document, kindly.
pub fn version(root: &Value) -> Result<(), Vec<Problem>> {
    let refuse = |pointer: &str, message: String| Err(vec![Problem::at(pointer, message)]);
    let Value::Object(fields) = root else {
        return refuse("", "This is not an OpenAPI document: it should begin with `openapi: 3.1.0`".to_owned());
    };
    if let Some(version) = fields.get("swagger") {
        let version = version.as_str().unwrap_or("2.0");
        let message = format!(
            "This is a Swagger {version} document, the format before OpenAPI 3. Convert it once, for example with \
             converter.swagger.io or `npx swagger2openapi`, and import the result"
        );
        return refuse("/swagger", message);
    }
    if fields.contains_key("asyncapi") {
        return refuse("/asyncapi", "This is an AsyncAPI document; Turnpike reads OpenAPI 3".to_owned());
    }
    match fields.get("openapi") {
        None => refuse("", "The field `openapi` is missing: it names the version, as `openapi: 3.1.0`".to_owned()),
        Some(Value::String(version)) => {
            let mut parts = version.split('.');
            let known = parts.next() == Some("3")
                && matches!(parts.next(), Some("0" | "1" | "2"))
                && parts.next().is_some_and(|patch| patch.starts_with(|letter: char| letter.is_ascii_digit()));
            if known {
                return Ok(());
            }
            refuse("/openapi", format!("OpenAPI {version} is not known; versions 3.0, 3.1 and 3.2 are, as `3.1.0`"))
        }
        Some(_) => {
            refuse("/openapi", "The version is a text with three numbers; write `openapi: \"3.1.0\"`".to_owned())
        }
    }
}

/// Checks everything else.
pub fn check(root: &Value) -> Found {
    let mut found = Found::default();
    info(root, &mut found);
    component_names(root, &mut found);
    let version = root.get("openapi").and_then(Value::as_str).unwrap_or_default();
    let old = version.starts_with("3.0");
    let mut ids: HashMap<&str, String> = HashMap::new();
    walk(root, Kind::Document, "", &mut |pointer, step| match step {
        Step::WrongShape(expected) => found.error(pointer, format!("This should be {expected}")),
        Step::Node(kind, value) => {
            if !(value.is_object() || (kind == Kind::Schema && value.is_boolean())) {
                found.error(pointer, format!("This should be a mapping: {} goes here", words(kind)));
                return;
            }
            if let Some(reference) = reference(kind, value) {
                check_reference(root, pointer, reference, &mut found);
                if kind != Kind::Schema {
                    return;
                }
            }
            match kind {
                Kind::Operation => {
                    // A path that was a reference has its operations' names in the components too.
                    let named = value.get("operationId").filter(|_| !pointer.starts_with("/components/"));
                    if let Some(id) = named {
                        operation_id(id, pointer, &mut ids, &mut found);
                    }
                    if old && value.get("responses").is_none() {
                        found.error(pointer, "The operation has no `responses`; OpenAPI 3.0 asks for at least one");
                    }
                    if value.get("servers").is_some() {
                        found.warn(pointer, "Servers of one operation are ignored: calls go to the product's upstream");
                    }
                }
                Kind::Responses => statuses(value, pointer, &mut found),
                Kind::Parameter => parameter(value, pointer, &mut found),
                Kind::Schema => schema_type(value, pointer, old, &mut found),
                _ => {}
            }
        }
    });
    paths::check(root, &mut found);
    found
}

fn info(root: &Value, found: &mut Found) {
    match root.get("info") {
        None => found.error("", "The field `info` is missing: it holds the API's title and version"),
        Some(Value::Object(info)) => {
            for field in ["title", "version"] {
                match info.get(field) {
                    Some(Value::String(_)) => {}
                    Some(_) => found.error(join("/info", field), "This should be a text"),
                    None => found.error("/info", format!("The field `{field}` is missing")),
                }
            }
        }
        Some(_) => found.error("/info", "This should be a mapping with the API's title and version"),
    }
}

fn component_names(root: &Value, found: &mut Found) {
    let usable =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    for (section, _) in SECTIONS {
        let pointer = join("/components", section);
        for name in root.pointer(&pointer).and_then(Value::as_object).into_iter().flat_map(|map| map.keys()) {
            if !usable(name) {
                found.error(join(&pointer, name), "Names of components hold only letters, digits, dots, hyphens and _");
            }
        }
    }
}

fn check_reference(root: &Value, pointer: &str, reference: &str, found: &mut Found) {
    let pointer = format!("{pointer}/$ref");
    if !reference.starts_with('#') {
        let message = format!(
            "{reference:?} is outside of this document. Put everything in one file first, for example with \
             `npx @redocly/cli bundle`"
        );
        found.error(pointer, message);
    } else if reference.len() > 1 && !reference.starts_with("#/") {
        found.error(pointer, format!("{reference:?} is an anchor; write the place, as #/components/schemas/Name"));
    } else {
        match lookup(root, reference) {
            Some(Value::Object(_) | Value::Bool(_)) => {}
            Some(_) => found.error(pointer, format!("{reference:?} leads to a plain value")),
            None => found.error(pointer, format!("{reference:?} leads nowhere")),
        }
    }
}

fn operation_id<'a>(id: &'a Value, pointer: &str, ids: &mut HashMap<&'a str, String>, found: &mut Found) {
    match id.as_str() {
        None => found.error(format!("{pointer}/operationId"), "This should be a text"),
        Some(id) => {
            if let Some(first) = ids.get(id) {
                let message = format!("The operationId {id:?} is used twice, first at {first}; each is used once");
                found.error(format!("{pointer}/operationId"), message);
            } else {
                ids.insert(id, pointer.to_owned());
            }
        }
    }
}

fn statuses(responses: &Value, pointer: &str, found: &mut Found) {
    for status in responses.as_object().into_iter().flat_map(|map| map.keys()) {
        let bytes = status.as_bytes();
        let range = matches!(bytes, [b'1'..=b'5', b'X', b'X']);
        let exact = matches!(bytes, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9']);
        if !(range || exact || status == "default" || status.starts_with("x-")) {
            found.error(join(pointer, status), "A response's key is a status, as 200 or 4XX, or `default`");
        }
    }
}

fn parameter(value: &Value, pointer: &str, found: &mut Found) {
    if !value.get("name").is_some_and(Value::is_string) {
        found.error(pointer, "The parameter has no name");
    }
    match value.get("in").and_then(Value::as_str) {
        Some("body" | "formData") => {
            found.error(pointer, "This is a Swagger 2.0 parameter; OpenAPI 3 describes bodies under `requestBody`");
        }
        Some(place) if PLACES.contains(&place) => {}
        _ => found.error(pointer, "The parameter does not say where it goes: `in` is path, query, header or cookie"),
    }
    if value.get("schema").is_none() && value.get("content").is_none() {
        found.warn(pointer, "The parameter has no schema");
    }
}

fn schema_type(value: &Value, pointer: &str, old: bool, found: &mut Found) {
    let known = |name: &Value| name.as_str().is_some_and(|name| SCHEMA_TYPES.contains(&name));
    match value.get("type") {
        None => {}
        Some(Value::Array(names)) if old && names.iter().all(known) => {
            found.warn(format!("{pointer}/type"), "A list of types came with OpenAPI 3.1; this document says 3.0");
        }
        Some(Value::Array(names)) if names.iter().all(known) => {}
        Some(name) if known(name) => {}
        Some(name) => found.error(format!("{pointer}/type"), format!("{name} is not a type of JSON Schema")),
    }
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Document => "the document",
        Kind::Components => "the components",
        Kind::Paths => "the paths",
        Kind::PathItem => "a path with its methods",
        Kind::Operation => "an operation",
        Kind::Parameter => "a parameter",
        Kind::RequestBody => "a request body",
        Kind::MediaType => "a media type with its schema",
        Kind::Encoding => "an encoding",
        Kind::Responses => "responses by status",
        Kind::Response => "a response",
        Kind::Header => "a header",
        Kind::Schema => "a schema",
        Kind::Example => "an example",
        Kind::Link => "a link",
        Kind::Callback => "a callback",
        Kind::SecurityScheme => "a security scheme",
        Kind::Server => "a server",
        Kind::Tag => "a tag",
    }
}
