//! A request's headers on their way to the upstream: what of the client's goes on, and what the gateway says.
//!
//! They are put into the header map where somebody still looks at it, and else written as lines, which costs a third: no name is
//! hashed. Both ways say the same; a test holds them together.

use super::{drop_portals_cookies, has_portals, is_hop_by_hop, is_ours, is_twin, strip, without_portals};
use crate::{
    accept::{Connection, Core},
    hexadecimal,
    request_id::{RequestIds, RequestText, X_REQUEST_ID},
    reserve::Draft,
    snapshot::Upstream,
    watch::Trace,
};
use domain::key_text::Environment;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRAILER,
        TRANSFER_ENCODING, USER_AGENT, VIA,
    },
};
use std::cell::OnceCell;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_TURNPIKE_ENVIRONMENT: HeaderName = HeaderName::from_static("x-turnpike-environment");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What the gateway says of a call to its upstream.
pub(crate) struct Outward<'a> {
    /// Where the client is.
    client: HeaderValue,
    scheme: &'static str,
    environment: Environment,
    via: &'a HeaderValue,
    request_id: &'a RequestText,
    trace: Option<&'a Trace>,
    /// The trace that begins here, where it belongs to none. One for all attempts.
    new_trace: OnceCell<[u8; 55]>,
    ids: &'a RequestIds,
    /// What the product adds. Last, so that nothing that a client sends can stand in for it.
    own: &'a [(HeaderName, HeaderValue)],
}

impl<'a> Outward<'a> {
    pub(crate) fn new(
        headers: &HeaderMap,
        core: &'a Core,
        connection: &Connection,
        draft: &'a Draft,
        environment: Environment,
        upstream: &'a Upstream,
        version: Version,
    ) -> Self {
        let told = core.shared.proxies.told(&connection.peer, headers);
        let is_secure = connection.secure || told.as_ref().is_some_and(|told| told.secure);
        Self {
            client: told.map_or_else(|| connection.peer.clone(), |told| told.client),
            scheme: if is_secure { "https" } else { "http" },
            environment,
            via: core.shared.via.received_by(version),
            request_id: &draft.request_id,
            trace: draft.trace.as_deref(),
            new_trace: OnceCell::new(),
            ids: &core.request_ids,
            own: &upstream.headers,
        }
    }

    fn new_trace(&self) -> &[u8; 55] {
        self.new_trace.get_or_init(|| new_traceparent(|| self.ids.random()))
    }

