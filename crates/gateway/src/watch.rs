//! What the rest of the house may see of a call when it has ended: for logs and traces. Nothing of it is a secret, a raw
//! path or a query.

use crate::{
    accept::{Core, Shared},
    authenticate::Caller,
    matching::Reached,
    reserve::{Draft, Ending},
};
use domain::{
    id::{AppId, KeyId, PartnerId},
    key_text::Environment,
    usage::Outcome,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{fmt, time::Duration};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// It was seen: told how each call ended, after it was recorded. Answers must not wait for it, so it returns at once.
pub trait Watcher: fmt::Debug + Send + Sync {
    /// Whether calls get a span of ours, which the upstream's spans then hang from.
    fn traces(&self) -> bool;

    fn ended(&self, call: &Ended<'_>);
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub request_id: &'a str,
    /// Who called, where that is known.
    pub caller: Option<Who>,
    /// The plan's code.
    pub plan: Option<&'a str>,
    /// The product's code.
    pub product: Option<&'a str>,
    /// The path template that matched.
    pub route: Option<&'a str>,
    pub method: &'a str,
    pub status: u16,
    pub outcome: Outcome,
    pub units: u64,
    /// Body bytes read from the client.
    pub bytes_in: u64,
    /// Body bytes written to the client.
    pub bytes_out: u64,
    /// From the request's head to the answer's last byte handed over.
    pub duration: Duration,
    /// Of those, waiting for the upstream.
    pub upstream: Duration,
    pub trace: Option<Trace>,
}

/// A caller by its ids.
#[derive(Debug, Clone, Copy)]
pub struct Who {
    pub partner: PartnerId,
    pub app: AppId,
    pub key: KeyId,
    pub environment: Environment,
}

/// The call's own span (W3C Trace Context).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// The client's span, where it sent one.
    pub parent: Option<[u8; 8]>,
    /// Whether the client's trace is kept; one that begins here is.
    pub sampled: bool,
}

impl Trace {
    /// A span in the client's trace, or in a new one.
    pub(crate) fn begin(headers: &HeaderMap, random: impl Fn() -> u64) -> Self {
        // No id may be zero.
        let span_id = (random() | 1).to_be_bytes();
        match sent(headers) {
            Some((trace_id, parent, sampled)) => Self { trace_id, span_id, parent: Some(parent), sampled },
            None => {
                let mut trace_id = [0; 16];
                trace_id[..8].copy_from_slice(&(random() | 1).to_be_bytes());
                trace_id[8..].copy_from_slice(&random().to_be_bytes());
                Self { trace_id, span_id, parent: None, sampled: true }
            }
        }
    }

    /// The field that makes the upstream's spans hang from this one.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.to_string()).ok()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", u8::from(self.sampled))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({self})")
    }
}

/// The span of a call that arrives with these headers, if anybody wants spans.
pub(crate) fn begin(core: &Core, headers: &HeaderMap) -> Option<Box<Trace>> {
    core.shared.watcher.as_ref().filter(|watcher| watcher.traces())?;
    Some(Box::new(Trace::begin(headers, || core.request_ids.random())))
}

/// What a call came to, besides its ending.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    pub units: u64,
    pub bytes_in: u64,
    pub duration: Duration,
    pub upstream: Duration,
}

/// Tells the watcher, if there is one.
pub(crate) fn tell(
    shared: &Shared,
    draft: &Draft,
    caller: Option<&Caller>,
    reached: Reached,
    ending: Ending,
    sums: Sums,
) {
    let Some(watcher) = &shared.watcher else { return };
    let snapshot = caller.map(Caller::snapshot);
    let product = snapshot.zip(reached.product).and_then(|(snapshot, index)| snapshot.products.get(index));
    let operation = product.zip(reached.operation).and_then(|(product, index)| product.operations.get(index));
    let subscription = caller.and_then(|caller| caller.partner().subscription.as_ref());
    let plan = snapshot.zip(subscription).and_then(|(snapshot, subscription)| snapshot.plans.get(subscription.plan));
    let who = |caller: &Caller| Who {
        partner: caller.partner().id,
        app: caller.key().app,
        key: caller.key().id,
        environment: caller.key().environment,
    };
    watcher.ended(&Ended {
        request_id: &draft.request_id,
        caller: caller.map(who),
        plan: plan.map(|plan| plan.code.as_str()),
        product: product.map(|product| product.metrics.code.as_str()),
        route: operation.map(|operation| operation.path.as_str()),
        method: draft.method.as_str(),
        status: ending.status,
        outcome: ending.outcome,
        units: sums.units,
        bytes_in: sums.bytes_in,
        bytes_out: ending.bytes_out,
        duration: sums.duration,
        upstream: sums.upstream,
        trace: draft.trace.as_deref().copied(),
    });
}

/// The trace that the client says its call is part of.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<[u8; 16]> {
    sent(headers).map(|(trace_id, ..)| trace_id)
}

fn sent(headers: &HeaderMap) -> Option<([u8; 16], [u8; 8], bool)> {
    headers.get(TRACEPARENT).and_then(|value| parse(value.as_bytes()))
}

/// Trace id, span id and the sampled flag of a field that is known to be well-formed where it counts.
fn parse(value: &[u8]) -> Option<([u8; 16], [u8; 8], bool)> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let whole =
        version.len() == 2 && version != "ff" && flags.len() == 2 && (version != "00" || parts.next().is_none());
    if !whole || ![version, trace, span, flags].into_iter().all(lower_hex) {
        return None;
    }
    let (trace_id, span_id): ([u8; 16], [u8; 8]) = (bytes(trace)?, bytes(span)?);
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    (trace_id != [0; 16] && span_id != [0; 8]).then_some((trace_id, span_id, sampled))
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != N * 2 {
        return None;
    }
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(position * 2..position * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_joins_the_clients_trace_or_begins_one() {
        let mut headers = HeaderMap::new();
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert(TRACEPARENT, HeaderValue::from_static(sent));
        let trace = Trace::begin(&headers, || 4);
        assert_eq!(trace.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000005-01");
        assert_eq!(trace.parent, Some([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            headers.insert(TRACEPARENT, HeaderValue::from_static(bad));
            let trace = Trace::begin(&headers, || 0);
            assert_eq!((trace.parent, trace.sampled), (None, true), "{bad}");
            assert_ne!(trace.trace_id, [0; 16]);
        }
    }
}
