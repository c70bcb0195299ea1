//! An event that somebody else tells us: a CloudEvent 1.0 whose data says what was used.
//!
//! `source` and `id` name it for ever: told again it counts once, and told otherwise it is a conflict. Extension attributes are
//! allowed, as the standard has it; in `data`, a field that we do not know is refused rather than dropped.

use super::cloud_event::TYPE;
use crate::{
    id::{AppId, PartnerId},
    key_text::Environment,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most that one event can use.
pub const MOST_UNITS: u64 = 1_000_000_000;
/// The most bytes, and microseconds, of one event: sums of millions of them stay far below what a sum can hold.
const MOST_OTHERS: u64 = 1_000_000_000_000;
/// Bytes of a product's or operation's code or id.
const LONGEST_CODE: usize = 128;

/// What was told, in the form that says whether two of them are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outside {
    pub source: String,
    pub id: String,
    /// Whose usage it is; `None` where the sender need not say.
    pub partner: Option<PartnerId>,
    /// When it happened; `None` when it arrives.
    pub time: Option<Timestamp>,
    pub data: OutsideData,
}

/// What was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideData {
    pub units: u64,
    #[serde(default = "live")]
    pub environment: Environment,
    pub app: Option<AppId>,
    /// Code or id.
    pub product: Option<String>,
    /// Code or id, of the product.
    pub operation: Option<String>,
    #[serde(default)]
    pub bytes_in: u64,
    #[serde(default)]
    pub bytes_out: u64,
    #[serde(default)]
    pub duration_us: u64,
    pub region: Option<String>,
    pub trace_id: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// JSON pointer into the event; empty for the event as a whole.
    pub pointer: &'static str,
    /// What to do.
    pub message: String,
}

/// Reads an event, or says everything that is wrong with it.
pub fn read(event: &Value) -> Result<Outside, Vec<Wrong>> {
    let Value::Object(attributes) = event else {
        return Err(vec![Wrong {
            pointer: "",
            message: "Send a CloudEvent: a JSON object with specversion, type, source, id and data".to_owned(),
        }]);
    };
    let mut wrong = Vec::new();
    let mut say = |pointer, message: String| wrong.push(Wrong { pointer, message });
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("specversion") != "1.0" {
        say("/specversion", "Set it to \"1.0\"".to_owned());
    }
    if text("type") != TYPE {
        say("/type", format!("Set it to {TYPE:?}"));
    }
    let (source, id) = (text("source"), text("id"));
    if !is_name(source, 255) {
        say(
            "/source",
            "Name the producer in 1 to 255 visible characters without blanks, as https://billing.example/eu".to_owned(),
        );
    }
    if !is_name(id, 128) {
        say(
            "/id",
            "Give the event an id of 1 to 128 visible ASCII characters, which no other event of the source has"
                .to_owned(),
        );
    }
    let partner = match attributes.get("subject") {
        None | Some(Value::Null) => None,
        Some(subject) => {
            let partner = subject.as_str().and_then(|text| text.parse().ok());
            if partner.is_none() {
                say("/subject", "Name the partner by its id, as partner_0192…".to_owned());
            }
            partner
        }
    };
    let time = match attributes.get("time") {
        None | Some(Value::Null) => None,
        Some(time) => {
            let time = time.as_str().and_then(|text| text.parse().ok());
            if time.is_none() {
                say("/time", "Write the instant as RFC 3339 has it, as 2026-03-01T10:00:00Z".to_owned());
            }
            time
        }
    };
    let data = attributes.get("data").map(OutsideData::deserialize);
    // A list of the values in their order would be read as well, and an environment as {"live": null}.
    let is_flat = attributes.get("data").is_none_or(is_flat);
    match data {
        Some(Ok(_)) if !is_flat => {
            say("/data", "Send an object whose fields are texts and numbers, as {\"units\": 5}".to_owned());
        }
        None => say("/data", "Say what was used, as {\"units\": 5}".to_owned()),
        Some(Err(error)) => say(
            "/data",
            format!(
                "{error}. The fields are units, environment, app, product, operation, bytes_in, bytes_out, duration_us, region and trace_id"
            ),
        ),
        Some(Ok(data)) => {
            for (pointer, message) in data.problems() {
                say(pointer, message.to_owned());
            }
            if wrong.is_empty() {
                return Ok(Outside { source: source.to_owned(), id: id.to_owned(), partner, time, data });
            }
        }
    }
    Err(wrong)
}