    /// Turns the client's headers into the upstream's, whose host that is.
    pub(crate) fn put(&self, headers: &mut HeaderMap, host: &HeaderValue) {
        let takes_trailers = takes_trailers(headers);
        strip(headers, |name| is_hop_by_hop(name) || is_ours(name) || self.is_twin(name));
        // A request's trailers are dropped: `meter::Upload`.
        headers.remove(TRAILER);
        drop_portals_cookies(headers);

        if let Some(host) = headers.insert(HOST, host.clone()) {
            headers.insert(X_FORWARDED_HOST, host);
        }
        headers.insert(X_FORWARDED_FOR, self.client.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(self.scheme));
        headers.insert(X_TURNPIKE_ENVIRONMENT, HeaderValue::from_static(self.environment.code()));
        headers.append(VIA, self.via.clone());
        headers.insert(X_REQUEST_ID, self.request_id.header());
        if let Some(trace) = self.trace {
            if trace.parent.is_none() {
                headers.remove(TRACESTATE);
            }
            if let Some(value) = trace.header() {
                headers.insert(TRACEPARENT, value);
            }
        } else if !headers.get(TRACEPARENT).is_some_and(|value| is_traceparent(value.as_bytes())) {
            headers.remove(TRACESTATE);
            if let Ok(value) = HeaderValue::from_bytes(self.new_trace()) {
                headers.insert(TRACEPARENT, value);
            }
        }
        if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        for (name, value) in self.own {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// Writes what [`Self::put`] makes of these headers, but for what frames the body.
    pub(crate) fn write(&self, headers: &HeaderMap, host: &HeaderValue, out: &mut Vec<u8>) {
        let named = headers.contains_key(CONNECTION).then_some(headers);
        let is_named = |name: &HeaderName| named.is_some_and(|headers| is_named(headers, name));
        let sent_trace = headers.get(TRACEPARENT);
        let sent_trace = sent_trace.filter(|_| !is_named(&TRACEPARENT) && !self.is_twin(TRACEPARENT.as_str()));
        let keeps_trace = self.trace.is_none() && sent_trace.is_some_and(|value| is_traceparent(value.as_bytes()));
        let keeps_state = keeps_trace || self.trace.is_some_and(|trace| trace.parent.is_some());
        let mut takes_trailers = false;
        let mut asked_host = None;
        // First, as RFC 9110 has it (section 7.2): who answers is known before all else is read.
        self.say(&HOST, host.as_bytes(), out);
        for (name, value) in headers {
            match *name {
                HOST => {
                    asked_host = Some(value);
                    continue;
                }
                TE => {
                    takes_trailers |= is_trailers(value);
                    continue;
                }
                CONNECTION | TRAILER | CONTENT_LENGTH => continue,
                _ if self.is_twin(name.as_str()) || is_named(name) => continue,
                ACCEPT | USER_AGENT | ACCEPT_ENCODING | ACCEPT_LANGUAGE | CONTENT_TYPE => {}
                COOKIE if has_portals(value) => {
                    let others = without_portals(value);
                    if !others.is_empty() {
                        line(b"cookie", &others, out);
                    }
                    continue;
                }
                _ => match name.as_str() {
                    "x-request-id" => continue,
                    "traceparent" if !keeps_trace => continue,
                    "tracestate" if !keeps_state => continue,
                    other if is_hop_by_hop(other) || is_ours(other) => continue,
                    _ => {}
                },
            }
            line(name.as_str().as_bytes(), value.as_bytes(), out);
        }

        if let Some(host) = asked_host {
            self.say(&X_FORWARDED_HOST, host.as_bytes(), out);
        }
        self.say(&X_FORWARDED_FOR, self.client.as_bytes(), out);
        self.say(&X_FORWARDED_PROTO, self.scheme.as_bytes(), out);
        self.say(&X_TURNPIKE_ENVIRONMENT, self.environment.code().as_bytes(), out);
        self.say(&VIA, self.via.as_bytes(), out);
        self.say(&X_REQUEST_ID, self.request_id.value().as_bytes(), out);
        match self.trace {
            Some(trace) => self.say(&TRACEPARENT, trace.to_string().as_bytes(), out),
            None if !keeps_trace => self.say(&TRACEPARENT, self.new_trace(), out),
            None => {}
        }
        if takes_trailers {
            self.say(&TE, b"trailers", out);
            self.say(&CONNECTION, b"te", out);
        }
        for (place, (name, value)) in self.own.iter().enumerate() {
            let again = self.own.iter().skip(place + 1).any(|(later, _)| later == name);
            if !again && *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
                line(name.as_str().as_bytes(), value.as_bytes(), out);
            }
        }
    }

    /// Writes a field of ours, unless the product says it in its own way.
    fn say(&self, name: &HeaderName, value: &[u8], out: &mut Vec<u8>) {
        if !self.own.iter().any(|(own, _)| own == name) {
            line(name.as_str().as_bytes(), value, out);
        }
    }

    fn is_twin(&self, name: &str) -> bool {
        self.own.iter().any(|(own, _)| is_twin(name, own.as_str()))
    }
}

fn line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether `Connection` names the field, which then is the connection's.
fn is_named(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut names = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.any(|named| named.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(is_trailers)
}

fn is_trailers(te: &HeaderValue) -> bool {
    te.as_bytes().eq_ignore_ascii_case(b"trailers")
}

/// A trace that begins here and that nobody asked to sample.
fn new_traceparent(random: impl Fn() -> u64) -> [u8; 55] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    for at in [3, 19, 36] {
        // Neither id may be zero.
        if let Some(digits) = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            hexadecimal::write(random() | 1, digits);
        }
    }
    text
}

/// W3C Trace Context, version 00 and what later versions may add after it.
fn is_traceparent(value: &[u8]) -> bool {
    let hex = |range: std::ops::Range<usize>| {
        value.get(range).is_some_and(|digits| digits.iter().all(|d| d.is_ascii_digit() || (b'a'..=b'f').contains(d)))
    };
    let zero = |range: std::ops::Range<usize>| value.get(range).is_some_and(|digits| digits.iter().all(|d| *d == b'0'));
    let dashes = [2, 35, 52].iter().all(|at| value.get(*at) == Some(&b'-'));
    let length = if value.starts_with(b"00") { value.len() == 55 } else { value.len() >= 55 };
    let shape = dashes && hex(0..2) && hex(3..35) && hex(36..52) && hex(53..55);
    shape && length && !value.starts_with(b"ff") && !zero(3..35) && !zero(36..52)
}

#[cfg(test)]
mod tests;
