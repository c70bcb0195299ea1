//! A JSON object in which no name comes twice: which of the two would count differs from reader to reader.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use std::{collections::HashMap, fmt};

pub(super) struct Object(HashMap<String, Value>);

impl Object {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        serde_json::from_slice(bytes).map_err(|_| "A part of it is not a JSON object whose names come once each.")
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All that are text.
    pub(super) fn texts(&self) -> HashMap<String, String> {
        let texts = self.0.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        texts.collect()
    }

    /// The text of that name, if there is one; anything else there is a problem.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, &'static str> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or("A part of it that has to be text is not."),
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut names = HashMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if names.insert(name, value).is_some() {
                        return Err(de::Error::custom("a name comes twice"));
                    }
                }
                Ok(Object(names))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
