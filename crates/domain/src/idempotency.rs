//! The Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): its text, where it counts, and why an outcome may stay
//! unknown.

use crate::{
    id::{OperationId, PartnerId, ProductId},
    key_text::Environment,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest key, in characters.
pub const MAX_KEY_BYTES: usize = 255;

/// A client's key: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

/// The header's value is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one text of 1 to 255 visible ASCII characters, in quotes or without")]
pub struct NotAKey;

impl Key {
    /// Reads the header's value: a structured field's string (RFC 9651) as the draft asks, or the bare text that most
    /// programs send. Both name the same key.
    pub fn parse(value: &[u8]) -> Result<Self, NotAKey> {
        let value = value.trim_ascii();
        let text = match value.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted).ok_or(NotAKey)?,
            None if value.contains(&b'"') => return Err(NotAKey),
            None => value.to_vec(),
        };
        let fits = (1..=MAX_KEY_BYTES).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        if fits { String::from_utf8(text).map(Self).map_err(|_| NotAKey) } else { Err(NotAKey) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands before the closing quote, which has to be the last character; no parameters are defined.
fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    loop {
        match bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(text),
            b'\\' => text.push(*bytes.next().filter(|byte| matches!(byte, b'"' | b'\\'))?),
            byte => text.push(*byte),
        }
    }
}

/// Where a key counts: the same text means nothing to another partner, environment or operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    pub partner: PartnerId,
    pub environment: Environment,
    pub product: ProductId,
    pub operation: OperationId,
    pub key: Key,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partner, environment, product, operation, key } = self;
        write!(f, "{partner}:{}:{product}:{operation}:{}", environment.code(), key.as_str())
    }
}

/// Why the answer to a request that was sent on cannot be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// The node stopped while the upstream worked.
    NodeEnded,
    /// The node that sent it on never told what came of it.
    Overdue,
    /// The upstream was sent the request, and no whole answer came.
    NoAnswer,
    /// It was carried out; its answer was too long to be kept, or a stream.
    TooLong,
    /// It was carried out; its usage could not be recorded, so its answer was withheld.
    Unrecorded,
    /// An operator has looked: it was carried out.
    CarriedOut,
}

impl Unknown {
    pub const ALL: [Self; 6] =
        [Self::NodeEnded, Self::Overdue, Self::NoAnswer, Self::TooLong, Self::Unrecorded, Self::CarriedOut];

    /// `node_ended`, `overdue`, `no_answer`, `too_long`, `unrecorded`, `carried_out`: the column's text.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NodeEnded => "node_ended",
            Self::Overdue => "overdue",
            Self::NoAnswer => "no_answer",
            Self::TooLong => "too_long",
            Self::Unrecorded => "unrecorded",
            Self::CarriedOut => "carried_out",
        }
    }

    /// Of [`Self::code`].
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// A sentence for the caller.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::NodeEnded => "The gateway stopped while the request with this Idempotency-Key was with the API.",
            Self::Overdue => "The gateway that sent the request with this Idempotency-Key on was not heard of again.",
            Self::NoAnswer => {
                "The request with this Idempotency-Key was sent to the API, which gave no whole answer to it."
            }
            Self::TooLong => {
                "The request with this Idempotency-Key was carried out, but its answer was too long to be kept."
            }
            Self::Unrecorded => {
                "The request with this Idempotency-Key was carried out, but its usage could not be recorded."
            }
            Self::CarriedOut => {
                "The provider has confirmed that the request with this Idempotency-Key was carried out."
            }
        }
    }

    /// Whether nobody knows if the upstream did it, so that an operator should look.
    pub const fn needs_a_look(self) -> bool {
        matches!(self, Self::NodeEnded | Self::Overdue | Self::NoAnswer)
    }

    /// Whether the audit log has it: all that went wrong. An answer that is too long is the product's rule at work.
    pub const fn is_noted(self) -> bool {
        self.needs_a_look() || matches!(self, Self::Unrecorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_texts_name_the_same_key() {
        let key = |value: &[u8]| Key::parse(value).map(|key| key.as_str().to_owned());
        for value in [&b"\"8e03978e-40d5\""[..], b"8e03978e-40d5", b"  8e03978e-40d5\t", b" \"8e03978e-40d5\" "] {
            assert_eq!(key(value).as_deref(), Ok("8e03978e-40d5"), "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(key(br#""a\"b\\c""#).as_deref(), Ok(r#"a"b\c"#));
        assert_eq!(key(b"a,b;c=\\d").as_deref(), Ok("a,b;c=\\d"));
        let longest = [b'x'; MAX_KEY_BYTES];
        assert_eq!(key(&longest).map(|key| key.len()), Ok(MAX_KEY_BYTES));
    }

    #[test]
    fn what_is_empty_long_or_not_visible_is_no_key() {
        let too_long = [b'x'; MAX_KEY_BYTES + 1];
        for value in [
            &b""[..],
            b"  ",
            b"\"\"",
            b"\"a",
            b"a\"",
            b"\"a\"b",
            b"\"a\";p=1",
            b"\"a\", \"b\"",
            b"a b",
            b"\"a b\"",
            b"a\x01b",
            b"a\x7fb",
            b"\"a\\b\"",
            b"\"a\\",
            "clé".as_bytes(),
            &too_long,
        ] {
            assert_eq!(Key::parse(value), Err(NotAKey), "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn every_reason_reads_back() {
        for reason in Unknown::ALL {
            assert_eq!(Unknown::from_code(reason.code()), Some(reason));
        }
    }
}
