//! What was typed into a policy form: texts by their place in the policy, and what is wrong with them.

use crate::form::Failure;
use domain::plan::Problem;
use std::{collections::HashMap, str::FromStr};

/// Reads texts and keeps what is wrong with them.
pub(super) struct Typed<'a> {
    texts: &'a HashMap<String, String>,
    problems: Vec<(String, String)>,
}

impl<'a> Typed<'a> {
    pub(super) const fn new(texts: &'a HashMap<String, String>) -> Self {
        Self { texts, problems: Vec::new() }
    }

    /// The trimmed text; empty where nothing was typed.
    pub(super) fn text(&self, field: &str) -> &'a str {
        self.texts.get(field).map_or("", |text| text.trim())
    }

    pub(super) fn some_text(&self, field: &str) -> Option<String> {
        Some(self.text(field)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    pub(super) fn is_ticked(&self, field: &str) -> bool {
        self.text(field) == "true"
    }

    /// A whole number; thousands may be grouped. Nothing where the text is empty or wrong.
    pub(super) fn number<T: FromStr>(&mut self, field: &str) -> Option<T> {
        let plain: String = self.text(field).chars().filter(|letter| !matches!(letter, ',' | ' ' | '_')).collect();
        if plain.is_empty() {
            return None;
        }
        let read = plain.parse().ok();
        if read.is_none() {
            self.tell(field, "Enter a whole number, as 10,000");
        }
        read
    }

    /// Texts between commas, spaces or lines.
    pub(super) fn list(&self, field: &str) -> Vec<String> {
        let parts = self.text(field).split(|letter: char| letter == ',' || letter.is_whitespace());
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// Texts between commas or lines, which may have spaces in them.
    pub(super) fn phrases(&self, field: &str) -> Vec<String> {
        let parts = self.text(field).split([',', '\n', '\r']).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// One of the names that serde gives the variants of `T`.
    pub(super) fn named<T: serde::de::DeserializeOwned + Default>(&mut self, field: &str) -> T {
        self.variant(field, self.text(field)).unwrap_or_default()
    }

    pub(super) fn variant<T: serde::de::DeserializeOwned>(&mut self, field: &str, name: &str) -> Option<T> {
        if name.is_empty() {
            return None;
        }
        let read = serde_json::from_value(serde_json::Value::from(name)).ok();
        if read.is_none() {
            self.tell(field, format!("{name:?} is not known here"));
        }
        read
    }

    pub(super) fn tell(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push((field.to_owned(), message.into()));
    }

    /// What was wrong, together with what the policy says of itself; its list places become those of fields.
    pub(super) fn check(mut self, problems: Vec<Problem>) -> Result<(), Failure> {
        let of_field = |problem: Problem| (problem.field.replace('[', ".").replace(']', ""), problem.message);
        self.problems.extend(problems.into_iter().map(of_field));
        if self.problems.is_empty() { Ok(()) } else { Err(Failure(self.problems)) }
    }
}

/// All of it, to be shown again where the form failed.
pub(super) fn back(texts: &HashMap<String, String>) -> Vec<(&str, &str)> {
    texts.iter().map(|(field, text)| (field.as_str(), text.as_str())).collect()
}
