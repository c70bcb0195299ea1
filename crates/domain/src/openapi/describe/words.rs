//! Keywords of JSON Schema in words.

use super::view::View;
use crate::openapi::display::SchemaDoc;
use serde_json::Value;

/// Longer patterns help nobody who reads.
const MAX_PATTERN: usize = 100;

/// Types without `null`; those that the other keywords imply where none is written.
pub fn types(view: &View<'_>) -> Vec<String> {
    let mut types: Vec<String> = match view.get("type") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    types.retain(|name| name != "null");
    if types.is_empty() && view.get("type").is_none() {
        let has = |keywords: &[&str]| keywords.iter().any(|keyword| view.get(keyword).is_some());
        if has(&["properties", "additionalProperties", "patternProperties", "minProperties", "maxProperties"]) {
            types.push("object".to_owned());
        } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
            types.push("array".to_owned());
        } else if has(&["pattern", "minLength", "maxLength"]) {
            types.push("string".to_owned());
        }
    }
    types
}

/// What all variants are, where they are alike.
pub fn shared_types(variants: &[SchemaDoc]) -> Vec<String> {
    match variants {
        [first, rest @ ..] if rest.iter().all(|variant| variant.types == first.types) => first.types.clone(),
        _ => Vec::new(),
    }
}

pub fn nullable(view: &View<'_>) -> bool {
    let in_type = match view.get("type") {
        Some(Value::Array(names)) => names.iter().any(|name| name == "null"),
        Some(name) => name == "null",
        None => false,
    };
    let in_enum = view.get("enum").and_then(Value::as_array).is_some_and(|values| values.contains(&Value::Null));
    in_type || in_enum || view.flag("nullable")
}

/// Whether a variant is `null` and nothing else.
pub fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
        || schema.get("const").is_some_and(Value::is_null)
        || schema.get("enum").and_then(Value::as_array).is_some_and(|values| *values == [Value::Null])
}

/// `array of string`, `string, date-time`, `string or integer`, `map of number`, `any value`.
pub fn type_text(types: &[String], format: Option<&str>, items: Option<&SchemaDoc>, is_map: bool) -> String {
    let words: Vec<String> = types
        .iter()
        .map(|name| match (name.as_str(), items) {
            ("array", Some(items)) if !is_map => format!("array of {}", items.type_text),
            ("object", Some(values)) if is_map => format!("map of {}", values.type_text),
            _ => name.clone(),
        })
        .collect();
    // Formats with an underscore are names of a generator's own.
    match (words.is_empty(), format.filter(|format| !format.contains('_'))) {
        (true, Some(format)) => format.to_owned(),
        (true, None) => "any value".to_owned(),
        (false, Some(format)) => format!("{}, {format}", words.join(" or ")),
        (false, None) => words.join(" or "),
    }
}

/// For a schema without a type: what its values or variants are.
pub fn type_text_of_choice(values: &[Value], variants: &[SchemaDoc]) -> Option<String> {
    let mut words: Vec<String> = if values.is_empty() {
        variants.iter().map(|variant| variant.type_text.clone()).collect()
    } else {
        values.iter().filter(|value| !value.is_null()).map(|value| name_of(value).to_owned()).collect()
    };
    words.sort();
    words.dedup();
    match words.len() {
        0 => None,
        1..=3 => Some(words.join(" or ")),
        _ => Some("one of several types".to_owned()),
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `[{required: [a]}, {required: [b, c]}]` as `needs a, or b and c`; `None` where a member says more.
pub fn required_alternatives(members: &[Value]) -> Option<String> {
    let mut alternatives = Vec::new();
    for member in members {
        let fields = member.as_object()?;
        let names = fields.get("required")?.as_array()?;
        if fields.len() != 1 {
            return None;
        }
        let names: Vec<String> = names.iter().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
        alternatives.push(names.join(" and "));
    }
    if alternatives.is_empty() { None } else { Some(format!("needs {}", alternatives.join(", or "))) }
}

/// Limits of a value, each in a few words.
pub fn constraints(view: &View<'_>) -> Vec<String> {
    let mut words = Vec::new();
    range(view, &mut words, ["minLength", "maxLength"], ["character", "characters"]);
    range(view, &mut words, ["minItems", "maxItems"], ["item", "items"]);
    range(view, &mut words, ["minProperties", "maxProperties"], ["property", "properties"]);
    bound(view, &mut words, "minimum", "exclusiveMinimum", ["at least", "more than"]);
    bound(view, &mut words, "maximum", "exclusiveMaximum", ["at most", "less than"]);
    if let Some(step) = view.get("multipleOf") {
        words.push(format!("a multiple of {step}"));
    }
    match view.text("pattern") {
        None | Some("^.*$" | ".*" | "^[\\S\\s]*$" | "^[\\s\\S]*$") => {} // Anything matches.
        Some(pattern) if pattern.len() <= MAX_PATTERN && !pattern.contains('`') => {
            words.push(format!("matches `{pattern}`"))
        }
        Some(_) => words.push("matches the pattern in the OpenAPI document".to_owned()),
    }
    if view.flag("uniqueItems") {
        words.push("no item twice".to_owned());
    }
    if let Some(encoding) = view.text("contentEncoding") {
        words.push(format!("encoded as {encoding}"));
    }
    if let Some(media_type) = view.text("contentMediaType") {
        words.push(format!("holds {media_type}"));
    }
    if let Some(property) = view.get("discriminator").and_then(|it| it.get("propertyName")).and_then(Value::as_str) {
        words.push(format!("`{property}` says which variant it is"));
    }
    words
}

fn range(view: &View<'_>, words: &mut Vec<String>, [min, max]: [&str; 2], [one, many]: [&str; 2]) {
    let noun = |count: u64| if count == 1 { one } else { many };
    let least = view.get(min).and_then(Value::as_u64).filter(|count| *count > 0);
    match (least, view.get(max).and_then(Value::as_u64)) {
        (Some(least), Some(most)) if least == most => words.push(format!("exactly {least} {}", noun(least))),
        (Some(least), Some(most)) => words.push(format!("{least} to {most} {}", noun(most))),
        (Some(least), None) => words.push(format!("at least {least} {}", noun(least))),
        (None, Some(most)) => words.push(format!("at most {most} {}", noun(most))),
        (None, None) => {}
    }
}

/// OpenAPI 3.0 has a flag beside the limit, JSON Schema 2020-12 a limit of its own.
fn bound(view: &View<'_>, words: &mut Vec<String>, inclusive: &str, exclusive: &str, [with, without]: [&str; 2]) {
    match (view.get(inclusive), view.get(exclusive)) {
        (Some(limit), Some(Value::Bool(true))) => words.push(format!("{without} {limit}")),
        (Some(limit), None | Some(Value::Bool(false))) => words.push(format!("{with} {limit}")),
        (limit, Some(strict)) => {
            words.extend(limit.map(|limit| format!("{with} {limit}")));
            words.push(format!("{without} {strict}"));
        }
        (None, None) => {}
    }
}
