//! From a kept answer to the one that a client gets, and from an upstream's to the one that is kept.

use super::{
    Asked, condition,
    entries::Stored,
    range::{self, Part},
};
use crate::{
    headers,
    upstream::{Answer, AnswerBody},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ACCEPT_RANGES, AGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, DATE, ETAG, SET_COOKIE, TRAILER},
};
use std::time::SystemTime;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How a kept answer comes to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Hit,
    /// It is stale, and the request or an error of the upstream allows it.
    Stale,
    /// It is stale, and a new one is being fetched.
    WhileRevalidating,
    /// Another call fetched it while this one waited.
    Collapsed,
    /// The upstream said that it is still right.
    Validated,
}

/// The answer to the request: the whole, a part of it, or that the client has it already.
pub(super) fn give(stored: &Stored, asked: &Asked, now: u64, shown: Shown) -> Answer {
    let mut headers = stored.headers.clone();
    headers.insert(AGE, HeaderValue::from(stored.age(now)));
    let ttl = stored.ttl(now);
    let text = match shown {
        Shown::Hit | Shown::Stale | Shown::WhileRevalidating => format!("turnpike; hit; ttl={ttl}"),
        Shown::Collapsed => format!("turnpike; fwd=miss; collapsed; ttl={ttl}"),
        Shown::Validated => format!("turnpike; fwd=stale; fwd-status=304; ttl={ttl}"),
    };
    if let Ok(text) = HeaderValue::from_str(&text) {
        headers.append(CACHE_STATUS, text);
    }
    let (mut status, mut body) = (stored.status, stored.body.clone());
    if status.is_success() && condition::client_has(&asked.headers, &stored.headers) {
        status = StatusCode::NOT_MODIFIED;
        body = Bytes::new();
        let described: Vec<HeaderName> = headers.keys().filter(|name| describes_content(name)).cloned().collect();
        described.iter().for_each(|name| drop(headers.remove(name)));
    } else if status == StatusCode::OK && !asked.head_only {
        let length = body.len();
        let range = match range::wanted(&asked.headers, &stored.headers, length) {
            Part::Whole => None,
            Part::Bytes(part) => {
                let text = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                (status, body) = (StatusCode::PARTIAL_CONTENT, body.slice(part));
                Some(text)
            }
            Part::Nothing => {
                (status, body) = (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new());
                Some(format!("bytes */{length}"))
            }
        };
        if let Some(range) = range.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(CONTENT_RANGE, range);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
    }
    if asked.head_only {
        body = Bytes::new();
    }
    let (mut head, ()) = Response::new(()).into_parts();
    (head.status, head.headers) = (status, headers);
    Answer::new(head, AnswerBody::Full(body))
}

/// Says why the upstream was asked (RFC 9211).
pub(super) fn say_forwarded(headers: &mut HeaderMap, why: &str, stored: bool) {
    let text = format!("turnpike; fwd={why}{}", if stored { "; stored" } else { "" });
    if let Ok(text) = HeaderValue::from_str(&text) {
        headers.append(CACHE_STATUS, text);
    }
}

/// The fields that are kept: none of a connection, of one call or of one client.
pub(super) fn to_keep(answer: &HeaderMap) -> HeaderMap {
    let mut kept = answer.clone();
    headers::to_client(&mut kept, true);
    for name in [&AGE, &SET_COOKIE, &TRAILER, &CACHE_STATUS] {
        kept.remove(name);
    }
    let own: Vec<HeaderName> = kept.keys().filter(|name| is_of_one_call(name.as_str())).cloned().collect();
    own.iter().for_each(|name| drop(kept.remove(name)));
    if !kept.contains_key(DATE)
        && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))
    {
        kept.insert(DATE, date);
    }
    kept
}

fn is_of_one_call(name: &str) -> bool {
    matches!(name, "x-request-id" | "x-turnpike-units" | "x-quota-warning" | "idempotent-replayed" | "traceparent")
        || name.starts_with("ratelimit")
        || name.starts_with("x-ratelimit-")
}

/// The kept fields with those of a 304, except where they describe the content, which stays.
pub(super) fn freshened(kept: &HeaderMap, new: &HeaderMap) -> HeaderMap {
    let mut fresh = kept.clone();
    for name in new.keys() {
        let stays = matches!(name.as_str(), "content-length" | "content-encoding" | "content-range" | "content-md5")
            || (*name == ETAG && kept.contains_key(ETAG));
        if stays {
            continue;
        }
        fresh.remove(name);
        for value in new.get_all(name) {
            fresh.append(name, value.clone());
        }
    }
    fresh
}

/// A 304's cookies: for the client that asked, and for nobody after it.
pub(super) fn cookies(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    headers.get_all(SET_COOKIE).iter().map(|value| (SET_COOKIE, value.clone())).collect()
}

fn describes_content(name: &HeaderName) -> bool {
    *name != CONTENT_LOCATION && name.as_str().starts_with("content-") && *name != "content-security-policy"
}
