//! What a call costs by its answer. The operation's reserve is held before the call; what the answer says is settled after it.
//!
//! An answer that does not say it, or says it in a way that is no amount, costs the reserve and is counted in
//! `turnpike_gateway_cost_unreadable_total`, for the operator to see.

use crate::{
    reserve::Permit,
    respond::{Refusal, Standings},
    upstream::{Answer, AnswerBody, Begun, ExchangeError},
};
use bytes::{Bytes, BytesMut};
use domain::{policy, refusal::Code};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING},
};
use http_body::Body;
use std::{collections::VecDeque, future::poll_fn, pin::Pin, time::Duration};
use tokio::time::timeout;

/// The most that one call can cost: beyond it an upstream's number is a mistake.
const MOST_UNITS: u64 = 1_000_000_000;

/// The longest JSON answer that is read for its cost, in bytes.
const MOST_JSON: usize = 1 << 20;

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

    /// Asks for an answer that can be read.
    pub(crate) fn prepare(&self, headers: &mut HeaderMap) {
        if let Self::JsonField(_) = self {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }
}

/// Reads what the answer costs, as far as its head and a short JSON body tell, and notes it in the permit.
pub(crate) async fn measure(
    permit: &mut Permit,
    mut answer: Answer,
    standings: &mut Standings,
) -> Result<Answer, Refusal> {
    let target = permit.target();
    let operation = target.operation();
    let Some(cost) = &operation.cost else { return Ok(answer) };
    let units = match cost {
        Cost::Header(name) => Some(name.as_ref().and_then(|name| take_header(&mut answer.head.headers, name))),
        Cost::JsonField(pointer) => {
            let patience = target.product().upstream.as_ref().map_or(Duration::ZERO, |upstream| upstream.timeout);
            let plain = answer.head.headers.get(CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
            let (body, whole) = match timeout(patience, read(answer.body)).await {
                Ok(read) => read?,
                Err(_) => {
                    let detail = format!("The API did not end its answer within {} ms.", patience.as_millis());
                    return Err(Refusal::new(Code::UpstreamTimeout, detail));
                }
            };
            answer.body = body;
            Some(whole.filter(|_| plain).and_then(|json| field(&json, pointer)))
        }
        Cost::Bytes(_) => None,
        Cost::Milliseconds(per) => {
            let micros = u64::try_from(permit.upstream.as_micros()).unwrap_or(u64::MAX);
            Some(Some(micros.div_ceil(per.saturating_mul(1_000)).min(MOST_UNITS)))
        }
    };
    let reserved = target.reserved();
    let (price, metrics) = (target.price, &target.product().metrics);
    let counts = target.product().counting.counts(answer.head.status.as_u16());
    if units == Some(None) && price.is_none() && counts {
        metrics.cost_unreadable.increment(1);
    }
    permit.used = price.or(units.flatten());
    if let (Some(used), Some(quota)) = (permit.used, &mut standings.quota) {
        quota.used = quota.used.saturating_sub(reserved).saturating_add(used);
    }
    Ok(answer)
}

/// Takes the header out, and reads it where it is there once and a whole number.
fn take_header(headers: &mut HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let (first, more) = (values.next().cloned(), values.next().is_some());
    headers.remove(name);
    let text = first.filter(|_| !more)?;
    let text = text.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|units| digits && *units <= MOST_UNITS)
}

/// The number in a JSON text, rounded up.
fn field(json: &[u8], pointer: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    let number = value.pointer(pointer)?;
    let units = match (number.as_u64(), number.as_f64()) {
        (Some(units), _) => units,
        (None, Some(units)) if (0.0..=MOST_UNITS as f64).contains(&units) => units.ceil() as u64,
        _ => return None,
    };
    (units <= MOST_UNITS).then_some(units)
}

/// Reads a short body to its end, and gives it back to be sent; where it is longer, what was read and the rest.
async fn read(mut body: AnswerBody) -> Result<(AnswerBody, Option<Bytes>), Refusal> {
    if matches!(body, AnswerBody::Switched(_)) || body.size_hint().lower() > MOST_JSON as u64 {
        return Ok((body, None));
    }
    let mut whole = BytesMut::new();
    let mut frames = VecDeque::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
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
            return Ok((AnswerBody::Begun(Box::new(Begun::new(frames, body))), None));
        }
    }
    let whole = whole.freeze();
    let body = match frames.iter().any(http_body::Frame::is_trailers) {
        true => AnswerBody::Begun(Box::new(Begun::new(frames, body))),
        false => AnswerBody::Full(whole.clone()),
    };
    Ok((body, Some(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_once_as_a_whole_number_and_never_passes() {
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
            assert_eq!(take_header(&mut headers, &name), units, "{values:?}");
            assert!(headers.is_empty());
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
            assert_eq!(field(json.as_bytes(), "/usage/units"), units, "{json}");
        }
        assert_eq!(field("[".repeat(100_000).as_bytes(), "/0"), None, "and a deep one breaks nothing");
    }
}
