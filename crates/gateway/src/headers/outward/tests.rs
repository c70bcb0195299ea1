//! Requests as lines say what the header map would have said.

use super::*;
use crate::request_id::RequestIds;
use proptest::prelude::*;
use std::collections::HashMap;

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

type Lines = HashMap<String, Vec<Vec<u8>>>;

/// What the map says to an upstream of HTTP/1, which frames the body itself.
fn of_map(headers: &HeaderMap) -> Lines {
    let mut lines = Lines::new();
    for (name, value) in headers.iter().filter(|(name, _)| **name != CONTENT_LENGTH && **name != TRANSFER_ENCODING) {
        lines.entry(name.as_str().to_owned()).or_default().push(value.as_bytes().to_vec());
    }
    lines
}

fn of_text(text: &[u8]) -> Lines {
    let mut lines = Lines::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a line's end");
        let colon = rest.windows(2).position(|two| two == b": ").expect("a colon");
        let name = String::from_utf8(rest[..colon].to_vec()).expect("a name");
        lines.entry(name).or_default().push(rest[colon + 2..end].to_vec());
        rest = &rest[end + 2..];
    }
    lines
}

const NAMES: [&str; 34] = [
    "host",
    "accept",
    "user-agent",
    "accept-encoding",
    "accept-language",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "cookie",
    "authorization",
    "x-api-key",
    "x_api_key",
    "via",
    "x-request-id",
    "x_request_id",
    "traceparent",
    "tracestate",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-turnpike-environment",
    "expect",
    "x-own",
    "x_own",
    "client-cert",
    "idempotency-key",
    "x-other",
    "proxy-authorization",
    "range",
];

const VALUES: [&str; 17] = [
    "",
    "a",
    "Trailers",
    "te, X-Other",
    "close",
    "traceparent, via ,host",
    "accept, x-own,, cookie",
    "x-request-id",
    "a=1; b=2",
    "__host-session=1; a=b",
    "a=b;=__Host-flash=2 ;c",
    "__Host-session",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
    "k=v",
    "\u{e9}",
    "chunked",
];

fn headers(largest: usize) -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    let field = (prop::sample::select(&NAMES[..]), prop::sample::select(&VALUES[..]));
    let field = field.prop_map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    });
    prop::collection::vec(field, 0..largest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn lines_and_map_say_the_same(
        sent in headers(12),
        own in headers(3),
        trace in prop::option::of(any::<bool>()),
        is_secure: bool,
    ) {
        let (ids, empty) = (RequestIds::new(), HeaderMap::new());
        let (request_id, via) = (ids.take(&empty, jiff::Timestamp::UNIX_EPOCH), HeaderValue::from_static("1.1 turnpike-1"));
        let trace = trace.map(|joins| {
            Trace { trace_id: [7; 16], span_id: [8; 8], parent: joins.then_some([9; 8]), sampled: true }
        });
        let outward = Outward {
            client: HeaderValue::from_static("192.0.2.1"),
            scheme: if is_secure { "https" } else { "http" },
            environment: Environment::Live,
            via: &via,
            request_id: &request_id,
            trace: trace.as_ref(),
            new_trace: OnceCell::new(),
            ids: &ids,
            own: &own,
        };
        let mut map: HeaderMap = HeaderMap::new();
        // A request has one host.
        for (name, value) in sent.into_iter().filter(|(name, _)| *name != HOST) {
            map.append(name, value);
        }
        map.insert(HOST, HeaderValue::from_static("asked.example"));
        let (host, mut text) = (HeaderValue::from_static("target.example"), Vec::new());
        outward.write(&map, &host, &mut text);
        if !own.iter().any(|(name, _)| *name == HOST) {
            prop_assert!(text.starts_with(b"host: target.example\r\n"), "RFC 9110, section 7.2: first of all");
        }
        outward.put(&mut map, &host);
        prop_assert_eq!(of_text(&text), of_map(&map));
    }
}
