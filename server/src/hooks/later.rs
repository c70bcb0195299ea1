//! Corrections and late usage as CloudEvents of types of their own: receivers leave types alone that they do not know.

use serde_json::{Map, Value, json};
use store::hooks::{CorrectedEvent, LateEvent};

/// What a correction changed of one event: figures to be added to those of the event, which may be below zero.
pub const CORRECTION: &str = "io.turnpike.usage.correction.v1";
/// Units that were told when their period was closed.
pub const LATE: &str = "io.turnpike.usage.late.v1";

/// How one event changed.
pub fn corrected(event: &CorrectedEvent) -> Value {
    let step = if event.is_revert { "revert" } else { "apply" };
    let of = event.of.as_ref().map(|(source, id)| json!({"source": source, "id": id}));
    let data = json!({
        "correction": event.correction,
        "step": step,
        "reason": event.reason,
        "of": of,
        "request_id": (!event.request_id.is_empty()).then_some(&event.request_id),
        "at": event.at,
        "partner": event.partner,
        "environment": event.environment.code(),
        "product": event.product,
        "operation": event.operation,
        "calls": event.calls,
        "units": event.units,
        "credits": event.credits,
        "bytes_in": event.bytes_in,
        "bytes_out": event.bytes_out,
        "duration_us": event.duration_us,
        "period_was_closed": !event.in_place,
    });
    json!({
        "specversion": "1.0",
        "type": CORRECTION,
        "source": "turnpike:corrections",
        "id": format!("{}.{step}.{}", event.correction, event.number),
        "subject": event.partner,
        "time": event.done_at,
        "datacontenttype": "application/json",
        "data": known(data),
    })
}

/// What came late, under the name that its producer gave it.
pub fn late(event: &LateEvent) -> Value {
    let data = json!({
        "partner": event.partner,
        "environment": "live",
        "product": event.product,
        "operation": event.operation,
        "app": event.app,
        "units": event.units,
        "received_at": event.received_at,
        "period": {"start": event.period.start, "end": event.period.end},
    });
    json!({
        "specversion": "1.0",
        "type": LATE,
        "source": event.source,
        "id": event.id,
        "subject": event.partner,
        "time": event.at,
        "datacontenttype": "application/json",
        "data": known(data),
    })
}

/// What is not known is left out.
fn known(data: Value) -> Value {
    let Value::Object(all) = data else { return data };
    Value::Object(all.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}
