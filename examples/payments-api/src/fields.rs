//! Reading a JSON body field by field, so that the answer can name everything that is wrong at once.

use crate::problem::{FieldError, Problem};
use serde_json::{Map, Value};

/// The body's fields, and what was wrong with those that were asked for.
pub struct Fields {
    values: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The body as an object; an empty body is an empty object.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let values = match serde_json::from_slice(if body.is_empty() { b"{}" } else { body }) {
            Ok(Value::Object(values)) => values,
            Ok(_) => return Err(Problem::bad_request("The body should be a JSON object.")),
            Err(error) => return Err(Problem::bad_request(format!("The body is not JSON: {error}."))),
        };
        Ok(Self { values, errors: Vec::new() })
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    pub fn wrong(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: format!("/{name}"), message: message.into() });
    }

    /// A whole number of at least 1 and at most `most`.
    pub fn count(&mut self, name: &str, most: i64) -> Option<i64> {
        let value = self.take(name)?;
        let number = value.as_i64().filter(|number| (1..=most).contains(number));
        if number.is_none() {
            self.wrong(name, format!("This is a whole number from 1 to {most}."));
        }
        number
    }

    pub fn required_count(&mut self, name: &str, most: i64) -> i64 {
        self.require(name);
        self.count(name, most).unwrap_or_default()
    }

    /// A text of 1 to `most` characters.
    pub fn text(&mut self, name: &str, most: usize) -> Option<String> {
        let value = self.take(name)?;
        let text = value.as_str().filter(|text| (1..=most).contains(&text.chars().count())).map(str::to_owned);
        if text.is_none() {
            self.wrong(name, format!("This is a text of 1 to {most} characters."));
        }
        text
    }

    pub fn required_text(&mut self, name: &str, most: usize) -> String {
        self.require(name);
        self.text(name, most).unwrap_or_default()
    }

    /// One of a few words.
    pub fn choice(&mut self, name: &str, choices: &[&str]) -> Option<String> {
        let value = self.take(name)?;
        let word = value.as_str().filter(|word| choices.contains(word)).map(str::to_owned);
        if word.is_none() {
            self.wrong(name, format!("This is one of {}.", choices.join(", ")));
        }
        word
    }

    fn require(&mut self, name: &str) {
        if self.values.get(name).is_none_or(Value::is_null) {
            self.values.remove(name);
            self.wrong(name, "This field is required.");
        }
    }

    /// Everything was right, or all that was not; fields that nobody asked for are wrong too.
    pub fn finish(mut self) -> Result<(), Problem> {
        let unknown: Vec<String> = self.values.keys().cloned().collect();
        for name in unknown {
            self.wrong(&name, "There is no such field.");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
}
