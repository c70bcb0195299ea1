//! Text becomes a JSON value: YAML or JSON, bounded in size, depth and repetition, key order kept.

use super::{Problem, nesting};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::Cell, fmt};

/// Values that a document may hold after its aliases are expanded; the largest public ones hold a tenth of it.
const MAX_VALUES: usize = 1_500_000;
/// Bytes of text in those values.
const MAX_TEXT: usize = 32 << 20;
/// Levels of nesting.
pub const MAX_DEPTH: usize = 100;

/// The text's value, or why it is none, with the line.
pub fn read(text: &str) -> Result<Value, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let limits = Limits { values: Cell::new(MAX_VALUES), text: Cell::new(MAX_TEXT) };
    let seed = Node { limits: &limits, depth: 0 };
    if text.trim_start().starts_with(['{', '[']) {
        let mut json = serde_json::Deserializer::from_str(text);
        let value = seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
        return value.map_err(|error| {
            let line = u32::try_from(error.line()).ok().filter(|line| *line > 0);
            Problem::in_text(line, format!("This is not valid JSON: {}", without_place(&error.to_string())))
        });
    }
    if let Some(line) = nesting::too_deep(text) {
        let message = format!("This is nested more than {} levels deep", nesting::MAX_LEVELS);
        return Err(Problem::in_text(Some(line), message));
    }
    seed.deserialize(serde_norway::Deserializer::from_str(text)).map_err(|error| {
        let line = error.location().and_then(|place| u32::try_from(place.line()).ok());
        Problem::in_text(line, format!("This is not valid YAML: {}", without_place(&error.to_string())))
    })
}

/// Both parsers end their messages with the place, which is told apart already.
fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(before, _)| before)
}

struct Limits {
    values: Cell<usize>,
    text: Cell<usize>,
}

impl Limits {
    fn take<E: Error>(&self, text: usize) -> Result<(), E> {
        let too_large = || E::custom("the document is too large once its aliases are expanded");
        self.values.set(self.values.get().checked_sub(1).ok_or_else(too_large)?);
        self.text.set(self.text.get().checked_sub(text).ok_or_else(too_large)?);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Node<'l> {
    limits: &'l Limits,
    depth: usize,
}

impl Node<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("the document is nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.limits.take(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.limits.take(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.limits.take(0).map(|()| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.limits.take(0)?;
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("JSON has no infinity and no NaN"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.limits.take(value.len()).map(|()| Value::String(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.limits.take(0).map(|()| Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.limits.take(0)?;
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.limits.take(0)?;
        let inner = self.deeper()?;
        let mut map = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            self.limits.take(key.len())?;
            let value = entries.next_value_seed(inner)?;
            if key == "<<" && matches!(value, Value::Object(_) | Value::Array(_)) {
                merged.push(value);
            } else if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is there twice")));
            } else {
                map.insert(key, value);
            }
        }
        for value in merged {
            merge(&mut map, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom("YAML tags (!name) are not used in OpenAPI documents; remove it"))
    }
}

/// YAML's `<<`: what is there already wins.
fn merge(map: &mut Map<String, Value>, value: Value) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                if !map.contains_key(&key) {
                    map.insert(key, value);
                }
            }
        }
        Value::Array(parts) => {
            for part in parts.into_iter().filter(Value::is_object) {
                merge(map, part);
            }
        }
        _ => {}
    }
}

/// A key: YAML allows `200:` and `true:`, JSON only texts.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a text or a number")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn deep_nesting_is_refused_with_its_line_before_it_costs_anything() {
        let before = std::time::Instant::now();
        let problem = read(&format!("a: 1\nb: {}", "[".repeat(50_000))).expect_err("it is too deep");
        assert_eq!(problem.line, Some(2));
        assert!(before.elapsed() < std::time::Duration::from_secs(1), "{:?}", before.elapsed());
    }

    #[test]
    fn yaml_and_json_read_alike_with_their_order() {
        let yaml = read("b: 1\na: {200: x, y: [1.5, null, yes]}\n").expect("reads");
        assert_eq!(yaml.to_string(), r#"{"b":1,"a":{"200":"x","y":[1.5,null,"yes"]}}"#);
        assert_eq!(read(&yaml.to_string()).expect("reads"), yaml);
    }

    #[test]
    fn syntax_errors_and_repeated_keys_name_their_line() {
        let line = |text: &str| read(text).expect_err("is wrong").line;
        assert_eq!(line("{\n \"a\": 1,\n \"b\" 2\n}"), Some(3));
        assert_eq!(line("a: 1\nb: [1, 2\nc: 3\n"), Some(3));
        assert!(read("a: 1\nb: 2\na: 3\n").expect_err("is wrong").message.contains("\"a\" is there twice"));
        assert!(read("{\"a\": 1,\n\"a\": 2}").expect_err("is wrong").message.contains("twice"));
    }

    #[test]
    fn bombs_are_refused() {
        assert!(read(&"[".repeat(50_000)).is_err());
        assert!(read(&format!("a: {}", "{b: ".repeat(2_000))).is_err());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(read(&bomb).is_err());
        assert!(read("a: !include other.yaml").is_err());
    }

    #[test]
    fn merge_keys_are_applied() {
        let value = read("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n").expect("reads");
        assert_eq!(value["use"], json!({ "y": 3, "x": 1 }));
    }
}
