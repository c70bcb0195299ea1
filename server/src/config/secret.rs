//! Values that must not be seen, and where they may come from: written as they are, `file:/path`, or `env:NAME`.

use super::Reader;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::fmt;

/// A text that prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Those that are written with commas between them, without the blanks around them.
    pub fn several(&self) -> Vec<Self> {
        self.0.split(',').map(|secret| Self(secret.trim().to_owned())).collect()
    }

    /// The value that a configuration text stands for.
    ///
    /// # Errors
    /// A sentence that says what the reference lacks; it never holds the value.
    pub fn resolve(written: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let value = if let Some(path) = written.strip_prefix("file:") {
            std::fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?
        } else if let Some(name) = written.strip_prefix("env:") {
            environment(name).ok_or_else(|| format!("the environment has no {name}"))?
        } else {
            written.to_owned()
        };
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() { Err(format!("{written} is empty")) } else { Ok(Self(value.to_owned())) }
    }

    /// The value, for the one who sends or hashes it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The installation's master secret. It must be given unless this is a development install.
pub(super) fn read_master(reader: &mut Reader, development: bool) -> Option<[u8; 32]> {
    let name = "TURNPIKE_SECRET";
    let Some(secret) = reader.secret(name) else {
        if !development && reader.text(name).is_none() {
            let remedy = "set it to 32 random bytes (openssl rand -base64 32), or set TURNPIKE_DEVELOPMENT=true to try things out";
            reader.problem(name, remedy);
        }
        return None;
    };
    let bytes = decode_master(secret.expose());
    if bytes.is_none() {
        reader.problem(name, "is not 32 bytes in base64 or hex; make one with: openssl rand -base64 32");
    }
    bytes
}

/// Reads 32 bytes from 44 characters of base64 or 64 of hex.
pub fn decode_master(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() == 64 {
        let pair = |index: usize| u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(pair).collect();
        return bytes?.try_into().ok();
    }
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}
