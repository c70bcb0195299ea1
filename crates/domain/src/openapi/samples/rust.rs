//! Rust with reqwest, blocking, so that it needs no runtime.

use super::{
    KEY_VARIABLE,
    body::Prepared,
    literal::{Escape, is_unseen, quoted},
};

pub fn render(request: &Prepared<'_>) -> String {
    let text = |text: &str| quoted(text, Escape::Braces);
    let mut lines = vec![
        "// reqwest = { version = \"0.12\", features = [\"blocking\"] }".to_owned(),
        "fn main() -> Result<(), Box<dyn std::error::Error>> {".to_owned(),
        format!("    let key = std::env::var(\"{KEY_VARIABLE}\")?;"),
        "    let response = reqwest::blocking::Client::new()".to_owned(),
        format!("        .request(reqwest::Method::from_bytes(b{})?, {})", text(&request.method), text(request.url)),
        "        .bearer_auth(key)".to_owned(),
    ];
    lines.extend(
        request.headers.iter().map(|(name, value)| format!("        .header({}, {})", text(name), text(value))),
    );
    if let Some(body) = request.body.text() {
        lines.push(format!("        .body({})", raw(&body).unwrap_or_else(|| text(&body))));
    }
    lines.push("        .send()?;".to_owned());
    lines.push("    println!(\"{} {}\", response.status(), response.text()?);".to_owned());
    lines.push("    Ok(())".to_owned());
    lines.push("}".to_owned());
    lines.join("\n")
}

/// A raw literal keeps JSON readable. `None` where the text has characters that only an escape can show.
fn raw(text: &str) -> Option<String> {
    let plain = |letter: char| letter == '\n' || !is_unseen(letter);
    if !text.chars().all(plain) || !text.contains(['"', '\\', '\n']) {
        return None;
    }
    let mut hashes = String::from("#");
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    Some(format!("r{hashes}\"{text}\"{hashes}"))
}
