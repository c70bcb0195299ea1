//! Part of a whole answer that is kept (RFC 9110, 14): one range of bytes. Several at once get the whole.

use http::{
    HeaderMap,
    header::{ETAG, IF_RANGE, LAST_MODIFIED, RANGE},
};
use std::ops::Range;

/// What of a kept answer of that length the request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Bytes(Range<usize>),
    /// It wants bytes that are not there: 416.
    Nothing,
}

pub(super) fn wanted(request: &HeaderMap, kept: &HeaderMap, length: usize) -> Part {
    let Some(range) = request.get(RANGE).filter(|_| is_same(request, kept)) else { return Part::Whole };
    let Some(spec) = range.as_bytes().strip_prefix(b"bytes=") else { return Part::Whole };
    let Some(dash) = spec.iter().position(|byte| *byte == b'-') else { return Part::Whole };
    let (first, last) = (spec[..dash].trim_ascii(), spec[dash + 1..].trim_ascii());
    match (number(first), number(last)) {
        (None, Some(suffix)) if first.is_empty() => match suffix.min(length) {
            0 => Part::Nothing,
            suffix => Part::Bytes(length - suffix..length),
        },
        (Some(from), _) if last.is_empty() => {
            if from < length {
                Part::Bytes(from..length)
            } else {
                Part::Nothing
            }
        }
        (Some(from), Some(to)) if from <= to => {
            if from < length {
                Part::Bytes(from..to.saturating_add(1).min(length))
            } else {
                Part::Nothing
            }
        }
        _ => Part::Whole,
    }
}

/// Whether the client's other parts are of this very answer (If-Range): only a strong tag, or the same date.
fn is_same(request: &HeaderMap, kept: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else { return true };
    if condition.as_bytes().starts_with(b"\"") {
        kept.get(ETAG) == Some(condition)
    } else {
        !condition.as_bytes().starts_with(b"W/") && kept.get(LAST_MODIFIED) == Some(condition)
    }
}

fn number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |sum: usize, digit| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn one_range_is_cut_out_and_what_is_no_range_gets_the_whole() {
        for (range, part) in [
            ("bytes=0-1", Part::Bytes(0..2)),
            ("bytes=8-", Part::Bytes(8..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-30", Part::Bytes(0..10)),
            ("bytes=5-99999999999999999999999999", Part::Bytes(5..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=10-12", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(wanted(&headers(&[("range", range)]), &HeaderMap::new(), 10), part, "{range}");
        }
        assert_eq!(wanted(&headers(&[("range", "bytes=0-0")]), &HeaderMap::new(), 0), Part::Nothing);
    }

    #[test]
    fn parts_are_never_mixed_from_two_answers() {
        let kept = headers(&[("etag", "\"a\""), ("last-modified", "Wed, 01 Jan 2020 00:00:00 GMT")]);
        for (condition, part) in [
            ("\"a\"", Part::Bytes(0..1)),
            ("\"b\"", Part::Whole),
            ("W/\"a\"", Part::Whole),
            ("Wed, 01 Jan 2020 00:00:00 GMT", Part::Bytes(0..1)),
            ("Thu, 02 Jan 2020 00:00:00 GMT", Part::Whole),
        ] {
            let request = headers(&[("range", "bytes=0-0"), ("if-range", condition)]);
            assert_eq!(wanted(&request, &kept, 10), part, "{condition}");
        }
    }
}
