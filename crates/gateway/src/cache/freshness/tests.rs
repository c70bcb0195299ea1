//! How long an answer is fresh, and what may be given after that.

use super::*;

const NOW: u64 = 1_795_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A date that many seconds from now.
fn at(seconds: i64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.saturating_add_signed(seconds));
    httpdate::fmt_http_date(time)
}

fn kept_with(status: u16, fields: &[(&str, &str)], fallback: Fallback) -> Option<Terms> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let status = StatusCode::from_u16(status).expect("a status");
    terms(status, &headers, &Directives::default(), fallback, now())
}

fn kept(fields: &[(&str, &str)]) -> Option<Terms> {
    kept_with(200, fields, Fallback::default())
}

fn left(fields: &[(&str, &str)]) -> u64 {
    kept(fields).map_or(0, |terms| terms.lifetime.saturating_sub(terms.age))
}

#[test]
fn freshness_comes_from_the_most_specific_word() {
    let (past, future, today) = (at(-10), at(100), at(0));
    for (fields, seconds) in [
        (&[("cache-control", "max-age=60")][..], 60),
        (&[("cache-control", "max-age=60, s-maxage=5")], 5),
        (&[("cache-control", "s-maxage=5"), ("cache-control", "max-age=1")], 5),
        (&[("cache-control", "max-age=60"), ("expires", &past)], 60),
        (&[("expires", &future), ("date", &today)], 100),
        (&[("expires", &future), ("date", &today), ("age", "30")], 70),
        (&[("cache-control", "max-age=60"), ("age", "20")], 40),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=7")], 7),
        (&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=7")], 7),
        (&[("expires", &past), ("cdn-cache-control", "max-age=7")], 7),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=\"7")], 60),
        // And what is not fresh.
        (&[("cache-control", "max-age=0"), ("expires", &future)], 0),
        (&[("cache-control", "max-age=60"), ("age", "60")], 0),
        (&[("expires", &past), ("date", &today)], 0),
        (&[("expires", "0"), ("date", &today)], 0),
        (&[("expires", &future), ("expires", &future)], 0),
        (&[("cache-control", "max-age=60, no-cache")], 0),
        (&[("cache-control", "max-age=60, private")], 0),
        (&[("cache-control", "max-age=60, no-store")], 0),
        (&[("cache-control", "max-age=60"), ("set-cookie", "a=b")], 0),
        (&[("cache-control", "max-age=60, public"), ("set-cookie", "a=b")], 0),
        (&[], 0),
    ] {
        assert_eq!(left(fields), seconds, "{fields:?}");
    }
    for age in ["-1", "0, 0", "old", "1.5", "0;a", "a, 0", ""] {
        assert_eq!(left(&[("cache-control", "max-age=60"), ("age", age)]), 0, "{age:?}");
    }
    assert_eq!(left(&[("cache-control", "max-age=60"), ("age", "0"), ("age", "0")]), 0);
    assert_eq!(left(&[("cache-control", "max-age=60"), ("age", "20,90")]), 40, "the first member of a list");
}

#[test]
fn dates_in_all_three_forms_count_and_no_others_do() {
    for expires in ["Thu, 18 Aug 2050 02:01:18 GMT", "Thursday, 18-Aug-50 02:01:18 GMT", "Thu Aug 18 02:01:18 2050"] {
        assert!(left(&[("expires", expires)]) > 0, "{expires}");
    }
    for expires in ["Thu, 18 Aug 2050 02:01:18 AEST", "2050-08-18", "tomorrow"] {
        assert_eq!(left(&[("expires", expires)]), 0, "{expires}");
    }
}

#[test]
fn a_status_is_kept_for_its_own_word_or_where_the_standard_allows_a_guess() {
    let fallback = Fallback { fresh: 30, stale_while_revalidate: 0 };
    for status in [200, 203, 204, 299, 301, 302, 307, 400, 404, 410, 499, 500, 503, 599] {
        assert!(kept_with(status, &[("cache-control", "max-age=60")], fallback).is_some(), "{status}");
        assert!(kept_with(status, &[("expires", &at(-5))], fallback).is_none(), "{status}");
    }
    for (status, guessed) in [(200, true), (404, true), (201, false), (302, false), (403, false), (500, false)] {
        assert_eq!(kept_with(status, &[], fallback).is_some(), guessed, "{status}");
        assert!(kept_with(status, &[], Fallback::default()).is_none(), "the product does not want guesses");
    }
    for said in ["no-store", "private", "max-age=0", "max-age='3600'", "max-age=oops"] {
        assert!(kept_with(200, &[("cache-control", said)], fallback).is_none(), "{said}");
    }
    assert!(kept_with(200, &[("pragma", "no-cache")], fallback).is_none());
    for status in [206, 304] {
        assert!(kept_with(status, &[("cache-control", "max-age=60")], fallback).is_none(), "{status}");
    }
    let understand = [("cache-control", "max-age=60, must-understand")];
    assert!(kept_with(599, &understand, fallback).is_none());
    assert!(kept_with(404, &[("cache-control", "max-age=60, must-understand, no-store")], fallback).is_some());
}

#[test]
fn stale_answers_are_for_those_who_did_not_forbid_them() {
    let both = kept(&[("cache-control", "max-age=1, stale-while-revalidate=10, stale-if-error=20")]).expect("kept");
    assert_eq!((both.stale_while_revalidate, both.stale_if_error), (10, 20));
    for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=2"] {
        let said = format!("max-age=1, stale-while-revalidate=10, stale-if-error=20, {forbids}");
        let terms = kept(&[("cache-control", &said)]).expect("kept");
        assert!(terms.must_revalidate, "{forbids}");
        assert_eq!((terms.stale_while_revalidate, terms.stale_if_error), (0, 0), "{forbids}");
    }
    let fallback = Fallback { fresh: 0, stale_while_revalidate: 9 };
    let terms = kept_with(200, &[("cache-control", "max-age=1")], fallback).expect("kept");
    assert_eq!(terms.stale_while_revalidate, 9);
}

#[test]
fn what_must_be_validated_each_time_is_kept_for_its_validator() {
    let terms = kept(&[("cache-control", "no-cache"), ("etag", "\"a\"")]).expect("kept");
    assert!(terms.lifetime == 0 && terms.must_revalidate);
    assert!(kept(&[("cache-control", "no-cache")]).is_none(), "it could never be used");
    assert!(kept(&[("etag", "\"a\"")]).is_none(), "nobody said that it may be kept");
    let no_store = Directives { no_store: true, ..Directives::default() };
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    assert_eq!(terms_of(&headers, &no_store), None);
    assert!(terms_of(&headers, &Directives::default()).is_some());
}

fn terms_of(headers: &HeaderMap, request: &Directives) -> Option<Terms> {
    super::terms(StatusCode::OK, headers, request, Fallback::default(), now())
}
