//! Code samples: one request in six languages, ready to paste. The key is never in them: each reads it from the
//! environment variable `TURNPIKE_KEY`.

mod body;
mod curl;
mod go;
mod java;
mod javascript;
mod literal;
mod python;
mod request;
mod rust;

pub use request::{Request, request_for};

use serde::{Deserialize, Serialize};

/// The environment variable that every sample reads the key from.
pub const KEY_VARIABLE: &str = "TURNPIKE_KEY";

/// A language that samples are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    Curl,
    JavaScript,
    Python,
    Go,
    Rust,
    Java,
}

impl Language {
    /// In the order in which the page offers them.
    pub const ALL: [Self; 6] = [Self::Curl, Self::JavaScript, Self::Python, Self::Go, Self::Rust, Self::Java];

    /// For URLs, cookies and CSS classes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Java => "java",
        }
    }

    /// What the tab says.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::Rust => "Rust",
            Self::Java => "Java",
        }
    }
}

/// The request as a program in `language`, without a line break at the end.
pub fn render(language: Language, request: &Request) -> String {
    let prepared = body::Prepared::new(request);
    let text = match language {
        Language::Curl => curl::render(&prepared),
        Language::JavaScript => javascript::render(&prepared),
        Language::Python => python::render(&prepared),
        Language::Go => go::render(&prepared),
        Language::Rust => rust::render(&prepared),
        Language::Java => java::render(&prepared),
    };
    text.trim_end().to_owned()
}
