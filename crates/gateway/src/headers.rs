//! Headers at the border: what belongs to one connection stays there, what only we may say is removed before we say it.

use crate::{
    accept::{Connection, Core},
    fields,
    request_id::X_REQUEST_ID,
    reserve::Draft,
    snapshot::Upstream,
};
use domain::key_text::Environment;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, COOKIE, HOST, SET_COOKIE, TE, TRAILER, VIA},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_TURNPIKE_ENVIRONMENT: HeaderName = HeaderName::from_static("x-turnpike-environment");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Turns the client's headers into the upstream's.
pub(crate) fn to_upstream(
    headers: &mut HeaderMap,
    core: &Core,
    connection: &Connection,
    draft: &Draft,
    environment: Environment,
    upstream: &Upstream,
    version: Version,
) {
    let takes_trailers = headers.get_all(TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let told = core.shared.proxies.told(&connection.peer, headers);
    strip(headers, |name| {
        let twin = upstream.headers.iter().any(|(own, _)| is_twin(name, own.as_str()));
        is_hop_by_hop(name) || is_ours(name) || twin
    });
    // A request's trailers are dropped: `meter::Upload`.
    headers.remove(TRAILER);
    drop_portals_cookies(headers);

    if let Some(host) = headers.insert(HOST, upstream.targets[0].host.clone()) {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.insert(X_FORWARDED_FOR, told.as_ref().map_or(&connection.peer, |told| &told.client).clone());
    let scheme = if connection.secure || told.is_some_and(|told| told.secure) { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    headers.insert(X_TURNPIKE_ENVIRONMENT, HeaderValue::from_static(environment.code()));
    headers.append(VIA, core.shared.via.received_by(version).clone());
    headers.insert(X_REQUEST_ID, draft.request_id.header());
    if let Some(trace) = &draft.trace {
        if trace.parent.is_none() {
            headers.remove(TRACESTATE);
        }
        headers.extend(trace.header().map(|value| (TRACEPARENT, value)));
    } else if !headers.get(TRACEPARENT).is_some_and(|value| is_traceparent(value.as_bytes())) {
        headers.remove(TRACESTATE);
        if let Ok(value) = HeaderValue::from_bytes(&new_traceparent(|| core.request_ids.random())) {
            headers.insert(TRACEPARENT, value);
        }
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    // Last, so that nothing a client sends can stand in for them.
    for (name, value) in &upstream.headers {
        headers.insert(name.clone(), value.clone());
    }
}

/// Turns the upstream's headers into the client's.
///
/// `limited` says that the gateway will say how limits stand.
pub(crate) fn to_client(headers: &mut HeaderMap, limited: bool) {
    strip(headers, |name| is_hop_by_hop(name) || fields::is_ours(name, limited));
    drop_portals_set_cookies(headers);
}

/// The portal's own cookies. A browser sends them to every port of a host, and lets every port set them.
const PORTALS_COOKIES: [&[u8]; 2] = [b"__Host-session", b"__Host-flash"];

/// Whether `name=value` is a cookie of the portal; browsers read the prefix in any case, and a nameless cookie as its value.
fn is_portals(pair: &[u8]) -> bool {
    let start = pair.iter().position(|byte| *byte != b'=' && !byte.is_ascii_whitespace()).unwrap_or(pair.len());
    let name = pair[start..].split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    PORTALS_COOKIES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn drop_portals_cookies(headers: &mut HeaderMap) {
    let pairs = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b';').any(is_portals);
    if !headers.get_all(COOKIE).iter().any(pairs) {
        return;
    }
    let values: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for value in values {
        let others: Vec<&[u8]> =
            value.as_bytes().split(|byte| *byte == b';').filter(|pair| !is_portals(pair)).collect();
        let others = others.join(&b';');
        match HeaderValue::from_bytes(others.trim_ascii()) {
            Ok(others) if !others.is_empty() => drop(headers.append(COOKIE, others)),
            _ => {}
        }
    }
}

fn drop_portals_set_cookies(headers: &mut HeaderMap) {
    let is_portals = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b';').next().is_some_and(is_portals);
    if !headers.get_all(SET_COOKIE).iter().any(is_portals) {
        return;
    }
    let values: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for value in values.into_iter().filter(|value| !is_portals(value)) {
        headers.append(SET_COOKIE, value);
    }
}

fn strip(headers: &mut HeaderMap, removes: impl Fn(&str) -> bool) {
    let mut doomed: Vec<HeaderName> = Vec::new();
    for (name, value) in headers.iter() {
        if *name == CONNECTION {
            let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            doomed.extend(names.filter_map(|name| HeaderName::from_bytes(name).ok()));
        }
        if removes(name.as_str()) {
            doomed.push(name.clone());
        }
    }
    for name in doomed {
        // A client cannot take away what frames or addresses its own request.
        if name != HOST {
            headers.remove(name);
        }
    }
}

/// RFC 9110, 7.6.1. An answer's `Trailer` stays: hyper sends only trailers it names.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Credentials, the length (which hyper sets from the body), and what only a gateway may tell an upstream, in any spelling that an upstream may confuse with it.
fn is_ours(name: &str) -> bool {
    let spelled;
    let name = if name.contains('_') {
        spelled = name.replace('_', "-");
        &spelled
    } else {
        name
    };
    match name {
        "authorization" | "x-api-key" | "forwarded" | "x-real-ip" | "true-client-ip" | "cf-connecting-ip" => true,
        "client-cert" | "client-cert-chain" | "expect" | "content-length" => true,
        _ => ["x-forwarded-", "x-turnpike-", "x-client-", "x-ssl-"].iter().any(|prefix| name.starts_with(prefix)),
    }
}

/// Whether an upstream that reads `_` and `-` as the same would take the one for the other.
fn is_twin(name: &str, own: &str) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() == own.len() && name.bytes().zip(own.bytes()).all(|(a, b)| dashed(a) == dashed(b))
}

/// A trace that begins here and that nobody asked to sample.
fn new_traceparent(random: impl Fn() -> u64) -> [u8; 55] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    for at in [3, 19, 36] {
        // Neither id may be zero.
        let mut number = random() | 1;
        for digit in &mut text[at..at + 16] {
            *digit = DIGITS[(number & 15) as usize];
            number >>= 4;
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

/// What this installation is called in `Via`, and how it knows itself again.
#[derive(Debug)]
pub(crate) struct Via {
    received_1_0: HeaderValue,
    received_1_1: HeaderValue,
    received_2: HeaderValue,
    pseudonym: String,
}

impl Via {
    /// A pseudonym that all gateways with the same pepper share and that tells nothing about it.
    pub(crate) fn new(pepper: &[u8; 32]) -> Self {
        let hash = crate::authenticate::hash_key(pepper, "the Via header's pseudonym");
        let pseudonym = hash.iter().take(6).fold("turnpike-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
        let entry = |version| {
            HeaderValue::from_str(&format!("{version} {pseudonym}")).unwrap_or(HeaderValue::from_static("1.1 turnpike"))
        };
        Self { received_1_0: entry("1.0"), received_1_1: entry("1.1"), received_2: entry("2.0"), pseudonym }
    }

    fn received_by(&self, version: Version) -> &HeaderValue {
        match version {
            Version::HTTP_10 => &self.received_1_0,
            Version::HTTP_2 => &self.received_2,
            _ => &self.received_1_1,
        }
    }

    /// Whether the request has passed through this installation before.
    pub(crate) fn is_loop(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(VIA)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|hop| hop.split_ascii_whitespace().nth(1) == Some(&*self.pseudonym)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_trace_contexts_are_passed_on() {
        assert!(is_traceparent(&new_traceparent(|| 0)) && is_traceparent(&new_traceparent(|| u64::MAX)));
        assert!(is_traceparent(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(is_traceparent(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
        for bad in [
            &b""[..],
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(!is_traceparent(bad), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn headers_of_a_connection_and_headers_that_only_we_set_are_stripped() {
        let mut headers = HeaderMap::new();
        for name in [
            "keep-alive",
            "te",
            "upgrade",
            "proxy-authorization",
            "x-named",
            "authorization",
            "x-api-key",
            "x_api_key",
            "x-forwarded-for",
            "x_forwarded_for",
            "forwarded",
            "x-turnpike-partner",
            "x-ssl-client",
            "client-cert",
            "content-length",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close, X-Named, host"));
        headers.insert(HOST, HeaderValue::from_static("kept"));
        headers.insert("accept", HeaderValue::from_static("kept"));
        strip(&mut headers, |name| is_hop_by_hop(name) || is_ours(name));
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host"]);
    }

    #[test]
    fn an_answer_says_nothing_in_the_gateways_place() {
        for (limited, left) in [(false, vec!["date", "ratelimit", "x-ratelimit-reset"]), (true, vec!["date"])] {
            let mut headers = HeaderMap::new();
            for name in ["date", "keep-alive", "ratelimit", "x-ratelimit-reset", "x-request-id", "x-turnpike-units"] {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static("theirs"));
            }
            to_client(&mut headers, limited);
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, left, "limited: {limited}");
        }
    }
}
