//! The keys of the example, kept in `var/dev.json`: Turnpike shows a key's text once, and the next start wants to print the
//! same curl line. Only for a development installation, only for its user (0600).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::Outcome;

const FILE: &str = "dev.json";

/// The text of a test key of the example: a new one out of what `apply` answered, else the one kept earlier.
pub fn remember(var: &Path, applied: &Value) -> Outcome<Option<String>> {
    let mut texts = kept(var);
    let mut fresh = Vec::new();
    collect(applied, &mut fresh);
    if !fresh.is_empty() {
        fresh.append(&mut texts);
        texts = fresh;
        write(var, &texts).map_err(|why| format!("{} cannot be written: {why}.", var.join(FILE).display()))?;
    }
    Ok(texts.into_iter().find(|text| text.starts_with("tp_test_")))
}

fn kept(var: &Path) -> Vec<String> {
    let text = fs::read(var.join(FILE)).unwrap_or_default();
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    let mut texts = Vec::new();
    collect(&value, &mut texts);
    texts
}

fn write(var: &Path, texts: &[String]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(var.join(FILE))?;
    writeln!(file, "{:#}", json!({ "keys": texts }))
}

/// Every key text in an answer, wherever it stands.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if is_key(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, texts)),
        _ => {}
    }
}

/// `tp_test_` or `tp_live_` and 36 letters and digits; a shown prefix of a key is shorter.
fn is_key(text: &str) -> bool {
    let digits = text.strip_prefix("tp_test_").or_else(|| text.strip_prefix("tp_live_"));
    digits.is_some_and(|digits| digits.len() == 36 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_next_start_knows_the_key_that_was_shown_once() {
        let var = std::env::temp_dir().join(format!("turnpike-keys-{}", std::process::id()));
        fs::create_dir_all(&var).unwrap();
        let key = format!("tp_test_{}", "a".repeat(36));
        let first = json!({ "changes": [{ "key": "demo", "prefix": "tp_test_aaaa", "text": key }] });
        assert_eq!(remember(&var, &first).unwrap(), Some(key.clone()));
        assert_eq!(remember(&var, &json!({ "changes": [] })).unwrap(), Some(key));
        assert_eq!(fs::metadata(var.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(&var).unwrap();
    }
}
