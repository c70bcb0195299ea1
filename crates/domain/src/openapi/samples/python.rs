//! Python with requests.

use super::{
    KEY_VARIABLE,
    body::{Body, Prepared},
    literal::{Escape, quoted},
};
use serde_json::Value;

pub fn render(request: &Prepared<'_>) -> String {
    let mut lines = vec![
        "import os".to_owned(),
        String::new(),
        "import requests".to_owned(),
        String::new(),
        "response = requests.request(".to_owned(),
        format!("    {},", text(&request.method)),
        format!("    {},", text(request.url)),
        "    headers={".to_owned(),
        format!("        \"Authorization\": f\"Bearer {{os.environ['{KEY_VARIABLE}']}}\","),
    ];
    lines.extend(request.headers.iter().map(|(name, value)| format!("        {}: {},", text(name), text(value))));
    lines.push("    },".to_owned());
    match &request.body {
        Body::None => {}
        Body::Json(Value::Null) => lines.push("    data=\"null\",".to_owned()), // `json=None` is no body.
        Body::Json(value) => lines.push(format!("    json={},", literal(value, 1))),
        Body::Text(body) => lines.push(format!("    data={}.encode(),", text(body))),
    }
    lines.push("    timeout=30,".to_owned());
    lines.push(")".to_owned());
    lines.push("print(response.status_code, response.text)".to_owned());
    lines.join("\n")
}

fn text(text: &str) -> String {
    quoted(text, Escape::Four)
}

/// A JSON value as Python writes it.
fn literal(value: &Value, depth: usize) -> String {
    let (outer, inner) = ("    ".repeat(depth), "    ".repeat(depth + 1));
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(words) => text(words),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Array(items) => {
            let lines: Vec<String> =
                items.iter().map(|item| format!("{inner}{},\n", literal(item, depth + 1))).collect();
            format!("[\n{}{outer}]", lines.concat())
        }
        Value::Object(fields) => {
            let line =
                |(name, value): (&String, &Value)| format!("{inner}{}: {},\n", text(name), literal(value, depth + 1));
            let lines: Vec<String> = fields.iter().map(line).collect();
            format!("{{\n{}{outer}}}", lines.concat())
        }
    }
}
