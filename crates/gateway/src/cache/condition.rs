//! A client's own copy: If-None-Match and If-Modified-Since (RFC 9110, 13) answered from what is kept.

use super::freshness::read_date;
use http::{
    HeaderMap, HeaderValue,
    header::{DATE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED},
};

/// Whether the request has conditions that only the upstream can decide.
pub(super) fn is_for_the_upstream(request: &HeaderMap) -> bool {
    request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE)
}

/// Whether the request has conditions that a cache may decide.
pub(super) fn is_conditional(request: &HeaderMap) -> bool {
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Whether the client has the answer already, so that 304 says it all.
pub(super) fn client_has(request: &HeaderMap, kept: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let Some(own) = kept.get(ETAG).map(|tag| opaque(tag.as_bytes())) else {
            return request.get_all(IF_NONE_MATCH).iter().any(|value| value.as_bytes().trim_ascii() == b"*");
        };
        // The weak comparison: a mark of weakness makes no difference.
        return request
            .get_all(IF_NONE_MATCH)
            .iter()
            .flat_map(|value| tags(value.as_bytes()))
            .any(|tag| tag == b"*" || opaque(tag) == own);
    }
    let Some(since) = one(request, &IF_MODIFIED_SINCE) else { return false };
    let made = one(kept, &LAST_MODIFIED).or_else(|| one(kept, &DATE)).and_then(|value| read_date(value.as_bytes()));
    match (read_date(since.as_bytes()), made) {
        (Some(since), Some(made)) => made <= since,
        _ => false,
    }
}

/// Asks the upstream whether what is kept is still right; the client's own conditions are answered afterwards.
/// Returns whether it can be asked.
pub(super) fn validate(request: &mut HeaderMap, kept: &HeaderMap) -> bool {
    drop_conditions(request);
    let tag = kept.get(ETAG).map(|tag| request.insert(IF_NONE_MATCH, tag.clone()));
    let date = one(kept, &LAST_MODIFIED).map(|date| request.insert(IF_MODIFIED_SINCE, date.clone()));
    tag.is_some() || date.is_some()
}

/// Takes the client's conditions out, so that the upstream gives the whole answer.
pub(super) fn drop_conditions(request: &mut HeaderMap) {
    request.remove(IF_NONE_MATCH);
    request.remove(IF_MODIFIED_SINCE);
}

fn one<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The entity tags of a list; a comma may be part of a tag.
fn tags(mut line: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', rest @ ..] = line {
            line = rest;
        }
        let quote = line.iter().position(|byte| *byte == b'"').filter(|at| !line[..*at].contains(&b','));
        let end = match quote {
            Some(open) => line[open + 1..].iter().position(|byte| *byte == b'"').map(|length| open + length + 2),
            None => line.iter().position(|byte| *byte == b','),
        };
        let (tag, rest) = line.split_at(end.unwrap_or(line.len()));
        line = rest;
        (!tag.is_empty()).then(|| tag.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn an_entity_tag_is_compared_weakly_and_alone() {
        let kept = headers(&[("etag", "\"a,b\""), ("last-modified", "Wed, 01 Jan 2020 00:00:00 GMT")]);
        for tag in ["\"a,b\"", "W/\"a,b\"", "\"x\", \"a,b\"", "W/\"x\" , W/\"a,b\",\"y\"", "*"] {
            assert!(client_has(&headers(&[("if-none-match", tag)]), &kept), "{tag}");
        }
        for tag in ["\"a\"", "\"b\"", "a,b", "\"A,B\"", "", "\"a,b"] {
            assert!(!client_has(&headers(&[("if-none-match", tag)]), &kept), "{tag}");
        }
        let both = [("if-none-match", "\"other\""), ("if-modified-since", "Wed, 01 Jan 2025 00:00:00 GMT")];
        assert!(!client_has(&headers(&both), &kept), "the tag comes before the date");
    }

    #[test]
    fn a_date_counts_where_there_is_no_tag() {
        let kept = headers(&[("last-modified", "Wed, 01 Jan 2020 00:00:00 GMT")]);
        for (since, has) in [
            ("Wed, 01 Jan 2020 00:00:00 GMT", true),
            ("Wednesday, 01-Jan-20 00:00:01 GMT", true),
            ("Tue, 31 Dec 2019 23:59:59 GMT", false),
            ("yesterday", false),
        ] {
            assert_eq!(client_has(&headers(&[("if-modified-since", since)]), &kept), has, "{since}");
        }
        assert!(!client_has(&HeaderMap::new(), &kept));
    }

    #[test]
    fn the_upstream_is_asked_about_what_is_kept_and_not_about_the_clients_copy() {
        let mut request = headers(&[("if-none-match", "\"mine\""), ("if-modified-since", "x"), ("accept", "*/*")]);
        assert!(validate(&mut request, &headers(&[("etag", "\"kept\"")])));
        assert_eq!(request, headers(&[("if-none-match", "\"kept\""), ("accept", "*/*")]));
        assert!(!validate(&mut request, &HeaderMap::new()));
        assert_eq!(request, headers(&[("accept", "*/*")]));
    }
}
