//! What a kept answer is found by: whose it is, its address, and the request's fields that the answer varies by.

use domain::{
    id::{KeyId, PartnerId},
    key_text::Environment,
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, VARY},
};

/// Who shares an answer. An answer is never found by anybody outside of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Scope {
    /// `None` shares it between partners.
    pub partner: Option<PartnerId>,
    /// Where the upstream is told who calls, each key has answers of its own.
    pub key: Option<KeyId>,
    pub environment: Environment,
    /// As the client wrote it: an upstream that builds links hears of it in X-Forwarded-Host.
    pub host: Box<[u8]>,
}

/// What was asked for: the bytes that are forwarded, so that two spellings are never taken for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address {
    /// The canonical path below the product's route.
    pub path: Box<str>,
    pub query: Option<Box<str>>,
}

/// The request's fields that an answer varies by, with all their lines as one value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Variation(Vec<(HeaderName, Option<Vec<u8>>)>);

/// An answer that varies by more fields than this is not kept.
const MAX_FIELDS: usize = 16;

impl Variation {
    /// By what the answer varies and what the request says of it; `None` if no other request can be known to be alike.
    pub(super) fn of(answer: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        let mut fields: Vec<(HeaderName, Option<Vec<u8>>)> = Vec::new();
        let names = answer.get_all(VARY).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        for name in names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()) {
            let name = HeaderName::from_bytes(name).ok()?;
            if name == "*" || differs_by_call(name.as_str()) {
                return None;
            }
            // The upstream never sees our credentials, so it cannot vary by them.
            let unseen = name == AUTHORIZATION || name == "x-api-key";
            if unseen || fields.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let value = combined(request, &name);
            fields.push((name, value));
        }
        // Many an upstream forgets to say that it chose an encoding.
        if answer.contains_key(CONTENT_ENCODING) && !fields.iter().any(|(name, _)| *name == ACCEPT_ENCODING) {
            fields.push((ACCEPT_ENCODING, combined(request, &ACCEPT_ENCODING)));
        }
        (fields.len() <= MAX_FIELDS).then_some(Self(fields))
    }

    pub(super) fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| combined(request, name) == *value)
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.as_str().len() + value.as_ref().map_or(0, Vec::len) + 32).sum()
    }
}

/// Fields that we set anew for each call, so that the client's value of them says nothing about what the upstream saw.
fn differs_by_call(name: &str) -> bool {
    matches!(
        name,
        "x-request-id"
            | "client-cert"
            | "client-cert-chain"
            | "traceparent"
            | "tracestate"
            | "via"
            | "forwarded"
            | "x-real-ip"
            | "host"
    ) || ["x-forwarded-", "x-turnpike-", "x-client-", "x-ssl-"].iter().any(|prefix| name.starts_with(prefix))
}

fn combined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(name).iter().map(|value: &HeaderValue| value.as_bytes().trim_ascii());
    let mut value = lines.next()?.to_vec();
    for line in lines {
        value.extend_from_slice(b", ");
        value.extend_from_slice(line);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn requests_are_alike_where_every_named_field_is() {
        let asked = headers(&[("foo", "1"), ("bar", "abc"), ("other", "2")]);
        let variation = Variation::of(&headers(&[("vary", "Foo, bar"), ("vary", "Baz,foo")]), &asked).expect("kept");
        assert!(variation.matches(&headers(&[("bar", "abc"), ("foo", "1"), ("other", "3")])));
        for other in [
            &[("foo", "2"), ("bar", "abc")][..],
            &[("foo", "1")],
            &[("foo", "1"), ("bar", "abc"), ("baz", "")],
            &[("foo", "1, 1"), ("bar", "abc")],
            &[],
        ] {
            assert!(!variation.matches(&headers(other)), "{other:?}");
        }
        let joined = Variation::of(&headers(&[("vary", "foo")]), &headers(&[("foo", "1, 2")])).expect("kept");
        assert!(joined.matches(&headers(&[("foo", "1"), ("foo", "2")])), "lines are one list");
    }

    #[test]
    fn what_cannot_be_compared_is_not_kept() {
        for vary in ["*", "*, *", ", *", "Foo, *", "*, Foo", "X-Forwarded-For", "X-Request-Id", "a b", "Host"] {
            assert_eq!(Variation::of(&headers(&[("vary", vary)]), &HeaderMap::new()), None, "{vary}");
        }
        let by_key = Variation::of(&headers(&[("vary", "Authorization, X-Api-Key")]), &HeaderMap::new());
        assert_eq!(by_key, Some(Variation::default()), "the upstream sees neither");
    }
}
