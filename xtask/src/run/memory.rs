//! `var/dev.json`: what a development installation told once and the next start wants to print again: the keys of the
//! example and a partner's sign-in. Readable by its user alone (0600).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::Outcome;

const FILE: &str = "dev.json";

/// What is remembered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Key texts, the newest first.
    pub keys: Vec<String>,
    pub partner: Option<SignIn>,
}

/// How somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    pub email: String,
    pub password: String,
}

impl Memory {
    /// What earlier runs on this data kept; nothing where there were none.
    pub fn read(var: &Path) -> Self {
        let text = fs::read(var.join(FILE)).unwrap_or_default();
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let partner = |name: &str| value["partner"][name].as_str().map(str::to_owned);
        Self {
            keys: keys_in(&value),
            partner: partner("email").zip(partner("password")).map(|(email, password)| SignIn { email, password }),
        }
    }

    pub fn write(&self, var: &Path) -> Outcome {
        let partner =
            self.partner.as_ref().map(|SignIn { email, password }| json!({ "email": email, "password": password }));
        let value = json!({ "keys": self.keys, "partner": partner });
        let file = var.join(FILE);
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file);
        written
            .and_then(|mut file| writeln!(file, "{value:#}"))
            .map_err(|why| format!("{} cannot be written: {why}.", file.display()))
    }

    /// Adds the keys that `turnpike apply` has just made.
    pub fn learn(&mut self, applied: &Value) {
        self.keys.splice(0..0, keys_in(applied));
    }

    /// A key that may be called with at no charge.
    pub fn test_key(&self) -> Option<&str> {
        self.keys.iter().map(String::as_str).find(|text| text.starts_with("tp_test_"))
    }
}

/// Every key text in an answer, wherever it stands.
fn keys_in(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if is_key(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(keys_in).collect(),
        Value::Object(fields) => fields.values().flat_map(keys_in).collect(),
        _ => Vec::new(),
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
    fn the_next_start_knows_what_was_shown_once() {
        let var = std::env::temp_dir().join(format!("turnpike-memory-{}", std::process::id()));
        fs::create_dir_all(&var).unwrap();
        let (test, live) = (format!("tp_test_{}", "a".repeat(36)), format!("tp_live_{}", "b".repeat(36)));
        let mut memory = Memory::read(&var);
        memory.learn(&json!({ "keys": [{ "text": live }, { "text": test, "prefix": "tp_test_aaaa" }] }));
        memory.partner = Some(SignIn { email: "a@b.example".to_owned(), password: "secret".to_owned() });
        memory.write(&var).unwrap();
        let mut later = Memory::read(&var);
        later.learn(&json!({ "changes": [] }));
        assert_eq!(later, memory);
        assert_eq!(later.test_key(), Some(test.as_str()));
        assert_eq!(fs::metadata(var.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(&var).unwrap();
    }
}
