//! Form parameters as Stripe takes them: `a=1&metadata[key]=value&expand[]=x`. Names stay as they are sent.

use crate::failure::Failure;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The parameters of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut params = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let read = |text: &str| {
                decode(text)
                    .ok_or_else(|| Failure::invalid("The form is not well encoded: a % without two hex digits."))
            };
            params.insert(read(name)?, read(value)?);
        }
        Ok(Self(params))
    }

    /// Takes a body of version 2 of the API.
    pub fn json(text: &str) -> Result<Self, Failure> {
        let _: Value = serde_json::from_str(text).map_err(|error| Failure::invalid(error.to_string()))?;
        Ok(Self([(String::new(), text.to_owned())].into()))
    }

    /// That body.
    pub fn body(&self) -> Result<Value, Failure> {
        let text = self.get("").ok_or_else(|| Failure::invalid("The body is no JSON."))?;
        serde_json::from_str(text).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// Refuses every parameter that is not in the list; `metadata[]` in the list allows any key of it.
    pub fn only(&self, known: &[&str]) -> Result<(), Failure> {
        for name in self.0.keys() {
            let base = name.split('[').next().unwrap_or(name);
            let known = known.iter().any(|allowed| match allowed.strip_suffix("[]") {
                Some(map) => map == base && name.len() > base.len(),
                None => allowed == name,
            });
            if !known && base != "expand" {
                return Err(Failure::invalid(format!("Received unknown parameter: {name}"))
                    .code("parameter_unknown")
                    .param(name));
            }
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn need(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Failure::missing(name))
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        let read = |text: &str| {
            text.parse().map_err(|_| {
                Failure::invalid(format!("Invalid integer: {text}")).code("parameter_invalid_integer").param(name)
            })
        };
        self.get(name).map(read).transpose()
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Failure::invalid(format!("Invalid boolean: {other}")).param(name)),
        }
    }

    /// One of a few words.
    pub fn one_of<'a>(&'a self, name: &str, words: &[&str]) -> Result<Option<&'a str>, Failure> {
        match self.get(name) {
            Some(word) if !words.contains(&word) => {
                Err(Failure::invalid(format!("Invalid {name}: must be one of {}", words.join(", "))).param(name))
            }
            other => Ok(other),
        }
    }

    /// Text or null.
    pub fn text(&self, name: &str) -> Value {
        self.get(name).filter(|text| !text.is_empty()).map_or(Value::Null, Value::from)
    }

    /// `name[key]=value` as key and value.
    pub fn map(&self, name: &str) -> Vec<(&str, &str)> {
        let key = |full: &'_ str| -> Option<(usize, usize)> {
            let rest = full.strip_prefix(name)?.strip_prefix('[')?;
            rest.find(']').map(|end| (name.len() + 1, end))
        };
        self.0
            .iter()
            .filter_map(|(full, value)| key(full).map(|(from, length)| (&full[from..from + length], value.as_str())))
            .collect()
    }

    /// Merges `metadata[…]` into what is held; an empty value removes the key.
    pub fn merge_metadata(&self, held: &Value) -> Result<Value, Failure> {
        let mut metadata: Map<String, Value> = held.as_object().cloned().unwrap_or_default();
        for (key, value) in self.map("metadata") {
            if key.len() > 40 || value.len() > 500 {
                return Err(
                    Failure::invalid("Metadata keys are at most 40 characters long and values 500.").param("metadata")
                );
            }
            if value.is_empty() {
                metadata.remove(key);
            } else {
                metadata.insert(key.to_owned(), value.into());
            }
        }
        if metadata.len() > 50 {
            return Err(Failure::invalid("You can have at most 50 keys of metadata.").param("metadata"));
        }
        Ok(Value::Object(metadata))
    }

    /// As an object, for the log.
    pub fn to_json(&self) -> Value {
        if let Ok(body) = self.body() {
            return body;
        }
        self.0.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_names_are_read_and_unknown_ones_refused() {
        let params = Params::parse("amount=-5&metadata%5Ba+b%5D=c%26d&expand[]=customer").expect("a form");
        assert_eq!(params.integer("amount").expect("a number"), Some(-5));
        assert_eq!(params.map("metadata"), [("a b", "c&d")]);
        assert!(params.only(&["amount", "metadata[]"]).is_ok());
        assert_eq!(params.only(&["amount"]).expect_err("refused").code, Some("parameter_unknown"));
        assert!(Params::parse("a=%2").is_err());
    }
}
