//! A call as a span of OpenTelemetry, with the names of its conventions for HTTP.

use domain::usage::Outcome;
use gateway::{Ended, Trace};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The span in OTLP's JSON form.
pub fn of(call: &Ended<'_>, trace: Trace) -> Value {
    let ended = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    at(call, trace, ended)
}

fn at(call: &Ended<'_>, trace: Trace, ended: Duration) -> Value {
    let name = call.route.map_or_else(|| call.method.to_owned(), |route| format!("{} {route}", call.method));
    let mut attributes = vec![
        text("http.request.method", call.method),
        number("http.response.status_code", u64::from(call.status)),
        text("turnpike.request_id", call.request_id),
        text("turnpike.outcome", call.outcome.code()),
        number("turnpike.units", call.units),
        number("turnpike.upstream_us", u64::try_from(call.upstream.as_micros()).unwrap_or(u64::MAX)),
    ];
    attributes.extend(call.route.map(|route| text("http.route", route)));
    attributes.extend(call.product.map(|product| text("turnpike.product", product)));
    attributes.extend(call.plan.map(|plan| text("turnpike.plan", plan)));
    attributes.extend(call.caller.map(|who| text("turnpike.partner", &who.partner.to_string())));
    if let Outcome::Refused(code) = call.outcome {
        attributes.push(text("error.type", code.describe().code));
    }
    let failed = call.status >= 500 || call.outcome == Outcome::UpstreamFailed;
    let mut span = json!({
        "traceId": hex(&trace.trace_id),
        "spanId": hex(&trace.span_id),
        "name": name,
        // A server's span.
        "kind": 2,
        "startTimeUnixNano": ended.saturating_sub(call.duration).as_nanos().to_string(),
        "endTimeUnixNano": ended.as_nanos().to_string(),
        "attributes": attributes,
        "status": if failed { json!({"code": 2}) } else { json!({}) },
    });
    if let Some(parent) = trace.parent {
        span["parentSpanId"] = Value::from(hex(&parent));
    }
    span
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Whole numbers are texts in OTLP's JSON.
fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::refusal::Code;

    #[test]
    fn a_refused_call_is_a_span_with_its_reason_and_without_its_caller() {
        let trace = Trace { trace_id: [1; 16], span_id: [2; 8], parent: Some([3; 8]), sampled: true };
        let call = Ended {
            request_id: "r1",
            caller: None,
            plan: None,
            product: Some("payments"),
            route: Some("/payments/{id}"),
            method: "GET",
            status: 429,
            outcome: Outcome::Refused(Code::LimitExceeded),
            units: 0,
            bytes_in: 0,
            bytes_out: 10,
            duration: Duration::from_micros(1_500),
            upstream: Duration::ZERO,
            trace: Some(trace),
        };
        let span = at(&call, trace, Duration::from_secs(2));
        assert_eq!(span["traceId"], "01".repeat(16));
        assert_eq!(
            (span["spanId"].as_str(), span["parentSpanId"].as_str()),
            (Some("0202020202020202"), Some("0303030303030303"))
        );
        assert_eq!(span["name"], "GET /payments/{id}");
        assert_eq!(span["startTimeUnixNano"], "1998500000");
        let attributes = span["attributes"].to_string();
        assert!(attributes.contains(r#""error.type","value":{"stringValue":"limit-exceeded"}"#), "{attributes}");
        assert!(!attributes.contains("partner"), "{attributes}");
        assert_eq!(span["status"], json!({}), "the client's mistake is no error of the server");
    }
}
