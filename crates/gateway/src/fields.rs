//! The fields that the gateway adds to an answer, and those of the upstream that need no look, as lines of HTTP/1.1. A header map
//! would hash each name, to find out that nobody else has said the same; for most answers that is more work than all they say.

use crate::decimal::Decimal;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

// Names as they are sent. An answer that has them as lines has none of them in its header map: `is_ours`.
pub(crate) const REQUEST_ID: &str = "x-request-id";
pub(crate) const RATELIMIT_POLICY: &str = "ratelimit-policy";
pub(crate) const RATELIMIT: &str = "ratelimit";
pub(crate) const X_RATELIMIT_LIMIT: &str = "x-ratelimit-limit";
pub(crate) const X_RATELIMIT_REMAINING: &str = "x-ratelimit-remaining";
pub(crate) const X_RATELIMIT_RESET: &str = "x-ratelimit-reset";
pub(crate) const X_RATELIMIT_WARNING: &str = "x-ratelimit-warning";
pub(crate) const X_QUOTA_WARNING: &str = "x-quota-warning";
pub(crate) const X_TURNPIKE_UNITS: &str = "x-turnpike-units";
pub(crate) const X_TURNPIKE_CREDIT_REMAINING: &str = "x-turnpike-credit-remaining";
pub(crate) const X_TURNPIKE_CREDIT_FLOOR: &str = "x-turnpike-credit-floor";
pub(crate) const X_TURNPIKE_CREDIT_BOUND: &str = "x-turnpike-credit-bound";

/// Whether nobody but the gateway says this to a client, or, where it says how limits stand (`limited`), only then. Names
/// are in lower case, as in a header map.
pub(crate) fn is_ours(name: &str, limited: bool) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => match name {
            REQUEST_ID
            | X_QUOTA_WARNING
            | X_TURNPIKE_UNITS
            | X_TURNPIKE_CREDIT_REMAINING
            | X_TURNPIKE_CREDIT_FLOOR
            | X_TURNPIKE_CREDIT_BOUND => true,
            X_RATELIMIT_LIMIT | X_RATELIMIT_REMAINING | X_RATELIMIT_RESET | X_RATELIMIT_WARNING => limited,
            _ => false,
        },
        Some(b'r') => limited && matches!(name, RATELIMIT | RATELIMIT_POLICY),
        _ => false,
    }
}

/// Lines, each with its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    text: Vec<u8>,
    is_dated: bool,
}

impl Fields {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), is_dated: false }
    }

    /// Whether the answer's date is among them.
    pub(crate) const fn is_dated(&self) -> bool {
        self.is_dated
    }

    /// Adds a field as it was read, where `keeps` says so of its name in lower case.
    pub(crate) fn add_read(&mut self, name: &str, value: &[u8], keeps: impl FnOnce(&str) -> bool) {
        let start = self.text.len();
        self.text.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        let name = str::from_utf8(self.text.get(start..).unwrap_or_default()).unwrap_or_default();
        if keeps(name) {
            self.is_dated |= name == "date";
            self.text.extend_from_slice(b": ");
            self.text.extend_from_slice(value);
            self.end();
        } else {
            self.text.truncate(start);
        }
    }

    /// Adds a field. The value is a header's already, so that it holds no line end.
    pub(crate) fn add(&mut self, name: &str, value: &HeaderValue) {
        self.begin(name);
        self.text.extend_from_slice(value.as_bytes());
        self.end();
    }

    pub(crate) fn add_number(&mut self, name: &str, number: u64) {
        self.begin(name);
        self.text.extend_from_slice(Decimal::of(number).as_bytes());
        self.end();
    }

    /// The same of one that may be below zero.
    pub(crate) fn add_signed(&mut self, name: &str, number: i64) {
        self.begin(name);
        if number < 0 {
            self.text.push(b'-');
        }
        self.text.extend_from_slice(Decimal::of(number.unsigned_abs()).as_bytes());
        self.end();
    }

    /// Adds a field whose value is written by `write`, which writes no line end.
    pub(crate) fn add_written(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.begin(name);
        write(&mut self.text);
        self.end();
    }

    /// The lines.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Puts them into a header map, in place of what it says by the same names.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        let text = Bytes::from(self.text);
        let mut start = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let (from, until) = (start, start + line.len());
            start = until;
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let name = HeaderName::from_bytes(line.get(..colon).unwrap_or_default());
            let value = HeaderValue::from_maybe_shared(text.slice(from + colon + 2..until - 2));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
    }

    fn begin(&mut self, name: &str) {
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b": ");
    }

    fn end(&mut self) {
        self.text.extend_from_slice(b"\r\n");
    }
}
