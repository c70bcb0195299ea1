//! What a call costs by its answer. The operation's reserve is held before the call; what the answer says is settled after it.
//!
//! An answer that does not say it, or says it in a way that is no amount, costs the reserve and is counted in
//! `turnpike_gateway_cost_unreadable_total`, for the operator to see.

use crate::{
    accept::Core,
    measure::{self, Saying, field, header, whole},
    reserve::Permit,
    respond::{Refusal, Standings},
    snapshot::Operation,
    upstream::{Answer, AnswerBody, Begun, ExchangeError},
};
use bytes::{Bytes, BytesMut};
use domain::{policy, refusal::Code};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, IF_RANGE, RANGE},
};
use http_body::Body;
use std::{collections::VecDeque, future::poll_fn, pin::Pin, time::Duration};
use tokio::time::{Instant, timeout_at};

/// The most that one call can cost: beyond it an upstream's number is a mistake.
const MOST_UNITS: u64 = 1_000_000_000;

/// The longest JSON answer that is read for its cost or a meter, in bytes.
const MOST_JSON: usize = 1 << 20;

/// How long one is held for a meter at most, from its head on.
const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// Where an operation's units come from, compiled.
#[derive(Debug)]
pub(crate) enum Cost {
    /// `None` for a name that no header can have.
    Header(Option<HeaderName>),
    JsonField(String),
    Bytes(u64),
    Milliseconds(u64),
}

impl Cost {
    pub(crate) fn new(policy: &policy::Cost) -> Self {
        match policy {
            policy::Cost::Header { name, .. } => Self::Header(HeaderName::from_bytes(name.as_bytes()).ok()),
            policy::Cost::JsonField { pointer, .. } => Self::JsonField(pointer.clone()),
            policy::Cost::Bytes { per, .. } => Self::Bytes(u64::from(*per).max(1)),
            policy::Cost::Milliseconds { per, .. } => Self::Milliseconds(u64::from(*per).max(1)),
        }
    }

    /// Units for that many bytes of an answer's body, where they decide.
    pub(crate) const fn by_bytes(&self, bytes: u64) -> Option<u64> {
        match self {
            Self::Bytes(per) => Some(bytes.div_ceil(*per)),
            _ => None,
        }
    }

    pub(crate) const fn is_json(&self) -> bool {
        matches!(self, Self::JsonField(_))
    }
}

/// A part of a body cannot be read, so none is asked for: else whoever asks for all but a byte would be measured for nothing.
pub(crate) fn ask_for_whole(headers: &mut HeaderMap) {
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
}

/// Asks for an answer whose body can be read.
pub(crate) fn ask_for_plain(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Reads what the answer costs, and what it says for the operation's meters, as far as its head and a short JSON body tell, and
/// notes it in the permit.
pub(crate) async fn measure(
    core: &Core,
    permit: &mut Permit,
    mut answer: Answer,
    standings: &mut Standings,
) -> Result<Answer, Refusal> {
    let target = permit.target();
    let operation = target.operation();
    let mut json = None;
    let is_priced = operation.cost.as_ref().is_some_and(Cost::is_json);
    let is_read = || !is_stream(&answer.head.headers) && (is_priced || says_json(&answer.head.headers));
    if operation.reads_json && is_read() {
        let patience = target.product().upstream.as_ref().map_or(Duration::ZERO, |upstream| upstream.timeout);
        let plain = answer.head.headers.get(CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
        // A price is worth the wait; a meter alone goes without.
        let held = if is_priced { patience } else { patience.min(LONGEST_HOLD) };
        let Read { body, whole, is_late } = read(answer.body, held).await?;
        if is_late && is_priced {
            let detail = format!("The API did not end its answer within {} ms.", patience.as_millis());
            return Err(Refusal::new(Code::UpstreamTimeout, detail));
        }
        answer.body = body;
        json = whole.filter(|_| plain).and_then(|json| serde_json::from_slice(&json).ok());
    }
    let counts = target.product().counting.counts(answer.head.status.as_u16());
    let metrics = &target.product().metrics;
    let readings = (!operation.meters.is_empty()).then(|| {
        let whose = (target.caller.partner().id, target.product().id);
        let is_partial = answer.head.status == StatusCode::NOT_MODIFIED;
        let (items, headers) = (&core.shared.items, &answer.head.headers);
        let saying = Saying { items, whose, headers, body: json.as_ref(), is_partial };
        let (readings, unreadable) = measure::read(&operation.meters, &saying);
        metrics.meter_unreadable.increment(if counts { unreadable } else { 0 });
        readings
    });
    let units = operation.cost.as_ref().and_then(|cost| match cost {
        Cost::Header(name) => {
            let text = name.as_ref().and_then(|name| header(&answer.head.headers, name));
            Some(text.and_then(|text| whole(text, MOST_UNITS)))
        }
        Cost::JsonField(pointer) => Some(json.as_ref().and_then(|json| field(json, pointer, MOST_UNITS))),
        Cost::Bytes(_) => None,
        Cost::Milliseconds(per) => {
            let micros = u64::try_from(permit.upstream.as_micros()).unwrap_or(u64::MAX);
            Some(Some(micros.div_ceil(per.saturating_mul(1_000)).min(MOST_UNITS)))
        }
    });
    take_out(operation, &mut answer.head.headers);
    let reserved = target.reserved();
    let price = target.price;
    if units == Some(None) && price.is_none() && counts {
        metrics.cost_unreadable.increment(1);
    }
    permit.readings = readings.unwrap_or_default();
    permit.used = price.or(units.flatten());
    if let (Some(used), Some(quota)) = (permit.used, &mut standings.quota) {
        quota.used = quota.used.saturating_sub(reserved).saturating_add(used);
    }
    Ok(answer)
}

/// Whether a meter looks for a field there: other answers, streams of events above all, are not held back for one.
fn says_json(headers: &HeaderMap) -> bool {
    let essence =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim().to_ascii_lowercase();
        essence.ends_with("/json") || essence.ends_with("+json")
    })
}

