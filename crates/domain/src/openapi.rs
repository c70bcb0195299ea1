//! OpenAPI documents: read, check, filter by entitlement, describe for the reference pages.
//!
//! OpenAPI 3.0, 3.1 and 3.2, as JSON or YAML. The display model and the code samples compile for the browser; reading
//! and filtering take the feature `openapi`. Always true: no input makes this panic, and every result is finite.
//!
//! The way of a document: [`Document::read`] -> [`filter`](filter::filter) to what a partner may use ->
//! [`Document::from_value`] -> [`Document::operation`] for a page, [`to_yaml`] for a download.

pub mod display;
pub mod samples;

#[cfg(feature = "openapi")]
mod check;
#[cfg(feature = "openapi")]
mod describe;
#[cfg(feature = "openapi")]
mod document;
#[cfg(feature = "openapi")]
mod example;
#[cfg(feature = "openapi")]
pub mod filter;
#[cfg(feature = "openapi")]
mod grammar;
#[cfg(feature = "openapi")]
mod idempotency;
#[cfg(feature = "openapi")]
pub(crate) mod nesting;
#[cfg(feature = "openapi")]
mod operations;
#[cfg(feature = "openapi")]
mod pointer;
#[cfg(feature = "openapi")]
mod read;
#[cfg(feature = "openapi")]
mod repair;
#[cfg(feature = "openapi")]
mod search;
#[cfg(feature = "openapi")]
mod write;

#[cfg(feature = "openapi")]
pub use document::{Document, MAX_DOCUMENT_BYTES};
#[cfg(feature = "openapi")]
pub use filter::filter;
#[cfg(feature = "openapi")]
pub use idempotency::declare_key;
#[cfg(feature = "openapi")]
pub use operations::OperationSummary;
#[cfg(feature = "openapi")]
pub use search::{SearchEntry, search_entries};
#[cfg(feature = "openapi")]
pub use write::{to_json_pretty, to_yaml};

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing wrong with a document: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Line of the text, from 1, where the text itself could not be read.
    pub line: Option<u32>,
    /// JSON pointer (RFC 6901) of the place in the document, as `/paths/~1payments/get`; empty for the whole document.
    pub pointer: String,
    /// A sentence for the person who wrote the document.
    pub message: String,
}

impl Problem {
    /// A problem at a place in the structure.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { line: None, pointer: pointer.into(), message: message.into() }
    }

    /// A problem of the text, at a line where one is known.
    pub fn in_text(line: Option<u32>, message: impl Into<String>) -> Self {
        Self { line, pointer: String::new(), message: message.into() }
    }
}

/// `line 7: …` or `/paths/~1a: …`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None if self.pointer.is_empty() => f.write_str(&self.message),
            None => write!(f, "{}: {}", self.pointer, self.message),
        }
    }
}
