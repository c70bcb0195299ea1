//! A mapping from code to thing that keeps its order and refuses a code twice.

use crate::{plan::Problem, product::is_code};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// Things by their codes, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded<T>(Vec<(String, T)>);

impl<T> Coded<T> {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(code, thing)| (code.as_str(), thing))
    }

    pub fn get(&self, code: &str) -> Option<&T> {
        self.iter().find(|(other, _)| *other == code).map(|(_, thing)| thing)
    }

    pub const fn len(&self) -> usize {
        self.0.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Codes that are none.
    pub fn code_problems(&self, place: &str) -> Vec<Problem> {
        let bad = self.iter().filter(|(code, _)| !is_code(code));
        bad.map(|(code, _)| {
            let message = "A code is 1 to 64 lower-case letters, digits and inner hyphens, as `payments-v2`";
            Problem::new(format!("{place}.{code}"), message)
        })
        .collect()
    }
}

impl<T> Default for Coded<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(String, T)> for Coded<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<'a, T> IntoIterator for &'a Coded<T> {
    type Item = (&'a str, &'a T);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (String, T)>, fn(&'a (String, T)) -> (&'a str, &'a T)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(code, thing)| (code.as_str(), thing))
    }
}

impl<T: Serialize> Serialize for Coded<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Coded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Coded<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping from codes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Coded<T>, A::Error> {
        let mut entries: Vec<(String, T)> = Vec::new();
        while let Some((code, thing)) = map.next_entry::<String, T>()? {
            if entries.iter().any(|(other, _)| *other == code) {
                return Err(A::Error::custom(format!("the code {code:?} is there twice")));
            }
            entries.push((code, thing));
        }
        Ok(Coded(entries))
    }

    fn visit_unit<E: Error>(self) -> Result<Coded<T>, E> {
        Ok(Coded::default()) // `products:` with nothing below it.
    }
}
