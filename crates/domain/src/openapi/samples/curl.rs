//! curl in a POSIX shell.

use super::{
    KEY_VARIABLE,
    body::{Body, Prepared},
};

pub fn render(request: &Prepared<'_>) -> String {
    let mut first = String::from("curl");
    if request.url.contains(['[', ']', '{', '}']) {
        first.push_str(" --globoff"); // curl would expand them.
    }
    match (request.method.as_str(), &request.body) {
        ("GET", Body::None) => {}
        ("HEAD", Body::None) => first.push_str(" --head"),
        (method, _) => first.push_str(&format!(" --request {method}")),
    }
    first.push_str(&format!(" --url {}", quoted(request.url)));
    let mut lines = vec![first, format!("--header \"Authorization: Bearer ${KEY_VARIABLE}\"")];
    lines.extend(request.headers.iter().map(|(name, value)| {
        // `Name:` would remove the header; `Name;` sends it empty.
        let header = if value.trim().is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        format!("--header {}", quoted(&header))
    }));
    if let Some(text) = request.body.text() {
        lines.push(format!("--data-raw {}", quoted(&text)));
    }
    lines.join(" \\\n  ")
}

/// In single quotes nothing is special but the quote itself. A shell argument cannot hold a NUL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}
