//! A schema seen whole: its own keywords, those of what it refers to, and those of every part of its `allOf`.

use crate::openapi::pointer::{last_token, lookup};
use serde_json::{Map, Value};

/// References followed to see one schema; a longer chain is not something that a person wrote.
const MAX_REFERENCES: usize = 64;

/// Fragments whose keywords apply together; the first that has a keyword wins.
#[derive(Debug, Default)]
pub struct View<'a> {
    /// The component that this is, where it is exactly one.
    pub name: Option<String>,
    pub fragments: Vec<&'a Map<String, Value>>,
    /// References that were followed to see it.
    pub references: Vec<&'a str>,
    /// Set where it was not entered: the reference that would have led round in a circle or too deep.
    pub cut: Option<&'a str>,
    /// `false` is a schema that nothing fits.
    pub nothing: bool,
}

impl<'a> View<'a> {
    /// Sees `sources` together. References in `entered` are being shown already, further out; with `closed`, no
    /// reference is followed.
    pub fn new(root: &'a Value, sources: &[&'a Value], entered: &[&'a str], closed: bool) -> Self {
        let mut view = Self::default();
        for source in sources {
            view.collect(root, source, entered, closed);
        }
        view.name = match sources {
            [one] => sole_reference(one).map(last_token),
            _ => None,
        };
        if view.fragments.iter().all(|fragment| is_only_about(fragment)) && view.cut.is_some() {
            view.name = view.cut.map(last_token);
        } else if !closed {
            view.cut = None; // A part leads back, the rest stands for itself.
        } else if let Some(reference) = view.cut {
            view.name.get_or_insert_with(|| last_token(reference));
        }
        view
    }

    fn collect(&mut self, root: &'a Value, source: &'a Value, entered: &[&'a str], closed: bool) {
        let fields = match source {
            Value::Object(fields) => fields,
            Value::Bool(false) => {
                self.nothing = true;
                return;
            }
            _ => return,
        };
        if !fields.keys().all(|field| field == "$ref") {
            self.fragments.push(fields);
        }
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            if closed || entered.contains(&reference) {
                self.cut.get_or_insert(reference);
            } else if self.references.len() < MAX_REFERENCES && !self.references.contains(&reference) {
                self.references.push(reference);
                if let Some(target) = lookup(root, reference) {
                    self.collect(root, target, entered, closed);
                }
            }
        }
        for part in fields.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.collect(root, part, entered, closed);
        }
    }

    /// The first fragment's value of a keyword.
    pub fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.fragments.iter().find_map(|fragment| fragment.get(keyword))
    }

    pub fn text(&self, keyword: &str) -> Option<&'a str> {
        self.fragments.iter().find_map(|fragment| fragment.get(keyword).and_then(Value::as_str))
    }

    pub fn flag(&self, keyword: &str) -> bool {
        self.fragments.iter().any(|fragment| fragment.get(keyword) == Some(&Value::Bool(true)))
    }

    /// All fragments' values of a keyword.
    pub fn all(&self, keyword: &str) -> impl Iterator<Item = &'a Value> {
        self.fragments.iter().filter_map(move |fragment| fragment.get(keyword))
    }
}

/// The reference that a schema is, directly or as the only part of an `allOf` that adds words to it.
fn sole_reference(source: &Value) -> Option<&str> {
    if let Some(reference) = source.get("$ref").and_then(Value::as_str) {
        return Some(reference);
    }
    match source.get("allOf")?.as_array()?.as_slice() {
        [one] if source.as_object().is_some_and(is_only_about) => one.get("$ref").and_then(Value::as_str),
        _ => None,
    }
}

/// Whether a fragment only says something about another schema, and has no content of its own.
fn is_only_about(fragment: &Map<String, Value>) -> bool {
    const ABOUT: [&str; 11] = [
        "$ref",
        "allOf",
        "description",
        "title",
        "deprecated",
        "example",
        "examples",
        "default",
        "nullable",
        "readOnly",
        "writeOnly",
    ];
    fragment.keys().all(|field| field.starts_with("x-") || ABOUT.contains(&field.as_str()))
}