impl OutsideData {
    fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        if self.units > MOST_UNITS {
            problems.push(("/data/units", "One event uses at most 1000000000 units; send several"));
        }
        if self.operation.is_some() && self.product.is_none() {
            problems.push(("/data/product", "Name the product that the operation belongs to"));
        }
        if self.region.as_deref().is_some_and(|region| !is_name(region, 64)) {
            problems.push(("/data/region", "A region is a word of at most 64 characters, as eu-central"));
        }
        if self.trace_id.is_some() && self.trace().is_none() {
            problems.push(("/data/trace_id", "A trace id is 32 lower-case hexadecimal digits"));
        }
        for (pointer, code) in [("/data/product", &self.product), ("/data/operation", &self.operation)] {
            if code.as_deref().is_some_and(|code| !is_name(code, LONGEST_CODE)) {
                problems.push((pointer, "Give its code or id, as the catalogue has it"));
            }
        }
        for (pointer, count) in [
            ("/data/bytes_in", self.bytes_in),
            ("/data/bytes_out", self.bytes_out),
            ("/data/duration_us", self.duration_us),
        ] {
            if count > MOST_OTHERS {
                problems.push((pointer, "One event has at most 1000000000000 of these; send several"));
            }
        }
        problems
    }

    /// The trace id's bytes.
    pub fn trace(&self) -> Option<[u8; 16]> {
        let text = self.trace_id.as_deref()?;
        let lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| lower && text.len() == 32)?;
        Some(number.to_be_bytes())
    }
}

const fn live() -> Environment {
    Environment::Live
}

fn is_flat(data: &Value) -> bool {
    data.as_object().is_some_and(|fields| !fields.values().any(|value| value.is_array() || value.is_object()))
}

/// Visible ASCII of that many bytes at most.
fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "specversion": "1.0", "type": TYPE, "source": "https://producer.example", "id": "1", "time": "2026-03-01T10:00:00Z",
            "subject": "partner_00000000000000000000000000000001", "traceparent": "an extension",
            "data": {"units": 5, "product": "payments", "operation": "createPayment", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"},
        })
    }

    #[test]
    fn an_event_is_read_and_each_fault_is_named_with_what_to_do() {
        let event = read(&good()).expect("an event");
        assert_eq!((event.data.units, event.data.environment, event.id.as_str()), (5, Environment::Live, "1"));
        assert_eq!(event.data.trace().map(|trace| trace[0]), Some(0x4b));
        for (pointer, value) in [
            ("/specversion", json!("0.3")),
            ("/type", json!("com.example.other")),
            ("/source", json!("")),
            ("/source", json!("two words")),
            ("/id", json!(7)),
            ("/id", json!("x".repeat(129))),
            ("/subject", json!("acme")),
            ("/time", json!("yesterday")),
            ("/data", json!({"units": -1})),
            ("/data", json!({"units": 1.5})),
            ("/data", json!({"units": 1, "amount": 2})),
            ("/data", json!([])),
            ("/data", json!([5, "live", null, null, null, 0, 0, 0, null, null])),
            ("/data", json!({"units": 1, "environment": {"live": null}})),
            ("/data/units", json!({"units": 1_000_000_001})),
            ("/data/product", json!({"units": 1, "operation": "createPayment"})),
            ("/data/trace_id", json!({"units": 1, "trace_id": "+bf92f3577b34da6a3ce929d0e0e4736"})),
            ("/data/bytes_in", json!({"units": 1, "bytes_in": u64::MAX})),
            ("/data/bytes_out", json!({"units": 1, "bytes_out": 1_000_000_000_001_u64})),
            ("/data/duration_us", json!({"units": 1, "duration_us": i64::MAX})),
            ("/data/product", json!({"units": 1, "product": "a\0b"})),
            ("/data/operation", json!({"units": 1, "product": "payments", "operation": "x".repeat(129)})),
        ] {
            let mut event = good();
            let field = pointer.split('/').nth(1).expect("a field");
            event[field] = value;
            let wrong = read(&event).expect_err(pointer);
            assert_eq!(wrong.iter().map(|wrong| wrong.pointer).collect::<Vec<_>>(), [pointer]);
        }
        assert_eq!(read(&json!({})).expect_err("nothing is there").len(), 5);
        assert_eq!(read(&json!("text")).expect_err("no object").len(), 1);
    }
}
