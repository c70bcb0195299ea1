//! The event as others read it: a CloudEvent 1.0 in the JSON format, as `docs/usage-event.schema.json` describes it.

use super::{Outcome, UsageEvent, event_id};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What the type of our events is called. Its number rises where somebody who reads the last one would misunderstand it.
pub const TYPE: &str = "io.turnpike.usage.v2";

/// Where an event stands in the usage log.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub node: &'a str,
    pub lane: u16,
    pub sequence: u64,
    /// Who told it, where that was no gateway of ours: a producer's name for itself.
    pub source: &'a str,
}

/// The event in the JSON format of CloudEvents. What is not known of it is left out.
pub fn write(event: &UsageEvent, standing: Standing<'_>) -> Value {
    let Standing { node, lane, sequence, source } = standing;
    // A producer's event keeps the pair that its producer gave it.
    let (source, id) = match source {
        "" => (format!("turnpike:{node}"), event_id(node, event.epoch, lane, sequence)),
        _ => (source.to_owned(), event.request_id.clone()),
    };
    json!({
        "specversion": "1.0",
        "type": TYPE,
        "source": source,
        "id": id,
        "subject": event.partner,
        "time": event.at,
        "datacontenttype": "application/json",
        "data": data(event, standing),
    })
}

fn data(event: &UsageEvent, standing: Standing<'_>) -> Value {
    let refusal = match event.outcome {
        Outcome::Refused(code) => Some(code.describe().code),
        _ => None,
    };
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let meter = |metered: &super::Metered| {
        let mut all = json!({"meter": metered.meter, "kind": metered.kind.code(), "quantity": metered.quantity});
        if let Some(item) = metered.item {
            all["item"] = Value::from(hex(item));
        }
        all
    };
    let all = json!({
        "request_id": event.request_id,
        "node": standing.node,
        "epoch": event.epoch,
        "lane": standing.lane,
        "sequence": standing.sequence,
        "region": text(&event.region),
        "partner": event.partner,
        "team": event.team,
        "app": event.app,
        "key": event.key,
        "member": event.member,
        "environment": event.environment.code(),
        "product": event.product,
        "operation": event.operation,
        "method": event.method,
        "path": text(&event.path),
        "status": event.status,
        "outcome": event.outcome.code(),
        "refusal": refusal,
        "units": event.units,
        "credits": event.credits,
        "allocation": event.allocated.map(|own| json!({"id": own.allocation, "credits": own.units})),
        "meters": event.meters.iter().map(meter).collect::<Vec<_>>(),
        "period": event.period.map(|period| json!({"start": period.start, "end": period.end})),
        "plan_version": event.plan_version,
        "price_rule": text(&event.price_rule),
        "bytes_in": event.bytes_in,
        "bytes_out": event.bytes_out,
        "duration_us": event.duration_us,
        "upstream_us": event.upstream_us,
        "trace_id": event.trace_id.map(hex),
    });
    let Value::Object(all) = all else { return Value::Null };
    Value::Object(all.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

/// A trace id as its header has it, and an item.
pub fn hex(trace_id: [u8; 16]) -> String {
    trace_id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{period::Period, usage::wire::tests::event};
    use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
    use std::io::Write as _;

    /// Within the years that RFC 3339 can write.
    fn written() -> impl Strategy<Value = Value> {
        let at = |micros| jiff::Timestamp::from_microsecond(micros).expect("in range");
        (event(), 0..4_000_000_000_000_000_i64, any::<u16>(), any::<u64>()).prop_map(
            move |(mut event, micros, lane, sequence)| {
                event.at = at(micros);
                event.period = event.period.map(|_| Period { start: at(micros), end: at(micros + 1) });
                let source = if event.status % 2 == 0 { "" } else { "https://producer.example/eu" };
                event.request_id.push('r');
                write(&event, Standing { node: "a-node", lane, sequence, source })
            },
        )
    }

    fn schema() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/usage-event.schema.json");
        serde_json::from_str(&std::fs::read_to_string(path).expect("the schema")).expect("JSON")
    }

    #[test]
    fn the_schema_has_the_fields_that_are_written_and_no_other() {
        let names = |value: &Value| -> Vec<String> {
            let mut names: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
            names.sort();
            names
        };
        let (schema, mut runner) = (schema(), TestRunner::deterministic());
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2_000 {
            let event = written().new_tree(&mut runner).expect("an event").current();
            assert_eq!(names(&event), names(&schema["properties"]));
            seen.extend(names(&event["data"]));
            for required in schema["properties"]["data"]["required"].as_array().expect("a list") {
                assert!(event["data"].get(required.as_str().expect("a name")).is_some(), "{required} is left out");
            }
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), names(&schema["properties"]["data"]["properties"]));
    }

    /// Left for a validator that is not ours.
    #[test]
    fn ten_thousand_events_are_left_for_the_referee() {
        let Some(folder) = std::env::var_os("TURNPIKE_EVENTS_OUT").map(std::path::PathBuf::from) else { return };
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("events.jsonl")).expect("a file"));
        let mut runner = TestRunner::deterministic();
        for _ in 0..10_000 {
            let event = written().new_tree(&mut runner).expect("an event").current();
            writeln!(file, "{event}").expect("written");
        }
    }
}
