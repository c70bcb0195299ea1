//! Text that may be absent, for optional props: takes `"text"`, a `String`, or an `Option` of either.

use leptos::prelude::*;

/// Optional text in a prop. `error=None`, `error="Too short"` and `error=form.error("name")` all work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaybeText(Option<String>);

impl MaybeText {
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The text itself; an empty text counts as absent.
    pub fn into_option(self) -> Option<String> {
        self.0
    }

    pub fn unwrap_or(self, fallback: &str) -> String {
        self.0.unwrap_or_else(|| fallback.to_owned())
    }

    /// A view of the text where there is one.
    pub fn map<V: IntoView>(self, view: impl FnOnce(String) -> V) -> Option<V> {
        self.0.map(view)
    }
}

impl From<String> for MaybeText {
    fn from(text: String) -> Self {
        Self(Some(text).filter(|text| !text.is_empty()))
    }
}

impl From<&str> for MaybeText {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<&String> for MaybeText {
    fn from(text: &String) -> Self {
        Self::from(text.clone())
    }
}

impl From<Option<String>> for MaybeText {
    fn from(text: Option<String>) -> Self {
        text.map(Self::from).unwrap_or_default()
    }
}

impl From<Option<&str>> for MaybeText {
    fn from(text: Option<&str>) -> Self {
        text.map(Self::from).unwrap_or_default()
    }
}
