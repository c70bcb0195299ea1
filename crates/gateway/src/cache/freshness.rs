//! Whether an answer may be kept, and for how long it is fresh. `http-cache-semantics` decides by RFC 9111; what it is
//! given was read strictly here, because it takes dates, ages and directives as they come.

use super::directives::{Directives, LONGEST, digits};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, LAST_MODIFIED, PRAGMA, SET_COOKIE},
};
use http_cache_semantics::{CacheOptions, CachePolicy};
use std::time::{Duration, SystemTime};

/// For caches of the provider's side only (RFC 9213): it counts in place of Cache-Control and Expires.
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What a product says of answers that say nothing themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fallback {
    /// Seconds; zero keeps only answers that say so.
    pub fresh: u64,
    /// Seconds.
    pub stale_while_revalidate: u64,
}

/// How long an answer may be used. All times are seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// From when it was made until it is stale.
    pub lifetime: u64,
    /// When it arrived here.
    pub age: u64,
    /// How long beyond its lifetime it may be given while a new one is fetched.
    pub stale_while_revalidate: u64,
    /// How long beyond its lifetime it may be given when the upstream fails.
    pub stale_if_error: u64,
    /// It may never be given when it is stale, whatever a request asks for.
    pub must_revalidate: bool,
    /// It says itself that a shared cache may have it.
    pub explicitly_shared: bool,
}

/// On which terms the answer to a GET may be kept; `None` if it may not be, or if nothing would come of it.
pub(super) fn terms(
    status: StatusCode,
    headers: &HeaderMap,
    request: &Directives,
    fallback: Fallback,
    now: SystemTime,
) -> Option<Terms> {
    let (directives, targeted) = directives(headers);
    // Cookies belong to one client.
    if request.no_store || headers.contains_key(SET_COOKIE) || !is_understood(status, &directives) {
        return None;
    }
    let explicit = directives.max_age.is_some()
        || directives.s_maxage.is_some()
        || (!targeted && headers.contains_key(EXPIRES))
        || directives.no_cache;
    let guessable = is_heuristically_cacheable(status) || directives.public;
    let heuristic = !explicit && guessable && !refuses(&directives, headers);
    let fallback_fresh = if heuristic { fallback.fresh } else { 0 };

    let mut normal = Response::new(());
    // A status that we understand; the library knows fewer of them.
    *normal.status_mut() = StatusCode::OK;
    *normal.headers_mut() = normalise(headers, &directives, targeted, fallback_fresh);
    let options = CacheOptions {
        shared: true,
        cache_heuristic: 0.0,
        immutable_min_time_to_live: Duration::ZERO,
        ignore_cargo_cult: false,
    };
    let policy = CachePolicy::new_options(&Request::new(()), &normal, now, options);
    if !policy.is_storable() {
        return None;
    }
    let age = policy.age(now).as_secs();
    let left = policy.time_to_live(now).as_secs();
    let no_cache = directives.no_cache || (!directives.given && pragma_says_no(headers));
    let must_revalidate =
        no_cache || directives.must_revalidate || directives.proxy_revalidate || directives.s_maxage.is_some();
    let stale = |seconds: Option<u64>, otherwise: u64| if must_revalidate { 0 } else { seconds.unwrap_or(otherwise) };
    let terms = Terms {
        lifetime: if left == 0 { 0 } else { age + left },
        age,
        stale_while_revalidate: stale(directives.stale_while_revalidate, fallback.stale_while_revalidate),
        stale_if_error: stale(directives.stale_if_error, 0),
        must_revalidate,
        explicitly_shared: directives.public || directives.s_maxage.is_some(),
    };
    let validators = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    let useful = left > 0 || (validators && (explicit || heuristic && fallback.fresh > 0));
    useful.then_some(terms)
}

/// The directives that count, and whether they are for caches of the provider's side.
fn directives(headers: &HeaderMap) -> (Directives, bool) {
    let targeted = Directives::read(headers, &CDN_CACHE_CONTROL);
    if targeted.given && !targeted.malformed {
        return (targeted, true);
    }
    (Directives::read(headers, &CACHE_CONTROL), false)
}

fn refuses(directives: &Directives, headers: &HeaderMap) -> bool {
    directives.no_store || directives.private || (!directives.given && pragma_says_no(headers))
}

fn pragma_says_no(headers: &HeaderMap) -> bool {
    headers.get_all(PRAGMA).iter().any(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"no-cache"))
}

/// Whether we know what the status means for a cache. Parts of an answer (206) are passed on and not kept.
fn is_understood(status: StatusCode, directives: &Directives) -> bool {
    match status.as_u16() {
        206 | 304 | ..=199 => false,
        code if directives.must_understand => {
            matches!(code, 200 | 203 | 204 | 300..=303 | 307 | 308 | 404 | 405 | 410 | 414 | 501)
        }
        // With its own word for it, any other final status may be kept.
        _ => true,
    }
}

/// RFC 9110, 15.1: without a word about it these may be kept.
fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// The fields that decide, each in the one form that the library reads.
fn normalise(headers: &HeaderMap, directives: &Directives, targeted: bool, fallback_fresh: u64) -> HeaderMap {
    let mut normal = HeaderMap::with_capacity(4);
    let mut say = Vec::with_capacity(4);
    for (said, word) in [
        (directives.no_store && !directives.must_understand, "no-store"),
        (directives.no_store && directives.malformed, "no-store"),
        (directives.no_cache, "no-cache"),
        (directives.private, "private"),
        (directives.must_revalidate, "must-revalidate"),
    ] {
        if said && !say.iter().any(|known| known == word) {
            say.push(word.to_owned());
        }
    }
    for (seconds, name) in [(directives.s_maxage, "s-maxage"), (directives.max_age, "max-age")] {
        if let Some(seconds) = seconds {
            say.push(format!("{name}={seconds}"));
        }
    }
    if fallback_fresh > 0 {
        say.push(format!("max-age={fallback_fresh}"));
    }
    if let Ok(value) = HeaderValue::from_str(&say.join(", "))
        && directives.given | (fallback_fresh > 0)
    {
        normal.insert(CACHE_CONTROL, value);
    } else if pragma_says_no(headers) {
        normal.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    }
    if !targeted && headers.contains_key(EXPIRES) {
        // Anything but one date is in the past.
        let expires = one(headers, &EXPIRES).and_then(date).unwrap_or(HeaderValue::from_static("0"));
        normal.insert(EXPIRES, expires);
    }
    if let Some(date) = one(headers, &DATE).and_then(date) {
        normal.insert(DATE, date);
    }
    if headers.contains_key(AGE) {
        // An age that cannot be read is a great age.
        let age = one(headers, &AGE).and_then(read_age).unwrap_or(LONGEST);
        normal.insert(AGE, HeaderValue::from(age));
    }
    normal
}

/// Of a list the first member counts (RFC 9111, 5.1), but not of two fields, nor of what looks as if an intermediary
/// had joined two fields: nobody knows which of them is about this answer.
fn read_age(text: &[u8]) -> Option<u64> {
    let joined = text.windows(2).any(|pair| pair == b", ");
    digits(text.split(|byte| *byte == b',').next().filter(|_| !joined)?)
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value.as_bytes())
}

fn date(text: &[u8]) -> Option<HeaderValue> {
    let time = read_date(text)?;
    HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok()
}

/// A date in one of HTTP's three forms.
pub(super) fn read_date(text: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()
}

#[cfg(test)]
mod tests;
