//! Cache-Control, of requests and of answers (RFC 9111, 5.2), read strictly: what cannot be understood keeps nothing.

use http::{HeaderMap, HeaderName, HeaderValue};

/// More seconds than this are the same as this (RFC 9111, 1.2.2).
pub(super) const LONGEST: u64 = 1 << 31;

/// What the directives say that we know of. Times are seconds; a time that cannot be read is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Directives {
    /// There is such a field at all.
    pub given: bool,
    pub no_store: bool,
    pub no_cache: bool,
    pub private: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub min_fresh: Option<u64>,
    /// Without a value it is [`LONGEST`].
    pub max_stale: Option<u64>,
    pub stale_while_revalidate: Option<u64>,
    pub stale_if_error: Option<u64>,
    /// Something has no form that the field may have.
    pub malformed: bool,
}

impl Directives {
    /// The directives of all lines of that field.
    pub(super) fn read(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut directives = Self::default();
        for line in headers.get_all(name).iter().map(HeaderValue::as_bytes) {
            directives.given = true;
            for part in split(line, &mut directives.malformed) {
                directives.add(part);
            }
        }
        // An open quote may hide the directive that forbids it.
        directives.no_store |= directives.malformed;
        directives
    }

    fn add(&mut self, part: &[u8]) {
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (&part[..at], Some(&part[at + 1..])),
            None => (part, None),
        };
        // Spaces around the equals sign are not allowed: the value does not count, the name does.
        let spaced = name != name.trim_ascii();
        let seconds = || if spaced { 0 } else { value.map_or(0, read_seconds) };
        let shorter = |known: Option<u64>, new: u64| Some(known.map_or(new, |known| known.min(new)));
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"no-store" => self.no_store = true,
            // A cache may take the form with field names as the one without.
            b"no-cache" => self.no_cache = true,
            b"private" => self.private = true,
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"only-if-cached" => self.only_if_cached = true,
            // Of two that differ the shorter counts.
            b"max-age" => self.max_age = shorter(self.max_age, seconds()),
            b"s-maxage" => self.s_maxage = shorter(self.s_maxage, seconds()),
            b"min-fresh" => self.min_fresh = Some(value.map_or(LONGEST, read_seconds)),
            b"max-stale" => self.max_stale = shorter(self.max_stale, value.map_or(LONGEST, read_seconds)),
            b"stale-while-revalidate" => {
                self.stale_while_revalidate = shorter(self.stale_while_revalidate, seconds());
            }
            b"stale-if-error" => self.stale_if_error = shorter(self.stale_if_error, seconds()),
            _ => {}
        }
    }
}

/// Seconds as digits, in quotes or without; zero for everything else.
fn read_seconds(value: &[u8]) -> u64 {
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    digits(quoted.unwrap_or(value)).unwrap_or(0)
}

/// A number of seconds, at most [`LONGEST`].
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(number.min(LONGEST))
}

/// The members of a list, without commas inside of quotes.
fn split<'a>(line: &'a [u8], malformed: &mut bool) -> Vec<&'a [u8]> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(line[start..at].trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    *malformed |= quoted;
    parts.push(line[start..].trim_ascii());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CACHE_CONTROL;

    fn read(lines: &[&'static str]) -> Directives {
        let mut headers = HeaderMap::new();
        headers.extend(lines.iter().map(|line| (CACHE_CONTROL, HeaderValue::from_static(line))));
        Directives::read(&headers, &CACHE_CONTROL)
    }

    #[test]
    fn times_are_read_as_the_standard_writes_them_and_everything_else_is_no_time() {
        for (line, seconds) in [
            ("max-age=60", 60),
            ("MAX-AGE=60", 60),
            ("max-age=\"60\"", 60),
            ("max-age=003600", 3600),
            ("max-age=99999999999999999999999", LONGEST),
            ("extension=\"max-age=3600\", max-age=1", 1),
            ("max-age=1, extension=\"a, max-age=3600\"", 1),
            ("max-age=3600, max-age=1", 1),
            ("max-age='3600'", 0),
            ("max-age=-3600", 0),
            ("max-age=3600.0", 0),
            ("max-age=3600a", 0),
            ("max-age =3600", 0),
            ("max-age= 3600", 0),
            ("max-age", 0),
        ] {
            assert_eq!(read(&[line]).max_age, Some(seconds), "{line}");
        }
        assert_eq!(read(&["max-age=9", "max-age=7"]).max_age, Some(7));
        assert_eq!(read(&["max-stale"]).max_stale, Some(LONGEST));
        assert_eq!(read(&["s-max-age=3, maxage=4"]).max_age, None);
    }

    #[test]
    fn an_open_quote_cannot_hide_that_nothing_may_be_kept() {
        assert!(read(&["max-age=60, x=\"no-store"]).no_store);
        assert!(!read(&["max-age=60, x=\"no-store\""]).no_store);
        assert!(read(&["x=\"\\\", no-store"]).no_store);
        let all = read(&["nO-StOrE, No-CaChE=\"a, b\", private, public", "must-revalidate,,proxy-revalidate"]);
        assert!(all.no_store && all.no_cache && all.private && all.public);
        assert!(all.must_revalidate && all.proxy_revalidate && !all.malformed);
    }
}
