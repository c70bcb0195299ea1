//! The text of a key: `tp_live_` or `tp_test_`, 30 random base62 digits (178 bits), 6 base62 digits of CRC-32.
//!
//! The checksum lets the gateway refuse a mistyped or invented key without any look-up, and lets secret scanners
//! confirm a find: `tp_(live|test)_[0-9A-Za-z]{36}`. Tokens of the REST API are `tp_api_` and the same digits.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const RANDOM_DIGITS: usize = 30;
const CHECK_DIGITS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Live calls are billed; test calls never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    Live,
    Test,
}

impl Environment {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Environment {
    type Err = BadKeyText;
    fn from_str(text: &str) -> Result<Self, BadKeyText> {
        match text {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(BadKeyText),
        }
    }
}

/// What a secret text opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The gateway, in one environment.
    Gateway(Environment),
    /// The REST API of Turnpike itself.
    Api,
}

impl KeyKind {
    /// What the text begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Gateway(Environment::Live) => "tp_live_",
            Self::Gateway(Environment::Test) => "tp_test_",
            Self::Api => "tp_api_",
        }
    }
}

/// The text is not a key: wrong form or wrong checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: the form or the checksum is wrong")]
pub struct BadKeyText;

/// A key's text with a right checksum. It is a secret: it prints only masked.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    kind: KeyKind,
    text: String,
}

impl KeyText {
    /// A new key of 32 random bytes from the system's generator.
    ///
    /// Digits are drawn by rejection from further bytes, so each of the 62 is equally likely; `random` is asked again
    /// until thirty are found.
    pub fn generate(kind: KeyKind, mut random: impl FnMut(&mut [u8])) -> Self {
        let mut text = String::from(kind.prefix());
        let end = text.len() + RANDOM_DIGITS;
        let mut bytes = [0_u8; 64];
        while text.len() < end {
            random(&mut bytes);
            let fair = bytes.iter().filter(|byte| **byte < 248);
            for byte in fair.take(end - text.len()) {
                text.push(char::from(BASE62[usize::from(byte % 62)]));
            }
        }
        checksum(text.as_bytes()).into_iter().for_each(|digit| text.push(char::from(digit)));
        Self { kind, text }
    }

    /// Reads a key, checking form and checksum and nothing else.
    pub fn parse(text: &str) -> Result<Self, BadKeyText> {
        kind_of(text).map(|kind| Self { kind, text: text.to_owned() })
    }

    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The secret itself, to be hashed or shown once.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The last four digits, which a person may use to tell keys apart.
    pub fn last_four(&self) -> &str {
        &self.text[self.text.len() - 4..]
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…{}", self.kind.prefix(), self.last_four())
    }
}

/// What a well-formed text with a right checksum opens, without copying it: the gateway's first check.
pub fn kind_of(text: &str) -> Result<KeyKind, BadKeyText> {
    let kinds = [KeyKind::Gateway(Environment::Live), KeyKind::Gateway(Environment::Test), KeyKind::Api];
    let kind = kinds.into_iter().find(|kind| text.starts_with(kind.prefix())).ok_or(BadKeyText)?;
    let bytes = text.as_bytes();
    let body = &bytes[kind.prefix().len()..];
    if body.len() != RANDOM_DIGITS + CHECK_DIGITS || !body.iter().all(u8::is_ascii_alphanumeric) {
        return Err(BadKeyText);
    }
    let (covered, check) = bytes.split_at(bytes.len() - CHECK_DIGITS);
    if checksum(covered) == check { Ok(kind) } else { Err(BadKeyText) }
}

fn checksum(covered: &[u8]) -> [u8; CHECK_DIGITS] {
    let mut rest = crc32fast::hash(covered) as usize;
    let mut digits = [b'0'; CHECK_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u8;
        move |bytes| {
            for byte in bytes {
                *byte = next;
                next = next.wrapping_add(7);
            }
        }
    }

    #[test]
    fn a_new_key_reads_back_and_hides_itself() {
        let key = KeyText::generate(KeyKind::Gateway(Environment::Test), counting());
        assert_eq!(key.expose().len(), "tp_test_".len() + 36);
        assert_eq!(KeyText::parse(key.expose()), Ok(key.clone()));
        assert!(!format!("{key:?}").contains(&key.expose()[8..30]));
    }

    #[test]
    fn every_single_changed_digit_is_refused() {
        let key = KeyText::generate(KeyKind::Gateway(Environment::Live), counting());
        for position in 0..key.expose().len() {
            let mut bytes = key.expose().as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(bytes).expect("ascii");
            assert_eq!(kind_of(&text), Err(BadKeyText), "position {position}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(text in ".{0,80}") {
            let _ = kind_of(&text);
        }
    }
}
