//! fetch in Node.js.

use super::{
    KEY_VARIABLE,
    body::{Body, Prepared},
    literal::{Escape, json, quoted},
};

pub fn render(request: &Prepared<'_>) -> String {
    let text = |text: &str| quoted(text, Escape::Four);
    let mut lines = vec![
        format!("const response = await fetch({}, {{", text(request.url)),
        format!("  method: {},", text(&request.method)),
        "  headers: {".to_owned(),
        format!("    Authorization: `Bearer ${{process.env.{KEY_VARIABLE}}}`,"),
    ];
    lines.extend(request.headers.iter().map(|(name, value)| format!("    {}: {},", text(name), text(value))));
    lines.push("  },".to_owned());
    match &request.body {
        Body::None => {}
        // Text, where a key would be taken for the object's prototype.
        Body::Json(value) if value.is_object() && !value.to_string().contains("__proto__") => {
            lines.push(format!("  body: JSON.stringify({}),", json(value).replace('\n', "\n  ")));
        }
        body => lines.extend(body.text().map(|body| format!("  body: {},", text(&body)))),
    }
    lines.push("});".to_owned());
    lines.push(String::new());
    lines.push("console.log(response.status, await response.text());".to_owned());
    lines.join("\n")
}