/// Whether its parts are for the client as they come: nobody could read it to its end before.
fn is_stream(headers: &HeaderMap) -> bool {
    let essence =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim().to_ascii_lowercase();
        essence == "text/event-stream"
            || ["ndjson", "jsonl", "jsonlines", "json-lines", "json-seq", "stream+json", "json-stream"]
                .iter()
                .any(|form| essence.ends_with(form))
    })
}

/// What was said to us stays with us.
fn take_out(operation: &Operation, headers: &mut HeaderMap) {
    if let Some(Cost::Header(Some(name))) = &operation.cost {
        headers.remove(name);
    }
    for name in operation.meters.iter().flat_map(|meter| meter.told()).filter_map(|told| told.taken()) {
        headers.remove(name);
    }
}

/// A body that was read, to be sent on.
struct Read {
    body: AnswerBody,
    /// Where it was short enough, and soon enough at its end.
    whole: Option<Bytes>,
    is_late: bool,
}

/// Reads a short body to its end, for that long at most, and gives it back to be sent; else what was read and the rest.
async fn read(mut body: AnswerBody, within: Duration) -> Result<Read, Refusal> {
    let part = |body, is_late| Read { body, whole: None, is_late };
    if matches!(body, AnswerBody::Switched(_)) || body.size_hint().lower() > MOST_JSON as u64 {
        return Ok(part(body, false));
    }
    let mut whole = BytesMut::new();
    let mut frames = VecDeque::new();
    let until = Instant::now() + within;
    loop {
        let next = match timeout_at(until, poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await {
            Ok(next) => next,
            Err(_) => return Ok(part(AnswerBody::Begun(Box::new(Begun::new(frames, body))), true)),
        };
        let Some(frame) = next else { break };
        let frame = frame.map_err(|error| match error {
            ExchangeError::Upload => Refusal::new(Code::BadRequest, "The request's body broke off."),
            error => {
                tracing::warn!(%error, "an upstream broke off an answer that was read for its cost");
                Refusal::of(Code::UpstreamUnreachable)
            }
        })?;
        if let Some(data) = frame.data_ref() {
            whole.extend_from_slice(data);
        }
        frames.push_back(frame);
        if whole.len() > MOST_JSON {
            return Ok(part(AnswerBody::Begun(Box::new(Begun::new(frames, body))), false));
        }
    }
    let whole = whole.freeze();
    let body = match frames.iter().any(http_body::Frame::is_trailers) {
        true => AnswerBody::Begun(Box::new(Begun::new(frames, body))),
        false => AnswerBody::Full(whole.clone()),
    };
    Ok(Read { body, whole: Some(whole), is_late: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_once_as_a_whole_number() {
        for (values, units) in [
            (&["7"][..], Some(7)),
            (&[" 12 "], Some(12)),
            (&["0"], Some(0)),
            (&["7", "7"], None),
            (&[], None),
            (&["-1"], None),
            (&["+1"], None),
            (&["1.5"], None),
            (&["1e3"], None),
            (&["many"], None),
            (&[""], None),
            (&["1000000000"], Some(1_000_000_000)),
            (&["1000000001"], None),
            (&["99999999999999999999999"], None),
        ] {
            let mut headers = HeaderMap::new();
            let name = HeaderName::from_static("x-units");
            for value in values {
                headers.append(&name, HeaderValue::from_static(value));
            }
            let read = header(&headers, &name).and_then(|text| whole(text, MOST_UNITS));
            assert_eq!(read, units, "{values:?}");
        }
    }

    #[test]
    fn a_field_is_found_by_its_pointer_and_rounded_up() {
        for (json, units) in [
            (r#"{"usage":{"units":3}}"#, Some(3)),
            (r#"{"usage":{"units":3.0}}"#, Some(3)),
            (r#"{"usage":{"units":3.01}}"#, Some(4)),
            (r#"{"usage":{"units":-1}}"#, None),
            (r#"{"usage":{"units":"3"}}"#, None),
            (r#"{"usage":{"units":1e99}}"#, None),
            (r#"{"usage":{"units":1000000001}}"#, None),
            (r#"{"usage":{}}"#, None),
            (r#"{"usage":{"units":3}"#, None),
            ("", None),
        ] {
            let value = serde_json::from_slice(json.as_bytes()).ok();
            let read = value.and_then(|value| field(&value, "/usage/units", MOST_UNITS));
            assert_eq!(read, units, "{json}");
        }
        let deep: Result<serde_json::Value, _> = serde_json::from_slice("[".repeat(100_000).as_bytes());
        assert!(deep.is_err(), "and a deep one breaks nothing");
    }
}
